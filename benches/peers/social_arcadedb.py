"""The social network in ArcadeDB."""

import sys

from arcadedb_server import running
from social_bolt import answer

answer("ArcadeDB", running(sys.argv[1]))
