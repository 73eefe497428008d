"""Neo4j behind Bolt on loopback, without TLS: the driver in this process, the server in one of its own."""

import os
import socket
import subprocess
import sys

from neo4j import GraphDatabase
from social import batches, rows, serve, used

FOLDER, JARS = sys.argv[1], sys.argv[2]
PATH = os.path.join(FOLDER, "neo4j")
HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = {
    "q1": "MATCH (p:Person {id: $a}) RETURN p.name, p.age",
    "q2": "MATCH (p:Person {id: $a})-[:KNOWS]->(f) RETURN count(*)",
    "q3": "MATCH (p:Person {id: $a})-[:KNOWS]->(x) MATCH (x)-[:KNOWS]->(f) RETURN count(DISTINCT f)",
    "q4": "MATCH (p:Person {id: $a})-[:KNOWS]->(x) MATCH (x)-[:KNOWS]->(y) MATCH (y)-[:KNOWS]->(f) RETURN count(DISTINCT f)",
    "q5": "MATCH (p:Person) RETURN p.city AS city, count(*) AS n, avg(p.age) ORDER BY n DESC, city LIMIT 10",
    "q6": "MATCH (p:Person) WHERE p.age > 60 AND p.city = $city RETURN count(*)",
    "q7": "MATCH (p:Person)<-[:KNOWS]-() RETURN p.id AS id, count(*) AS n ORDER BY n DESC, id LIMIT 10",
    "q8": "MATCH (a:Person)-[:KNOWS]->(b:Person)-[:KNOWS]->(c:Person)-[:KNOWS]->(a) RETURN count(*)",
    "q9": "MATCH p = shortestPath((a:Person {id: $a})-[:KNOWS*1..15]->(b:Person {id: $b})) RETURN length(p)",
    "q10": "MATCH (p:Person {id: $a}) SET p.age = $age",
    "q11": "MATCH (a:Person {id: $a}), (b:Person {id: $b}) CREATE (a)-[:KNOWS {since: 2026}]->(b)",
    "q12": "MATCH (c:City) OPTIONAL MATCH (c)<-[:LIVES_IN]-(p:Person) WHERE p.age > 60 "
    "RETURN c.id AS id, count(p) AS n, avg(p.age) ORDER BY n DESC, id LIMIT 10",
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


def load(folder):
    for label in ["Person", "City", "Post"]:
        session.run(f"CREATE CONSTRAINT FOR (n:{label}) REQUIRE n.id IS UNIQUE").consume()
    nodes = {
        "people": "CREATE (:Person {id: r[0], name: r[1], age: r[2], city: r[3]})",
        "cities": "CREATE (:City {id: r[0], name: r[1]})",
        "posts": "CREATE (:Post {id: r[0], name: r[1]})",
    }
    edges = {"knows": ("Person", "KNOWS {since: r[2]}"), "likes": ("Post", "LIKES"), "lives_in": ("City", "LIVES_IN")}
    texts = dict(nodes)
    for name, (end, edge) in edges.items():
        texts[name] = f"MATCH (a:Person {{id: r[0]}}), (b:{end} {{id: r[1]}}) CREATE (a)-[:{edge}]->(b)"
    for name, text in texts.items():
        for batch in batches(rows(folder, name)):
            session.run(f"UNWIND $rows AS r {text}", rows=batch).consume()


def asking(session):
    def query(name, parameters):
        return [list(row.values()) for row in session.run(TEXTS[name], used(TEXTS[name], parameters))]

    return query


try:
    serve("Neo4j", version, load, asking(session), lambda: asking(driver.session()))
finally:
    driver.close()
    server.stdin.close()
    server.wait()
