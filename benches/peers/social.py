"""What the peers of the social benchmark share."""

import csv
import os
import threading
import time

from lines import Cannot
from lines import serve as answer


def rows(folder, name):
    """The rows of a file that the bench wrote: numbers, except for names."""
    with open(os.path.join(folder, f"{name}.csv"), newline="", encoding="ascii") as file:
        for row in csv.reader(file):
            yield [int(cell) if cell.lstrip("-").isdigit() else cell for cell in row]


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
    """`load(folder)` fills the engine; `query(name, parameters)` returns rows; `connect()` returns a query function for a thread of its own."""

    def able(function, *arguments):
        try:
            return function(*arguments)
        except Exception as error:
            raise Cannot(f"{type(error).__name__}: {error}") from error

    def filled(request):
        load(request["folder"])
        return {}

    answer(
        name,
        version,
        {
            "load": filled,
            "mixed": lambda request: {"rate": able(mixed, connect, request)},
            "query": lambda request: {"rows": able(query, request["query"], request["parameters"])},
        },
    )
