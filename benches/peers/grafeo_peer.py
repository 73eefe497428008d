"""Grafeo in process, with its files: batches of edges, and an index to find the start."""

import importlib.metadata
import os
import sys

import grafeo
from lines import batches
from peer import edges, folder_bytes, serve

PATH = os.path.join(sys.argv[1], "grafeo.db")
database = grafeo.GrafeoDB(PATH)
TEXTS = {
    "nothing": "RETURN 1 + 0 * $start AS n",
    "out 1": "MATCH (a:Person {id: $start})-[:KNOWS]->(b) RETURN count(*) AS n",
    "out 2": "MATCH (a:Person {id: $start})-[:KNOWS]->(b)-[:KNOWS]->(c) RETURN count(*) AS n",
    "out 3": "MATCH (a:Person {id: $start})-[:KNOWS]->(b)-[:KNOWS]->(c)-[:KNOWS]->(d) RETURN count(*) AS n",
    "in 2": "MATCH (a:Person {id: $start})<-[:KNOWS]-(b)<-[:KNOWS]-(c) RETURN count(*) AS n",
}


def load(nodes, path):
    ids = []
    for batch in batches(range(nodes)):
        ids += database.batch_create_nodes_with_props("Person", [{"id": number} for number in batch])
    database.create_property_index("id")
    for batch in batches(edges(path)):
        database.batch_create_edges([(ids[start], ids[end], "KNOWS") for start, end in batch])
    database.wal_checkpoint()
    return folder_bytes(PATH)


def query(name, start):
    row = list(database.execute(TEXTS[name], {"start": start}))[0]
    return row["n"] if isinstance(row, dict) else row[0]


serve("grafeo", importlib.metadata.version("grafeo"), load, query)
