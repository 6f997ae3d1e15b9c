"""The clients against a real daemon: every type arrives as it was sent, once, and the original's client works too."""

import asyncio
import json
import uuid

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from evidently.legacy.collector.client import CollectorClient as OriginalClient
from evidently.legacy.collector.config import CollectorConfig as OriginalConfig
from evidently.legacy.collector.config import ReportConfig as OriginalReportConfig
from evidently.legacy.collector.config import RowsCountTrigger as OriginalTrigger
from evidently.legacy.metric_preset import DataDriftPreset as LegacyDataDriftPreset
from evidently.legacy.report import Report as LegacyReport
from sklearn.datasets import load_diabetes, load_wine

from collector.client import AsyncCollectorClient, CollectorClient
from collector.errors import RequestRefused, ServiceUnavailable
from collector.evaluation.part_files import read_table

from .conftest import BY_TALLY, NEVER, PROJECT, Daemon, rows_trigger, service_config, wait_until

DAYS = pd.Series(
    pd.date_range("2026-03-28", periods=6, freq="12h")
)  # over the night in which Berlin changes its clocks
NUMBERS = pd.Series([1.5, -0.0, np.nan, 1e300, 5e-324, 3.0])
WHOLE = pd.Series([0, -1, 2**53 + 1, -(2**63), 2**63 - 1, 7])
TEXTS = ["", "a", "ÄÖ 漢字 🙂", 'say "hi"\n\t\\', "nan", "007"]
COLUMNS = {
    "naive datetimes": DAYS.astype("datetime64[us]"),
    "naive datetimes in ns": DAYS.astype("datetime64[ns]") + pd.Timedelta("1ns"),
    "datetimes with one missing": DAYS.where(DAYS.index != 2).astype("datetime64[us]"),
    "zoned datetimes": DAYS.dt.tz_localize("UTC")
    .dt.tz_convert("Europe/Berlin")
    .astype("datetime64[us, Europe/Berlin]"),
    "utc datetimes": DAYS.dt.tz_localize("UTC").astype("datetime64[us, UTC]"),
    "timedeltas": (DAYS - DAYS[0]).astype("timedelta64[us]"),
    "categories": pd.Series(pd.Categorical(["x", "y", None, "x", "z", "y"], categories=["x", "y", "z", "unused"])),
    "ordered categories": pd.Series(pd.Categorical(["lo", "hi"] * 3, categories=["lo", "hi"], ordered=True)),
    "nullable integers": pd.Series([1, None, 3, 2**53 + 1, 5, 6], dtype="Int64"),
    "nullable booleans": pd.Series([True, None, False, True, None, True], dtype="boolean"),
    "nullable floats": pd.Series([1.5, None, 3, 4, 5, 6], dtype="Float64"),
    "booleans": pd.Series([True, False, True, True, False, False]),
    "floats": NUMBERS,
    "small floats": pd.Series([1.5, 2, 3, 4, 5, np.nan], dtype="float32"),
    "infinities": pd.Series([np.inf, -np.inf, np.nan, 0, 1, 2]),
    "integers": WHOLE,
    "small integers": pd.Series([1, 2, 3, 4, 5, 255], dtype="uint8"),
    "large integers": pd.Series([2**64 - 1, 0, 1, 2, 3, 4], dtype="uint64"),
    "text": pd.Series(TEXTS, dtype="str"),
    "text with one missing": pd.Series([*TEXTS[:5], None], dtype="string"),
    "objects of text": pd.Series([*TEXTS[:5], None], dtype=object),
    "nothing": pd.Series([None] * 6, dtype=object),
}
INDEXES = {
    "text": pd.Index(list("abcdef")),
    "datetimes": pd.date_range("2026-01-01", periods=6),
    "multi": pd.MultiIndex.from_product([["a", "b"], [1, 2, 3]], names=["letter", "number"]),
    "a slice's": pd.RangeIndex(100, 106),
    "duplicates": pd.Index([0, 0, 1, 1, 1, 1]),
    "named": pd.Index(range(6), name="floats"),
}


