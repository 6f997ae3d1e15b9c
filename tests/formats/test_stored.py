"""Where a body is that is too large for the journal, and what damage makes of that."""

import pytest

from collector.formats.stored import StoredBody, body_at, file_of


def test_a_place_leads_to_a_body_in_the_midst_of_a_file(tmp_path):
    (tmp_path / "1.json").write_bytes(b"before, it, behind")
    body = StoredBody(tmp_path / "1.json", 8, 2)
    assert (body.place, file_of(body.place), len(body), body.read()) == ("1.json:8:2", "1.json", 2, b"it")
    assert body_at(body.place, tmp_path) == body


def test_the_place_of_an_older_format_is_a_whole_file(tmp_path):
    (tmp_path / "1.json").write_bytes(b"it")
    assert (body_at("1.json", tmp_path).read(), file_of("1.json")) == (b"it", "1.json")


@pytest.mark.parametrize("place", ["1.json:0", "1.json:-1:1", "1.json:0:-1", "1.json:0:x", "../1.json:0:1", ""])
def test_what_damage_has_made_no_place_is_told(tmp_path, place):
    directory = tmp_path / "bodies"
    directory.mkdir()
    for where in (tmp_path, directory):
        (where / "1.json").write_bytes(b"body")
    with pytest.raises(ValueError, match=f"^{place}$|unpack|invalid literal"):
        body_at(place, directory)


@pytest.mark.parametrize(("start", "left"), [(0, b"it"), (1, b"t"), (5, b"")])
def test_of_a_file_that_was_cut_off_there_is_the_rest(tmp_path, start, left):
    (tmp_path / "1.json").write_bytes(b"it")
    assert body_at(f"1.json:{start}:{10**15}", tmp_path).read() == left


def test_a_file_that_is_gone_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        body_at("1.json:0:1", tmp_path)
