"""The recipes of configs/senders.md, taken out of it and run; where a program is missing, a skip says what gets it."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from .conftest import NEVER, PATIENCE, Daemon, collector_config, free_port, rows_trigger, service_config, wait_until

PAGE = (Path(__file__).parents[2] / "configs" / "senders.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"```([\w-]+)\n(.*?)```", PAGE, re.DOTALL))
ROWS = [{"age": 41}, {"age": 37}]


def needs(program, how):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} isn't installed: {how}")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    config = service_config({"main": collector_config(rows_trigger(NEVER))})
    made = Daemon(tmp_path_factory.mktemp("senders") / "service", config, evaluates=False)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def kept(daemon):
    """Count the rows that are kept since the test began."""
    before = rows(daemon)
    return lambda: rows(daemon) - before


def run(command, directory, daemon, **options):
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | {"COLLECTOR_URL": daemon.url},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done


def rows(daemon):
    return daemon.status("main")["rows_waiting"]


@needs("curl", "apt install curl")
def test_curl(daemon, kept, tmp_path):
    (tmp_path / "events.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    run(["bash", "-c", RECIPES["bash"]], tmp_path, daemon)
    assert kept() == 2


@pytest.mark.skipif(importlib.util.find_spec("urllib3") is None, reason="pip install urllib3")
def test_urllib3(daemon, kept, tmp_path):
    run([sys.executable, "-c", RECIPES["python"]], tmp_path, daemon)
    assert kept() == 2


@needs("java", "apt install openjdk-17-jdk-headless")
def test_java(daemon, kept, tmp_path):
    (tmp_path / "Send.java").write_text(RECIPES["java"], encoding="utf-8")
    run(["java", "-Djdk.httpclient.keepalive.timeout=10", "Send.java"], tmp_path, daemon)
    assert kept() == 2


@contextmanager
def running(command, directory):
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def post(port, **options):
    try:
        return httpx.post(f"http://127.0.0.1:{port}/main/data", timeout=PATIENCE, **options).status_code
    except httpx.TransportError:
        return 0


@needs("syslog-ng", "apt install syslog-ng-core syslog-ng-mod-http")
def test_syslog_ng(daemon, kept, tmp_path):
    config = RECIPES["syslog-ng"].replace("`COLLECTOR_URL`", daemon.url)
    (tmp_path / "syslog-ng.conf").write_text(config, encoding="utf-8")
    (tmp_path / "events.log").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    files = ["--cfgfile=syslog-ng.conf", "--persist-file=persist", "--pidfile=pid", "--control=control"]
    with running(["syslog-ng", "--foreground", "--stderr", *files], tmp_path):
        wait_until(lambda: kept() == 2, "the rows of the log")


def test_benthos_is_yaml_whose_key_is_made_for_a_batch():
    output = yaml.safe_load(RECIPES["yaml"])["output"]["http_client"]
    assert [next(iter(step)) for step in output["batching"]["processors"]] == ["archive", "mapping"]
    assert output["backoff_on"] == [429, 502, 503, 504, 507]


@contextmanager
def nginx(directory, servers):
    """Run nginx with what stands in its ``http`` block, all its files in a directory."""
    user = "user root;" if os.geteuid() == 0 else ""  # else a worker may not write here
    paths = "".join(
        f"{name}_temp_path {directory / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = f"daemon off; {user} pid {directory}/pid; error_log stderr;\nevents {{}}\n"
    path = directory / "nginx.conf"
    path.write_text(f"{config}http {{ access_log off;\n{paths}{servers}\n}}\n", encoding="utf-8")
    with running(["nginx", "-p", str(directory), "-c", str(path)], directory):
        yield


@needs("nginx", "apt install nginx-light")
def test_nginx(daemon, kept, tmp_path):
    port = free_port()
    recipe = RECIPES["nginx"].replace("127.0.0.1:8001", f"127.0.0.1:{daemon.port}").replace("8080", f"127.0.0.1:{port}")
    large = json.dumps({"text": ["x" * 1000] * 3000})  # over nginx's own limit
    with nginx(tmp_path, recipe):
        wait_until(lambda: post(port, json=ROWS) == 201, "nginx")
        assert post(port, content=large) == 201
    assert kept() == 3002


@needs("nginx", "apt install nginx-light")
def test_nginx_as_it_is_installed(daemon, kept, tmp_path):
    """It speaks HTTP/1.0, with a connection for each request."""
    port = free_port()
    server = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{daemon.port}; }} }}"
    with nginx(tmp_path, server):
        wait_until(lambda: post(port, json=ROWS) == 201, "nginx")
        for _ in range(20):
            assert post(port, json=ROWS) == 201
    assert kept() == 42


@needs("haproxy", "apt install haproxy")
def test_haproxy(daemon, kept, tmp_path):
    port = free_port()
    recipe = RECIPES["haproxy"].replace(":8001", f":{daemon.port}").replace(":8080", f":{port}")
    (tmp_path / "haproxy.cfg").write_text(recipe, encoding="utf-8")
    with running(["haproxy", "-f", "haproxy.cfg"], tmp_path):
        wait_until(lambda: post(port, json=ROWS) == 201, "haproxy")
        daemon.stop()
        wait_until(lambda: post(port, json=ROWS) == 503, "haproxy's own refusal")
        daemon.start()
        wait_until(lambda: post(port, json=ROWS) == 201, "haproxy, once the service is ready again")
    assert kept() == 4
