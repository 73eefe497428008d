"""What the peers of the social benchmark share: their files, and JSON lines on stdin and stdout. Seconds are measured in here, so that the pipe
does not count."""

import csv
import json
import os
import sys
import threading
import time

BATCH = 10_000


def rows(folder, name):
    """The rows of a file that the bench wrote: numbers, except for names."""
    with open(os.path.join(folder, f"{name}.csv"), newline="", encoding="ascii") as file:
        for row in csv.reader(file):
            yield [int(cell) if cell.lstrip("-").isdigit() else cell for cell in row]


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


def used(text, parameters):
    """The parameters that a text names: some engines refuse others."""
    return {name: value for name, value in parameters.items() if f"${name}" in text}


def mixed(connect, request):
    """Statements a second of several threads, each with `connect()`'s function of a name and parameters."""
    until = time.perf_counter() + request["run"]
    counts = [0] * request["clients"]
    failures = []

    def work(client):
        try:
            ask(client)
        except Exception as error:  # A thread that ends early would make the rate too low.
            failures.append(error)

    def ask(client):
        query = connect()
        done = client
        while time.perf_counter() < until:
            a, b, age, city = request["choices"][done % len(request["choices"])]
            query(request["mix"][done % len(request["mix"])], {"a": a, "b": b, "age": age, "city": city})
            done += 1
        counts[client] = done - client

    threads = [threading.Thread(target=work, args=(client,)) for client in range(request["clients"])]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.perf_counter() - start)


def serve(name, version, load, query, connect):
    """Answers until stdin ends. `load(folder)` fills the engine; `query(name, parameters)` returns rows; `connect()` returns a query function
    for a thread of its own, or is None when the engine has none."""

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
            if request["op"] == "load":
                load(request["folder"])
                answer = {}
            elif request["op"] == "mixed":
                answer = {"rate": mixed(connect, request) if connect else None}
            else:
                answer = {"rows": query(request["query"], request["parameters"])}
        except Exception as error:  # What an engine cannot do is an answer, too.
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answer["seconds"] = time.perf_counter() - start
        say(answer)
