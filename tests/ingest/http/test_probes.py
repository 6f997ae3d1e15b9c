from collector.ingest.http.probes import Check, health_answer

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
