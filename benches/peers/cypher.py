"""The social network in the Cypher that several engines speak: queries by name, and what fills the graph."""

from lines import batches
from social import rows

LABELS = ["Person", "City", "Post"]
QUERIES = {
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
NODES = {
    "people": "CREATE (:Person {id: r[0], name: r[1], age: r[2], city: r[3]})",
    "cities": "CREATE (:City {id: r[0], name: r[1]})",
    "posts": "CREATE (:Post {id: r[0], name: r[1]})",
}
EDGES = {"knows": ("Person", "KNOWS {since: r[2]}"), "likes": ("Post", "LIKES"), "lives_in": ("City", "LIVES_IN")}


def fill(folder, run):
    """Calls `run(text, rows)` for each batch of nodes, then of edges."""
    texts = dict(NODES)
    for name, (end, edge) in EDGES.items():
        texts[name] = f"MATCH (a:Person {{id: r[0]}}), (b:{end} {{id: r[1]}}) CREATE (a)-[:{edge}]->(b)"
    for name, text in texts.items():
        for batch in batches(rows(folder, name)):
            run(f"UNWIND $rows AS r {text}", batch)
