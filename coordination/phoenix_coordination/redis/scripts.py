"""The atomic steps: Lua files beside this module, called by digest and loaded again after the server has lost them.

Each begins with `shared.lua`: how a field is read, and refused, is the same everywhere.
"""

import hashlib
from collections.abc import Sequence
from enum import Enum
from importlib import resources
from typing import Any

from redis import exceptions

from phoenix_coordination.redis.client import Redis


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


class Script(Enum):
    """One file each; its header says what it promises, and its keys and arguments."""

    BEAT = "beat"
    RELEASE = "release"
    RESERVE = "reserve"
    REBUILD = "rebuild"
    SETTLE = "settle"
    RAISE = "raise"
    MERGE = "merge"
    RESUME = "resume"
    DECLARE = "declare"
    SNAPSHOT = "snapshot"
    NAME = "name"
    ADMIT = "admit"
    SPEND = "spend"

    def __init__(self, name: str) -> None:
        self.source = _read("shared") + _read(name)
        self.digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


async def call(client: Redis, script: Script, keys: Sequence[str], arguments: Sequence[str | int | bytes]) -> Any:  # noqa: ANN401 - what Lua gives
    """Its answer. A server that does not know it did nothing, so that loading and calling again is the first call."""
    try:
        return await client.execute_command("EVALSHA", script.digest, len(keys), *keys, *arguments)
    except exceptions.NoScriptError:
        await client.execute_command("SCRIPT LOAD", script.source)
        return await client.execute_command("EVALSHA", script.digest, len(keys), *keys, *arguments)
