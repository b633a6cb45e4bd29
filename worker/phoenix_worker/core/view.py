"""How the engine looks from outside: one frozen picture for probes, metrics, the state record and the screen.

Made on demand, never on the hot path. Prices in ticks, quantities in steps, money in 1e-8 quote, ages in ns.
"""

from collections.abc import Iterable

import msgspec
from phoenix_coordination.state import Reason, Role

from phoenix_worker.core.counters import Counters
from phoenix_worker.core.decision import not_ready, reference_price, worst_case_limit
from phoenix_worker.core.events import EmergencyLevel, Fill, Side, Stream
from phoenix_worker.core.fees import in_quote
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.markout import Markouts
from phoenix_worker.core.orders import Life, OwnOrder
from phoenix_worker.core.pnl import Pnl, unrealised
from phoenix_worker.core.reckoning import day_result, fees_paid, total_result
from phoenix_worker.core.session import OF_THE_LEASE, Session
from phoenix_worker.core.state import State
from phoenix_worker.core.tally import Stance, Tally


class LiveOrder(msgspec.Struct, frozen=True):
    """An order that rests or may rest; `leaves_steps` is what may still fill."""

    client_id: str
    side: Side
    layer: int
    purpose: str
    price_ticks: int
    leaves_steps: int
    life: Life


class View(msgspec.Struct, frozen=True):
    """`reasons` are all reasons against quoting, `not_ready` those of them that make the worker unready.

    `warm`: leading is all that is missing; `halt_epoch` and `emergency_epoch` are what a resume has to name;
    `reserved_*` is what the account's ledger has granted of `asked_*`.
    """

    role: Role
    reasons: list[Reason]
    not_ready: list[Reason]
    warm: bool
    detail: str
    mode: Mode
    stance: Stance
    bid_ticks: int
    ask_ticks: int
    mark: float
    funding_rate: float
    predicted_funding_rate: float | None
    vpin: float | None
    toxicity: float
    sigma_1s: float
    stddev_30m: float | None
    imbalance: float
    reservation_ticks: float | None
    half_spread_bps: float | None
    decay: float
    orders: list[LiveOrder]
    recent_fills: list[Fill]
    """Newest last."""
    position_steps: int
    entry_price: float
    net_max_steps: int
    worst_case_limit_steps: int
    worst_long_steps: int
    worst_short_steps: int
    pending_buy_steps: int
    pending_sell_steps: int
    reserved_buy_steps: int
    reserved_sell_steps: int
    asked_buy_steps: int
    asked_sell_steps: int
    pnl: Pnl
    accounts_began_ms: int | None
    """The exchange's time from which `pnl` and `funding` count; None while its clock is not known."""
    fees: int | None
    """All that `pnl` tells, in quote; None while one of them cannot be converted."""
    unrealised: int
    day_result: int | None
    """Since 00:00 UTC; None while it is not known."""
    day_start_ms: int
    total_result: int | None
    """Since the accounts began, all fees in quote; None while one of them cannot be converted."""
    daily_loss_max: int | None
    stop_loss: int | None
    markouts: Markouts
    funding: int
    funding_differences: int
    counters: Counters
    tally: Tally
    stale_episodes: int
    stale_seconds: float
    comparisons_failed: int
    token: int
    deadline_ns: int
    emergency: EmergencyLevel
    emergency_epoch: int
    emergency_reason: str
    halted: str
    halt_epoch: int
    liquidations: int
    grinds: int
    grinding: bool
    """A taker is alive, or its re-entry still to come or to be filled."""
    grind_saved: int | None
    """By what was bought back cheaper than it was sold, less all fees; None while a fee cannot be converted."""
    orders_left: int
    streams: dict[Stream, bool]
    book_age_ns: int | None
    truth_age_ns: int | None
    fresh_connection_silent: bool
    fresh_connection_refused: bool
    revision: str


