"""Values under our keys that no worker wrote: named before anything rests on them.

Scripts refuse what they read themselves. What they cannot name (Redis says that a type is wrong, and not of which key),
and what lies where a worker only writes, is found here.
"""

from collections.abc import Iterator

from phoenix_coordination.redis.client import Redis, RedisFaultError
from phoenix_coordination.redis.keys import OFFICE, AccountKeys, EgressKeys, identity_of

_HASH, _STRING, _SORTED = "hash", "string", "zset"
_NAMES = {_SORTED: "sorted set"}
NO_EXPIRY = -1
"""What `PTTL` answers of a value that stays."""


async def check_keys(
    client: Redis, keys: AccountKeys, symbol: str, holder: str, account: str, egress: EgressKeys | None
) -> None:
    """Raises `RedisFaultError` for the first of this worker's keys that holds something else than workers keep there.

    `account`: `namespace/name` of the resource; `egress` is `None` before it is known.
    """
    kept = list(_kept(keys, symbol, holder, account, egress))
    async with client.pipeline(transaction=False) as pipeline:
        for key, _ in kept:
            pipeline.execute_command("TYPE", key)
        pipeline.execute_command("PTTL", keys.rebuilding)
        *types, lock_ms = await pipeline.execute()
    for (key, ours), found in zip(kept, types, strict=True):
        there = found.decode() if isinstance(found, bytes) else str(found)
        if there not in (ours, "none"):
            raise RedisFaultError(
                f"{key} in Redis holds a foreign value ({_named(there)}, where workers keep a {_named(ours)}): "
                "move it away, it is not ours"
            )
    if int(lock_ms) == NO_EXPIRY:
        raise RedisFaultError(
            f"{keys.rebuilding} in Redis holds a foreign value (without an expiry, which each lock of a worker has): "
            "move it away, it is not ours"
        )


def _kept(
    keys: AccountKeys, symbol: str, holder: str, account: str, egress: EgressKeys | None
) -> Iterator[tuple[str, str]]:
    yield keys.emergency, _HASH
    yield keys.ledger, _HASH
    yield keys.rebuilding, _STRING
    yield keys.records, _SORTED
    yield keys.record(symbol, holder), _STRING
    yield keys.orders, _HASH
    yield keys.orders_speakers, _SORTED
    yield keys.orders_short, _SORTED
    for campaigned in (symbol, OFFICE):
        yield keys.lease(campaigned), _HASH
        yield keys.warm(campaigned), _SORTED
        yield keys.halt(campaigned), _HASH
        yield keys.snapshot(campaigned), _HASH
    if account:
        yield identity_of(account), _STRING
    if egress is not None:
        yield egress.weight, _HASH
        yield egress.weight_speakers, _SORTED
        yield egress.weight_short, _SORTED
        yield egress.makers, _HASH


def _named(kind: str) -> str:
    return _NAMES.get(kind, kind)
