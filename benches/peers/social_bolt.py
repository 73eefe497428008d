"""The social network behind Bolt, which Neo4j's driver speaks."""

from functools import partial

from cypher import LABELS, QUERIES, fill
from neo4j.exceptions import TransientError
from social import serve, used

# How often a statement is sent at most. Of those that write beside each other a server may refuse all but one, and wants the others again:
# ArcadeDB does so by page.
TRIES = 100


def load(session, folder):
    for label in LABELS:
        session.run(f"CREATE CONSTRAINT FOR (n:{label}) REQUIRE n.id IS UNIQUE").consume()
    fill(folder, lambda text, batch: session.run(text, rows=batch).consume())


def asking(session):
    def query(name, parameters):
        text = QUERIES[name]
        for left in reversed(range(TRIES)):
            try:
                return [list(row.values()) for row in session.run(text, used(text, parameters))]
            except TransientError as error:
                # What took too much memory once takes it again.
                if not left or "OutOfMemory" in error.code:
                    raise

    return query


def answer(name, running):
    """`running` is a context of a driver and the server's version."""
    with running as (driver, version), driver.session() as session:
        serve(name, version, partial(load, session), asking(session), lambda: asking(driver.session()))