def view(state: State) -> View:
    """The picture as of the last event."""
    now, session, account, book = state.now_ns, state.session, state.account, state.book
    unready = not_ready(state, now)
    return View(
        role=_role(session, truths=state.reconciliation.truths),
        reasons=sorted({*state.reasons, *unready}, key=lambda reason: reason.severity),
        not_ready=unready,
        warm=_warm(state, unready),
        detail=_detail(state),
        mode=state.mode,
        stance=state.tally.stance,
        bid_ticks=book.touch_bid,
        ask_ticks=book.touch_ask,
        mark=state.mark,
        funding_rate=state.funding_rate,
        predicted_funding_rate=state.prediction.rate,
        vpin=state.vpin.value(now, state.parameters.vpin),
        toxicity=state.vpin.widening(now, state.parameters.vpin),
        sigma_1s=state.statistics.sigma_1s,
        stddev_30m=state.statistics.stddev_30m,
        imbalance=book.imbalance,
        reservation_ticks=state.ladder.reservation_ticks if state.ladder else None,
        half_spread_bps=state.ladder.half_spread_bps if state.ladder else None,
        decay=state.ladder.decay if state.ladder else 1.0,
        orders=[_live(order) for order in account.orders.live()],
        recent_fills=list(account.recent_fills),
        position_steps=account.position.steps,
        entry_price=account.position.entry_price,
        net_max_steps=state.parameters.net_max_steps,
        worst_case_limit_steps=worst_case_limit(state),
        worst_long_steps=account.worst_long,
        worst_short_steps=account.worst_short,
        pending_buy_steps=account.orders.exposure(Side.BUY),
        pending_sell_steps=account.orders.exposure(Side.SELL),
        reserved_buy_steps=state.reservation.buy_granted,
        reserved_sell_steps=state.reservation.sell_granted,
        asked_buy_steps=state.reservation.buy_asked,
        asked_sell_steps=state.reservation.sell_asked,
        pnl=account.pnl,
        accounts_began_ms=state.accounts_began_ms if session.clock_known else None,
        fees=fees_paid(state),
        unrealised=unrealised(
            account.position.steps, account.position.entry_price, reference_price(state), state.instrument
        ),
        funding=state.funding.paid,
        funding_differences=state.funding.differences,
        day_result=day_result(state),
        day_start_ms=state.losses.day.start_ms,
        total_result=total_result(state),
        daily_loss_max=state.parameters.risk.daily_loss_max,
        stop_loss=state.parameters.risk.stop_loss,
        markouts=state.markouts,
        counters=account.counters,
        tally=state.tally,
        stale_episodes=state.freshness.episodes,
        stale_seconds=state.freshness.stale_seconds(now),
        comparisons_failed=state.reconciliation.mismatches,
        token=session.token,
        deadline_ns=session.deadline_ns,
        emergency=session.emergency.level,
        emergency_epoch=session.emergency.epoch,
        emergency_reason=session.emergency.reason,
        halted=_halted(state),
        halt_epoch=session.halt.epoch,
        liquidations=state.liquidation.orders,
        grinds=account.grinder.count,
        grinding=account.grinder.running,
        grind_saved=_grind_saved(state),
        orders_left=session.orders_left(now),
        streams=dict(session.streams),
        book_age_ns=now - state.freshness.last_frame_ns if state.freshness.last_frame_ns else None,
        truth_age_ns=now - state.reconciliation.last_truth_ns if state.reconciliation.last_truth_ns else None,
        fresh_connection_silent=state.silent_upstream,
        fresh_connection_refused=state.refused_upstream,
        revision=state.revision,
    )


def warm(state: State) -> bool:
    """`View.warm` alone, which is asked for after every tick."""
    return _warm(state, not_ready(state, state.now_ns))


def _warm(state: State, unready: Iterable[Reason]) -> bool:
    return OF_THE_LEASE.issuperset(unready) and state.statistics.warm


def _grind_saved(state: State) -> int | None:
    grinder = state.account.grinder
    fees = in_quote(grinder.fees, state.losses.rates, state.instrument.quote_asset)
    return None if fees is None else grinder.earned - fees


def _role(session: Session, truths: int) -> Role:
    if session.stopping:
        return Role.DRAINING
    if not session.token:
        return Role.STANDBY if session.reachable else Role.STARTING
    return Role.LEADING if truths else Role.STARTING


def _halted(state: State) -> str:
    """Why the symbol only reduces: until a person resumes it, or for the rest of the day."""
    if state.session.halt.on:
        return state.session.halt.reason
    losses = state.losses
    return losses.halted_reason if losses.halted(state.parameters.risk.daily_loss_max) else ""


def _detail(state: State) -> str:
    """The sentence behind the first reason, where there is one to tell."""
    session = state.session
    if session.stopping:
        return session.stopping
    if not session.reachable:
        return session.unreachable_reason
    if not state.freshness.fresh:
        return str(state.freshness.why or "no fresh price yet")
    if not state.reconciliation.reconciled:
        return state.reconciliation.why
    if session.emergency.on:
        return session.emergency.reason
    if halted := _halted(state):
        return halted
    if Reason.LOSS_UNKNOWN in state.reasons:
        return state.losses.unknown
    if Reason.RATE_LIMITED in state.reasons and state.now_ns >= session.blocked_until_ns:
        return "nothing is left of the orders that were granted: account and egress are shared by too many or too much"
    return ""


def _live(order: OwnOrder) -> LiveOrder:
    return LiveOrder(
        order.client_id,
        order.side,
        order.layer,
        order.purpose.value,
        order.pending_price or order.price_ticks,
        order.exposure_steps,
        order.life,
    )
