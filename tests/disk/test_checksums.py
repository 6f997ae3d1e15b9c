import zlib

from hypothesis import given
from hypothesis import strategies as st

from collector.disk.checksums import (
    STORED_SIZE,
    body_checksum,
    file_checksum,
    frame_checksum,
    moved_checksum,
    stored_checksum,
)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_checksums_are_those_of_zlib(first, second):
    """What was kept by other versions, and in other places, has them."""
    assert body_checksum(memoryview(second), body_checksum(first)) == zlib.crc32(first + second)


def test_a_frames_checksum_is_of_what_is_said_of_it_too():
    assert frame_checksum("main", "json", 2, b"[]") == zlib.crc32(b"main\0json\x002[]")


def test_a_files_checksum_is_that_of_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 2_000_001)
    assert file_checksum(tmp_path / "file") == zlib.crc32(b"x" * 2_000_001)


@given(st.binary(max_size=300), st.text(max_size=5), st.text(max_size=5))
def test_a_frame_that_is_given_to_another_collector_has_its_checksum_without_its_body(body, old, new):
    of_old, of_new = (old, "json", 3), (new, "json", 3)
    moved = moved_checksum(frame_checksum(*of_old, body), len(body), of_old, of_new)
    assert moved == frame_checksum(*of_new, body)
    stored = moved_checksum(stored_checksum(*of_old, body_checksum(body)), STORED_SIZE, of_old, of_new)
    assert stored == stored_checksum(*of_new, body_checksum(body))