@pytest.fixture(scope="module")
def wine():
    bunch = load_wine(as_frame=True)
    return bunch.data.assign(kind=pd.Categorical(bunch.target_names[bunch.target]))


@pytest.fixture(scope="module")
def spilling(tmp_path_factory):
    """Run a daemon that writes every row to a part at once and never evaluates one; it wants a secret."""
    directory = tmp_path_factory.mktemp("spilling") / "service"
    variables = {"EVIDENTLY_COLLECTOR_SECRET": "open sesame"}
    made = Daemon(directory, service_config(spill_rows=1, autosave=False), evaluates=BY_TALLY, **variables)
    try:
        yield made.start("open sesame")
        made.stop()
    finally:
        made.close()


@pytest.fixture
def kept(spilling):
    """Send a frame as data, and as a reference; returns what is on disk of it."""

    def send(frame, *, as_reference):
        collector = spilling.create(f"c{uuid.uuid4().hex[:8]}", trigger=rows_trigger(NEVER))
        before = set(spilling.data.glob("parts/*.parquet"))
        if as_reference:
            spilling.client.set_reference(collector, frame)
            [path] = spilling.data.glob(f"references/{collector}-*.parquet")
        else:
            spilling.client.send_data(collector, frame)
            [path] = wait_until(lambda: set(spilling.data.glob("parts/*.parquet")) - before, "the part")
        types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.float64(): pd.Float64Dtype()}
        table = read_table(path)
        arrived = table.to_pandas()
        for name in table.column_names:  # as pandas writes them, so that none is lost in a float
            if name.startswith("nullable"):
                arrived[name] = table.select([name]).to_pandas(types_mapper=types.get)[name]
        return arrived

    return send


def plain(column):
    """Return a column's values, whatever stands for a missing one as None."""
    missing = column.isna()
    return [None if is_missing else value for value, is_missing in zip(column, missing, strict=True)]


@pytest.mark.parametrize("as_reference", [False, True], ids=["data", "reference"])
def test_every_type_arrives_as_it_was_sent(kept, as_reference):
    sent = pd.DataFrame(COLUMNS)
    arrived = kept(sent, as_reference=as_reference)
    assert list(arrived) == list(sent)
    for name, column in sent.items():
        assert plain(arrived[name]) == plain(column), name
    for name in set(sent) - {name for name in sent if name.startswith(("text", "objects"))}:
        assert arrived[name].dtype == sent[name].dtype, name
    assert list(arrived["ordered categories"].cat.categories) == ["lo", "hi"]


@pytest.mark.parametrize("as_reference", [False, True], ids=["data", "reference"])
def test_categories_of_numbers_arrive_as_categories(kept, as_reference):
    sent = pd.Series(pd.Categorical([3, 1, 2, 3, 1, 2]))
    arrived = kept(pd.DataFrame({"grade": sent}), as_reference=as_reference)["grade"]
    assert plain(arrived) == plain(sent)
    assert arrived.dtype == sent.dtype


@pytest.mark.parametrize("as_reference", [False, True], ids=["data", "reference"])
@pytest.mark.parametrize("name", INDEXES)
def test_any_index_is_taken_and_adds_no_column(kept, name, as_reference):
    sent = pd.DataFrame({"floats": NUMBERS, "text": TEXTS}).set_axis(INDEXES[name])
    arrived = kept(sent, as_reference=as_reference)
    assert list(arrived) == ["floats", "text"]
    assert plain(arrived["floats"]) == plain(NUMBERS)
    assert list(arrived["text"]) == TEXTS


def test_a_column_of_mixed_types_arrives_as_its_values_texts(kept):
    mixed = [1, "a", 2.5, None, True, np.int64(7), pd.Timestamp("2026-03-01 10:00")]
    arrived = kept(pd.DataFrame({"mixed": pd.Series(mixed, dtype=object)}), as_reference=False)
    assert plain(arrived["mixed"]) == ["1", "a", "2.5", None, "true", "7", "2026-03-01 10:00:00"]


