"""A project's dashboard: a collector's panels go into it, and nobody else's are touched.

A dashboard is what Evidently's ``DashboardModel`` holds: ``panels``, and ``tabs`` that name panels by their ids. The UI
that anyone can install shows all panels one below the other and refuses a second tab; Evidently Cloud shows tabs.
"""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import UUID, uuid5

from collector.errors import DeliveryError

Json = dict[str, Any]

_NAMESPACE = UUID("c7d5a0a4-58c9-5a53-9c9c-7b1f6f0c1c55")
# A key in a panel's plot_params: the UI ignores a key that it doesn't know, and gives it back unchanged.
_MARK = "made_for_collector"
_MOST_TRIES = 3


class Tab(TypedDict):
    """What a dashboard shows of one collector."""

    collector: str
    panels: list[Json]


def marked(collector: str, key: str, panel: Json) -> Json:
    """Return a panel that says whose it is, under an id that is the same each time it is made."""
    params = {**panel["plot_params"], _MARK: collector}
    return {"id": _id(collector, key), **panel, "plot_params": params}


class Placing:
    """Decides how a collector's panels get into a dashboard that others may change at the same time.

    Read the dashboard, write what ``to_write`` returns, and begin again until it returns None: what somebody else wrote
    in between is read then, and if our panels went with it, they are put beside it. Unless ``is_asked``, a dashboard
    that has panels of a person's is left alone. ``is_tabbed``: the panels get a tab of their own.
    """

    def __init__(self, tab: Tab, *, is_asked: bool, is_tabbed: bool = False) -> None:
        self._tab = tab
        self._is_asked = is_asked
        self._is_tabbed = is_tabbed
        self._tries = 0
        self.is_left_alone = False

    def to_write(self, found: object) -> Json | None:
        """Return the dashboard to write; None if nothing is left to do.

        Raises ValueError for what is no dashboard, DeliveryError if somebody else's changes never end.
        """
        body = _checked(found)
        if self._tries and self._is_in(body):
            return None
        if not self._is_asked and not all(_collector_of(panel) for panel in body["panels"]):
            self.is_left_alone = True
            return None
        if self._tries == _MOST_TRIES:
            raise DeliveryError("somebody else changes the dashboard all the time")
        self._tries += 1
        return self._merged(body)

    def _is_in(self, body: Json) -> bool:
        return {panel["id"] for panel in self._tab["panels"]} <= {panel.get("id") for panel in body["panels"]}

    def _merged(self, body: Json) -> Json:
        collector, mine = self._tab["collector"], self._tab["panels"]
        others = [panel for panel in body["panels"] if _collector_of(panel) != collector]
        places = [number for number, panel in enumerate(body["panels"]) if _collector_of(panel) == collector]
        place = places[0] if places else len(others)
        tabs = self._with_own_tab(body["tabs"]) if self._is_tabbed else body["tabs"]
        return {**body, "tabs": tabs, "panels": [*others[:place], *mine, *others[place:]]}

    def _with_own_tab(self, tabs: list[Json]) -> list[Json]:
        collector = self._tab["collector"]
        ids = [panel["id"] for panel in self._tab["panels"]]
        own = {"id": _id(collector, "tab"), "title": collector, "panels": ids}
        if all(tab.get("id") != own["id"] for tab in tabs):
            return [*tabs, own]
        return [{**tab, "panels": ids} if tab.get("id") == own["id"] else tab for tab in tabs]


def _id(collector: str, key: str) -> str:
    return str(uuid5(_NAMESPACE, f"{collector}\n{key}"))


def _collector_of(panel: Json) -> str | None:
    """Return the collector that a panel was made for; None if we haven't made the panel."""
    found = (panel.get("plot_params") or {}).get(_MARK)
    return found if isinstance(found, str) else None


def _checked(found: object) -> Json:
    body = found if isinstance(found, dict) else {}
    lists = [body.get("tabs"), body.get("panels")]
    if not all(isinstance(one, list) and all(isinstance(item, dict) for item in one) for one in lists):
        raise ValueError("what is there isn't a dashboard of Evidently's")
    return body
