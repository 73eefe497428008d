"""Neo4j behind Bolt on loopback, without TLS: the driver in this process, the server in one of its own."""

import contextlib
import os
import subprocess
import sys

from lines import free_port
from neo4j import GraphDatabase

HERE = os.path.dirname(os.path.abspath(__file__))


@contextlib.contextmanager
def running(folder, jars):
    """A driver and the server's version, until the block ends."""
    port = free_port()
    server = subprocess.Popen(
        ["java", "-Xmx2g", "-cp", os.path.join(jars, "*"), os.path.join(HERE, "Neo4jServer.java"), os.path.join(folder, "neo4j"), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    version = server.stdout.readline().strip()
    if not version:
        sys.exit("the Neo4j server did not start")
    try:
        with GraphDatabase.driver(f"bolt://127.0.0.1:{port}") as driver:
            yield driver, version
    finally:
        server.stdin.close()
        server.wait()