def test_periods_arrive_as_something_that_still_says_when(kept):
    months = pd.Series(pd.period_range("2026-01", periods=3, freq="M"))
    arrived = kept(pd.DataFrame({"month": months}), as_reference=False)
    assert [str(value)[:7] for value in arrived["month"]] == ["2026-01", "2026-02", "2026-03"]


def test_a_large_frame_of_real_data_arrives_whole(kept, wine):
    arrived = kept(wine, as_reference=False)
    pd.testing.assert_frame_equal(arrived, wine)


@pytest.mark.parametrize(
    ("columns", "said"), [(["a", "a"], "'a' is there twice"), ([1, "1"], "'1' is there twice")], ids=["same", "as-text"]
)
def test_names_that_would_become_one_are_refused_before_anything_is_sent(spilling, columns, said):
    spilling.create("twice", trigger=rows_trigger(NEVER))
    with pytest.raises(ValueError, match=said):
        spilling.client.send_data("twice", pd.DataFrame([[1, 2]], columns=columns))
    assert spilling.status("twice")["rows_waiting"] == 0


def test_without_the_secret_nothing_is_let_in_and_the_client_says_so(spilling, iris):
    spilling.create("guarded", trigger=rows_trigger(NEVER))
    for secret in (None, "wrong"):
        with CollectorClient(spilling.url, secret) as client, pytest.raises(RequestRefused, match="401: Unauthorized"):
            client.send_data("guarded", iris)
    assert spilling.status("guarded")["rows_waiting"] == 0


def test_errors_say_what_is_wrong(daemon, iris):
    with pytest.raises(RequestRefused, match="404: Collector config with id 'nobody' not found"):
        daemon.client.send_data("nobody", iris)
    with pytest.raises(RequestRefused, match=r"400: .*trigger\.interval") as caught:
        daemon.create("wrong", trigger={"type": "IntervalTrigger", "interval": -1})
    assert caught.value.status == 400
    with pytest.raises(RequestRefused, match=r"400: .*report_config\.metrics\.0.*DataDriftPreset"):
        daemon.create("wrong", report={"metrics": ["DataDriftPresett"]})
    nobody = CollectorClient("http://127.0.0.1:9", retries=0)  # the port of "discard"
    with nobody, pytest.raises(ServiceUnavailable, match="can't be reached"):
        nobody.get_logs("main")


def test_the_whole_life_of_a_collector_through_the_client(daemon, iris):
    created = daemon.client.create_collector("life", {"trigger": rows_trigger(NEVER), **others("life-workspace")})
    assert daemon.client.get_collector("life") == created
    assert created["api_secret"] == "********"
    daemon.client.send_data("life", iris)
    flushed = daemon.client.flush("life")
    assert flushed["rows"] == len(iris)
    assert daemon.wait_for_logs("life", 1)[0]["batch_id"] == flushed["batch_id"]
    daemon.wait_until_delivered("life")
    daemon.client.send_data("life", iris.head(7))
    assert daemon.client.delete_collector("life") == {"id": "life", "rows_dropped": 7}
    with pytest.raises(RequestRefused, match="404"):
        daemon.client.get_collector("life")


def others(directory):
    report = {"metrics": ["RowCount"]}
    return {"report_config": report, "project_id": PROJECT, "api_url": directory, "api_secret": "hush"}


@pytest.mark.parametrize("runner", ["trio", "asyncio"])
def test_the_async_client_does_the_same(daemon, runner, iris):
    async def live():
        async with AsyncCollectorClient(daemon.url) as client:
            name = f"async-{runner}"
            await client.create_collector(name, {"trigger": rows_trigger(NEVER), **others("async")})
            await client.set_reference(name, iris)
            await client.send_data(name, iris)
            assert (await client.get_collector(name))["id"] == name
            assert (await client.flush(name))["rows"] == len(iris)
            await client.send_data(name, iris.head(2))
            assert isinstance(await client.get_logs(name), list)
            return await client.delete_collector(name)

    if runner == "trio":
        import trio

        left = trio.run(live)
    else:
        left = asyncio.run(live())
    assert left["rows_dropped"] >= 2


