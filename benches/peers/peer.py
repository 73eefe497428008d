"""What every peer's program shares: JSON lines on stdin and stdout. Seconds are measured in here, so that the pipe does not count."""

import csv
import json
import os
import sys
import time

BATCH = 10_000


def edges(path):
    """Pairs of numbers from the file that the bench wrote."""
    with open(path, newline="", encoding="ascii") as file:
        for start, end in csv.reader(file):
            yield int(start), int(end)


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


def folder_bytes(path):
    """What the files below a folder, or a file, occupy."""
    if os.path.isfile(path):
        return os.stat(path).st_blocks * 512
    files = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(os.stat(file).st_blocks * 512 for file in files)


def serve(name, version, load, query):
    """Answers until stdin ends. `load(nodes, path)` returns the bytes of the graph, or None; `query(name, start)` returns a number."""

    # Engines print what they like; the protocol has the real stdout for itself.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(answer):
        out.write(json.dumps(answer) + "\n")

    say({"name": name, "version": version})
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        if request["op"] == "load":
            answer = {"bytes": load(request["nodes"], request["edges"])}
        else:
            answer = {"answer": query(request["query"], request["start"])}
        answer["seconds"] = time.perf_counter() - start
        say(answer)
