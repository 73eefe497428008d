"""The social network in Neo4j."""

import sys

from neo4j_server import running
from social_bolt import answer

answer("Neo4j", running(sys.argv[1], sys.argv[2]))
