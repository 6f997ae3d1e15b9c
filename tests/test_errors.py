import pytest

from collector import errors
from collector.errors import ConfigError, DeliveryError, EvaluationError, Problem, UnknownCollector


def _subclasses(kind):
    return {kind} | {below for sub in kind.__subclasses__() for below in _subclasses(sub)}


def test_every_error_is_a_collector_error():
    raised = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert raised == _subclasses(errors.CollectorError)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("collectors", "main", "trigger", "interval"), "collectors.main.trigger.interval: must be > 0"),
        (("report_config", "metrics", 0), "report_config.metrics.0: must be > 0"),
        ((), "must be > 0"),
    ],
)
def test_a_problem_reads_as_its_path_and_what_is_wrong(path, text):
    assert str(Problem(path, "must be > 0")) == text


def test_a_problem_moves_below_a_prefix():
    assert Problem(("interval",), "x").under("collectors", "main") == Problem(("collectors", "main", "interval"), "x")


def test_a_config_error_tells_all_problems_after_its_source():
    error = ConfigError([Problem(("a",), "is wrong"), Problem((), "all is wrong")], "file.json")
    assert str(error) == "file.json: a: is wrong; all is wrong"
    assert [problem.key for problem in error.problems] == ["a", ""]


def test_a_config_error_of_one_problem_without_a_source():
    assert str(ConfigError.at("is empty", "api_secret")) == "api_secret: is empty"


def test_an_unknown_collector_is_told_in_the_originals_words():
    """The words stand in compat/http/A_fresh_routing.json."""
    assert str(UnknownCollector("main")) == "Collector config with id 'main' not found"


def test_errors_carry_what_their_catcher_decides_by():
    assert EvaluationError("failed", "the traceback").detail == "the traceback"
    delivery = DeliveryError("no answer", retry_after=3, is_ambiguous=True)
    assert (delivery.retry_after, delivery.is_ambiguous) == (3, True)
    assert (DeliveryError("no").retry_after, DeliveryError("no").is_ambiguous) == (0, False)
