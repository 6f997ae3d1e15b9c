"""What the daemon and its worker for labels say to each other: plain values, and paths of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collector.config.labels import OnDuplicate


class Keying(NamedTuple):
    """How keys are made: the column that holds them, and the seed of their numbers.

    With a ``secret``, keys that came before the config had them hashed are hashed by it, as those are that come now;
    ``digest`` tells files of these numbers from those of another secret.
    """

    column: str
    seed: int
    digest: str = ""
    secret: str = ""

    @property
    def name(self) -> str:
        """The name by which keys that were made this way are known."""
        return f"{self.column}\0{self.digest}" if self.digest else self.column

    def called(self, name: str) -> Keying:
        """Return how keys with a ``name`` were made; keys that are hashed already need no secret for that."""
        column, _, digest = name.partition("\0")
        return self if name == self.name else Keying(column, self.seed, digest)

    @property
    def other(self) -> Keying:
        """The same with another seed: keys with equal numbers under both are equal, but for one case in 2^128."""
        return self._replace(seed=self.seed ^ 2**63)

    @property
    def salt(self) -> bytes:
        """What files of these numbers are marked with, unlike those of other keys."""
        return f"{self.seed}\0{self.name}".encode(errors="surrogatepass")


class LabelFile(NamedTuple):
    """A part of labels, and the file that has the numbers of its keys, which is made if it isn't there."""

    part: str
    numbers: str


class BatchFiles(NamedTuple):
    """The parts of a batch, and what the files of its keys are called, but for their endings."""

    parts: list[str]
    keys: str


class Waiting(NamedTuple):
    """A batch that waits: its files of keys, the marks of those that have a label, and where these go next."""

    keys: str
    marks: str | None
    new_marks: str


class Closed(NamedTuple):
    """A batch that has its labels: its files of keys, how these were made; one has those whose labels were disputed."""

    keys: str
    keying: str
    has_disputed: bool = False


class Wanted(NamedTuple):
    """How labels are joined: the columns that they bring, and which label counts if a key has several."""

    columns: tuple[str, ...]
    on_duplicate: OnDuplicate


class Indexed(NamedTuple):
    """How many rows of a batch have a key, and how many of these have the key of another row, too."""

    keyed: int
    repeated: int


class JoinedPart(NamedTuple):
    """A part that was written, by its path."""

    path: str
    rows: int
    size: int


class Joined(NamedTuple):
    """The result of a join: its parts, how many labels gave way to others of their key, keys whose labels differ."""

    parts: list[JoinedPart]
    replaced: int = 0
    disputed: int = 0


class Fates(NamedTuple):
    """What became of the labels of a part, each counted once."""

    used: int = 0
    late: int = 0
    disputed: int = 0
    unmatched: int = 0
    damaged: int = 0
