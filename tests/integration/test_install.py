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
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
UV = [shutil.which("uv")] if shutil.which("uv") else [sys.executable, "-m", "uv"]
RUN_EVIDENTLY = "from evidently.cli import app; app()"  # what the console script does
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

    def __init__(self, path: Path, tool: str) -> None:
        self.path = path
        self.tool = tool
        # Importing Evidently takes 9 s uncompiled and 3 s compiled, as the running environment's dependencies are.
        unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONWARNINGS"}
        self.variables = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.variables |= {"COLUMNS": "120", "NO_COLOR": "1"}
        if tool == "pip":
            self._call(sys.executable, "-m", "venv", path)
            pip: list[str | Path] = [path / "bin/python", "-m", "pip"]
            # What the running environment lends counts as installed for pip: ours too, if the tests run installed.
            self._install = [*pip, "install", "-q", "--no-deps", "--no-compile", "--ignore-installed"]
            self._uninstall = [*pip, "uninstall", "-q", "-y"]
        else:
            self._call(*UV, "venv", "-q", "--python", sys.executable, path)
            self._install = [*UV, "pip", "install", "-q", "--no-deps", "--python", path]
            self._uninstall = [*UV, "pip", "uninstall", "-q", "--python", path]
        [self.site_packages] = path.glob("lib/python*/site-packages")

    def install(self, *what: str | Path) -> None:
        self._call(*self._install, *what)

    def link_dependencies(self) -> None:
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
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Hold us and the dependencies, for tests that leave it as it was."""
    made = Environment(tmp_path_factory.mktemp("shared") / "venv", "uv")
    made.install(wheel)
    made.link_dependencies()
    return made


@pytest.fixture(scope="module", params=["uv", pytest.param("pip", marks=pytest.mark.slow)])
def environment_of_evidently(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Hold Evidently and the dependencies, not us, for tests that leave it as it was."""
    made = Environment(tmp_path_factory.mktemp(request.param) / "venv", request.param)
    made.install(f"evidently=={version('evidently')}")
    made.link_dependencies()
    return made


@pytest.fixture
def other_evidently(tmp_path: Path) -> Path:
    """Write an Evidently that is nothing but a command line; return where ``evidently.cli`` stands."""
    (tmp_path / "evidently").mkdir()
    (tmp_path / "evidently/__init__.py").touch()
    cli = tmp_path / "evidently/cli.py"
    cli.write_text(OTHER_EVIDENTLY, encoding="utf-8")
    return cli


