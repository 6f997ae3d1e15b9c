"""The command line; what is behind it is faked, or real in a process of its own."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

import collector
from collector import cli
from collector.cli import app, main
from collector.commands.check import Findings
from collector.commands.send import Order
from collector.config import CollectorServiceConfig
from collector.config.schema import file_schema
from collector.errors import (
    CollectorError,
    CommandError,
    ConfigError,
    DataDirError,
    JournalBroken,
    Problem,
    StorageError,
)

GOOD = {
    "collectors": {
        "main": {
            "trigger": {"type": "RowsCountTrigger", "rows_count": 5},
            "report_config": {"metrics": ["DataDriftPreset"]},
            "project_name": "p",
        }
    }
}


@pytest.fixture(autouse=True)
def logs(monkeypatch):
    """Leave the logs of the whole test run as they are."""
    monkeypatch.setattr("collector.views.logs.set_up_logs", lambda *_, **__: None)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    return path


@pytest.fixture
def started(monkeypatch):
    """Keep what the daemon would be started with."""
    calls = []
    monkeypatch.setattr("collector.daemon.run", lambda *args: calls.append(args))
    return calls


@pytest.fixture
def checked(monkeypatch):
    """Stand for Evidently's opinion of a config; a test puts problems in."""
    problems = []
    monkeypatch.setattr("collector.commands.check.check_config", lambda _config, _base: Findings(problems))
    return problems


def run(*arguments, **environment):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


def exit_code_of(monkeypatch, *arguments):
    """Run the command as a process would."""
    monkeypatch.setattr(sys, "argv", ["evidently collector", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_version():
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"evidently-collector {collector.__version__}\n")


def test_help_names_each_option_and_command():
    output = run("--help", COLUMNS="200", TERM="dumb").output
    for option in (
        "config-path",
        "host",
        "port",
        "secret",
        "secret-file",
        "certfile",
        "keyfile",
        "no-live",
        "log-format",
        "log-level",
        "debug",
    ):
        assert f"--{option}" in output
    for command in ("init", "send", "flush", "logs", "status", "retry", "dashboard", "check", "schema", "demo"):
        assert command in output


def test_each_option_of_the_service_may_stand_in_the_environment_as_help_says():
    options = [option for option in get_command(app).params if option.envvar]
    assert {option.name for option in options} >= {"config_path", "host", "port", "secret", "secret_file"}
    for command in (get_command(app), *get_command(app).commands.values()):
        for option in command.params:
            assert option.envvar in (None, "EVIDENTLY_COLLECTOR_" + option.name.upper())


@pytest.mark.parametrize("name", sorted(get_command(app).commands))
def test_the_help_of_each_command_has_an_example(name):
    output = run(name, "--help", COLUMNS="100", TERM="dumb").output
    assert re.search(rf"\$? *.*evidently[- ]collector {name}\b", output)


def test_schema_is_the_configs():
    assert json.loads(run("schema").output) == json.loads(json.dumps(file_schema()))


def test_without_a_command_the_service_runs(config, started):
    assert run("--config-path", config, "--host", "0.0.0.0", "--port", "0").exit_code == 0
    ((options, loaded),) = started
    assert (loaded.path, options.host, options.port, options.secret) == (config, "0.0.0.0", 0, None)
    assert list(loaded.config.collectors) == ["main"]


def test_options_may_come_from_the_environment(config, started):
    names = {"CONFIG_PATH": str(config), "HOST": "::1", "PORT": "9", "SECRET": "s", "CERTFILE": "c", "KEYFILE": "k"}
    run(**{f"EVIDENTLY_COLLECTOR_{name}": value for name, value in names.items()})
    ((options, loaded),) = started
    assert (loaded.path, options.host, options.port, options.secret) == (config, "::1", 9, "s")
    assert (options.certfile, options.keyfile) == ("c", "k")


def test_without_a_config_file_the_default_one_is_written(tmp_path, started):
    path = tmp_path / "new.json"
    run("--config-path", path)
    assert CollectorServiceConfig.load(path) == CollectorServiceConfig()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "variable", "secret"),
    [
        ([], None, None),
        ([], "variable", "variable"),
        (["--secret", "option"], "variable", "option"),
        (["--secret-file", "{file}"], None, "from a file"),
        (["--secret-file", "{file}"], "variable", "from a file"),
    ],
)
def test_where_the_secret_comes_from(config, started, tmp_path, arguments, variable, secret):
    file = tmp_path / "secret"
    file.write_text("from a file\n", encoding="utf-8")
    run(
        "--config-path",
        config,
        *(argument.format(file=file) for argument in arguments),
        EVIDENTLY_COLLECTOR_SECRET=variable,
    )
    assert started[0][0].secret == secret


