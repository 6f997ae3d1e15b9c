"""What may import what: import-linter's contracts, and what is in memory after an import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("evidently", "pandas", "pyarrow", "sklearn")


def modules_after(statement):
    """Name what a fresh interpreter has loaded after a statement."""
    # A site-packages' .pth may load things of its own; -I leaves PYTHONPATH out, so the root is put in by hand.
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules)\n{statement}\n"
    program += "after = set(sys.modules); import json; sys.stdout.write('\\n' + json.dumps(sorted(after - before)))"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages_after(statement):
    return {name.partition(".")[0] for name in modules_after(statement)}


def test_the_contracts_of_import_linter_hold():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_importing_the_package_imports_nothing_else():
    assert modules_after("import collector") == {"collector"}


def test_the_daemon_imports_nothing_heavy():
    """DESIGN: Evidently costs 6 to 13 s and 275 MiB, and lives in workers only; a scrape waits for what it needs."""
    modules = ["daemon", "commands.check", "cli", "ingest.http.app", "supervision.supervisor", "store.parts"]
    loaded = packages_after("; ".join(f"import collector.{module}" for module in modules))
    assert "collector" in loaded
    assert loaded.isdisjoint({*HEAVY, "prometheus_client"})


def test_without_kafka_in_the_config_nothing_of_it_is_imported():
    """Its config and its gateway are known to all who answer, and what they stand for to none."""
    made = "CollectorServiceConfig.parse({'collectors': {}}).problems()"
    loaded = modules_after(
        "import collector.daemon as d, collector.commands.check, collector.ingest.http.app, collector.views.families\n"
        f"from collector.config import CollectorServiceConfig\n{made}\nd._group(CollectorServiceConfig(), None)"
    )
    assert "collector.config.kafka" in loaded
    assert [name for name in loaded if name.startswith(("collector.sources", "confluent_kafka"))] == []


def test_events_are_accepted_before_what_answers_all_else_is_imported():
    """Quart and what comes with it take a third of a start, rich an eighth."""
    loaded = modules_after("import collector.cli, collector.views.logs, collector.daemon")
    assert loaded.isdisjoint({"quart", "quart_trio", "flask", "werkzeug", "jinja2", "rich", "pygments", "http.client"})


def test_pages_are_imported_when_the_first_browser_asks():
    loaded = modules_after("import collector.daemon, collector.ingest.http.app")
    assert "collector.ingest.http.page.pages" in loaded
    assert [name for name in loaded if name.startswith("collector.views.page")] == []


def test_the_configuration_does_not_import_what_serves():
    assert packages_after("import collector.config").isdisjoint({*HEAVY, "trio", "quart", "httpx"})


def test_help_is_quick():
    """It loads none of what makes the service slow to start."""
    asked = [["--help"], ["--version"], ["check", "--help"], ["send", "--help"]]
    statement = "".join(f"try: app({arguments!r})\nexcept SystemExit: pass\n" for arguments in asked)
    loaded = packages_after(f"from collector.cli import app\n{statement}")
    assert "typer" in loaded
    assert loaded.isdisjoint({*HEAVY, "trio", "quart", "quart_trio", "hypercorn", "httpx"})


def test_the_client_loads_neither_the_service_nor_evidently():
    loaded = packages_after("import collector.client")
    assert loaded.isdisjoint({*HEAVY, "trio", "quart", "hypercorn", "pydantic"})


def test_the_evaluation_loads_no_trio():
    assert "trio" not in packages_after("import collector.workers.exchange, collector.evaluation.pandas_columns")


def test_the_hook_of_every_python_start_imports_nothing():
    """It runs at each start of each program in the environment."""
    code = (ROOT / "collector" / "plugin.py").read_text(encoding="utf-8")
    assert modules_after(f"exec({code!r}, {{'__name__': 'plugin'}})") == set()


@pytest.mark.parametrize("room", ["store", "evaluation", "pipeline"])
def test_each_module_has_its_test_file(room):
    """Of rooms in which a fault loses events or spoils reports."""
    modules = [path for path in (ROOT / "collector" / room).rglob("*.py") if path.name != "__init__.py"]
    places = [path.relative_to(ROOT / "collector") for path in modules]
    files = [ROOT / "tests" / place.with_name(f"test_{place.name}") for place in places]
    assert len(files) > 15
    assert [str(file.relative_to(ROOT)) for file in files if not file.exists()] == []
