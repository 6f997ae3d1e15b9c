"""Promise 29: who names columns anew in each POST is stopped at the limit, after a kill too, and delays nobody."""

import json

from ..conftest import NEVER, rows_trigger, service_config
from .conftest import numbered, wait_for_delivery
from .ledger import json_body, post

PROMISE = "29 new columns"
LIMIT, OF_EACH = 300, 50  # columns of a batch, and new ones of a POST


def named_by(number):
    """Make a function that encodes rows with new columns."""

    def encode(label, rows):
        body, media_type = json_body(label, rows)
        new = {f"c{number}_{at}": [0.5] * rows for at in range(OF_EACH)}
        return json.dumps(json.loads(body) | new).encode(), media_type

    return encode


def test_new_names_in_each_post_end_at_the_limit_after_a_kill_too(make_daemon, ledger, audit, figures, is_long):
    collectors = {"wild": numbered(rows_trigger(NEVER)), "calm": numbered(rows_trigger())}
    config = service_config(collectors, limits={"max_columns": LIMIT}, spill_rows=4)
    daemon = make_daemon(config).start()
    for life in range(5 if is_long else 1):
        statuses = []
        for number in range(LIMIT // OF_EACH + 1):
            if number == 3:
                daemon.kill()
                daemon.start()
            statuses.append(post(daemon.http, ledger, "wild", 2, named_by(f"{life}_{number}")))
        # The number and the value have names too, so that the last but one is too much.
        assert statuses == [201] * (len(statuses) - 2) + [400, 400]
        assert post(daemon.http, ledger, "wild") == 201
        assert post(daemon.http, ledger, "calm") == 201
        wait_for_delivery(daemon, collectors)
        figures.faults["POSTs of new columns"] += statuses.count(201)
        figures.faults["that were too many"] += statuses.count(400)
    assert daemon.client.get_failed("wild") == []
    daemon.stop()
    figures.take(audit(daemon))
