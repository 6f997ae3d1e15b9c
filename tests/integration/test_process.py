"""The process: how it starts, what it takes from its environment, how it ends, and what it keeps when it is killed."""

import json
import os
import signal
import socket
import stat

import httpx
import pytest
from machine import Stopwatch, quickest

from collector.errors import RequestRefused

from .conftest import (
    BY_TALLY,
    collector_config,
    environment,
    interval_trigger,
    rows_trigger,
    run_collector,
    service_config,
    wait_until,
)

EX_CONFIG = 78
BROKEN = {"metrics": [{"type": "MinValue", "column": "no such column"}]}


def write_config(directory, config):
    (directory / "collector_config.json").write_text(json.dumps(config), encoding="utf-8")


def assert_one_sentence(done, code, *said):
    assert done.returncode == code, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    for words in said:
        assert words in line


# The end


def test_ctrl_c_ends_it_well_within_3_s_whatever_it_is_at(make_daemon, iris):
    """With connections that are kept open, a request that never ends, and a report that runs; nothing is lost."""
    endless = {"metrics": ["DataDriftPreset"]}  # as the tally takes it
    config = service_config({"main": collector_config(rows_trigger(len(iris)), endless)})
    daemon, tries = make_daemon(config), []

    def seconds():
        daemon.evaluates = BY_TALLY
        tries.append(seconds_of_ctrl_c(daemon.start(), iris))
        daemon.evaluates = False
        daemon.start()
        status = daemon.wait_for_status("main", lambda one: one["sealed"] == len(tries))
        assert (status["rows_waiting"], status["failed"]) == (0, 0)
        daemon.stop()
        return tries[-1]

    assert quickest(seconds, 3) < 3


def seconds_of_ctrl_c(daemon, rows):
    """Press Ctrl-C while a daemon is at work; return the seconds to its end, once its workers have ended, too."""
    wait_until(lambda: "evidently is loaded" in daemon.log)
    daemon.client.set_reference("main", rows)
    daemon.client.send_data("main", rows)
    daemon.wait_for_status("main", lambda one: one["state"] == "evaluating")
    idle = [httpx.Client(base_url=daemon.url) for _ in range(5)]
    half = socket.create_connection(("127.0.0.1", daemon.port))
    try:
        for client in idle:
            assert client.get("/livez").status_code == 200
        half.sendall(b"POST /main/data HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        workers = list(daemon.children())
        with Stopwatch() as stopwatch:
            assert daemon.end(signal.SIGINT) == 0, daemon.log
    finally:
        half.close()
        for client in idle:
            client.close()
    wait_until(lambda: not any(is_running(pid) for pid in workers), "the end of the workers")
    return stopwatch.seconds


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_second_daemon_on_the_same_data_and_one_on_the_same_port_are_refused(make_daemon, tmp_path):
    daemon = make_daemon(evaluates=False).start()
    done = run_collector("--port", 0, cwd=daemon.directory)
    assert_one_sentence(done, EX_CONFIG, "another collector", str(daemon.data))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run_collector("--port", daemon.port, cwd=elsewhere)
    assert_one_sentence(done, 1, str(daemon.port), "--port")
    daemon.stop()


# The start


def test_the_first_post_is_accepted_soon_after_the_start(make_daemon, iris):
    daemon = make_daemon(service_config({"main": collector_config(interval_trigger())}))

    def seconds():
        with Stopwatch() as stopwatch:
            daemon.start()
            daemon.http.post("/main/data", content=iris.to_json()).raise_for_status()
        daemon.stop()
        return stopwatch.seconds

    assert quickest(seconds, 3) < 3


def test_a_default_config_is_written_for_its_owner_only_and_the_daemon_starts_empty(make_daemon):
    daemon = make_daemon(evaluates=BY_TALLY).start()
    assert stat.S_IMODE(daemon.config_path.stat().st_mode) == 0o600
    assert json.loads(daemon.config_path.read_text())["collectors"] == {}
    assert daemon.http.get("/").json()["collectors"] == []
    daemon.create("main", api_secret="hush")
    daemon.stop()
    assert stat.S_IMODE(daemon.config_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(daemon.data.stat().st_mode) == 0o700
    assert "hush" not in daemon.log
    daemon.evaluates = False
    daemon.start()
    assert daemon.client.get_collector("main")["id"] == "main"
    daemon.stop()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"collectors": ', ["isn't JSON", "line 1"]),
        ({"collectors": {"a": collector_config(tigger=1)}}, ["collectors.a.tigger", "trigger"]),
        ({"colectors": {}}, ["colectors", "collectors"]),
        ({"collectors": {"a": collector_config({"type": "IntervalTrigger"})}}, ["collectors.a.trigger.interval"]),
        ({"collectors": {"a": collector_config({"type": "CronTrigger", "schedule": "61 * * * *"})}}, ["61 * * * *"]),
        ({"collectors": {"a": collector_config(api_secret="${NOT_SET_ANYWHERE}")}}, ["NOT_SET_ANYWHERE", "api_secret"]),
        ({"collectors": {"a": collector_config(api_secret="${NOT_SET_ANYWHERE}")}}, ["collectors.a.api_secret"]),
        ({"collectors": {"a/b": collector_config()}}, ["a/b"]),
    ],
)
def test_a_bad_config_ends_it_with_78_and_one_sentence_that_says_where(tmp_path, config, said):
    if isinstance(config, str):
        (tmp_path / "collector_config.json").write_text(config, encoding="utf-8")
    else:
        write_config(tmp_path, config)
    done = run_collector("--port", 0, cwd=tmp_path)
    assert_one_sentence(done, EX_CONFIG, "collector_config.json" if "NOT_SET" not in str(config) else "", *said)


