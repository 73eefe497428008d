"""ArcadeDB behind Bolt on loopback, without TLS: the driver in this process, the server in one of its own.

The server is of the Python package for those who want it in their own process: that brings all of its jars and the Java that this release
needs, which is newer than Neo4j's."""

import contextlib
import importlib.util
import os
import secrets
import subprocess
import sys
import time

from lines import free_port
from neo4j import GraphDatabase
from neo4j.exceptions import ServiceUnavailable, TransientError

# As in the script that starts the server of a release.
JAVA = [
    "-Xmx2g",
    "--add-exports=java.management/sun.management=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/java.nio.channels.spi=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-modules=jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF8",
]


def start(folder, password):
    """A server and its port."""
    package = importlib.util.find_spec("arcadedb_embedded").submodule_search_locations[0]
    port = free_port()
    settings = {
        "server.rootPath": folder,
        "server.rootPassword": password,
        "server.mode": "production",
        "server.defaultDatabases": "social[root]",
        "server.httpIncomingHost": "127.0.0.1",
        "server.httpIncomingPort": free_port(),
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "bolt.host": "127.0.0.1",
        "bolt.port": port,
        # Every commit is synced to disk with its file's metadata, so that it is durable, as Geode's are; otherwise nothing is synced.
        "txWalFlush": 2,
    }
    os.makedirs(folder)
    server = subprocess.Popen(
        [
            os.path.join(package, "jre/bin/java"),
            *JAVA,
            *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
            "-cp",
            os.path.join(package, "jars/*"),
            "com.arcadedb.server.ArcadeDBServer",
        ],
        # It writes logs into the folder where it is.
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return server, port


def greeting(driver, server):
    """What the server says that it is, when it answers."""
    while server.poll() is None:
        try:
            with driver.session() as session:
                session.run("RETURN 1").consume()
            return driver.get_server_info().agent
        except (ServiceUnavailable, TransientError):  # It listens before it has made the database.
            time.sleep(0.1)
    sys.exit("the ArcadeDB server did not start")


@contextlib.contextmanager
def running(folder):
    """A driver and the server's version, until the block ends."""
    password = secrets.token_hex()
    server, port = start(os.path.join(folder, "arcadedb"), password)
    try:
        with GraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=("root", password)) as driver:
            # "Neo4j/5.26.0 compatible (ArcadeDB 26.10.2)"
            yield driver, greeting(driver, server).rpartition(" ")[2].rstrip(")")
    finally:
        server.terminate()
        server.wait()
