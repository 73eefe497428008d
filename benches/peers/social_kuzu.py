"""Kuzu in process: COPY from CSV, its fast way in, and primary keys to find nodes."""

import os
import sys
import threading
import warnings

import kuzu
from social import serve, used

PATH = os.path.join(sys.argv[1], "kuzu.db")
database = kuzu.Database(PATH)
connection = kuzu.Connection(database)
TEXTS = {
    "q1": "MATCH (p:Person) WHERE p.id = $a RETURN p.name, p.age",
    "q2": "MATCH (p:Person)-[:KNOWS]->(f:Person) WHERE p.id = $a RETURN count(*)",
    "q3": "MATCH (p:Person)-[:KNOWS]->(x:Person)-[:KNOWS]->(f:Person) WHERE p.id = $a RETURN count(DISTINCT f.id)",
    "q4": "MATCH (p:Person)-[:KNOWS]->(x:Person)-[:KNOWS]->(y:Person)-[:KNOWS]->(f:Person) WHERE p.id = $a RETURN count(DISTINCT f.id)",
    "q5": "MATCH (p:Person) RETURN p.city AS city, count(*) AS n, avg(p.age) ORDER BY n DESC, city LIMIT 10",
    "q6": "MATCH (p:Person) WHERE p.age > 60 AND p.city = $city RETURN count(*)",
    "q7": "MATCH (p:Person)<-[:KNOWS]-(q:Person) RETURN p.id AS id, count(*) AS n ORDER BY n DESC, id LIMIT 10",
    "q8": "MATCH (a:Person)-[:KNOWS]->(b:Person)-[:KNOWS]->(c:Person)-[:KNOWS]->(a) RETURN count(*)",
    "q9": "MATCH p = (a:Person)-[:KNOWS* SHORTEST 1..15]->(b:Person) WHERE a.id = $a AND b.id = $b RETURN length(p)",
    "q10": "MATCH (p:Person) WHERE p.id = $a SET p.age = $age",
    "q11": "MATCH (a:Person), (b:Person) WHERE a.id = $a AND b.id = $b CREATE (a)-[:KNOWS {since: 2026}]->(b)",
    "q12": "MATCH (c:City) OPTIONAL MATCH (c)<-[:LIVES_IN]-(p:Person) WHERE p.age > 60 "
    "RETURN c.id AS id, count(p) AS n, avg(p.age) ORDER BY n DESC, id LIMIT 10",
}
# Only one transaction at a time may write; the others wait here.
writer = threading.Lock()
# Preparing by itself is deprecated, but it is the fastest way there is.
warnings.simplefilter("ignore", DeprecationWarning)


def load(folder):
    connection.execute("CREATE NODE TABLE Person(id INT64, name STRING, age INT64, city INT64, PRIMARY KEY(id))")
    connection.execute("CREATE NODE TABLE City(id INT64, name STRING, PRIMARY KEY(id))")
    connection.execute("CREATE NODE TABLE Post(id INT64, name STRING, PRIMARY KEY(id))")
    connection.execute("CREATE REL TABLE KNOWS(FROM Person TO Person, since INT64)")
    connection.execute("CREATE REL TABLE LIKES(FROM Person TO Post)")
    connection.execute("CREATE REL TABLE LIVES_IN(FROM Person TO City)")
    tables = [("Person", "people"), ("City", "cities"), ("Post", "posts"), ("KNOWS", "knows"), ("LIKES", "likes"), ("LIVES_IN", "lives_in")]
    for table, name in tables:
        connection.execute(f'COPY {table} FROM "{os.path.join(folder, name)}.csv"')
    connection.execute("CHECKPOINT")


def asking(connection):
    prepared = {}

    def query(name, parameters):
        if name not in prepared:
            prepared[name] = connection.prepare(TEXTS[name])
        if name in ("q10", "q11"):
            with writer:
                # The transaction ends with its result.
                connection.execute(prepared[name], used(TEXTS[name], parameters)).close()
            return []
        result = connection.execute(prepared[name], used(TEXTS[name], parameters))
        rows = []
        while result.has_next():
            rows.append(result.get_next())
        return rows

    return query


serve("kuzu", kuzu.__version__, load, asking(connection), lambda: asking(kuzu.Connection(database)))
