"""What of the environment a worker's reports may know."""

from collector.workers.environment import names_of_secrets, names_of_service

GIVEN = (
    "EVIDENTLY_COLLECTOR_SECRET",
    "EVIDENTLY_COLLECTOR_CONFIG_PATH",
    "OPENAI_API_KEY",
    "hf_token",
    "DB_PASSWORD",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HOME",
)


def test_no_report_knows_what_is_the_services():
    assert names_of_service(GIVEN) == {"EVIDENTLY_COLLECTOR_SECRET", "EVIDENTLY_COLLECTOR_CONFIG_PATH"}


def test_posted_reports_know_no_secret():
    """A posted report sent the operator's OPENAI_API_KEY to an address that it named."""
    assert set(GIVEN) - names_of_secrets(GIVEN, ()) == {"EVIDENTLY_COLLECTOR_CONFIG_PATH", "HOME"}


def test_posted_reports_know_what_the_operator_shows_to_them():
    assert "OPENAI_API_KEY" not in names_of_secrets(GIVEN, ("OPENAI_API_KEY",))
