import pytest

from collector.formats.addresses import has_keys, is_address, open_store


@pytest.mark.parametrize("name", ["s3://bucket/a.parquet", "gs://b/a", "file:///a", "S3://b/a"])
def test_an_address_has_a_scheme(name):
    assert is_address(name)


@pytest.mark.parametrize("name", ["a.parquet", "/a/b", "./s3:/a", "c:/a", "a:b//c", ""])
def test_a_path_has_none(name):
    assert not is_address(name)


@pytest.mark.parametrize(
    ("address", "is_so"),
    [
        ("s3://key:secret@bucket/a", True),
        ("gs://token@bucket/a", True),
        ("gs://anonymous:secret@bucket/a", True),
        ("gs://anonymous@bucket/a", False),
        ("s3://bucket/a@b", False),
    ],
)
def test_keys_in_an_address_are_seen_and_anonymous_is_none(address, is_so):
    assert has_keys(address) is is_so


def test_a_store_is_opened_with_the_path_in_it(tmp_path):
    files, path = open_store(f"file://{tmp_path}/a.parquet")
    assert (files.type_name, path) == ("local", f"{tmp_path}/a.parquet")
    with pytest.raises(ValueError, match="nosuch"):
        open_store("nosuch://a/b")
