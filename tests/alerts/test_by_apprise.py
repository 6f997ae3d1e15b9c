"""Messages go out by apprise: as mail to a real server, and in no other words than those meant for people."""

import email
import logging
import warnings
from contextlib import contextmanager
from email.policy import default

import pytest
from machine import free_port

from collector.alerts import by_apprise
from collector.alerts.by_apprise import problem_of, send
from collector.errors import AlertRefused, AlertUnsent

from .receivers import message, receiving

apprise = pytest.importorskip("apprise", reason="takes the extra [alerts]")


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """Load what it sends by, of which some is deprecated, which is its own matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        apprise.Apprise.instantiate("json://localhost")


class Mailbox:
    """What an SMTP server takes, or refuses with an answer of its own."""

    def __init__(self):
        self.mails = []
        self.refusal = None

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  (aiosmtpd's)
        if self.refusal:
            return self.refusal
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@contextmanager
def mail_server():
    from aiosmtpd.controller import Controller

    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, f"mailto://127.0.0.1:{port}?from=collector@example.com&to=oncall@example.com&mode=insecure"
    finally:
        controller.stop()


async def test_a_mail_arrives():
    with mail_server() as (box, address):
        assert await send(address, message("main: age has drifted")) == "sent"
    [mail] = box.mails
    assert mail["Subject"] == "FIRING main: age has drifted"
    assert "oncall@example.com" in mail["To"]
    assert "FIRING main: age has drifted" in str(mail)


async def test_a_mail_that_is_refused_is_told_without_the_address(capfd):
    with mail_server() as (box, address):
        box.refusal = "550 no such mailbox"
        with pytest.raises(AlertUnsent, match="apprise could not send it") as caught:
            await send(address, message())
    assert "oncall@example.com" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("scheme", ["json", "form"])
async def test_a_service_that_is_away_or_refuses_is_tried_again(scheme, capfd):
    with receiving((500, {"detail": "no"}, {})) as receiver:
        address = receiver.hook.replace("http", scheme, 1).replace("hook", "hook?token=SecretToken")
        receiver.answers["POST", "/hook"] = [(500, {}, {}), (200, {}, {})]
        with pytest.raises(AlertUnsent, match="could not send it") as caught:
            await send(address, message())
        await send(address, message())
    with pytest.raises(AlertUnsent, match="could not send it") as gone:
        await send(address, message())
    assert "SecretToken" not in f"{caught.value} {gone.value}"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("address", ["nothing://SecretToken", "slack://SecretToken", "mailto://"])
async def test_an_address_that_apprise_does_not_know_is_told_without_it(address, capfd):
    with pytest.raises(AlertRefused, match="isn't an address that apprise knows") as caught:
        await send(address, message())
    assert "SecretToken" not in f"{caught.value} {problem_of(address)}"
    assert "apprise knows" in problem_of(address)
    assert capfd.readouterr() == ("", "")


def test_an_address_that_apprise_knows_has_no_problem():
    assert problem_of("json://localhost/path") is None


async def test_what_takes_too_long_is_given_up(monkeypatch):
    import threading

    release = threading.Event()
    monkeypatch.setattr(by_apprise, "TIMEOUT", 0.05)
    monkeypatch.setattr(by_apprise, "_send", lambda *_: release.wait(30))
    with pytest.raises(AlertUnsent, match=r"wasn't sent within 0\.05 s"):
        await send("json://localhost", message())
    release.set()


def test_what_apprise_logs_goes_nowhere_else(capfd):
    logging.getLogger("apprise").warning("with a token")
    assert capfd.readouterr() == ("", "")
