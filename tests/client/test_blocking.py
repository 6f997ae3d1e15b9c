"""The blocking client among threads and processes."""

import pickle
import threading

import pytest
from fakes import running_service

from collector.client import CollectorClient

from .processes import run


@pytest.fixture
def service():
    with running_service() as made:
        yield made


# Each process asks for paths of its own; an answer tells the path that was asked for.
ASKING = """
client = CollectorClient(URL)
if "used before" in sys.argv:
    client.get_collector("before")

def work(number, client):
    for asked in range(50):
        assert client.get_collector(f"{number}-{asked}") == {"path": f"/{number}-{asked}"}
"""
STARTING = """
if __name__ == "__main__":
    context = mp.get_context(sys.argv[1])
    if sys.argv[1] == "forkserver":
        context.set_forkserver_preload(["__main__"])
    children = [context.Process(target=work, args=(number, client)) for number in range(2)]
    for child in children:
        child.start()
    work(3, client)
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
"""


@pytest.mark.parametrize(
    ("method", "use"),
    [
        ("fork", "used before"),
        ("spawn", "used before"),
        pytest.param("fork", "made before", marks=pytest.mark.slow),
        pytest.param("forkserver", "used before", marks=pytest.mark.slow),
    ],
)
def test_a_process_gets_the_answers_to_its_own_requests(service, tmp_path, method, use):
    run(tmp_path / "program.py", ASKING + STARTING, service, method, use)


def test_preforked_workers_get_the_answers_to_their_own_requests(service, tmp_path):
    """As those of gunicorn --preload: forked while another thread of the parent is amid a request."""
    program = """
import threading
thread = threading.Thread(target=work, args=(9, client))
thread.start()
children = []
for number in range(3):
    children.append(os.fork())
    if not children[-1]:
        work(number, client)
        client.close()  # leaves the parent's connections alone
        sys.exit()
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
thread.join()
work(3, client)
"""
    run(tmp_path / "program.py", ASKING + program, service, "used before")


def test_a_client_is_pickled_as_it_was_made():
    client = pickle.loads(pickle.dumps(CollectorClient("http://h:1", "s3cret", timeout=3, retries=1)))
    assert client._given == ("http://h:1", "s3cret")  # noqa: SLF001
    assert client._choices == {"timeout": 3, "retries": 1, "verify": True}  # noqa: SLF001


def test_more_threads_than_connections_take_turns(service):
    with CollectorClient(service.url, retries=0) as client:
        answers = []
        threads = [
            threading.Thread(target=lambda number=number: answers.append(client.get_collector(str(number))))
            for number in range(250)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answer["path"] for answer in answers) == sorted(f"/{number}" for number in range(250))


def test_a_closed_client_connects_again(service):
    client = CollectorClient(service.url)
    for _ in range(2):
        assert client.get_collector("a") == {"path": "/a"}
        client.close()