def test_an_empty_secret_is_no_open_door(config, started, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("\n", encoding="utf-8")
    assert exit_code_of(monkeypatch, "--config-path", config, "--secret-file", tmp_path / "secret") == 78
    assert started == []


def test_a_secret_file_that_is_not_there_is_a_bad_config(config, started, tmp_path, monkeypatch, capsys):
    assert exit_code_of(monkeypatch, "--config-path", config, "--secret-file", tmp_path / "no") == 78
    assert "the secret can't be read: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--certfile", "c.pem"], "give both --certfile and --keyfile"),
        (["--certfile", "c.pem", "--keyfile", "k.pem"], "can't be used for TLS (No such file or directory)"),
    ],
)
def test_tls_without_a_certificate_and_its_key_is_a_bad_config(config, monkeypatch, capsys, arguments, says):
    assert exit_code_of(monkeypatch, "--config-path", config, *arguments) == 78
    assert says in capsys.readouterr().err


def test_a_port_that_is_none_is_refused(config, started):
    assert [run("--config-path", config, "--port", port).exit_code for port in (-1, 65536)] == [2, 2]


def test_check_of_a_good_config(config, checked):
    result = run("check", "--config-path", config)
    assert (result.exit_code, result.output) == (0, f"{config}: all good; collectors: main\n")


def test_check_names_each_problem_and_exits_with_78(config, checked, monkeypatch, capsys):
    checked += [Problem(("collectors", "main", "report_config"), "one"), Problem(("collectors",), "two")]
    assert exit_code_of(monkeypatch, "check", "--config-path", config) == 78
    said = capsys.readouterr().err
    assert f"error: {config}: collectors.main.report_config (line 1, column 101): one" in said
    assert f"error: {config}: collectors (line 1, column 16): two" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "isn't JSON"),
        ('{"collectors": {"main": {}}}', "collectors.main.trigger (line 1, column 25): field required"),
        ('{"colectors": {}}', "did you mean 'collectors'?"),
    ],
)
def test_a_bad_config_is_one_sentence_and_78(tmp_path, monkeypatch, capsys, text, says):
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    for command in ([], ["check"]):
        assert exit_code_of(monkeypatch, *command, "--config-path", path) == 78
        assert says in capsys.readouterr().err


def test_each_mistake_in_a_config_has_a_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "c.json").write_text('{"autosave": 3,\n "delivery_timeout": "x"}', encoding="utf-8")
    assert exit_code_of(monkeypatch, "check", "--config-path", tmp_path / "c.json") == 78
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[2] for line in lines] == [
        "autosave (line 1, column 14)",
        "delivery_timeout (line 2, column 22)",
    ]


@pytest.mark.parametrize("name", ["status", "init", "logs"])
def test_flags_have_no_kind_of_value(name):
    output = run(name, "--help", COLUMNS="100", TERM="dumb").output
    assert "--help" in output
    assert "bool" not in output


