"""A Redis that must not be trusted: one clear reason, readiness false, nothing sent, and it heals where that heals."""

import asyncio
import signal
from contextlib import asynccontextmanager

import pytest
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.server import server_socket
from phoenix_coordination.state import Reason

OF_THE_START = {"leverage.set", "marginType.set", "listenKey.start", "listenKey.keep"}
"""What the account's resource asks for while the account is flat, and the account's own stream: no order among it."""


async def stays_out(arena, worker, says):
    """Until the reason is told; then nothing of ours has reached the exchange."""
    record = await worker.until(
        lambda record: Reason.COORDINATION_UNREACHABLE in record.reasons_not_ready and says in record.detail,
        f"it says {says!r}",
    )
    assert not record.ready
    status, text = await worker.get("/readyz")
    assert status == 503
    assert text.startswith("CoordinationUnreachable: ")
    assert says in text
    assert text.count("\n") == 1
    assert arena.venue.accepted == []
    assert {item.operation for item in arena.venue.asked if item.changes} <= OF_THE_START
    assert worker.said("Traceback") == []


def keys(arena):
    return AccountKeys(arena.identity)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(
            lambda _: ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), "set it to noeviction", id="evicts"
        ),
        pytest.param(lambda _: ("REPLICAOF", "127.0.0.1", "1"), "Redis is a replica", id="a replica"),
        pytest.param(
            lambda arena: ("SET", keys(arena).lease(arena.symbol), "mine"), "move it away", id="a foreign lease"
        ),
        pytest.param(
            lambda arena: ("HSET", keys(arena).emergency, "level", "red"), "move it away", id="a foreign switch"
        ),
        pytest.param(lambda arena: ("SADD", keys(arena).ledger, "x"), "move it away", id="a foreign ledger"),
        pytest.param(
            lambda arena: ("SET", keys(arena).halt(arena.symbol), "x"), "move it away", id="a foreign risk halt"
        ),
    ],
)
async def test_a_redis_that_must_not_be_trusted_is_refused_in_one_sentence(open_arena, spoil, says):
    arena = await open_arena("ETHUSDT")
    await arena.redis.command(*spoil(arena))
    await stays_out(arena, await arena.start(), says)
    arena.worker.signal(signal.SIGTERM)
    assert await arena.worker.ended() == 0


async def test_what_was_refused_is_used_as_soon_as_it_may_be(open_arena):
    arena = await open_arena("ETHUSDT")
    await arena.redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await stays_out(arena, await arena.start(), "set it to noeviction")
    await arena.redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await arena.quoting()
    await arena.fill()
    await arena.ends_in_order()


async def test_a_wrong_password_is_named_and_never_shown(open_arena, tmp_path):
    arena = await open_arena("ETHUSDT")
    await arena.redis.demand("the-right-one")
    file = tmp_path / "redis-url"
    file.write_text(arena.redis.url.replace("unix://", "unix://:hunter2hunter2@"))
    worker = await arena.launch("ETHUSDT", redis=f"@{file}")
    await stays_out(arena, worker, "refuses the user name or password")
    assert worker.said("hunter2") == []
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0


@asynccontextmanager
async def seen_through(arena, told, instead):
    """The same server with something of what it tells replaced, at a port of its own; gives the URL."""

    async def copy(reader, writer, change):
        try:
            while data := await reader.read(65_536):
                writer.write(change(data))
                await writer.drain()
        except ConnectionError:
            pass  # the other end has gone: so does this
        finally:
            writer.close()

    async def serve(reader, writer):
        theirs, ours = await asyncio.open_unix_connection(str(server_socket(arena.redis.directory)))
        await asyncio.gather(
            copy(reader, ours, lambda data: data), copy(theirs, writer, lambda data: data.replace(told, instead))
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_an_old_version_is_refused(open_arena):
    arena = await open_arena("ETHUSDT")
    version = (await arena.redis.command("INFO", "server"))["redis_version"]
    old = "5" + version[1:]
    told, instead = (f"redis_version:{text}".encode() for text in (version, old))
    async with seen_through(arena, told, instead) as url:
        worker = await arena.launch("ETHUSDT", redis=url)
        await stays_out(arena, worker, f"Redis is {old}: use 6.2 or newer")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0


async def test_a_memory_of_another_schema_is_not_used_and_a_position_cools_down_first(arena):
    holding = arena.venue.server.exchange.account(arena.venue.account).holdings[arena.symbol]
    while not holding.position.steps:
        await arena.fill()
    arena.worker.signal(signal.SIGKILL)
    await arena.worker.ended()
    await arena.redis.command("HSET", keys(arena).snapshot(arena.symbol), "schema", "99")
    await arena.start()
    await arena.worker.until(lambda record: record.reason is Reason.COOLDOWN, "it cools down")
    assert arena.worker.said("nobody has left one")
    arena.worker.signal(signal.SIGTERM)
    assert await arena.worker.ended() == 0
    assert arena.venue.resting() == []
