"""Health: whether the service lives and accepts events, in a word for machines or check by check for a person."""

from __future__ import annotations

from dataclasses import dataclass

from collector.errors import NotReady
from collector.ingest.http.problems import Answer, answer_for, json_answer

_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what is wrong with it; events are accepted all the same unless ``is_vital``."""

    name: str
    trouble: str = ""
    is_vital: bool = False

    def __str__(self) -> str:
        if not self.trouble:
            return f"[+]{self.name} ok"
        return f"[-]{self.name} failed: {self.trouble}" if self.is_vital else f"[!]{self.name}: {self.trouble}"


def health_answer(route: str, word: str, checks: list[Check], *, is_verbose: bool) -> Answer:
    """Answer 200 with a word if no vital check fails, else 503; ``is_verbose``: in Kubernetes' form, a line a check."""
    failed = next((check for check in checks if check.trouble and check.is_vital), None)
    refusal = None if failed is None else answer_for(NotReady(failed.trouble), f"GET /{route}")
    if is_verbose:
        end = f"{route} check {'passed' if refusal is None else 'failed'}"
        text = "".join(f"{line}\n" for line in (*map(str, checks), end))
        return Answer(200, text.encode(), _TEXT) if refusal is None else _in_words(refusal, text)
    return json_answer({"status": word}) if refusal is None else refusal


def _in_words(refusal: Answer, text: str) -> Answer:
    return Answer(refusal.status, text.encode(), {**refusal.headers, **_TEXT})
