"""Kuzu in process: COPY from CSV, its fast way in, and a primary key to find the start."""

import os
import sys
import warnings

import kuzu
from peer import folder_bytes, serve

FOLDER = sys.argv[1]
PATH = os.path.join(FOLDER, "kuzu.db")
database = kuzu.Database(PATH)
connection = kuzu.Connection(database)
TEXTS = {
    "nothing": "RETURN 1 + 0 * $start",
    "out 1": "MATCH (a:Person)-[:KNOWS]->(b:Person) WHERE a.id = $start RETURN count(*)",
    "out 2": "MATCH (a:Person)-[:KNOWS]->(b:Person)-[:KNOWS]->(c:Person) WHERE a.id = $start RETURN count(*)",
    "out 3": "MATCH (a:Person)-[:KNOWS]->(b:Person)-[:KNOWS]->(c:Person)-[:KNOWS]->(d:Person) WHERE a.id = $start RETURN count(*)",
    "in 2": "MATCH (a:Person)<-[:KNOWS]-(b:Person)<-[:KNOWS]-(c:Person) WHERE a.id = $start RETURN count(*)",
}
prepared = {}
# Preparing by itself is deprecated, but it is the fastest way there is.
warnings.simplefilter("ignore", DeprecationWarning)


def load(nodes, path):
    people = os.path.join(FOLDER, "kuzu-people.csv")
    with open(people, "w", encoding="ascii") as file:
        file.writelines(f"{number}\n" for number in range(nodes))
    connection.execute("CREATE NODE TABLE Person(id INT64, PRIMARY KEY(id))")
    connection.execute("CREATE REL TABLE KNOWS(FROM Person TO Person)")
    connection.execute(f'COPY Person FROM "{people}"')
    connection.execute(f'COPY KNOWS FROM "{path}"')
    connection.execute("CHECKPOINT")
    return folder_bytes(PATH)


def query(name, start):
    if name not in prepared:
        prepared[name] = connection.prepare(TEXTS[name])
    return connection.execute(prepared[name], {"start": start}).get_next()[0]


serve("kuzu", kuzu.__version__, load, query)
