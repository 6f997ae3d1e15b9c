"""The bar that says how far a command has come."""

from collector.commands.progress import open_bar


def shown(capsys):
    with open_bar() as show:
        show(None, "waiting")
        show(0.5, "day.csv: 20 rows")
    return capsys.readouterr().err


def test_a_terminal_sees_what_is_being_done_and_the_share_that_is_done(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # which has rich take it for a terminal
    monkeypatch.setenv("COLUMNS", "100")
    said = shown(capsys)
    assert "day.csv: 20 rows" in said
    assert " 50%" in said


def test_nothing_is_written_elsewhere(capsys):
    assert shown(capsys) == ""
