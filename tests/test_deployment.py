"""What ships for systemd, Docker and Kubernetes, as far as it can be looked at without any of them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from collector import __version__, cli
from collector.config import CollectorServiceConfig

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
DOCKERFILE = (CONFIGS / "Dockerfile").read_text(encoding="utf-8")
UNIT = (CONFIGS / "evidently-collector.service").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((CONFIGS / "compose.yml").read_text(encoding="utf-8"))
MANIFESTS = list(yaml.safe_load_all((CONFIGS / "kubernetes.yaml").read_text(encoding="utf-8")))
DOCS = (CONFIGS / "README.md").read_text(encoding="utf-8")
OPERATIONS = (CONFIGS / "operations.md").read_text(encoding="utf-8")
# 0 is no access to anything, 10 is all. It is 1.4 by systemd 252: the network is left to it.
EXPOSURE = 2.0

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd isn't installed")


def test_every_file_here_stands_in_the_docs():
    there = {path.name for path in CONFIGS.iterdir()} - {"README.md"}
    assert set(re.findall(r"\]\(([\w.-]+)\)", DOCS)) == there


def options_in_the_environment():
    """Return the names of the variables that the command line knows."""
    return {parameter.envvar for parameter in get_command(cli.app).params if parameter.envvar}


@pytest.mark.parametrize("text", [DOCKERFILE, UNIT, json.dumps(COMPOSE), json.dumps(MANIFESTS), OPERATIONS])
def test_every_variable_that_is_set_is_one_of_the_command(text):
    named = set(re.findall(r"EVIDENTLY_COLLECTOR_[A-Z_]+", text))
    assert named
    assert named <= options_in_the_environment()


# systemd


@pytest.fixture
def unit(tmp_path):
    """Return the unit with a program that is there, as verify asks for one."""
    path = tmp_path / "evidently-collector.service"
    path.write_text(UNIT.replace("/opt/evidently-collector/bin/evidently-collector", sys.executable), encoding="utf-8")
    return path


@needs_systemd
def test_systemd_verifies_the_unit(unit):
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_systemd_finds_the_unit_little_exposed(unit):
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze has no --offline (before version 250)")
    [exposure] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) < EXPOSURE


def test_the_unit_leaves_a_config_alone_that_does_not_load():
    assert f"RestartPreventExitStatus={cli.EX_CONFIG}\n" in UNIT
    assert "Type=notify\n" in UNIT


# Docker


def test_hadolint_finds_nothing_to_say():
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    if hadolint is None:
        pytest.skip("hadolint isn't installed (it comes with the extra 'test' on Linux)")
    done = subprocess.run([hadolint, CONFIGS / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_gets_what_it_copies_and_nothing_else():
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    let_in = {
        line.removeprefix("!")
        for line in (CONFIGS / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_as_a_user_of_its_own_and_with_a_check_of_health():
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    [check] = re.findall(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    program = json.loads(check)
    compile(program[2], "healthcheck", "exec")
    assert "/livez" in program[2]


def test_the_pythons_of_the_image_agree():
    versions = set(re.findall(r"python:?(3\.\d+)", DOCKERFILE))
    assert len(versions) == 1


@pytest.mark.parametrize("name", ["collector", "ui"])
def test_compose_mounts_what_is_there_and_gives_no_privileges(name):
    service = COMPOSE["services"][name]
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (CONFIGS / source).exists()
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_compose_has_the_collector_deliver_to_its_ui():
    config = CollectorServiceConfig.load(CONFIGS / "container.json")
    [collector] = config.collectors.values()
    port = COMPOSE["services"]["ui"]["entrypoint"][-3]
    assert collector.api_url == f"http://ui:{port}"


def has_compose():
    return (
        shutil.which("docker")
        and not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    )


@pytest.mark.skipif(not has_compose(), reason="docker compose isn't installed")
def test_compose_passes_its_own_check():
    """It needs no engine for that."""
    command = ["docker", "compose", "-f", CONFIGS / "compose.yml", "config", "--quiet"]
    env = {"PATH": os.environ["PATH"], "EVIDENTLY_COLLECTOR_SECRET": "s"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Kubernetes


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_a_manifest_is_of_its_kind(manifest):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def manifest(kind):
    [found] = [one for one in MANIFESTS if one["kind"] == kind]
    return found


def test_the_config_in_kubernetes_loads_and_keeps_its_data_on_the_volume(tmp_path):
    text = manifest("ConfigMap")["data"]["collector_config.json"]
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    config = CollectorServiceConfig.load(tmp_path / "config.json")
    [container] = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert config.data_dir.startswith(mounts["data"] + "/")  # the volume itself is not ours, to say who may read it
    assert not config.autosave


def test_what_the_deployment_names_is_there():
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert container["image"] == f"evidently-collector:{__version__}"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    [port] = container["ports"]
    assert f"EVIDENTLY_COLLECTOR_PORT={port['containerPort']}" in DOCKERFILE
    assert manifest("Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_kubernetes_does_not_put_its_own_port_into_the_environment():
    """A Service of our name would: EVIDENTLY_COLLECTOR_PORT=tcp://10.0.0.1:8001."""
    assert manifest("Service")["metadata"]["name"] == "evidently-collector"
    assert manifest("Deployment")["spec"]["template"]["spec"]["enableServiceLinks"] is False
