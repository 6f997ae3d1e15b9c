"""How a collector's panels get into a dashboard in which others have theirs."""

import pytest

from collector.dashboard import Placing, marked
from collector.errors import DeliveryError

EMPTY = {"tabs": [], "panels": []}


def panel(title):
    return {"title": title, "subtitle": None, "size": "half", "values": [], "plot_params": {"plot_type": "text"}}


def tab(collector="churn", *titles):
    return {"collector": collector, "panels": [marked(collector, title, panel(title)) for title in titles or ("Rows",)]}


def of_a_person(title):
    return {"id": f"0190{title}", **panel(title)}


def placed(found, own, *, is_asked=False, is_tabbed=False):
    """Return what becomes of a dashboard that nobody else changes meanwhile; None if it is left alone."""
    placing = Placing(own, is_asked=is_asked, is_tabbed=is_tabbed)
    wanted = placing.to_write(found)
    if wanted is not None:
        assert placing.to_write(wanted) is None
    assert placing.is_left_alone == (wanted is None)
    return wanted


def titles_of(body):
    return [one["title"] for one in body["panels"]]


def test_an_empty_dashboard_gets_the_panels_and_no_tab():
    """The UI that anyone can install refuses a second tab, so a first one of ours would keep out its user's."""
    assert placed(EMPTY, tab("churn", "a", "b")) == {"tabs": [], "panels": tab("churn", "a", "b")["panels"]}


def test_a_panel_has_the_same_id_each_time_and_another_for_each_collector():
    first, again, other = (marked(name, "Rows", panel("Rows"))["id"] for name in ("churn", "churn", "fraud"))
    assert first == again != other


def test_another_collectors_panels_stay_and_come_first():
    body = placed(placed(EMPTY, tab("churn", "a")), tab("fraud", "b"))
    assert titles_of(body) == ["a", "b"]


def test_a_dashboard_with_a_persons_panel_is_left_alone():
    assert placed({"tabs": [], "panels": [of_a_person("mine"), *tab()["panels"]]}, tab()) is None


def test_who_asks_gets_the_panels_beside_a_persons_and_in_the_place_of_the_old_ones():
    mine = [of_a_person("first"), of_a_person("last")]
    old = {
        "tabs": [{"id": "t", "title": "T", "panels": ["x"]}],
        "panels": [mine[0], *tab("churn", "old")["panels"], mine[1]],
    }
    body = placed(old, tab("churn", "a", "b"), is_asked=True)
    assert body == {"tabs": old["tabs"], "panels": [mine[0], *tab("churn", "a", "b")["panels"], mine[1]]}


def test_what_is_not_known_of_a_dashboard_is_kept():
    assert placed({**EMPTY, "theme": "dark"}, tab())["theme"] == "dark"


def test_in_cloud_the_panels_are_in_a_tab_of_their_own():
    person = {"id": "t", "title": "T", "panels": ["x"]}
    old = placed({"tabs": [person], "panels": []}, tab("churn", "a"), is_tabbed=True)
    body = placed(old, tab("churn", "b"), is_asked=True, is_tabbed=True)
    ids = [one["id"] for one in tab("churn", "b")["panels"]]
    assert body["tabs"] == [person, {"id": old["tabs"][1]["id"], "title": "churn", "panels": ids}]


def test_a_person_who_writes_at_the_same_time_keeps_what_was_written():
    placing = Placing(tab("churn", "a"), is_asked=True)
    placing.to_write(EMPTY)
    theirs = {"tabs": [], "panels": [of_a_person("mine")]}  # over ours, which they had not seen
    assert titles_of(placing.to_write(theirs)) == ["mine", "a"]


def test_a_person_who_takes_the_dashboard_meanwhile_has_it_alone():
    placing = Placing(tab(), is_asked=False)
    placing.to_write(EMPTY)
    assert placing.to_write({"tabs": [], "panels": [of_a_person("mine")]}) is None
    assert placing.is_left_alone


def test_changes_that_never_end_are_told():
    placing = Placing(tab(), is_asked=False)
    for _ in range(3):
        placing.to_write(EMPTY)
    with pytest.raises(DeliveryError, match="somebody else changes the dashboard"):
        placing.to_write(EMPTY)


@pytest.mark.parametrize("found", [None, [], {"tabs": []}, {"tabs": [], "panels": ["a"]}, {"tabs": {}, "panels": []}])
def test_what_is_no_dashboard_is_not_written_over(found):
    with pytest.raises(ValueError, match="isn't a dashboard of Evidently's"):
        Placing(tab(), is_asked=True).to_write(found)
