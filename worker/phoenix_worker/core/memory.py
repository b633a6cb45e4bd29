"""What cannot be rebuilt from the exchange, for the symbol's next leader: money, halts, cool-downs, statistics.

Monotonic times mean nothing to another process, so durations are kept instead. If the memory is lost or of another
schema it fails closed: a position that is found cools down before it may grow, and halts are found again by what
caused them.
"""

import msgspec

from phoenix_worker.core.pnl import Pnl
from phoenix_worker.core.state import State
from phoenix_worker.core.statistics import Statistics
from phoenix_worker.core.switch import Switch

SCHEMA = 2
STATISTICS_KEPT_NS = 60_000_000_000
"""Older statistics than this are of another market: they are read from klines instead."""


class Memory(msgspec.Struct, frozen=True):
    """`pnl` counts every trade up to `last_trade_id` and the `newer_trades`, and no other."""

    schema: int
    symbol: str
    revision: str
    pnl: Pnl
    last_trade_id: int
    newer_trades: list[int]
    statistics: Statistics
    cooldown_left_ns: int
    emergency: Switch
    halt: Switch
    second_writer: bool
    max_worst_case_ratio: float


class Forgotten(msgspec.Struct, frozen=True):
    """Which of the switches are remembered as higher than what is shared now."""

    emergency: bool
    halt: bool


class _Versioned(msgspec.Struct):
    schema: int


class ForeignMemoryError(ValueError):
    """A memory of another schema or symbol, or none at all."""


def remember(state: State) -> bytes:
    """The snapshot (msgpack)."""
    account, session = state.account, state.session
    return msgspec.msgpack.encode(
        Memory(
            SCHEMA,
            state.instrument.symbol,
            state.revision,
            # Without its beginning, the fills between a first memory and a crash would be nobody's.
            msgspec.structs.replace(account.pnl, began_ms=state.accounts_began_ms),
            account.position.last_trade_id,
            list(account.position.newer_trades),
            state.statistics,
            _cooldown_left_ns(state),
            session.emergency,
            session.halt,
            session.second_writer,
            account.counters.max_worst_case_ratio,
        )
    )


def read(data: bytes, symbol: str) -> Memory:
    """Raises `ForeignMemoryError` where these bytes are no memory of this symbol that this build can read."""
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


def restore(state: State, memory: Memory, age_ns: int, observed_ns: int) -> Forgotten:
    """Takes over what the last leader knew, in place of what this worker knew from leading before.

    `age_ns`, `observed_ns`: see `Restored`. A cool-down is shorter only by what was observed.
    """
    account, session = state.account, state.session
    session.unremembered = False
    account.pnl = memory.pnl.followed_by(account.pnl)
    account.position.recall(memory.last_trade_id, memory.newer_trades)
    account.orders.recount()
    account.counters.max_worst_case_ratio = max(account.counters.max_worst_case_ratio, memory.max_worst_case_ratio)
    age_ns = max(0, age_ns)
    if age_ns <= STATISTICS_KEPT_NS and not state.statistics.warm:
        state.statistics = memory.statistics
        state.statistics.last_sample_ns = 0
    state.liquidation.cool_until(state.now_ns + memory.cooldown_left_ns - max(0, observed_ns))
    resumed_since = not session.emergency.on and session.emergency.epoch > memory.emergency.epoch
    session.second_writer = memory.second_writer and not resumed_since
    state.dirty = True
    return Forgotten(session.emergency.recall(memory.emergency), session.halt.recall(memory.halt))


def judge_unremembered(state: State) -> None:
    """The first truth without a memory: how long a position that it shows has been cooling down nobody knows."""
    if state.session.unremembered and state.account.position.steps:
        state.liquidation.cool_until(state.now_ns + state.parameters.guards.cooldown_ns)
    state.session.unremembered = False


def _cooldown_left_ns(state: State) -> int:
    """While an emergency is being worked off its cool-down has yet to come: all of it is left."""
    if state.liquidation.active:
        return state.parameters.guards.cooldown_ns
    return max(0, state.liquidation.cooldown_until_ns - state.now_ns)
