"""Through nginx as it is installed, whose client_max_body_size is 1 MB."""

import shutil
import socket
import subprocess
import time

import pandas as pd
import pytest
from fakes import PATIENCE, running_service

from collector.client import CollectorClient

from .conftest import free_port

CONFIG = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {upstream}; }} }}
}}
"""


@pytest.fixture
def service():
    with running_service() as made:
        yield made


@pytest.fixture
def nginx(tmp_path, service):
    """Run nginx before the service; give its address."""
    if (program := shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")) is None:
        pytest.skip("needs nginx: apt-get install nginx-light")
    port = free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.format(directory=tmp_path, port=port, upstream=service.url), encoding="utf-8")
    process = subprocess.Popen([program, "-c", config, "-p", tmp_path], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline, (tmp_path / "error.log").read_text()
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_all_events_arrive_once_though_a_usual_batch_is_too_large_for_it(nginx, service):
    wide = {f"f{number}": number * 0.1 for number in range(20)}
    with CollectorClient(nginx, retries=0) as client:
        with client.buffered("main") as buffer:
            for number in range(20_000):
                buffer.send({"n": number, **wide})
        client.send_data("main", pd.DataFrame({"n": range(20_000, 40_000), **wide}))
    assert (buffer.sent, buffer.refused, buffer.dropped) == (20_000, 0, 0)
    assert service.numbers() == list(range(40_000))
