"""One heartbeat at the server: everything that `beat.lua` answers, typed."""

import secrets
from typing import Any

import msgspec

from phoenix_coordination.order_id import MAX_TOKEN
from phoenix_coordination.port import EmergencyLevel, Snapshot
from phoenix_coordination.redis.client import Redis
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.lease import Asked
from phoenix_coordination.redis.records import snapshot_of
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.switches import Switch


class Beat(msgspec.Struct, frozen=True):
    """One instant at the server, in the life that `run` names.

    `standby`: another candidate is warm; `memory`: only with a lease that was taken. `saved`: which memory is kept (its
    token, and the wall time at which it was saved, in ns); nothing with a lease that is held. `declared`: what the
    account's resource says, beside the sticky `emergency`.
    """

    status: str
    token: int
    fingerprint: str
    standby: bool
    emergency: Switch
    halt: Switch
    generation: str
    rebuilt: bool
    ledger_epoch: int
    memory: Snapshot | None
    saved: tuple[str, str] | None
    run: str
    declared: EmergencyLevel


async def beat(
    client: Redis,
    keys: AccountKeys,
    symbol: str,
    holder: str,
    asked: Asked,
    *,
    highest: int,
    warm: bool,
    courtesy_ms: int,
) -> Beat:
    """Renews, takes or watches the symbol's lease. Raises what the world does to a connection (`FAULTS`)."""
    told: list[Any] = await call(
        client,
        Script.BEAT,
        [
            keys.lease(symbol),
            keys.emergency,
            keys.halt(symbol),
            keys.ledger,
            keys.warm(symbol),
            keys.snapshot(symbol),
        ],
        [
            *(holder, asked.token, asked.watched, highest, secrets.token_hex(8), MAX_TOKEN),
            *(int(warm), courtesy_ms, symbol),
        ],
    )
    status, token, fingerprint, standby, emergency, halt, (generation, rebuilt, epoch), memory, run, declared = told
    return Beat(
        status.decode(),
        int(token),
        fingerprint.decode(),
        bool(standby),
        Switch.read(keys.emergency, *emergency),
        Switch.read(keys.halt(symbol), *halt),
        generation.decode(),
        bool(rebuilt),
        int(epoch),
        snapshot_of(symbol, *memory) if status == b"taken" else None,
        (memory[1].decode(errors="replace"), memory[2].decode(errors="replace")) if memory else None,
        run.decode(),
        EmergencyLevel(int(declared)),
    )
