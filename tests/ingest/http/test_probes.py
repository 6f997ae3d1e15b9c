from collector.ingest.http.probes import Check, health_answer, kafka_checks
from collector.status.status import Status

SOUND = Check("disk", is_vital=True)
WARNED = Check("config", "the last edit isn't in force")
FAILED = Check("disk", "no space left on device", is_vital=True)


def told(*checks, is_verbose=False):
    answer = health_answer("readyz", "ready", list(checks), is_verbose=is_verbose)
    return answer.status, answer.body.decode(), answer.headers


def test_what_is_not_vital_leaves_it_ready():
    assert told(SOUND, WARNED)[:2] == (200, '{"status":"ready"}')


def test_what_is_vital_does_not_and_says_when_to_ask_again():
    status, body, headers = told(WARNED, FAILED)
    assert status == 503
    assert "no space left on device" in body
    assert int(headers["Retry-After"]) > 0


def test_each_check_is_a_line_for_who_asks():
    status, body, headers = told(SOUND, WARNED, is_verbose=True)
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert body == "[+]disk ok\n[!]config: the last edit isn't in force\nreadyz check passed\n"
    assert told(FAILED, is_verbose=True)[1].splitlines()[-1] == "readyz check failed"


def test_services_whose_configs_of_a_collector_differ_are_told_to_who_may_know():
    kafka = {"lag": None, "owner": "", "mismatch": "its config at b, where it is at work, differs from the config here"}
    collectors = [Status("main", "standby", kafka=kafka), Status("sound", "waiting", kafka=kafka | {"mismatch": ""})]
    [check] = kafka_checks(collectors, is_trusted=True)
    assert str(check) == "[!]kafka: main: its config at b, where it is at work, differs from the config here"
    assert "b" not in kafka_checks(collectors, is_trusted=False)[0].trouble.split()
    assert [str(one) for one in kafka_checks(collectors[1:], is_trusted=True)] == ["[+]kafka ok"]
    assert kafka_checks([Status("posted", "waiting")], is_trusted=True) == []
