"""Grafeo in process, with its files: batches of nodes and edges, and an index to find nodes."""

import importlib.metadata
import os
import sys

import grafeo
from lines import batches
from social import rows, serve, used

PATH = os.path.join(sys.argv[1], "grafeo.db")
database = grafeo.GrafeoDB(PATH)
TEXTS = {
    "q1": "MATCH (p:Person {id: $a}) RETURN p.name, p.age",
    "q2": "MATCH (p:Person {id: $a})-[:KNOWS]->(f) RETURN count(*)",
    "q3": "MATCH (p:Person {id: $a})-[:KNOWS]->(x)-[:KNOWS]->(f) RETURN count(DISTINCT f)",
    "q4": "MATCH (p:Person {id: $a})-[:KNOWS]->(x)-[:KNOWS]->(y)-[:KNOWS]->(f) RETURN count(DISTINCT f)",
    "q5": "MATCH (p:Person) RETURN p.city AS city, count(*) AS n, avg(p.age) AS age ORDER BY n DESC, city LIMIT 10",
    "q6": "MATCH (p:Person) WHERE p.age > 60 AND p.city = $city RETURN count(*)",
    "q7": "MATCH (p:Person)<-[:KNOWS]-(q) RETURN p.id AS id, count(*) AS n ORDER BY n DESC, id LIMIT 10",
    # 0.6.0 panics on triangles of a large graph, and enumerates walks for shortest paths; what it cannot do is left out.
    "q10": "MATCH (p:Person {id: $a}) SET p.age = $age",
    "q11": "MATCH (a:Person {id: $a}), (b:Person {id: $b}) INSERT (a)-[:KNOWS {since: 2026}]->(b)",
    "q12": "MATCH (c:City) OPTIONAL MATCH (c)<-[:LIVES_IN]-(p:Person) WHERE p.age > 60 "
    "RETURN c.id AS id, count(p) AS n, avg(p.age) AS age ORDER BY n DESC, id LIMIT 10",
}


def load(folder):
    ids = {}
    nodes = {"people": ("Person", ["id", "name", "age", "city"]), "cities": ("City", ["id", "name"]), "posts": ("Post", ["id", "name"])}
    for name, (label, keys) in nodes.items():
        ids[name] = []
        for batch in batches(rows(folder, name)):
            ids[name] += database.batch_create_nodes_with_props(label, [dict(zip(keys, row)) for row in batch])
    database.create_property_index("id")
    for name, edge, ends in [("knows", "KNOWS", "people"), ("likes", "LIKES", "posts"), ("lives_in", "LIVES_IN", "cities")]:
        for batch in batches(rows(folder, name)):
            # Its batches have no properties; the queries read none.
            database.batch_create_edges([(ids["people"][row[0]], ids[ends][row[1]], edge) for row in batch])
    database.wal_checkpoint()


def query(name, parameters):
    text = TEXTS[name]
    found = list(database.execute(text, used(text, parameters)))
    return [list(row.values()) if isinstance(row, dict) else list(row) for row in found]


serve("grafeo", importlib.metadata.version("grafeo"), load, query, lambda: query)
