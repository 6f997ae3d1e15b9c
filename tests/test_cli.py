"""The command line; what is behind it is faked, or real in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import collector
from collector import cli
from collector.cli import app, main
from collector.config import CollectorServiceConfig
from collector.errors import CollectorError, ConfigError, DataDirError, Problem, StorageError

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
    monkeypatch.setattr("collector.views.logs.set_up_logs", lambda: None)


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
    monkeypatch.setattr("collector.checking.check_config", lambda _config, _base: problems)
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


def test_help_names_each_option_and_its_variable():
    output = run("--help", COLUMNS="200", TERM="dumb").output
    for option in ("config-path", "host", "port", "secret", "secret-file", "certfile", "keyfile"):
        assert f"--{option}" in output
        assert "EVIDENTLY_COLLECTOR_" + option.upper().replace("-", "_") in output
    for command in ("check", "demo", "schema", "retry"):
        assert command in output


def test_schema_is_the_configs():
    assert json.loads(run("schema").output) == json.loads(json.dumps(CollectorServiceConfig.model_json_schema()))


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
        "collectors.main.api_secret (line 1, column 170): the environment has no variable NOT_THERE"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError.at("must be > 0", "a"), 78),
        (DataDirError("held by another"), 78),
        (StorageError("no space"), 1),
        (CollectorError("can't listen on 127.0.0.1:8001"), 1),
    ],
)
def test_errors_become_a_sentence_and_an_exit_code(config, monkeypatch, capsys, error, code):
    def fail(*_):
        raise error

    monkeypatch.setattr("collector.daemon.run", fail)
    assert exit_code_of(monkeypatch, "--config-path", config) == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_our_own_mistakes_keep_their_traceback(config, monkeypatch, started):
    def fail(*_):
        raise RuntimeError("a mistake")

    monkeypatch.setattr("collector.daemon.run", fail)
    monkeypatch.setattr(sys, "argv", ["evidently collector", "--config-path", str(config)])
    with pytest.raises(RuntimeError, match="a mistake"):
        main()


class FakeClient:
    failed = ()
    made = ()

    def __init__(self, url, secret, *, verify):
        type(self).made = (url, secret, verify)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Close nothing."""

    def retry_failed(self, collector_id):
        return [{**batch, "collector": collector_id} for batch in self.failed]


def test_retry_lists_what_is_evaluated_again(monkeypatch):
    monkeypatch.setattr("collector.client.CollectorClient", FakeClient)
    assert run("retry", "main").output == "no batch has failed\n"
    monkeypatch.setattr(FakeClient, "failed", [{"batch_id": "b-1", "rows": 7, "error": "ValueError: bad"}])
    assert run("retry", "main").output == "b-1  7 rows  ValueError: bad\n1 to be evaluated again\n"


def test_retry_takes_its_secret_from_a_file_and_trusts_an_authority_of_ones_own(monkeypatch, tmp_path):
    monkeypatch.setattr("collector.client.CollectorClient", FakeClient)
    (tmp_path / "secret").write_text("s3cret\n", encoding="utf-8")
    where = ["--url", "https://collector", "--secret-file", tmp_path / "secret", "--cafile", "ca.pem"]
    assert run("retry", "main", *where).exit_code == 0
    assert FakeClient.made == ("https://collector", "s3cret", "ca.pem")


def test_demo_gets_its_directory(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("collector.demo.run_demo", lambda directory, _console: asked.append(directory))
    run("demo", "--directory", tmp_path / "here")
    assert asked == [tmp_path / "here"]


def test_the_module_is_the_command():
    root = Path(collector.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "collector", "--version"], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout == f"evidently-collector {cli.__version__}\n"
