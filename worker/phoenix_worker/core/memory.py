"""What cannot be rebuilt from the exchange, kept across a restart: money that was made, halts, cool-downs, statistics.

Monotonic times mean nothing to the next process, so durations are kept instead. If the memory is lost or of another
schema it fails closed: a cool-down starts again, halts are found again by what caused them.
"""

import msgspec

from phoenix_worker.core.pnl import Pnl
from phoenix_worker.core.state import State
from phoenix_worker.core.statistics import Statistics

SCHEMA = 1
STATISTICS_KEPT_NS = 60_000_000_000
"""Older statistics than this are of another market: they are read from klines instead."""


class Memory(msgspec.Struct, frozen=True):
    schema: int
    symbol: str
    revision: str
    pnl: Pnl
    last_trade_id: int
    statistics: Statistics
    cooldown_left_ns: int
    halted: str
    second_writer: bool
    max_worst_case_ratio: float


class _Versioned(msgspec.Struct):
    schema: int


class ForeignMemoryError(ValueError):
    """A memory of another schema or symbol."""


def remember(state: State) -> bytes:
    """The snapshot (msgpack)."""
    account = state.account
    return msgspec.msgpack.encode(
        Memory(
            SCHEMA,
            state.instrument.symbol,
            state.revision,
            # Without its beginning, the fills between a first memory and a crash would be nobody's.
            msgspec.structs.replace(account.pnl, began_ms=state.accounts_began_ms),
            account.position.newest_trade_id,
            state.statistics,
            max(0, state.liquidation.cooldown_until_ns - state.now_ns),
            state.session.halted,
            state.session.second_writer,
            account.counters.max_worst_case_ratio,
        )
    )


def restore(state: State, data: bytes, age_ns: int) -> None:
    """Takes a memory over into a fresh engine. Raises `ForeignMemoryError`, and then nothing was taken."""
    memory = _decode(data, state.instrument.symbol)
    state.account.pnl = memory.pnl
    state.account.position.last_trade_id = memory.last_trade_id
    state.account.counters.max_worst_case_ratio = memory.max_worst_case_ratio
    state.session.halted = memory.halted
    state.session.second_writer = memory.second_writer
    if age_ns <= STATISTICS_KEPT_NS:
        state.statistics = memory.statistics
        state.statistics.last_sample_ns = 0
    left = memory.cooldown_left_ns - max(0, age_ns)
    if left > 0:
        state.liquidation.cooldown_until_ns = state.now_ns + left


def _decode(data: bytes, symbol: str) -> Memory:
    try:
        schema = msgspec.msgpack.decode(data, type=_Versioned).schema
        if schema != SCHEMA:
            raise ForeignMemoryError(f"snapshot of schema {schema}, this build reads {SCHEMA}")
        memory = msgspec.msgpack.decode(data, type=Memory)
    except msgspec.DecodeError as error:
        raise ForeignMemoryError(f"this is no snapshot: {error}") from None
    if memory.symbol != symbol:
        raise ForeignMemoryError(f"snapshot of {memory.symbol}, this worker trades {symbol}")
    return memory
