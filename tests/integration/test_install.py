"""The wheel, installed into fresh environments: the commands that it brings, and what it does to every Python start.

A fresh environment holds Evidently itself and us; the other dependencies are taken from the running one.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = [shutil.which("uv")] if shutil.which("uv") else [sys.executable, "-m", "uv"]
EVIDENTLY = f"evidently=={version('evidently')}"
OTHER_EVIDENTLY = """
from typer import Typer
app = Typer()
@app.callback()
def evidently(): pass
@app.command()
def ui(): pass
"""
OTHER_COLLECTOR = """
import json, sys
print(json.dumps([sys.argv[1:], "evidently" in sys.modules]))
"""


class Environment:
    """A fresh virtual environment, and the one tool that installs into it."""

    def __init__(self, path: Path, tool: str, bytecode: Path) -> None:
        self.path = path
        unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONWARNINGS"}
        self.variables = {name: value for name, value in os.environ.items() if name not in unwanted}
        # Importing Evidently takes 9 s uncompiled and 3 s compiled, so the environments share what they compile.
        self.variables |= {"PYTHONPYCACHEPREFIX": str(bytecode), "COLUMNS": "120", "NO_COLOR": "1"}
        if tool == "pip":
            self._call(sys.executable, "-m", "venv", path)
            pip: list[str | Path] = [path / "bin/python", "-m", "pip"]
            self._install = [*pip, "install", "-q", "--no-deps", "--no-compile"]
            self._uninstall = [*pip, "uninstall", "-q", "-y"]
        else:
            self._call(*UV, "venv", "-q", "--python", sys.executable, path)
            self._install = [*UV, "pip", "install", "-q", "--no-deps", "--python", path]
            self._uninstall = [*UV, "pip", "uninstall", "-q", "--python", path]
        [self.site_packages] = path.glob("lib/python*/site-packages")

    def install(self, *what: str | Path) -> None:
        self._call(*self._install, *what)
        dependencies = "\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
        (self.site_packages / "dependencies.pth").write_text(dependencies, encoding="utf-8")

    def uninstall(self, name: str) -> None:
        self._call(*self._uninstall, name)

    def run(self, program: str, *args: str, cwd: Path | None = None, **variables: str | Path) -> str:
        """Return all that the program printed, its complaints included."""
        return self._call(self.path / "bin" / program, *args, cwd=cwd or self.path, **variables)

    def _call(self, *command: str | Path, cwd: Path | None = None, **variables: str | Path) -> str:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=self.variables | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what the wheel is built from, so that an editable install is of nothing that we work on."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "collector", copy / "collector", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([*UV, "build", "-q", "--wheel", "--out-dir", out, project], check=True)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture(scope="module")
def environment(wheel: Path, bytecode: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Hold us and the dependencies, for tests that leave it as it was."""
    made = Environment(tmp_path_factory.mktemp("shared") / "venv", "uv", bytecode)
    made.install(wheel)
    return made


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Write an Evidently that is nothing but a command line, and a ``collector`` that isn't ours."""
    (tmp_path / "evidently").mkdir()
    (tmp_path / "evidently/__init__.py").touch()
    (tmp_path / "evidently/cli.py").write_text(OTHER_EVIDENTLY, encoding="utf-8")
    (tmp_path / "collector.py").write_text(OTHER_COLLECTOR, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("tool", ["pip", "uv"])
@pytest.mark.parametrize("form", ["wheel", "editable"])
def test_evidently_has_our_command_until_we_are_uninstalled(
    tool: str, form: str, wheel: Path, project: Path, bytecode: Path, tmp_path: Path
) -> None:
    environment = Environment(tmp_path / "venv", tool, bytecode)
    environment.install(EVIDENTLY, *(["-e", project] if form == "editable" else [wheel]))
    with ThreadPoolExecutor() as pool:
        ours = pool.submit(environment.run, "evidently", "collector", "--version")
        listed = environment.run("evidently", "--help")

    _, release, *_ = wheel.name.split("-")
    assert release in ours.result()
    assert release in environment.run("evidently-collector", "--version")
    assert release in environment.run("python", "-m", "collector", "--version")
    assert isinstance(json.loads(environment.run("evidently-collector", "schema")), dict)

    environment.uninstall("evidently-collector")
    assert not [*environment.site_packages.glob("*collector*"), *environment.path.glob("bin/*collector*")]
    assert environment.run("python", "-c", "") == ""
    without = [line for line in listed.splitlines() if "collector" not in line]
    assert len(without) == len(listed.splitlines()) - 1
    assert environment.run("evidently", "--help").splitlines() == without


def test_every_argument_reaches_us_in_a_process_without_evidently(environment: Environment, others: Path) -> None:
    args = ["--help", "-h", "run", "--", "-x", "--", "--version=1", ""]
    printed = environment.run("python", "-m", "evidently.cli", "collector", *args, PYTHONPATH=others)
    assert json.loads(printed) == [args, False]
