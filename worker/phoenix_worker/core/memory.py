"""What cannot be rebuilt from the exchange, for the symbol's next leader: money, halts, cool-downs, statistics.

Monotonic times mean nothing to another process, so durations are kept instead. If the memory is lost or of another
schema it fails closed: a position that is found cools down before it may grow, and halts are found again by what
caused them.
"""

import msgspec

from phoenix_worker.core.funding import Funding, Prediction
from phoenix_worker.core.grinding import Grinder
from phoenix_worker.core.losses import Losses
from phoenix_worker.core.pnl import Pnl
from phoenix_worker.core.state import State
from phoenix_worker.core.statistics import FORGOTTEN_AFTER_NS, Statistics
from phoenix_worker.core.switch import Switch
from phoenix_worker.core.vpin import Vpin

SCHEMA = 3


class Memory(msgspec.Struct, frozen=True):
    """`pnl` counts every trade up to `last_trade_id` and the `newer_trades`, and no other."""

    schema: int
    symbol: str
    revision: str
    pnl: Pnl
    last_trade_id: int
    newer_trades: list[int]
    statistics: Statistics
    vpin: Vpin
    prediction: Prediction
    funding: Funding
    grinder: Grinder
    cooldown_left_ns: int
    emergency: Switch
    halt: Switch
    second_writer: bool
    max_worst_case_ratio: float
    halted_day_ms: int
    halted_limit: int
    halted_reason: str
    stop_base: int
    resumed: bool
    """See `Losses`."""


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
    account, session, losses = state.account, state.session, state.losses
    return msgspec.msgpack.encode(
        Memory(
            SCHEMA,
            state.instrument.symbol,
            state.revision,
            # Without its beginning, the fills between a first memory and a crash would be nobody's.
            msgspec.structs.replace(account.pnl, began_ms=state.accounts_began_ms),
            account.position.last_trade_id,
            list(account.position.newer_trades),
            msgspec.structs.replace(
                state.statistics, heard_ns=state.statistics.heard_ns - state.now_ns, last_sample_ns=0
            ),
            msgspec.structs.replace(state.vpin.aged(state.now_ns), last_trade_id=0),
            msgspec.structs.replace(state.prediction, sampled_ns=0),
            state.funding.followed_by(Funding()),
            account.grinder.remembered(state.now_ns, account.orders),
            _cooldown_left_ns(state),
            session.emergency,
            session.halt,
            session.second_writer,
            account.counters.max_worst_case_ratio,
            losses.halted_day_ms,
            losses.halted_limit,
            losses.halted_reason,
            losses.stop_base,
            losses.resumed,
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
    account.pnl = memory.pnl
    account.grinder = memory.grinder.recalled(state.now_ns, observed_ns)
    state.funding = memory.funding.followed_by(state.funding)
    account.position.recall(memory.last_trade_id, memory.newer_trades)
    account.orders.recount()
    account.counters.max_worst_case_ratio = max(account.counters.max_worst_case_ratio, memory.max_worst_case_ratio)
    age_ns = max(0, age_ns)
    if age_ns <= FORGOTTEN_AFTER_NS and not state.statistics.warm:
        state.statistics = memory.statistics
        state.statistics.heard_ns += state.now_ns - age_ns
    if age_ns <= FORGOTTEN_AFTER_NS:
        _recall_flow(state, memory, age_ns)
    state.liquidation.cool_until(state.now_ns + memory.cooldown_left_ns - max(0, observed_ns))
    _restore_losses(state.losses, memory, resumed=not session.halt.on and session.halt.epoch > memory.halt.epoch)
    resumed_since = not session.emergency.on and session.emergency.epoch > memory.emergency.epoch
    session.second_writer = memory.second_writer and not resumed_since
    state.dirty = True
    return Forgotten(session.emergency.recall(memory.emergency), session.halt.recall(memory.halt))


def _recall_flow(state: State, memory: Memory, age_ns: int) -> None:
    """VPIN with its halt, which minutes alone would tell less sharply, and the funding that was expected."""
    own = state.vpin
    if len(memory.vpin.ring) >= len(own.ring):
        state.vpin = msgspec.structs.replace(
            memory.vpin.aged(age_ns - state.now_ns),
            day_volume=own.day_volume or memory.vpin.day_volume,
            last_trade_id=own.last_trade_id,
        )
    if memory.prediction.rate is not None:
        state.prediction = msgspec.structs.replace(memory.prediction, sampled_ns=state.now_ns - age_ns)


def _restore_losses(losses: Losses, memory: Memory, *, resumed: bool) -> None:
    """`resumed`: a person has resumed the symbol since."""
    losses.halted_day_ms, losses.halted_limit = memory.halted_day_ms, memory.halted_limit
    losses.halted_reason, losses.stop_base = memory.halted_reason, memory.stop_base
    losses.resumed = memory.resumed or (memory.halt.on and resumed)


def judge_unremembered(state: State) -> None:
    """The first truth without a memory: how long a position that it shows has been cooling down nobody knows, nor how
    often it has been ground within the hour.
    """
    if state.session.unremembered and state.account.position.steps:
        state.liquidation.cool_until(state.now_ns + state.parameters.guards.cooldown_ns)
        state.account.grinder.forgotten(state.now_ns, state.parameters.grinding.per_hour)
    state.session.unremembered = False


def _cooldown_left_ns(state: State) -> int:
    """While an emergency is being worked off its cool-down has yet to come: all of it is left."""
    if state.liquidation.active:
        return state.parameters.guards.cooldown_ns
    return max(0, state.liquidation.cooldown_until_ns - state.now_ns)
