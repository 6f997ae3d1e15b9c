"""Receivers of alerts: a real HTTP server that takes Alertmanager's bodies, and what tests ask of it."""

import json
from contextlib import contextmanager

import trio
from worlds import FakeService

from collector.config import Alert

TAKEN = (200, {}, {})
HOOK = "https://hook.example/token"


class Receiver(FakeService):
    """Takes messages at ``/hook``, or answers as a test says."""

    def __init__(self, *answers):
        super().__init__()
        self.answers["POST", "/hook"] = [*answers, TAKEN]

    @property
    def hook(self):
        return f"{self.url}/hook"

    def bodies(self):
        return [request.json() for request in self.requests]

    def told(self):
        """Tell of each message that came which alerts it had: "drift" for one that fires, "-drift" for its end."""
        return [[_word(alert) for alert in body["alerts"]] for body in self.bodies()]


def _word(alert):
    name = alert["labels"]["alertname"].removeprefix("EvidentlyCollector")
    return name if alert["status"] == "firing" else f"-{name}"


@contextmanager
def receiving(*answers):
    with Receiver(*answers) as receiver:
        yield receiver


def rule(when, *to, **fields):
    return Alert.parse(
        {"when": when, "to": list(to)} | {name.removesuffix("_"): value for name, value in fields.items()}
    )


def message(text="something", status="firing"):
    """Make the body of a message with one alert."""
    labels = {"alertname": "EvidentlyCollectorDrift"}
    alert = {"status": status, "labels": labels, "annotations": {"summary": text}, "generatorURL": ""}
    return json.dumps({"status": status, "groupLabels": {}, "alerts": [alert]})


class FakeSend:
    """Stands for ``sending.send``: takes each message, or raises what a test says of an address, one a try."""

    def __init__(self):
        self.taken = []  # (address, body)
        self.tries = []  # (time, address)
        self.failures = {}  # by address

    async def __call__(self, clients, address, body):  # noqa: ARG002  (as in sending)
        await trio.lowlevel.checkpoint()
        self.tries.append((trio.current_time(), address))
        failures = self.failures.get(address)
        if failures:
            raise failures[0] if len(failures) == 1 and failures[0].args == ("for ever",) else failures.pop(0)
        self.taken.append((address, json.loads(body)))
        return "taken"

    def told(self, address=HOOK):
        """Tell of each message that was taken which alerts it had; see Receiver."""
        return [[_word(alert) for alert in body["alerts"]] for to, body in self.taken if to == address]

    def summaries(self, address=HOOK):
        return [alert["annotations"]["summary"] for to, body in self.taken if to == address for alert in body["alerts"]]
