"""The OpenAPI document against a running daemon, by a tool that makes requests of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import NEVER, PATIENCE, collector_config, environment, rows_trigger, service_config, wait_until

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.thorough
def test_what_the_document_lets_one_send_is_answered_as_it_says_and_never_by_500(make_daemon, tmp_path):
    daemon = make_daemon(service_config({"main": collector_config(rows_trigger(NEVER))})).start()
    wait_until(lambda: "evidently is loaded" in daemon.log)  # until then, new configs wait
    tool = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert tool is not None
    options = ["--phases", "examples,fuzzing", "--max-examples", "15", "--seed", "1", "--suppress-health-check", "all"]
    done = subprocess.run(
        [tool, "run", f"{daemon.url}/schema/openapi.json", "--checks", CHECKS, *options],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in daemon.log
