"""A crowd: connections that POST numbered rows as fast as they are answered, in a process of its own.

Prints a JSON array: of each POST its label, when it was begun (monotonic), the seconds that it took, and the status, 0
for no answer. It imports nothing of the tests, as that would take longer than it runs.
"""

import asyncio
import itertools
import json
import sys
import time

PAUSE = 0.1  # after a refusal, or before a new connection


def request(collector, label, rows):
    body = json.dumps({"number": [label] * rows, "value": [0.5] * rows}).encode()
    head = ["Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([f"POST /{collector}/data HTTP/1.1", *head, "", ""]).encode() + body


async def exchange(reader, writer, sent):
    """Send a request and read its answer; returns the status, and whether the connection stays."""
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    await reader.readexactly(int(fields["content-length"]))
    return int(head.split(" ", 2)[1]), fields.get("connection") != "close"


async def post_over_one(port, collector, rows, labels, done, until):
    """POST over one connection until a time, or to the connection's end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stays = True
    while stays and time.monotonic() < until:
        label, begun = next(labels), time.monotonic()
        done[label] = (begun, 0, 0)
        status, stays = await exchange(reader, writer, request(collector, label, rows))
        done[label] = (begun, time.monotonic() - begun, status)
        if status != 201:
            await asyncio.sleep(PAUSE)
    writer.close()


async def post_in_turn(*arguments, until):
    """POST until a time, over one connection after the other."""
    while time.monotonic() < until:
        try:
            await post_over_one(*arguments, until)
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(PAUSE)


async def post_all(name, port, collector, rows, connections, seconds):
    done, labels = {}, (f"{name}-{number}" for number in itertools.count())
    until = time.monotonic() + float(seconds)
    arguments = (int(port), collector, int(rows), labels, done)
    await asyncio.gather(*(post_in_turn(*arguments, until=until) for _ in range(int(connections))))
    return [(label, *post) for label, post in done.items()]


if __name__ == "__main__":
    json.dump(asyncio.run(post_all(*sys.argv[1:])), sys.stdout)