def test_check_makes_no_file(tmp_path, monkeypatch, capsys):
    assert exit_code_of(monkeypatch, "check", "--config-path", tmp_path / "no.json") == 78
    assert "No such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_variable_that_is_missing_is_named_with_its_place(config, monkeypatch, capsys):
    monkeypatch.delenv("NOT_THERE", raising=False)
    main_collector = GOOD["collectors"]["main"] | {"api_secret": "${NOT_THERE}"}
    config.write_text(json.dumps({"collectors": {"main": main_collector}}), encoding="utf-8")
    assert exit_code_of(monkeypatch, "--config-path", config) == 78
    assert (
        "collectors.main.api_secret (line 1, column 170): the environment of the service has no variable NOT_THERE"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError.at("must be > 0", "a"), 78),
        (DataDirError("held by another"), 78),
        (JournalBroken("start again"), 1),
        (StorageError("no space"), 1),
        (CollectorError("can't listen on 127.0.0.1:8001"), 1),
    ],
)
def test_errors_become_a_sentence_and_an_exit_code(config, monkeypatch, capsys, error, code):
    monkeypatch.setattr("collector.daemon.run", fail_with(error))
    assert exit_code_of(monkeypatch, "--config-path", config) == code
    assert capsys.readouterr().err == f"error: {error}\n"


def fail_with(error):
    def fail(*_, **__):
        raise error

    return fail


def test_a_service_that_ends_by_our_own_mistake_says_where(config, monkeypatch, capsys):
    monkeypatch.setattr("collector.daemon.run", fail_with(RuntimeError("a mistake")))
    assert exit_code_of(monkeypatch, "--config-path", config) == 70
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert "error: a bug in the collector: RuntimeError: a mistake" in said


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (CommandError("it can't", "do that"), 1, "error: it can't\nhint: do that\n"),
        (CommandError("stopped", exit_code=130), 130, "error: stopped\n"),
        (CollectorError("no snapshot"), 1, "error: no snapshot\n"),
        (PermissionError(13, "Permission denied", "/there"), 1, "error: /there: Permission denied\n"),
        (KeyError("a"), 70, "error: a bug in the collector: KeyError: 'a'\nhint: run it again with --debug"),
    ],
)
def test_an_error_is_a_sentence_and_a_hint_and_with_debug_a_traceback_too(monkeypatch, capsys, error, code, says):
    monkeypatch.setattr("collector.commands.demo.run_demo", fail_with(error))
    assert exit_code_of(monkeypatch, "demo") == code
    assert capsys.readouterr().err.startswith(says)
    for arguments in (["--debug", "demo"], ["demo", "--debug"]):
        assert exit_code_of(monkeypatch, *arguments) == code
        assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_debug_may_come_from_the_environment(monkeypatch, capsys):
    monkeypatch.setattr("collector.commands.demo.run_demo", fail_with(CollectorError("no")))
    monkeypatch.setenv("EVIDENTLY_COLLECTOR_DEBUG", "1")
    assert exit_code_of(monkeypatch, "demo") == 1
    assert "Traceback" in capsys.readouterr().err


def test_after_two_dashes_debug_is_a_name_like_others(monkeypatch, capsys, service):
    assert exit_code_of(monkeypatch, "flush", "--", "--debug") == 0
    assert service.asked == [("flush", "--debug")]


@pytest.fixture
def service(monkeypatch):
    """Stand for a service; it keeps how it was opened and what was asked of it."""

    state = SimpleNamespace(asked=[], failed=[], sealed={"batch_id": None, "rows": 0}, where=(), going={})

    class FakeService:
        def __init__(self, *where):
            state.where = where

        @contextmanager
        def open(self):
            yield self

        def status(self):
            going = {"rows_waiting": 0, "sealed": 0, "outbox": 0, "failed": 0} | state.going
            return {"collectors": [{"id": "main", "state": "waiting", **going}]}

        def flush(self, collector_id):
            state.asked.append(("flush", collector_id))
            return state.sealed

        def delete_collector(self, collector_id):
            state.asked.append(("delete", collector_id))

        def rename_collector(self, collector_id, new_id):
            state.asked.append(("rename", collector_id, new_id))

        def retry_failed(self, collector_id):
            state.asked.append(("retry", collector_id))
            return state.failed

        def show_dashboard(self, collector_id):
            return {"id": collector_id, "panels": 7}

    monkeypatch.setattr("collector.commands.remote.Service", FakeService)
    return state


def test_retry_lists_what_is_evaluated_again(service):
    assert run("retry", "main").output == "no batch has failed\n"
    service.failed = [{"batch_id": "b-1", "rows": 7, "error": "ValueError: bad"}]
    assert run("retry", "main").output == "b-1  7 rows  ValueError: bad\n1 to be evaluated again\n"


