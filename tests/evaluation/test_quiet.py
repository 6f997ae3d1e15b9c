import logging
import warnings

import pytest

from collector.evaluation.quiet import hushed


def test_warnings_and_root_records_are_swallowed_and_errors_pass(monkeypatch, capfd):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with hushed():
        warnings.warn("theirs", UserWarning, stacklevel=1)  # an error under pytest's filter, if it came through
        logging.warning("theirs")  # noqa: LOG015  # as Evidently does
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == []
    with pytest.raises(ValueError, match="mine"), hushed():
        raise ValueError("mine")
