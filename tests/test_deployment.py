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
COMPOSE_KAFKA = yaml.safe_load((CONFIGS / "compose-kafka.yml").read_text(encoding="utf-8"))
MANIFESTS = list(yaml.safe_load_all((CONFIGS / "kubernetes.yaml").read_text(encoding="utf-8")))
OF_KAFKA = list(yaml.safe_load_all((CONFIGS / "kubernetes-kafka.yaml").read_text(encoding="utf-8")))
KEDA = list(yaml.safe_load_all((CONFIGS / "keda.yaml").read_text(encoding="utf-8")))
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


@pytest.mark.parametrize(
    "text", [DOCKERFILE, UNIT, *map(json.dumps, (COMPOSE, COMPOSE_KAFKA, MANIFESTS, OF_KAFKA)), OPERATIONS]
)
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


@pytest.mark.parametrize("compose", [COMPOSE, COMPOSE_KAFKA], ids=["posts", "kafka"])
def test_compose_mounts_what_is_there_and_gives_no_privileges(compose):
    for name, service in compose["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (CONFIGS / source).exists()
        assert name not in {"collector", "ui"} or service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize(("compose", "config"), [(COMPOSE, "container.json"), (COMPOSE_KAFKA, "kafka.json")])
def test_compose_has_the_collector_deliver_to_its_ui(compose, config):
    assert f"/config/{config}" in compose["services"]["collector"]["environment"].values()
    [collector] = CollectorServiceConfig.load(CONFIGS / config).collectors.values()
    port = compose["services"]["ui"]["entrypoint"][-3]
    assert collector.api_url == f"http://ui:{port}"


def test_compose_has_the_collectors_read_what_its_kafka_has():
    services = COMPOSE_KAFKA["services"]
    config = CollectorServiceConfig.load(CONFIGS / "kafka.json")
    assert config.kafka.bootstrap_servers == "kafka:9092"
    assert "INSIDE://kafka:9092" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert config.collectors["default"].kafka.topics == (services["topics"]["command"][3],)
    assert services["init"]["command"][:2] == ["kafka", "init"]
    assert "/src[kafka]" in DOCKERFILE


def has_compose():
    return (
        shutil.which("docker")
        and not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    )


@pytest.mark.skipif(not has_compose(), reason="docker compose isn't installed")
def test_compose_passes_its_own_check():
    """It needs no engine for that."""
    for name in ("compose.yml", "compose-kafka.yml"):
        command = ["docker", "compose", "-f", CONFIGS / name, "config", "--quiet"]
        env = {"PATH": os.environ["PATH"], "EVIDENTLY_COLLECTOR_SECRET": "s"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


# Kubernetes


@pytest.mark.parametrize("manifest", [*MANIFESTS, *OF_KAFKA, KEDA[0]], ids=lambda manifest: manifest["kind"])
def test_a_manifest_is_of_its_kind(manifest):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def manifest(kind, manifests=MANIFESTS):
    [found] = [one for one in manifests if one["kind"] == kind]
    return found


def container_of(manifests):
    [container] = manifest("Deployment", manifests)["spec"]["template"]["spec"]["containers"]
    return container


both = pytest.mark.parametrize("manifests", [MANIFESTS, OF_KAFKA], ids=["posts", "kafka"])


def config_in(manifests, path):
    text = manifest("ConfigMap", manifests)["data"]["collector_config.json"]
    (path / "config.json").write_text(text, encoding="utf-8")
    return CollectorServiceConfig.load(path / "config.json")


@both
def test_the_config_in_kubernetes_loads_and_keeps_its_data_on_the_volume(manifests, tmp_path):
    config = config_in(manifests, tmp_path)
    mounts = {mount["name"]: mount["mountPath"] for mount in container_of(manifests)["volumeMounts"]}
    assert config.data_dir.startswith(mounts["data"] + "/")  # the volume itself is not ours, to say who may read it
    assert not config.autosave


def test_the_services_that_read_from_kafka_get_what_their_config_names(tmp_path, monkeypatch):
    """And need no volume: what they have on their disks may be lost."""
    text = manifest("ConfigMap", OF_KAFKA)["data"]["collector_config.json"]
    given = {one["name"]: one for one in container_of(OF_KAFKA)["env"]}
    named = set(re.findall(r"\$\{(\w+)\}", text))
    assert named <= given.keys()
    for name in named:
        monkeypatch.setenv(name, name.lower())
    options = config_in(OF_KAFKA, tmp_path).kafka.filled_options()
    assert options["sasl.password"] == "kafka_password"
    secret = manifest("Secret", OF_KAFKA)
    assert options["ssl.ca.location"].removeprefix("/secret/") in secret["stringData"]
    assert given["KAFKA_PASSWORD"]["valueFrom"]["secretKeyRef"]["key"] in secret["stringData"]
    assert {one["kind"] for one in OF_KAFKA}.isdisjoint({"PersistentVolumeClaim", "StatefulSet"})
    assert manifest("Deployment", OF_KAFKA)["spec"]["replicas"] == 3


def test_keda_looks_at_the_lag_of_the_group_and_scales_its_services(tmp_path):
    config = config_in(OF_KAFKA, tmp_path)
    scaled, access = manifest("ScaledObject", KEDA)["spec"], manifest("TriggerAuthentication", KEDA)
    [trigger] = scaled["triggers"]
    told = trigger["metadata"]
    assert scaled["scaleTargetRef"]["name"] == manifest("Deployment", OF_KAFKA)["metadata"]["name"]
    assert (told["bootstrapServers"], told["consumerGroup"]) == (config.kafka.bootstrap_servers, config.kafka.group_id)
    assert {told["topic"]} == {topic for one in config.collectors.values() for topic in one.kafka.topics}
    assert trigger["authenticationRef"]["name"] == access["metadata"]["name"]
    keys = {(one["name"], one["key"]) for one in access["spec"]["secretTargetRef"]}
    secret = manifest("Secret", KEDA)
    assert keys == {(secret["metadata"]["name"], key) for key in secret["stringData"]}
    assert scaled["minReplicaCount"] >= 1  # with none, offsets would expire


@both
def test_what_the_deployment_names_is_there(manifests):
    pod = manifest("Deployment", manifests)["spec"]["template"]["spec"]
    container = container_of(manifests)
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert container["image"] == f"evidently-collector:{__version__}"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    [port] = container["ports"]
    assert f"EVIDENTLY_COLLECTOR_PORT={port['containerPort']}" in DOCKERFILE


def test_the_one_that_holds_the_volume_is_gone_before_another_starts():
    assert manifest("Deployment")["spec"]["strategy"] == {"type": "Recreate"}


@both
def test_kubernetes_does_not_put_its_own_port_into_the_environment(manifests):
    """A Service of our name would: EVIDENTLY_COLLECTOR_PORT=tcp://10.0.0.1:8001."""
    assert manifest("Service", manifests)["metadata"]["name"] == "evidently-collector"
    assert manifest("Deployment", manifests)["spec"]["template"]["spec"]["enableServiceLinks"] is False
