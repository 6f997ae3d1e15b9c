"""Evidently Cloud, as a small server speaks its routes, which Evidently's own client is held against too."""

import email
import gc
import io
import json
import threading
import uuid
from email.policy import HTTP
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import pandas as pd
import pytest
from answering import Answering
from evidently import Dataset, Report
from evidently.legacy.metric_preset import DataDriftPreset as LegacyDataDriftPreset
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.ui.datasets import DatasetSourceType
from evidently.legacy.ui.workspace.cloud import CloudWorkspace as LegacyCloudWorkspace
from evidently.metrics import RowCount
from evidently.ui.workspace import CloudWorkspace

from collector.config import ReportConfig

from .conftest import rows_trigger

# Evidently warns when it is called directly, as it is here to compare with, and leaves its connections to be collected.
pytestmark = pytest.mark.filterwarnings("ignore")

KEY = "sk_a.b.c"
TOKEN = "an-old-token"
PROJECT = "018f0000-0000-7000-8000-0000000000c1"


class Cloud:
    """Speaks what ``CloudWorkspace`` of ``evidently.ui`` and of ``evidently.legacy.ui`` ask of Evidently Cloud."""

    def __init__(self):
        self.asked = []  # (method, path, query, headers, body)
        self.logins = {}  # tokens of those logged in, by what they were given
        self.tokens = {TOKEN}
        self.snapshots = []
        self.datasets = []
        self.projects = {}
        self.fault = lambda *_: None
        cloud = self

        class Handler(Answering):
            def _answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                url = urlsplit(self.path)
                query = dict(parse_qsl(url.query))
                cloud.asked.append((self.command, unquote(url.path), query, self.headers, body))
                status, answer = cloud.answer(self.command, unquote(url.path), self.headers, body)
                sent = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = _answer  # noqa: N815  # the library's names

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, method, path, headers, body):
        if status := self.fault(method, path):
            return status, {"detail": "not now"}
        if path == "/api/version":
            return 200, {"application": "Evidently UI"}
        if path == "/api/users/login":
            return self._log_in(headers["X-Evidently-Token"])
        if self.caller(headers) is None:
            return 401, {"detail": "Not authorized"}
        return self._route(method, path, body)

    def _log_in(self, token):
        if token not in self.tokens:
            return 401, {"detail": "Not authorized"}
        jwt = f"jwt-{uuid.uuid4()}"
        self.logins[jwt] = token
        return 200, jwt

    def caller(self, headers):
        """Return the key or token behind a request, None for a stranger."""
        if headers["Authorization"] == f"Bearer {KEY}":
            return KEY
        name, _, jwt = (headers["Cookie"] or "").partition("=")
        return self.logins.get(jwt) if name == "app.at" else None

    def _route(self, method, path, body):  # noqa: PLR0911  # a line a route
        if path.startswith("/api/projects/search/"):
            name = path.rpartition("/")[2]
            return 200, [{"id": id_, "name": known} for id_, known in self.projects.items() if known == name]
        if (method, path) == ("POST", "/api/v2/projects"):
            self.projects[str(uuid.uuid4())] = json.loads(body)["name"]
            return 201, json.dumps(list(self.projects)[-1])
        if (method, path) == ("POST", f"/api/v2/snapshots/{PROJECT}") or (
            path.startswith("/api/v2/snapshots/") and path.rpartition("/")[2] in self.projects
        ):
            self.snapshots.append((str(uuid.uuid4()), json.loads(body)))
            return 201, {"snapshot_id": self.snapshots[-1][0]}
        if (method, path) == ("POST", f"/api/projects/{PROJECT}/snapshots"):
            snapshot = json.loads(body)
            self.snapshots.append((snapshot["id"], snapshot))
            return 201, ""
        if method == "GET" and path.endswith("/snapshots"):
            return 200, [{"id": id_, "metadata": body["metadata"]} for id_, body in self.snapshots]
        if method == "POST" and path in {"/api/v2/datasets/upload", "/api/datasets/"}:
            self.datasets.append(str(uuid.uuid4()))
            id_ = self.datasets[-1]
            return 201, {"dataset": {"id": id_}} if "v2" in path else {"dataset_id": id_}
        return 404, {"detail": "Not Found"}

    def callers(self, part):
        return [self.caller(headers) for method, path, _, headers, _ in self.asked if part in path]

    def uploads(self):
        """Return the uploads of datasets: path, query, and the fields and files of the form."""
        return [
            (path, query, *form(headers, body))
            for method, path, query, headers, body in self.asked
            if method == "POST" and "/datasets" in path
        ]


