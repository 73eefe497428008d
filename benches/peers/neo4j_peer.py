"""Neo4j behind Bolt on loopback, without TLS: the driver in this process, the server in one of its own."""

import os
import socket
import subprocess
import sys

from neo4j import GraphDatabase
from peer import batches, edges, serve

FOLDER, JARS = sys.argv[1], sys.argv[2]
PATH = os.path.join(FOLDER, "neo4j")
HERE = os.path.dirname(os.path.abspath(__file__))
# Each hop is a MATCH of its own: within one, Neo4j wants the edges of a walk to be different ones.
TEXTS = {
    "nothing": "RETURN 1 + 0 * $start AS n",
    "out 1": "MATCH (a:Person {id: $start})-[:KNOWS]->(b) RETURN count(*) AS n",
    "out 2": "MATCH (a:Person {id: $start})-[:KNOWS]->(b) MATCH (b)-[:KNOWS]->(c) RETURN count(*) AS n",
    "out 3": "MATCH (a:Person {id: $start})-[:KNOWS]->(b) MATCH (b)-[:KNOWS]->(c) MATCH (c)-[:KNOWS]->(d) RETURN count(*) AS n",
    "in 2": "MATCH (a:Person {id: $start})<-[:KNOWS]-(b) MATCH (b)<-[:KNOWS]-(c) RETURN count(*) AS n",
}

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen(
    ["java", "-Xmx2g", "-cp", os.path.join(JARS, "*"), os.path.join(HERE, "Neo4jServer.java"), PATH, str(port)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
)
version = server.stdout.readline().strip()
if not version:
    sys.exit("the Neo4j server did not start")
driver = GraphDatabase.driver(f"bolt://127.0.0.1:{port}")
session = driver.session()


def run(text, **parameters):
    return session.run(text, parameters).consume()


def load(nodes, path):
    run("CREATE CONSTRAINT FOR (p:Person) REQUIRE p.id IS UNIQUE")
    for batch in batches(range(nodes)):
        run("UNWIND $ids AS id CREATE (:Person {id: id})", ids=batch)
    for batch in batches(edges(path)):
        run(
            "UNWIND $edges AS e MATCH (a:Person {id: e[0]}), (b:Person {id: e[1]}) CREATE (a)-[:KNOWS]->(b)",
            edges=[list(pair) for pair in batch],
        )
    # The data are in memory and in the log until a checkpoint, which this edition takes when it wants to.
    return None


def query(name, start):
    return session.run(TEXTS[name], {"start": start}).single()[0]


try:
    serve("Neo4j", version, load, query)
finally:
    driver.close()
    server.stdin.close()
    server.wait()
