"""A Redis server of this machine's own, for local runs and tests: one directory, one socket for its owner alone.

It keeps an append-only file, so that a restart finds what was there, and never evicts.
"""

import os
import shutil
import sysconfig
from pathlib import Path

MISSING = (
    "no redis-server on this machine: install Redis 6.2 or newer, or Valkey (Debian, Ubuntu: apt install redis-server;"
    " macOS: brew install redis), or name a running one with --redis"
)
_PROGRAMS = ("redis-server", "valkey-server")
_LONGEST_SOCKET = 100
"""Bytes; the system's limit is 104 or 108."""


def find_server() -> Path | None:
    """The program beside this Python (where PATH had none new enough), else the one on PATH; `None`: neither."""
    places = (sysconfig.get_path("scripts"), os.environ.get("PATH"))
    for place in places:
        for program in _PROGRAMS:
            if found := shutil.which(program, path=place):
                return Path(found)
    return None


def server_socket(directory: Path) -> Path:
    """Where the server of the directory listens; raises `ValueError` where the system has no such long names."""
    socket = directory / "redis.sock"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET:
        raise ValueError(f"{socket} is too long for a socket: choose a shorter directory")
    return socket


def server_url(directory: Path) -> str:
    return f"unix://{server_socket(directory)}"


def server_arguments(program: Path, directory: Path) -> list[str]:
    """The command line of a server that keeps its data in the directory, which is its owner's alone (0700)."""
    return [
        *(str(program), "--port", "0", "--unixsocket", str(server_socket(directory)), "--unixsocketperm", "700"),
        *("--dir", str(directory), "--daemonize", "no", "--logfile", "", "--save", ""),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"),
    ]