def test_flush_says_what_it_sealed(service):
    assert run("flush", "main").output == "nothing waits\n"
    service.sealed = {"batch_id": "b-1", "rows": 7}
    assert run("flush", "main").output == "b-1  7 rows, to be evaluated now\n"


def test_flush_and_retry_mean_the_only_collector(service):
    assert (run("flush").exit_code, run("retry").exit_code) == (0, 0)
    assert service.asked == [("flush", "main"), ("retry", "main")]


def test_delete_says_what_goes_and_does_it_only_when_told_to(service, monkeypatch, capsys):
    service.going = {"rows_waiting": 412, "failed": 2}
    assert exit_code_of(monkeypatch, "delete", "main") == 1
    assert "main has 412 waiting rows, 2 failed batches, which would be removed" in capsys.readouterr().err
    assert service.asked == []
    assert run("delete", "main", "--yes").output == "main removed, with 412 waiting rows, 2 failed batches\n"
    assert service.asked == [("delete", "main")]


@pytest.mark.parametrize(("answer", "asked"), [("y\n", [("delete", "main")]), ("n\n", []), ("", [])])
def test_delete_asks_in_a_terminal(service, monkeypatch, answer, asked):
    service.going = {"sealed": 1}
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("typer.confirm", confirm_as(answer))
    exit_code_of(monkeypatch, "delete", "main")
    assert service.asked == asked


def confirm_as(answer):
    def confirm(question, *, abort):
        assert "main has 1 sealed batch" in question
        if abort and answer != "y\n":
            raise typer.Abort

    return confirm


def test_rename_says_where_senders_are_to_send(service):
    assert run("rename", "main", "new").output == "main is new now; have its senders send to new\n"
    assert service.asked == [("rename", "main", "new")]


def test_a_collector_without_events_is_removed_at_once(service):
    assert run("delete", "main").output == "main removed\n"


def test_dashboard_says_how_many_panels_there_are(service):
    assert run("dashboard").output == "the dashboard has 7 panels of main\n"


@pytest.mark.parametrize(
    "command",
    [["retry", "main"], ["flush", "main"], ["dashboard", "main"], ["logs"], ["send", "a.csv"], ["delete", "main"]],
)
def test_what_speaks_to_a_service_takes_the_same_options(command, service, tmp_path, monkeypatch):
    monkeypatch.setattr("collector.commands.send.send", lambda *_: "")
    monkeypatch.setattr("collector.commands.logs.show_logs", lambda *_, **__: None)
    options = ["--url", "https://c", "--secret", "s", "--secret-file", tmp_path, "--cafile", "ca.pem"]
    assert run(*command, *options).exit_code == 0
    assert service.where == ("https://c", "s", tmp_path, "ca.pem")
    names = {"URL": "https://c", "SECRET": "s", "SECRET_FILE": str(tmp_path), "CAFILE": "ca.pem"}
    run(*command, **{f"EVIDENTLY_COLLECTOR_{name}": value for name, value in names.items()})
    assert service.where == ("https://c", "s", tmp_path, "ca.pem")


def test_logs_are_those_of_the_only_collector(service, monkeypatch):
    shown = []
    monkeypatch.setattr("collector.commands.logs.show_logs", lambda _, name, __, **how: shown.append((name, how)))
    run("logs")
    run("logs", "main", "-f", "--json")
    assert shown == [
        ("main", {"is_followed": False, "is_json": False}),
        ("main", {"is_followed": True, "is_json": True}),
    ]


def test_send_gets_its_order(service, monkeypatch):
    orders = []
    monkeypatch.setattr("collector.commands.send.send", lambda order, _: orders.append(order) or "told")
    options = ["--id", "main", "--format", "csv", "--rows", "7", "--from", "3", "--again"]
    assert run("send", "-", *options).output == "told\n"
    assert run("send", "a.csv").exit_code == 0
    assert orders == [Order("-", "main", "csv", 7, 3, is_again=True), Order("a.csv")]


