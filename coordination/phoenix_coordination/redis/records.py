"""State records and snapshots: what a worker tells, and what it wants back."""

import logging
from collections.abc import Mapping, Sequence

import msgspec

from phoenix_coordination.port import Snapshot
from phoenix_coordination.redis.client import Redis
from phoenix_coordination.redis.keys import AccountKeys, StartingKeys, identity_of
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.state import TTL_MS, ForeignSchemaError, StateRecord, decode, encode

SNAPSHOT_SCHEMA = 1

_log = logging.getLogger(__name__)


class Published(msgspec.Struct, frozen=True):
    """Every record that can be read, and why the others cannot."""

    records: list[StateRecord]
    problems: list[str]


async def publish(client: Redis, keys: AccountKeys, record: StateRecord, rate: float) -> None:
    """Replaces the holder's record, which then lives `TTL_MS` of the run's time; drops dead ones from the index.

    Says which account it is, too: a person finds it by its resource, also after Redis has forgotten everything, and of
    two accounts that have begun under one name in the same moment one finds out here.
    Raises `ResponseError` where that names another account, once the record is there: both are seen meanwhile.
    """
    await _put(client, keys, record, rate)
    await name_account(client, record.account, keys.account, rate)


async def announce(client: Redis, record: StateRecord, rate: float) -> None:
    """As `publish`, by the resource's name: for a worker that does not know the exchange's identity of it yet."""
    await _put(client, StartingKeys(record.account), record, rate)


async def take_back(client: Redis, record: StateRecord) -> None:
    """What was announced is over: the worker tells more elsewhere, or has ended."""
    keys = StartingKeys(record.account)
    key = keys.record(record.symbol, record.holder)
    async with client.pipeline(transaction=False) as pipeline:
        pipeline.execute_command("DEL", key)
        pipeline.execute_command("ZREM", keys.records, key)
        await pipeline.execute()


async def _put(client: Redis, keys: AccountKeys | StartingKeys, record: StateRecord, rate: float) -> None:
    key = keys.record(record.symbol, record.holder)
    lives_ms = _lives_ms(rate)
    seconds, micros = await client.execute_command("TIME")
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    async with client.pipeline(transaction=False) as pipeline:
        pipeline.execute_command("SET", key, encode(record), "PX", lives_ms)
        pipeline.execute_command("ZADD", keys.records, now_ms, key)
        pipeline.execute_command("ZREMRANGEBYSCORE", keys.records, "-inf", now_ms - lives_ms)
        await pipeline.execute()


async def name_account(client: Redis, resource: str, identity: str, rate: float) -> None:
    """Has the resource's `namespace/name` mean that account. `ResponseError`: it means another, which lives."""
    await call(client, Script.NAME, [identity_of(resource)], [identity, _lives_ms(rate)])


def _lives_ms(rate: float) -> int:
    return max(1, int(TTL_MS / rate))


async def read_records(client: Redis, keys: AccountKeys) -> Published:
    """The living records of the account."""
    return await published(client, await client.execute_command("ZRANGE", keys.records, 0, -1))


async def read_announced(client: Redis, accounts: Sequence[str]) -> dict[str, Published]:
    """By account (`namespace/name`), those of workers that do not know the exchange's identity of it yet; in two round
    trips. Accounts of which nothing is announced are left out.
    """
    async with client.pipeline(transaction=False) as pipeline:
        for account in accounts:
            pipeline.execute_command("ZRANGE", StartingKeys(account).records, 0, -1)
        found = dict(zip(accounts, await pipeline.execute(), strict=True))
    every = [name for names in found.values() for name in names]
    data = dict(zip(every, await client.execute_command("MGET", *every) if every else [], strict=True))
    told = {account: _decoded({name: data[name] for name in names}) for account, names in found.items()}
    return {account: published for account, published in told.items() if published.records or published.problems}


async def published(client: Redis, names: Sequence[bytes]) -> Published:
    """The records under these keys that still live."""
    found = await client.execute_command("MGET", *names) if names else []
    return _decoded(dict(zip(names, found, strict=True)))


def _decoded(found: Mapping[bytes, bytes | None]) -> Published:
    records, problems = [], []
    for name, data in found.items():
        if data is None:
            continue
        try:
            records.append(decode(data))
        except ForeignSchemaError as error:
            problems.append(f"{name.decode(errors='replace')}: {error}")
    return Published(records, problems)


async def save_snapshot(client: Redis, keys: AccountKeys, symbol: str, holder: str, snapshot: Snapshot) -> bool:
    """Keeps it; false where the lease is not the holder's under this token."""
    answer = await call(
        client,
        Script.SNAPSHOT,
        [keys.snapshot(symbol), keys.lease(symbol)],
        [holder, snapshot.token, SNAPSHOT_SCHEMA, snapshot.saved_wall_ns, snapshot.memory],
    )
    return bool(answer)


def snapshot_of(symbol: str, schema: bytes, token: bytes, saved_wall_ns: bytes, memory: bytes) -> Snapshot | None:
    """The stored memory; `None` where there is none, or none that this build can read, which the log tells."""
    if not schema and not memory:
        return None
    if schema != str(SNAPSHOT_SCHEMA).encode():
        _log.warning(
            "memory of %s has schema %s, this build reads %d: it is left out",
            symbol,
            schema.decode(errors="replace"),
            SNAPSHOT_SCHEMA,
        )
        return None
    try:
        return Snapshot(int(token), int(saved_wall_ns), memory)
    except ValueError:
        _log.warning("memory of %s was written by no worker: it is left out", symbol)
        return None