@pytest.fixture
def other_collector(tmp_path: Path) -> Path:
    """Write a ``collector.py`` that isn't ours; return its folder."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "collector.py").write_text(OTHER_COLLECTOR, encoding="utf-8")
    return folder


def test_all_that_the_page_is_made_of_is_in_the_wheel(wheel: Path) -> None:
    made_of = {
        path.relative_to(ROOT).as_posix()
        for folder in ("templates", "assets")
        for path in (ROOT / "collector" / "views" / "page" / folder).iterdir()
    }
    with ZipFile(wheel) as packed:
        assert made_of <= set(packed.namelist())
    assert len(made_of) > 10


def test_evidently_has_our_command_until_we_are_uninstalled(
    environment_of_evidently: Environment, wheel: Path, project: Path, other_evidently: Path
) -> None:
    environment = environment_of_evidently
    # Evidently itself takes 4 s to list its commands, so it does so for one of the two tools, and of the two sources.
    other = {"PYTHONPATH": other_evidently.parents[1]}
    for source, variables in ((["-e", project], other), ([wheel], other if environment.tool == "pip" else {})):
        environment.install(*source)
        listed = listed_once_all_commands_work(environment, release_of(wheel), **variables).splitlines()
        environment.uninstall("evidently-collector")
        assert not [*environment.site_packages.glob("*collector*"), *environment.path.glob("bin/*collector*")]
        assert environment.run("python", "-c", "") == ""

    without = [line for line in listed if "collector" not in line]
    assert environment.run("evidently", "--help", **variables).splitlines() == without


def test_every_argument_reaches_us_in_a_process_without_evidently(
    environment: Environment, other_evidently: Path, other_collector: Path
) -> None:
    args = ["--help", "-h", "run", "--", "-x", "--", "--version=1", ""]
    path = f"{other_evidently.parents[1]}{os.pathsep}{other_collector}"
    printed = environment.run("python", "-c", RUN_EVIDENTLY, "collector", *args, PYTHONPATH=path)
    assert json.loads(printed) == [args, False]


def test_a_collector_in_the_working_directory_is_not_taken_for_us(
    environment: Environment, wheel: Path, other_evidently: Path, other_collector: Path
) -> None:
    run = ["-c", RUN_EVIDENTLY, "collector", "--version"]
    printed = environment.run("python", *run, cwd=other_collector, PYTHONPATH=other_evidently.parents[1])
    assert release_of(wheel) in printed
    assert release_of(wheel) in environment.run("evidently-collector", "--version", cwd=other_collector)


def test_a_collector_in_the_working_directory_is_not_hidden_by_us(
    environment: Environment, other_collector: Path
) -> None:
    assert json.loads(environment.run("python", "-c", "import collector", cwd=other_collector)) == [[], False]


def test_a_collector_on_the_path_is_not_imported_at_the_start(environment: Environment, other_collector: Path) -> None:
    assert environment.run("python", "-c", "", PYTHONPATH=other_collector) == ""


@pytest.mark.parametrize("flags", ["-E", "-I", "-O", "-S", "-Werror", "-Xutf8=0"])
def test_python_starts_with_any_flag(environment: Environment, flags: str) -> None:
    assert environment.run("python", flags, "-c", "") == ""


@pytest.mark.parametrize("hook", ["", "def (", "raise ModuleNotFoundError", "def install(): raise AttributeError"])
def test_python_starts_with_a_broken_hook(environment: Environment, hook: str, tmp_path: Path) -> None:
    (tmp_path / "evidently_collector_plugin.py").write_text(hook, encoding="utf-8")
    assert environment.run("python", "-c", "", PYTHONPATH=tmp_path) == ""


@pytest.mark.parametrize(
    "app", ["", "app = None", "from typer import Typer; app = Typer()", "app = collector = object()"]
)
def test_an_evidently_that_we_do_not_know_can_still_be_imported(
    environment: Environment, app: str, other_evidently: Path
) -> None:
    other_evidently.write_text(app, encoding="utf-8")
    assert environment.run("python", "-c", "import evidently.cli", PYTHONPATH=other_evidently.parents[1]) == ""


def test_an_error_in_evidently_stays_the_error(environment: Environment, other_evidently: Path) -> None:
    other_evidently.write_text("1 / 0", encoding="utf-8")
    attempt = "try: import evidently.cli\nexcept ZeroDivisionError: print('theirs')"
    assert environment.run("python", "-c", attempt, PYTHONPATH=other_evidently.parents[1]) == "theirs\n"


@pytest.mark.parametrize("theirs", ['@app.command("collector")\ndef run():', "@app.command()\ndef collector():"])
def test_a_collector_command_of_evidently_stays(environment: Environment, theirs: str, other_evidently: Path) -> None:
    other_evidently.write_text(f"{OTHER_EVIDENTLY}{theirs} print('theirs')", encoding="utf-8")
    printed = environment.run("python", "-c", RUN_EVIDENTLY, "collector", PYTHONPATH=other_evidently.parents[1])
    assert printed == "theirs\n"


@pytest.fixture
def evidently_script(tmp_path: Path) -> str:
    """Write what the console script ``evidently`` is; return its path."""
    script = tmp_path / "bin/evidently"
    script.parent.mkdir()
    script.write_text(RUN_EVIDENTLY.replace("; ", "\n"), encoding="utf-8")
    return str(script)


def test_evidently_is_not_loaded_for_our_command(
    environment: Environment, other_evidently: Path, other_collector: Path, evidently_script: str
) -> None:
    (other_evidently.parent / "__init__.py").write_text("1 / 0", encoding="utf-8")
    path = f"{other_evidently.parents[1]}{os.pathsep}{other_collector}"
    args = ["send", "--", "-x", ""]
    printed = environment.run("python", evidently_script, "collector", *args, PYTHONPATH=path)
    assert json.loads(printed) == [args, False]


def test_a_collector_command_that_evidently_has_in_a_file_stays(
    environment: Environment, other_evidently: Path, evidently_script: str
) -> None:
    cli = other_evidently.with_suffix("")
    cli.mkdir()
    other_evidently.rename(cli / "__init__.py")
    (cli / "collector.py").touch()
    with (cli / "__init__.py").open("a", encoding="utf-8") as file:
        file.write("@app.command()\ndef collector(): print('theirs')")
    path = other_evidently.parents[1]
    assert environment.run("python", evidently_script, "collector", PYTHONPATH=path) == "theirs\n"


@pytest.mark.parametrize(
    ("shell", "typed", "completed"),
    [
        ("bash", {"COMP_WORDS": "evidently\ncollector\nse", "COMP_CWORD": "2"}, "send"),
        ("bash", {"COMP_WORDS": "/collector/evidently\ncollector\nlogs\n--fol", "COMP_CWORD": "3"}, "--follow"),
        ("bash", {"COMP_WORDS": "evidently\ncollector\n", "COMP_CWORD": "2"}, "init"),
        ("fish", {"_TYPER_COMPLETE_ARGS": "evidently collector se", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, "send"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "evidently collector se"}, "send"),
        ("bash", {"COMP_WORDS": "evidently\ncoll", "COMP_CWORD": "1"}, "collector"),
    ],
)
def test_a_shell_that_completes_evidently_completes_our_command(
    environment: Environment,
    other_evidently: Path,
    evidently_script: str,
    shell: str,
    typed: dict[str, str],
    completed: str,
) -> None:
    asked = {"_EVIDENTLY_COMPLETE": f"complete_{shell}"} | typed
    printed = environment.run("python", evidently_script, PYTHONPATH=other_evidently.parents[1], **asked)
    assert completed in printed
    assert "Usage" not in printed


def test_a_hook_that_is_installed_twice_adds_one_command(environment: Environment, other_evidently: Path) -> None:
    names = "import evidently_collector_plugin; evidently_collector_plugin.install(); import evidently.cli;"
    names += "print([command.name for command in evidently.cli.app.registered_commands])"
    printed = environment.run("python", "-c", names, PYTHONPATH=other_evidently.parents[1])
    assert printed == "[None, 'collector']\n"  # ui's name is its function's


@pytest.mark.parametrize("module", ["evidently_collector_plugin", "collector"])
def test_what_every_start_could_import_imports_nothing_else(environment: Environment, module: str) -> None:
    names = "import sys; sys.path.append(sys.argv[1]); before = {*sys.modules};"
    names += f"import {module} as ours; getattr(ours, 'install', int)(); print({{*sys.modules}} - before)"
    printed = environment.run("python", "-I", "-S", "-c", names, str(environment.site_packages))
    assert printed == f"{{'{module}'}}\n"


def listed_once_all_commands_work(environment: Environment, release: str, **variables: Path) -> str:
    with ThreadPoolExecutor() as pool:
        through_evidently = pool.submit(environment.run, "evidently", "collector", "--version", **variables)
        listed = environment.run("evidently", "--help", **variables)
    assert release in through_evidently.result()
    assert len([line for line in listed.splitlines() if "collector" in line]) == 1
    assert release in environment.run("evidently-collector", "--version")
    assert release in environment.run("python", "-m", "collector", "--version")
    environment.run("python", "-m", "collector", "--help")
    assert isinstance(json.loads(environment.run("evidently-collector", "schema")), dict)
    return listed


def release_of(wheel: Path) -> str:
    return wheel.name.split("-")[1]
