"""Files of this machine, and of a store that pyarrow knows: here one that is a directory."""

import gzip

import pytest

from collector.commands.remote_files import find_sources
from collector.errors import CommandError


def content(source):
    with source.open() as file:
        return file.read()


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "year" / "2026").mkdir(parents=True)
    (tmp_path / "year" / "2026" / "b.csv").write_bytes(b"n\n2\n")
    (tmp_path / "year" / "a.csv.gz").write_bytes(gzip.compress(b"n\n1\n"))
    (tmp_path / "year" / "README").write_bytes(b"no events")
    return tmp_path / "year"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_directory_stands_for_the_files_of_events_in_it(directory, scheme):
    sources = find_sources([f"{scheme}{directory}"])
    assert [content(source) for source in sources] == [b"n\n2\n", b"n\n1\n"]
    assert [source.format for source in sources] == ["csv", "csv"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_is_read_as_often_as_is_wanted_and_says_how_far(directory, scheme):
    [source] = find_sources([f"{scheme}{directory}/2026/b.csv"])
    assert source.name.endswith("b.csv")
    assert source.done is None
    for _ in range(2):
        with source.open() as file:
            assert (file.readline(), file.read()) == (b"n\n", b"2\n")
            assert source.done == 1.0


@pytest.mark.parametrize(
    "name", ["{}/nothing.csv", "file://{}/nothing.csv", "file://{}/2026/README", "nosuch://x/y.csv"]
)
def test_what_isnt_there_is_told_by_its_name(directory, name):
    with pytest.raises(CommandError) as refused:
        find_sources([name.format(directory)])
    assert name.format(directory) in str(refused.value)


def test_a_directory_without_events_is_told(tmp_path):
    for name in (str(tmp_path), f"file://{tmp_path}"):
        with pytest.raises(CommandError, match="files of events"):
            find_sources([name])
