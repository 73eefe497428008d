"""The small graph in Neo4j."""

import sys
from functools import partial

from lines import batches
from neo4j_server import running
from peer import edges, serve

# Each hop is a MATCH of its own: within one, Neo4j wants the edges of a walk to be different ones.
TEXTS = {
    "nothing": "RETURN 1 + 0 * $start AS n",
    "out 1": "MATCH (a:Person {id: $start})-[:KNOWS]->(b) RETURN count(*) AS n",
    "out 2": "MATCH (a:Person {id: $start})-[:KNOWS]->(b) MATCH (b)-[:KNOWS]->(c) RETURN count(*) AS n",
    "out 3": "MATCH (a:Person {id: $start})-[:KNOWS]->(b) MATCH (b)-[:KNOWS]->(c) MATCH (c)-[:KNOWS]->(d) RETURN count(*) AS n",
    "in 2": "MATCH (a:Person {id: $start})<-[:KNOWS]-(b) MATCH (b)<-[:KNOWS]-(c) RETURN count(*) AS n",
}


def load(session, nodes, path):
    def run(text, **parameters):
        session.run(text, parameters).consume()

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


def query(session, name, start):
    return session.run(TEXTS[name], {"start": start}).single()[0]


with running(sys.argv[1], sys.argv[2]) as (driver, version), driver.session() as session:
    serve("Neo4j", version, partial(load, session), partial(query, session))
