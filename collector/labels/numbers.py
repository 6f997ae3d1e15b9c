"""Keys as numbers: 64 bits of each key's text, by which keys are looked for without their texts.

The seed is the data directory's own, so that nobody can make keys that have the same number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from collector.formats.canonical import canonical_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from collector.labels.exchange import Keying

    Numbers = NDArray[np.uint64]

# The number of a value that is no key.
NO_KEY = np.uint64(0)
_AT_ONCE = 16_384  # keys at a time: their words fit the processor's cache
_WORD = 8
# By the number of bytes in a text's last word: the mask of those bytes.
_MASKS = np.array([2 ** (8 * count) - 1 for count in range(_WORD + 1)], np.uint64)
_STEP = np.uint64(0x9E3779B97F4A7C15)


def key_numbers(table: pa.Table, keying: Keying) -> Numbers:
    """Return the number of each row's key, NO_KEY for none."""
    number = table.schema.get_field_index(keying.column)
    if number < 0:
        return np.zeros(table.num_rows, np.uint64)
    field = table.schema.field(number)
    texts = [canonical_texts(field, chunk) for chunk in table.column(number).chunks]
    if keying.secret:
        from collector.formats.private import hashed_texts  # imported only if keys are hashed

        texts = [hashed_texts(some, keying.secret) for some in texts]
    found = [_numbers(some, keying.seed) for some in texts]
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def _numbers(texts: pa.Array, seed: int) -> Numbers:
    count = len(texts)
    _, offsets_buffer, data = texts.buffers()
    if not count or offsets_buffer is None:
        return np.zeros(count, np.uint64)
    offsets = np.frombuffer(offsets_buffer, np.int64)[texts.offset : texts.offset + count + 1]
    low, high = int(offsets[0]), int(offsets[-1])
    body = np.zeros(high - low + _WORD, np.uint8)  # padded, so that the last word can be read whole
    if high > low:
        body[: high - low] = np.frombuffer(data, np.uint8)[low:high]
    words = np.ndarray((len(body) - _WORD + 1,), "<u8", body, strides=(1,))
    found = np.empty(count, np.uint64)
    for start in range(0, count, _AT_ONCE):
        places = offsets[start : start + _AT_ONCE + 1] - low
        found[start : start + _AT_ONCE] = _hashed(words, places[:-1], np.diff(places), seed)
    found[found == NO_KEY] = 1
    if texts.null_count:
        found[texts.is_null().to_numpy(zero_copy_only=False)] = NO_KEY
    return found


def _hashed(words: Numbers, starts: NDArray[np.int64], lengths: NDArray[np.int64], seed: int) -> Numbers:
    """Mix the words of each text into a number; all texts take their first word together, then their second."""
    state = _mixed(lengths.astype(np.uint64) * _STEP + np.uint64(seed))
    shortest, longest = int(lengths.min()), int(lengths.max())
    for place in range(0, longest, _WORD):
        if place + _WORD <= shortest:
            state = _mixed((state ^ words[starts + place]) + _STEP)
            continue
        rows = np.flatnonzero(lengths > place)
        word = words[starts[rows] + place] & _MASKS[np.minimum(lengths[rows] - place, _WORD)]
        state[rows] = _mixed((state[rows] ^ word) + _STEP)
    return state


def _mixed(numbers: Numbers) -> Numbers:
    """Mix numbers so that each bit depends on all (the end of SplitMix64, https://doi.org/10.1145/2660193.2660195)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
