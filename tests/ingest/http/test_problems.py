import json

import pytest

from collector import errors
from collector.errors import BadBody, ConfigError, Problem
from collector.ingest.http.problems import MAX_TEXT, RETRY_AFTER, answer_for, json_answer, problem_answer

STATUSES = {
    errors.BadBody("x"): 400,
    ConfigError.at("x", "a"): 400,
    errors.Unauthorized(): 401,
    errors.UnknownCollector("main"): 404,
    errors.BodyTooSlow("x"): 408,
    errors.ConfigConflict("x"): 409,
    errors.BodyTooLarge("x"): 413,
    errors.KeyReused("x"): 422,
    errors.NoDashboard("x"): 409,
    errors.IsFetched("main"): 409,
    errors.OwnedElsewhere("main", ""): 503,
    errors.DeliveryRefused("x"): 424,
    errors.NotReady("x"): 503,
    errors.EvaluationError("x"): 503,
    errors.StorageError("x"): 507,
}


@pytest.mark.parametrize(("error", "status"), STATUSES.items(), ids=lambda part: type(part).__name__)
def test_each_error_has_its_status_and_the_keys_of_rfc_9457_and_of_the_original(error, status):
    answer = answer_for(error, "POST /main")
    body = json.loads(answer.body)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert (body["status"], body["status_code"], body["type"]) == (status, status, "about:blank")
    assert str(error) in body["detail"]
    assert body["title"]


@pytest.mark.parametrize(("error", "status"), STATUSES.items(), ids=lambda part: type(part).__name__)
def test_only_what_is_worth_asking_again_says_when(error, status):
    expected = str(RETRY_AFTER) if status in {503, 507} else None
    assert answer_for(error, "POST /main").headers.get("Retry-After") == expected


def test_who_asks_a_service_that_has_not_the_collector_is_sent_to_the_one_that_has():
    answer = answer_for(errors.OwnedElsewhere("main", "http://other:8001"), "POST /main/flush")
    assert (answer.status, answer.headers["Location"]) == (307, "http://other:8001/main/flush")
    assert json.loads(answer.body)["detail"].endswith("is at work at http://other:8001")


def test_a_wrong_config_is_told_as_the_original_told_it():
    """Its form stands in compat/http/B_create_get.json."""
    error = ConfigError([Problem(("trigger", "interval"), "must be greater than 0"), Problem((), "is wrong")])
    body = json.loads(answer_for(error, "POST /main").body)
    assert body["detail"].startswith("Validation failed for POST /main")
    assert body["extra"] == [
        {"message": "must be greater than 0", "key": "trigger.interval"},
        {"message": "is wrong", "key": "__root__"},
    ]


@pytest.mark.parametrize("error", [BadBody("x" * 10**6), ConfigError([Problem(("x" * 10**6,), "y" * 10**6)])])
def test_an_answer_quotes_no_more_of_a_request_than_can_be_read(error):
    assert len(answer_for(error, "POST /main").body) < 4 * MAX_TEXT


def test_json_has_null_for_the_numbers_that_it_has_not():
    answer = json_answer({"a": [float("nan"), float("inf"), 1.5, "м"]}, 201)
    assert (answer.status, json.loads(answer.body)) == (201, {"a": [None, None, 1.5, "м"]})
    assert answer.headers == {"Content-Type": "application/json"}


def test_a_problem_may_say_more():
    assert json.loads(problem_answer(404, "gone", extra=[1]).body)["extra"] == [1]
