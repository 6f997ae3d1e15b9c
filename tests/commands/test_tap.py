import io

from collector.commands import tap as command
from collector.commands.tap import tap


class FakeClient:
    """Has two rows at each look, and is left after three."""

    def __init__(self):
        self.asked = []

    def tap(self, collector_id, after=None, rows=10):
        self.asked.append((collector_id, after, rows))
        if len(self.asked) == 4:
            raise KeyboardInterrupt
        return {"next": len(self.asked), "rows": [{"ä": after}, {"b": None}] if after else []}


def test_each_row_is_a_line_from_the_moment_it_was_begun(monkeypatch):
    monkeypatch.setattr(command.time, "sleep", lambda _: None)
    client, output = FakeClient(), io.StringIO()
    tap(client, "main", 5, output)
    assert output.getvalue() == '{"ä": 1}\n{"b": null}\n{"ä": 2}\n{"b": null}\n'
    assert client.asked == [("main", None, 10), ("main", 1, 5), ("main", 2, 5), ("main", 3, 5)]