def test_init_asks_nothing_where_no_one_could_answer(tmp_path):
    path = tmp_path / "collector_config.json"
    result = run("init", "--config-path", path, "--trigger", "every:1h", "--preset", "DataSummaryPreset")
    assert (result.exit_code, "main" in CollectorServiceConfig.load(path).collectors) == (0, True)
    assert run("init", "--config-path", path).exception.args == (f"{path} would be overwritten",)
    assert run("init", "--config-path", path, "--overwrite", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("argv0", "arguments", "name"),
    [
        ("/bin/evidently-collector", ["--help"], "evidently-collector"),
        ("/lib/collector/__main__.py", ["--help"], "evidently collector"),
        ("/lib/collector/__main__.py", ["--show-completion"], "evidently-collector"),
    ],
)
def test_the_command_is_called_as_it_was_or_as_shells_can_complete_it(monkeypatch, capsys, argv0, arguments, name):
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: ("bash", "/bin/bash"))  # else it asks our parents
    monkeypatch.setattr(sys, "argv", [argv0, *arguments])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    assert (
        f"Usage: {name} [OPTIONS]" in said or f"complete -o default -F _evidently_collector_completion {name}" in said
    )


def test_a_shell_gets_completions(monkeypatch, capsys):
    asked = {"COMP_WORDS": "evidently-collector se", "COMP_CWORD": "1"}
    for name, value in ({"_EVIDENTLY_COLLECTOR_COMPLETE": "complete_bash"} | asked).items():
        monkeypatch.setenv(name, value)
    assert exit_code_of(monkeypatch) == 0
    assert capsys.readouterr().out.split() == ["send"]


@pytest.mark.parametrize(("is_well", "code"), [(True, 0), (False, 1)])
def test_status_exits_by_what_it_shows(monkeypatch, is_well, code):
    asked = []
    monkeypatch.setattr(
        "collector.views.showing.show_once", lambda *args, **options: asked.append((args, options)) or is_well
    )
    assert run("status", "--url", "http://collector", "--json").exit_code == code
    [((_, url), options)] = asked
    assert (url, options) == ("http://collector", {"is_json": True})


def test_status_can_be_watched(monkeypatch):
    asked = []
    monkeypatch.setattr("collector.views.showing.watch", lambda *_args, **options: asked.append(options))
    assert run("status", "--watch").exit_code == 0
    assert asked == [{"is_json": False}]


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, ("text", "info", True)),
        (["--no-live", "--log-format", "json", "--log-level", "debug"], {}, ("json", "debug", False)),
        ([], {"NO_LIVE": "1", "LOG_FORMAT": "json", "LOG_LEVEL": "error"}, ("json", "error", False)),
    ],
)
def test_how_the_service_logs(config, started, monkeypatch, arguments, environment, expected):
    asked, terminal = [], object()

    def set_up_logs(form, level, *, is_live):
        asked.append((form, level, is_live))
        return terminal

    monkeypatch.setattr("collector.views.logs.set_up_logs", set_up_logs)
    variables = {f"EVIDENTLY_COLLECTOR_{name}": value for name, value in environment.items()}
    assert run("--config-path", config, *arguments, **variables).exit_code == 0
    assert asked == [expected]
    assert started[0][0].terminal is terminal


def test_a_level_that_is_none_is_refused(config, started):
    assert run("--config-path", config, "--log-level", "loud").exit_code == 2


def test_demo_gets_its_directory(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("collector.commands.demo.run_demo", lambda directory, _console: asked.append(directory))
    run("demo", "--directory", tmp_path / "here")
    assert asked == [tmp_path / "here"]


def test_the_module_is_the_command():
    root = Path(collector.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "collector", "--version"], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout == f"evidently-collector {cli.__version__}\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BaseExceptionGroup("tasks", [KeyboardInterrupt()])])
def test_a_command_that_ctrl_c_ends_says_nothing_of_it(config, monkeypatch, capsys, error):
    """It said "a bug in the collector", or showed a traceback where several tasks had run."""

    def interrupt(*_):
        raise error

    monkeypatch.setattr("collector.commands.check.check_config", interrupt)
    assert exit_code_of(monkeypatch, "check", "--config-path", config) in {1, cli.EX_INTERRUPTED}
    assert "Traceback" not in capsys.readouterr().err