def test_a_send_that_is_refused_for_now_is_repeated_and_the_same_rows_sent_again_are_new_ones(daemon, make_proxy, iris):
    name = daemon.create("refused", trigger=rows_trigger(NEVER))
    proxy = make_proxy(daemon.url, lambda *_: 503 if len(proxy.seen) < 2 else None)
    with CollectorClient(proxy.url) as client:
        client.send_data(name, iris)
        client.send_data(name, iris)
    assert [one[3] for one in proxy.seen] == [503, 503, 201, 201]
    assert daemon.status(name)["rows_waiting"] == 2 * len(iris)


def test_a_client_that_is_refused_too_often_gives_up(daemon, make_proxy, iris):
    proxy = make_proxy(daemon.url, lambda *_: 503)
    with CollectorClient(proxy.url, retries=2) as client, pytest.raises(ServiceUnavailable, match="503"):
        client.send_data("any", iris)
    assert len(proxy.seen) == 1 + 2


@pytest.mark.filterwarnings("ignore")  # the original's
def test_the_originals_own_client_and_config_work(daemon):
    diabetes = load_diabetes(as_frame=True).data
    reference, current = diabetes.head(221), diabetes.tail(221)
    report = LegacyReport([LegacyDataDriftPreset()])
    report.run(current_data=current, reference_data=reference)
    client = OriginalClient(daemon.url)
    config = OriginalConfig(
        trigger=OriginalTrigger(rows_count=len(current)),
        report_config=OriginalReportConfig.from_report(report),
        project_id=PROJECT,
        api_url="original",
    )
    created = client.create_collector("original", config)
    assert created["report_config"] == json.loads(json.dumps(config.dict()))["report_config"]
    assert client.set_reference("original", reference) == {}
    assert client.send_data("original", current) == {}  # a slice: its index begins at 221
    daemon.wait_for_logs("original", 1)
    [snapshot] = daemon.snapshots("original", "original")
    drift = report.as_dict()["metrics"][0]["result"]
    assert snapshot["metadata"]["rows"] == str(len(current))
    [entry] = daemon.logs("original")
    assert entry["drift_share"] == drift["share_of_drifted_columns"]
    assert entry["drifted_columns"] == drift["number_of_drifted_columns"]


def test_a_body_of_any_form_reaches_the_same_table(spilling, iris):
    """JSON columns, records, NDJSON and CSV, over the wire, compressed or not."""
    import gzip

    frame = iris.head(4)
    bodies = {
        "application/json": frame.to_json().encode(),
        "application/x-ndjson": frame.to_json(orient="records", lines=True).encode(),
        "text/csv": frame.to_csv(index=False).encode(),
        "text/plain": frame.to_json(orient="records").encode(),
    }
    for media_type, body in bodies.items():
        name = spilling.create(f"f{uuid.uuid4().hex[:8]}", trigger=rows_trigger(NEVER))
        before = set(spilling.data.glob("parts/*.parquet"))
        headers = {"Content-Type": media_type, "Content-Encoding": "gzip"}
        answer: httpx.Response = spilling.http.post(f"/{name}/data", content=gzip.compress(body), headers=headers)
        assert answer.status_code == 201, answer.text
        [path] = wait_until(lambda old=before: set(spilling.data.glob("parts/*.parquet")) - old, media_type)
        arrived = pd.read_parquet(path)
        assert list(arrived["species"]) == list(frame["species"])
        assert np.allclose(arrived.iloc[:, :4].astype(float), frame.iloc[:, :4])  # CSV is text until a batch is whole
