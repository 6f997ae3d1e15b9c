"""Promise 30: bodies of any types, dates and zones, in any order and over several parts, are evaluated."""

import io
import json

import pyarrow as pa
import pytest
from kinds import JSON_KINDS, arrow_columns

from ..conftest import rows_trigger, service_config
from .conftest import numbered, wait_for_delivery
from .ledger import NUMBER, post

PROMISE = "30 types"
OF_PART, OF_BATCH = 15, 60  # rows


def of_arrow(column):
    def encode(label, rows):
        table = pa.table({NUMBER: [label] * rows, "value": column})
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue(), "application/vnd.apache.arrow.stream"

    return encode


def of_json(values):
    def encode(label, _):
        rows = [{NUMBER: label, "value": value} for value in values]
        return json.dumps(rows).encode(), "application/json"

    return encode


@pytest.mark.thorough
def test_a_column_whose_type_changes_with_each_post_costs_no_row_and_no_batch(
    make_daemon, ledger, audit, figures, rng, is_long
):
    encoders = [(of_arrow(column), len(column)) for _, column in arrow_columns()]
    encoders += [(of_json(values), len(values)) for values in JSON_KINDS.values()]
    collectors = {"main": numbered(rows_trigger(OF_BATCH), data_definition={"categorical_columns": [NUMBER]})}
    daemon = make_daemon(service_config(collectors, spill_rows=OF_PART), evaluates=True).start()
    for _ in range(5 if is_long else 1):
        for encode, rows in rng.sample(encoders, len(encoders)):
            assert post(daemon.http, ledger, "main", rows, encode) == 201
            figures.faults["bodies of other types"] += 1
    wait_for_delivery(daemon, collectors)
    assert daemon.client.get_failed("main") == []
    daemon.stop()
    figures.take(audit(daemon))
