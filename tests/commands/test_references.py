import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.commands.references import Reference
from collector.errors import CommandError


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "data" / "customers.2026.csv"
    path.parent.mkdir()
    path.write_text("age,plan\n41,basic\n37,pro\n", encoding="utf-8")
    return path


def test_csv_becomes_parquet_beside_the_config(csv, tmp_path):
    reference = Reference.read(str(csv))
    assert not reference.is_written(tmp_path)
    reference.write(tmp_path)
    assert reference.is_written(tmp_path)
    assert reference.path_in_config(tmp_path) == "customers.parquet"
    assert pq.read_table(tmp_path / "customers.parquet").to_pydict() == {"age": [41, 37], "plan": ["basic", "pro"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["customers.parquet", "data"]


def test_parquet_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    pq.write_table(pa.table({"age": [41]}), "reference.parquet")
    reference = Reference.read("reference.parquet")
    reference.write(tmp_path / "configs")
    assert list((tmp_path / "configs").iterdir()) == []
    assert reference.path_in_config(tmp_path) == "reference.parquet"
    assert reference.path_in_config(tmp_path / "configs") == str(tmp_path / "reference.parquet")


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("a.csv", b"age,plan\n", "has no rows"),
        ("a.csv", b"age\n1\n1,2\n", "Row #3: Expected 1 columns, got 2"),
        ("a.parquet", b"no", "can't be read as parquet"),
        ("a.ndjson", b'{"a": 1}', "is ndjson"),
    ],
)
def test_what_can_be_no_reference_is_told(tmp_path, name, body, says):
    (tmp_path / name).write_bytes(body)
    with pytest.raises(CommandError, match=says):
        Reference.read(str(tmp_path / name))
