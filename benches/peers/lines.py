"""What every peer's program shares: JSON lines on stdin and stdout, rows in batches, ports for servers. Seconds are measured in here, so that the
pipe does not count."""

import json
import os
import socket
import sys
import time

BATCH = 10_000


class Cannot(Exception):
    """What an engine cannot be asked: an answer, too. Everything else that goes wrong ends the program."""


def batches(items):
    """Lists of BATCH items."""
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def serve(name, version, operations):
    """Answers until stdin ends: `operations` has a function of the request for each `op`, which returns what the answer holds."""

    # Engines print what they like; the protocol has the real stdout for itself.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(answer):
        out.write(json.dumps(answer) + "\n")

    say({"name": name, "version": version})
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        try:
            answer = operations[request["op"]](request)
        except Cannot as reason:
            answer = {"error": str(reason)[:300]}
        answer["seconds"] = time.perf_counter() - start
        say(answer)
