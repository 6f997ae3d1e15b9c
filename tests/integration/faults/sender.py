"""A program whose children share a client and a buffer that were used before: ``python sender.py URL METHOD RUN``.

Prints a JSON array of the labels that were sent as far as a child knows, and of those whose refusal it was told.
"""

import json
import multiprocessing
import sys

import pyarrow as pa

from collector.client import CollectorClient
from collector.errors import RequestRefused

CHILDREN, SENDS, EVENTS = 4, 20, 200


def label_of(run, child, kind, number):
    return f"{run}-{child}-{kind}-{number}"


def send(client, buffer, run, child, told):
    """Send frames, of which every fourth goes to nobody, and events, which are sent when the process ends."""
    for number in range(SENDS):
        label = label_of(run, child, "frame", number)
        try:
            client.send_data("main" if number % 4 else "nobody", pa.table({"number": [label], "value": [0.5]}))
        except RequestRefused:
            told.put((label, False))
        else:
            told.put((label, True))
    for number in range(EVENTS):
        buffer.send({"number": label_of(run, child, "event", number), "value": 0.5})


def main(url, method, run):
    context = multiprocessing.get_context(method)
    client = CollectorClient(url)
    buffer = client.buffered("main")
    told = context.SimpleQueue()
    send(client, buffer, run, CHILDREN, told)
    children = [context.Process(target=send, args=(client, buffer, run, child, told)) for child in range(CHILDREN)]
    for child in children:
        child.start()
    found = [told.get() for _ in range((CHILDREN + 1) * SENDS)]
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * CHILDREN
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
