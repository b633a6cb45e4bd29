"""The account's key is where it was put, and nowhere else: not where people look, not where workers meet, not in what a
crash leaves.
"""

import re
import signal
import zlib
from pathlib import Path

import pytest
from arena_worker import RECOVERS_WITHIN_S
from phoenix_cli.local.layout import write_private
from phoenix_simulator.api.public_keys import read_public_key
from phoenix_worker.runtime.recording import LENGTH_BYTES, MAGIC, SUFFIX
from private_keys import ed25519_pair

pytestmark = pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="looks at a process as Linux shows it")

PAGES = ("/state", "/metrics", "/readyz?verbose", "/livez", "/startupz")
NO_CORE = re.compile(rb"^Max core file size +0 +0 ", re.MULTILINE)


def hits(secrets: list[bytes], places: dict[str, bytes]) -> list[str]:
    return [name for name, content in places.items() if any(secret in content for secret in secrets)]


def below(directory: Path) -> dict[str, bytes]:
    """Every file, recordings unpacked."""
    return {str(path): unpacked(path) for path in directory.rglob("*") if path.is_file()}


def unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != SUFFIX:
        return content
    begins = len(MAGIC) + LENGTH_BYTES
    head = int.from_bytes(content[len(MAGIC) : begins], "big")
    return content + zlib.decompressobj().decompress(content[begins + head :])


async def replaced(arena) -> list[bytes]:
    """By one of the other kind: what of that must not be seen either."""
    private, public = ed25519_pair()
    server = arena.venue.server
    fresh = server.keys.issue(arena.venue.account, "pair", server.clock.now_ms(), public_key=read_public_key(public))
    credentials = arena.directory.credentials("arena")
    write_private(credentials / "privateKey", private)
    write_private(credentials / "apiKey", fresh.api_key)
    (credentials / "apiSecret").rename(credentials / "former")
    await arena.wait(lambda: arena.worker.said("key replaced"), "the new key is used", RECOVERS_WITHIN_S)
    return [fresh.api_key.encode(), private.splitlines()[1].encode()]


async def test_a_key_is_in_nothing_that_is_told_shared_kept_or_left_by_a_crash(arena):
    secrets = [arena.venue.api_secret.encode(), arena.venue.api_key.encode(), *await replaced(arena)]
    worker, process = arena.worker, Path(f"/proc/{arena.worker.process.pid}")
    told = {page: (await worker.get(page))[1].encode() for page in PAGES}
    told |= {name: process.joinpath(name).read_bytes() for name in ("cmdline", "environ")}
    assert NO_CORE.search(process.joinpath("limits").read_bytes())

    worker.signal(signal.SIGSEGV)
    assert await worker.ended() == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in worker.everything()

    await arena.redis.command("CONFIG", "SET", "rdbcompression", "no")
    await arena.redis.command("SAVE")
    shared = below(arena.redis.directory)
    credentials = arena.directory.credentials("arena")
    kept = {
        name: content
        for name, content in below(arena.directory.root).items()
        if not Path(name).is_relative_to(credentials)
    }
    assert b"ETHUSDT" in b"".join(shared.values())
    assert any(name.endswith(SUFFIX) and b"ETHUSDT" in content for name, content in kept.items())
    assert len(hits(secrets, below(credentials))) == 3, "found where it is"
    assert hits(secrets, told | shared | kept) == []