def test_a_posted_config_that_the_next_start_would_refuse_is_refused(make_daemon):
    daemon = make_daemon(evaluates=False).start()
    with pytest.raises(RequestRefused, match="api_secret: a client may"):
        daemon.create("main", api_secret="${NOT_SET_ANYWHERE}")
    daemon.stop()
    daemon.start()
    daemon.stop()


def test_a_file_that_cannot_be_read_ends_it_with_78(tmp_path):
    (tmp_path / "a-directory").mkdir()
    assert_one_sentence(run_collector("--config-path", "a-directory", cwd=tmp_path), EX_CONFIG, "a-directory")
    nowhere = run_collector("--config-path", "no/where.json", cwd=tmp_path)
    assert_one_sentence(nowhere, EX_CONFIG, "no/where.json")
    (tmp_path / "collector_config.json").write_text("{}")
    (tmp_path / "collector_data").write_text("a file")
    assert_one_sentence(run_collector("--port", 0, cwd=tmp_path), EX_CONFIG, "collector_data")


# Secrets and options


@pytest.mark.parametrize("source", ["environment", "file", "file in environment"])
def test_the_secret_guards_every_route_and_is_not_in_the_process_list(make_daemon, tmp_path, source):
    (tmp_path / "secret").write_text("open sesame\n", encoding="utf-8")
    options = {
        "environment": ([], {"EVIDENTLY_COLLECTOR_SECRET": "open sesame"}),
        "file": (["--secret-file", str(tmp_path / "secret")], {}),
        "file in environment": ([], {"EVIDENTLY_COLLECTOR_SECRET_FILE": str(tmp_path / "secret")}),
    }[source]
    daemon = make_daemon(None, *options[0], evaluates=False, **options[1]).start("open sesame")
    assert b"sesame" not in (daemon.process_files() / "cmdline").read_bytes()
    assert not [command for command in daemon.children().values() if "sesame" in command]
    assert daemon.http.get("/").status_code == 200
    for method, path in [("GET", "/"), ("POST", "/a"), ("GET", "/a"), ("POST", "/a/data"), ("DELETE", "/a")]:
        answer = httpx.request(method, daemon.url + path)
        assert answer.status_code == 401
        assert answer.json()["status_code"] == 401
    assert httpx.get(daemon.url + "/livez").status_code == 200
    daemon.stop()
    assert "sesame" not in daemon.log


