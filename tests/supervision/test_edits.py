"""Edits put together with what clients changed meanwhile."""

from worlds import collector, rows_trigger

from collector.config import CollectorServiceConfig
from collector.supervision.edits import FIXED_FIELDS, Changes, changes_between, merge


def service(*collectors, **fields):
    return CollectorServiceConfig(collectors={config.id: config for config in collectors}, **fields)


A, B, C = collector("a"), collector("b"), collector("c")
A2, B2 = collector("a", rows_trigger(2)), collector("b", rows_trigger(2))


def test_what_an_edit_changes_is_as_it_says():
    merged = merge(service(A2, C, spill_rows=7), base=service(A, B), running=service(A, B))
    assert merged == service(A2, C, spill_rows=7)


def test_what_an_edit_leaves_alone_stays_as_clients_made_it():
    merged = merge(service(A, B2), base=service(A, B), running=service(A2, B, C))
    assert merged == service(A2, B2, C)
    assert merge(service(A, B), base=service(A, B), running=service(B)) == service(B)


def test_what_holds_until_a_restart_is_not_taken():
    edited = service(data_dir="elsewhere", durability="power", evaluation_workers=3, spill_rows=7)
    merged = merge(edited, base=service(), running=service())
    assert merged == service(spill_rows=7)
    assert changes_between(service(), merged, edited) == Changes(
        settings=("spill_rows",), needs_restart=("data_dir", "durability", "evaluation_workers")
    )
    assert set(FIXED_FIELDS) <= set(CollectorServiceConfig.model_fields)


def test_changes_are_told_by_name():
    wanted = service(A2, C)
    assert changes_between(service(A, B), wanted, wanted) == Changes(added=("c",), changed=("a",), removed=("b",))