def form(headers, body):
    """Parse multipart form data into its fields, and its files by (name, file name)."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    fields, files = {}, {}
    for part in email.message_from_bytes(head + body, policy=HTTP).iter_parts():
        name, filename = part.get_param("name", header="content-disposition"), part.get_filename()
        content = part.get_payload(decode=True)
        if filename is None:
            fields[name] = content.decode()
        else:
            files[name, filename] = pd.read_parquet(io.BytesIO(content))
    return fields, files


@pytest.fixture
def cloud():
    made = Cloud()
    try:
        yield made
    finally:
        made.close()
        gc.collect()


@pytest.fixture
def to_cloud(daemon, cloud):
    """Add a collector that delivers to the Cloud, and remove it after the test; returns its id."""
    made = []

    def create(collector_id, **others):
        config = {"api_url": cloud.url, "is_cloud": True, "api_secret": KEY, "project_id": PROJECT} | others
        made.append(daemon.create(collector_id, **config))
        return made[-1]

    yield create
    for collector_id in made:
        daemon.client.delete_collector(collector_id)


def test_a_key_goes_as_a_bearer_without_a_login(daemon, cloud, to_cloud, iris):
    to_cloud("key")
    daemon.client.send_data("key", iris.head(2))
    daemon.wait_for_logs("key", 1)
    assert [(method, path) for method, path, *_ in cloud.asked] == [("POST", f"/api/v2/snapshots/{PROJECT}")]
    assert cloud.callers("snapshots") == [KEY]
    assert cloud.snapshots[0][1]["metadata"]["rows"] == "2"


def test_an_old_token_logs_in_once_and_again_when_its_login_has_expired(daemon, cloud, to_cloud, iris):
    to_cloud("token", api_secret=TOKEN)
    for rows in (1, 2):
        daemon.client.send_data("token", iris.head(rows))
        daemon.wait_for_logs("token", rows)
    assert len([path for _, path, *_ in cloud.asked if path == "/api/users/login"]) == 1
    cloud.logins.clear()
    daemon.client.send_data("token", iris.head(3))
    daemon.wait_for_logs("token", 3)
    assert len([path for _, path, *_ in cloud.asked if path == "/api/users/login"]) == 2
    assert [body["metadata"]["rows"] for _, body in cloud.snapshots] == ["1", "2", "3"]


def test_two_tokens_at_one_address_are_two_users(daemon, cloud, to_cloud, iris):
    cloud.tokens.add("another-token")
    for name, token in (("user-one", TOKEN), ("user-two", "another-token")):
        to_cloud(name, api_secret=token)
        daemon.client.send_data(name, iris.head(2))
        daemon.wait_for_logs(name, 1)
    assert cloud.callers("snapshots") == [TOKEN, "another-token"]


@pytest.mark.parametrize("secret", ["a wrong token", None])
def test_who_may_not_come_in_is_told(daemon, cloud, to_cloud, secret, iris):
    name = to_cloud(f"stranger-{secret is None}", api_secret=secret)
    daemon.client.send_data(name, iris.head(2))
    [entry] = daemon.wait_for_logs(name, 1, ok=False)
    assert "api_secret" in entry["error"]
    assert "a wrong token" not in entry["error"]
    assert cloud.snapshots == []


def test_a_project_is_found_or_made_by_its_name(daemon, cloud, to_cloud, iris):
    for name in ("named-one", "named-two"):
        to_cloud(name, project_id=None, project_name="by name")
        daemon.client.send_data(name, iris.head(2))
        daemon.wait_for_logs(name, 1)
    assert list(cloud.projects.values()) == ["by name"]
    assert len(cloud.snapshots) == 2


def test_modern_datasets_are_uploaded_as_evidentlys_own_client_does(daemon, cloud, to_cloud, iris):
    current, reference = iris.tail(60).reset_index(drop=True), iris.head(90)
    run = Report([RowCount()]).run(Dataset.from_pandas(current), Dataset.from_pandas(reference), name="modern-data")
    CloudWorkspace(KEY, cloud.url).add_run(PROJECT, run, include_data=True)
    theirs, theirs_id = cloud.uploads(), cloud.snapshots[0][0]
    cloud.asked.clear()

    to_cloud("modern-data", trigger=rows_trigger(60), save_datasets=True)
    daemon.client.set_reference("modern-data", reference)
    daemon.client.send_data("modern-data", current)
    daemon.wait_for_logs("modern-data", 1)
    ours, ours_id = cloud.uploads(), cloud.snapshots[1][0]
    assert len(ours) == len(theirs) == 2
    assert set(cloud.callers("datasets")) == {KEY}
    for (path, query, fields, files), (their_path, their_query, their_fields, their_files) in zip(
        ours, theirs, strict=True
    ):
        assert path == their_path == "/api/v2/datasets/upload"
        assert query == their_query | {"snapshot_id": ours_id}
        assert their_query["snapshot_id"] == theirs_id
        assert plain(fields) == plain(their_fields)
        assert list(files) == list(their_files) == [("file", "data.parquet")]
        [frame], [their_frame] = files.values(), their_files.values()
        pd.testing.assert_frame_equal(frame, their_frame, check_dtype=False)


def test_legacy_datasets_are_uploaded_and_linked_as_evidentlys_own_client_does(daemon, cloud, to_cloud, iris):
    current, reference = iris.tail(60).reset_index(drop=True), iris.head(90)
    report = LegacyReport([LegacyDataDriftPreset()])
    report.run(current_data=current, reference_data=reference)
    workspace = LegacyCloudWorkspace(KEY, cloud.url)
    source = DatasetSourceType.snapshot_builder
    workspace.add_dataset(current, "any", PROJECT, None, ColumnMapping(), source)
    [(their_path, their_query, their_fields, their_files)] = cloud.uploads()
    cloud.asked.clear()
    cloud.datasets.clear()

    config = ReportConfig.from_report(report).model_dump()
    to_cloud("legacy-data", trigger=rows_trigger(60), report=config, save_datasets=True)
    daemon.client.set_reference("legacy-data", reference)
    daemon.client.send_data("legacy-data", current)
    daemon.wait_for_logs("legacy-data", 1)
    for (path, query, fields, files), frame in zip(cloud.uploads(), (current, reference), strict=True):
        assert (path, query) == (their_path, their_query) == ("/api/datasets/", {"project_id": PROJECT})
        assert fields.keys() == their_fields.keys()
        assert fields["source_type"] == their_fields["source_type"]
        assert list(files) == list(their_files) == [("file", "data.parquet")]
        pd.testing.assert_frame_equal(next(iter(files.values())), frame, check_dtype=False)
    [(_, snapshot)] = cloud.snapshots
    linked = snapshot["links"]["datasets"]["output"]
    assert [linked["current"], linked["reference"]] == cloud.datasets


def plain(fields):
    return {name: json.loads(text) if name.endswith("_str") else text for name, text in fields.items()}


@pytest.mark.parametrize("status", [503, 502, 413])
def test_a_dataset_that_is_refused_at_first_doubles_no_snapshot(daemon, cloud, to_cloud, status, iris):
    """The snapshot is there already when its first dataset is refused."""
    faults = [status]
    cloud.fault = lambda _, path: faults.pop() if "datasets" in path and faults else None
    name = to_cloud(f"refused-data-{status}", save_datasets=True)
    daemon.client.send_data(name, iris.head(60))
    daemon.wait_for_logs(name, 1)
    assert len(cloud.snapshots) == 1
    assert len(cloud.datasets) == 1


def test_a_legacy_snapshot_that_is_refused_at_first_doubles_no_dataset(daemon, cloud, to_cloud, iris):
    faults = [503, 503]
    cloud.fault = lambda _, path: faults.pop() if "snapshots" in path and faults else None
    report = {"metrics": [{"type": "evidently:metric:DatasetSummaryMetric"}], "tests": [], "options": {}}
    name = to_cloud("refused-legacy", report=report | {"metadata": {}, "tags": []}, save_datasets=True)
    daemon.client.send_data(name, iris.head(60))
    daemon.wait_for_logs(name, 1)
    assert len(cloud.snapshots) == 1
    assert len(cloud.datasets) == 1