def test_an_empty_secret_file_is_refused_rather_than_guarding_nothing(tmp_path):
    (tmp_path / "secret").write_text("\n")
    write_config(tmp_path, {})
    command = ["--port", "0", "--secret-file", "secret", "--config-path", "collector_config.json"]
    # The data directory can't be had, so a daemon that takes the secret ends too, with another sentence.
    (tmp_path / "collector_data").write_text("a file")
    assert_one_sentence(run_collector(*command, cwd=tmp_path), EX_CONFIG, "secret", "empty")


def test_a_secret_from_the_environment_stays_a_name_in_the_file_and_is_never_shown(make_daemon):
    config = service_config({"main": collector_config(api_secret="${WORKSPACE_SECRET}")})
    daemon = make_daemon(config, evaluates=BY_TALLY, WORKSPACE_SECRET="hush hush").start()
    assert daemon.client.get_collector("main")["api_secret"] == "********"
    daemon.create("other")  # which saves the file
    assert json.loads(daemon.config_path.read_text())["collectors"]["main"]["api_secret"] == "${WORKSPACE_SECRET}"
    daemon.stop()
    assert "hush hush" not in daemon.log


def test_every_option_can_be_given_in_the_environment(tmp_path):
    shown = run_collector("--help", cwd=tmp_path).stdout
    assert "--config-path" in shown
    assert "EVIDENTLY_COLLECTOR_CONFIG_PATH" in shown  # for all of them; tests/test_cli.py has each
    write_config(tmp_path, {"bad": 1})
    bad = tmp_path / "other.json"
    bad.write_text('{"worse": 1}')
    done = run_collector(cwd=tmp_path, EVIDENTLY_COLLECTOR_CONFIG_PATH=str(bad))
    assert_one_sentence(done, EX_CONFIG, "worse")
    bad.write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_collector(
            cwd=tmp_path,
            EVIDENTLY_COLLECTOR_CONFIG_PATH=str(bad),
            EVIDENTLY_COLLECTOR_HOST="127.0.0.1",
            EVIDENTLY_COLLECTOR_PORT=str(port),
        )
    assert_one_sentence(done, 1, f"127.0.0.1:{port}")
    assert "EVIDENTLY_COLLECTOR_PORT" not in environment()


# check and schema


def test_check_finds_all_that_is_wrong_and_starts_nothing(tmp_path):
    reports = {
        "unknown": {"metrics": ["DataDriftPresett"]},
        "parameter": {"metrics": ["RowCount", {"type": "ValueDrift", "column": "a", "treshold": 0.1}]},
    }
    collectors = {name: collector_config(report=report) for name, report in reports.items()}
    collectors["lost"] = collector_config(reference_path="lost.parquet")
    write_config(tmp_path, {"collectors": collectors})
    done = run_collector("check", "--config-path", "collector_config.json", cwd=tmp_path)
    assert done.returncode == EX_CONFIG
    lines = sorted(done.stderr.splitlines())
    assert len(lines) == 3
    for line, said in zip(
        lines,
        [
            ["collectors.lost.reference_path", "lost.parquet"],
            ["collectors.parameter.report_config.metrics.1", "treshold", "threshold"],
            ["collectors.unknown.report_config.metrics.0", "DataDriftPreset"],
        ],
        strict=True,
    ):
        assert [words for words in said if words not in line] == [], line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["collector_config.json"]


@pytest.mark.slow  # as is done in test_newcomer.py, of what init writes
def test_check_lets_a_good_config_pass(tmp_path, iris):
    iris.to_parquet(tmp_path / "reference.parquet")
    good = collector_config(report={"metrics": ["DataDriftPreset"]}, reference_path="reference.parquet")
    write_config(tmp_path, {"collectors": {"main": good}})
    done = run_collector("check", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "collector_config.json" in done.stdout
    assert_one_sentence(run_collector("check", "--config-path", "none.json", cwd=tmp_path), EX_CONFIG, "none.json")


def test_schema_describes_every_parameter(tmp_path):
    done = run_collector("schema", cwd=tmp_path)
    schema = json.loads(done.stdout)
    collector = schema["$defs"]["CollectorConfig"]["properties"]
    assert {"trigger", "report_config", "reference_path", "api_url", "project_id", "project_name"} <= collector.keys()
    assert [name for name, field in collector.items() if "description" not in field] == []
    assert list(tmp_path.iterdir()) == []
