"""The social network in Neo4j."""

import sys
from functools import partial

from lines import batches
from neo4j_server import running
from social import rows, serve, used

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


def load(session, folder):
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


with running(sys.argv[1], sys.argv[2]) as (driver, version), driver.session() as session:
    serve("Neo4j", version, partial(load, session), asking(session), lambda: asking(driver.session()))
