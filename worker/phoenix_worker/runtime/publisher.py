"""The state record: how the engine's view, the files in force and the shell's meters look to the rest of the world."""

import os
import resource
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from phoenix_coordination.state import (
    SCHEMA,
    Activity,
    Ages,
    Configuration,
    EmergencyState,
    Halt,
    Latency,
    Pnl,
    Position,
    Prices,
    Quote,
    Quotes,
    Reason,
    RecentFill,
    Role,
    StateRecord,
    first_of,
)

from phoenix_worker.core.events import EmergencyLevel, Side
from phoenix_worker.core.instrument import Grid, Instrument
from phoenix_worker.core.view import LiveOrder, View
from phoenix_worker.runtime.build_info import build
from phoenix_worker.runtime.histogram import Histogram
from phoenix_worker.runtime.hot import InForce
from phoenix_worker.runtime.meters import Meters

_Word = TypeVar("_Word", bound=StrEnum)

_MONEY = Grid(1, 8)
_NOT_NEEDED_BY_A_STANDBY = frozenset({Reason.LEASE_NOT_HELD, Reason.DEAD_MAN_NOT_ARMED, Reason.NOT_RECONCILED})
_EMERGENCY_NAMES = {EmergencyLevel.NONE: "None", EmergencyLevel.HALT: "Halt", EmergencyLevel.FLATTEN: "Flatten"}


class Identity:
    """Who publishes: what does not change while the process lives."""

    def __init__(self, holder: str, installation: str, started_ns: int) -> None:
        self.holder = holder
        self.installation = installation
        self.started_ns = started_ns


class ReasonClock:
    """For how long the reason that is told has been told."""

    def __init__(self) -> None:
        self._reason: Reason | None = None
        self._since_ns = 0

    def age_ms(self, reason: Reason, now_ns: int) -> int:
        if reason is not self._reason:
            self._reason, self._since_ns = reason, now_ns
        return (now_ns - self._since_ns) // 1_000_000


def not_ready(view: View) -> list[Reason]:
    """What keeps the worker from its task: a standby needs to be warm, not to lead."""
    if view.role is Role.STANDBY:
        return [reason for reason in view.not_ready if reason not in _NOT_NEEDED_BY_A_STANDBY]
    return view.not_ready


def starting_record(
    identity: Identity, in_force: InForce, reason: Reason, detail: str, *, age_ms: int, now_ns: int, wall_ns: int
) -> StateRecord:
    """The record of a worker whose engine does not run yet, and why."""
    resolved = in_force.resolved
    return StateRecord(
        schema=SCHEMA,
        symbol=resolved.symbol,
        holder=identity.holder,
        namespace=resolved.namespace,
        maker=resolved.maker,
        account=resolved.account_name,
        installation=identity.installation,
        role=Role.STARTING,
        mode=resolved.mode,
        ready=False,
        reason=reason,
        reasons_not_ready=[reason],
        detail=detail,
        guard="normal",
        token=0,
        build=build(),
        fresh_connection_silent=False,
        published_ms=wall_ns // 1_000_000,
        configuration=_configuration(in_force),
        ages=Ages(reason=age_ms, running=(now_ns - identity.started_ns) // 1_000_000),
        activity=Activity(rss_mib=rss_mib()),
    )


def running_record(
    identity: Identity,
    in_force: InForce,
    view: View,
    instrument: Instrument,
    meters: Meters,
    reasons: ReasonClock,
    *,
    steward_unseen_ns: int | None,
    now_ns: int,
    wall_ns: int,
) -> StateRecord:
    """The record of a worker whose engine runs. `steward_unseen_ns`: see `Ages`."""
    resolved = in_force.resolved
    unready = not_ready(view)
    if unready:
        reason = first_of(unready)
    elif view.role is Role.STANDBY:
        reason = Reason.STANDBY
    else:
        reason = first_of(view.reasons)
    return StateRecord(
        schema=SCHEMA,
        symbol=resolved.symbol,
        holder=identity.holder,
        namespace=resolved.namespace,
        maker=resolved.maker,
        account=resolved.account_name,
        installation=identity.installation,
        role=view.role,
        mode=resolved.mode,
        ready=not unready,
        reason=reason,
        reasons_not_ready=unready,
        detail="" if reason is Reason.QUOTING else view.detail,
        guard=view.stance,
        token=view.token,
        build=build(),
        fresh_connection_silent=view.fresh_connection_silent,
        fresh_connection_refused=view.fresh_connection_refused,
        published_ms=wall_ns // 1_000_000,
        configuration=_configuration(in_force),
        emergency=EmergencyState(_EMERGENCY_NAMES[view.emergency], view.emergency_epoch, view.emergency_reason),
        halt=Halt(view.halt_epoch, view.halted),
        prices=_prices(view, instrument),
        quotes=_quotes(view, instrument),
        position=_position(view, instrument),
        pnl=_pnl(view, instrument),
        ages=Ages(
            book=_ms(view.book_age_ns),
            user=_ms(view.truth_age_ns),
            reason=reasons.age_ms(reason, now_ns),
            running=(now_ns - identity.started_ns) // 1_000_000,
            steward=_ms(steward_unseen_ns),
        ),
        activity=_activity(view, instrument, meters),
        recent_fills=_recent_fills(view, instrument),
    )


def rss_mib() -> float:
    """Resident memory of this process in MiB; where the system does not tell the present, the most that there was."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - once a second
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _configuration(in_force: InForce) -> Configuration:
    return Configuration(
        hash=in_force.hash,
        generation=in_force.generation,
        refused=in_force.refused,
        needs_restart=list(in_force.needs_restart),
    )


def _prices(view: View, instrument: Instrument) -> Prices:
    known = view.bid_ticks > 0 and view.ask_ticks > 0
    return Prices(
        bid=instrument.price.text(view.bid_ticks) if known else None,
        ask=instrument.price.text(view.ask_ticks) if known else None,
        mid=(view.bid_ticks + view.ask_ticks) / 2 * instrument.tick if known else None,
        mark=view.mark or None,
        sigma=view.sigma_1s,
        stddev_30m=view.stddev_30m,
        vpin=view.vpin,
        predicted_funding=view.predicted_funding_rate,
    )


def _quotes(view: View, instrument: Instrument) -> Quotes:
    def shown(order: LiveOrder) -> Quote:
        price, qty = instrument.price.text(order.price_ticks), instrument.quantity.text(order.leaves_steps)
        return Quote(price, qty, order.purpose)

    bids = sorted((o for o in view.orders if o.side is Side.BUY), key=lambda order: -order.price_ticks)
    asks = sorted((o for o in view.orders if o.side is Side.SELL), key=lambda order: order.price_ticks)
    return Quotes([shown(order) for order in bids], [shown(order) for order in asks])


def _recent_fills(view: View, instrument: Instrument) -> list[RecentFill]:
    return [
        RecentFill(
            "buy" if fill.side is Side.BUY else "sell",
            instrument.price.text(fill.price_ticks),
            instrument.quantity.text(fill.qty_steps),
            fill.maker,
            fill.time_ms,
        )
        for fill in reversed(view.recent_fills)
    ]


def _position(view: View, instrument: Instrument) -> Position:
    text = instrument.quantity.text
    return Position(
        qty=text(view.position_steps),
        entry_price=view.entry_price or None,
        net_max=text(view.net_max_steps),
        worst_case_long=text(view.worst_long_steps),
        worst_case_short=text(view.worst_short_steps),
        worst_case_limit=text(view.worst_case_limit_steps),
        max_worst_case_ratio=view.counters.max_worst_case_ratio,
        pending_buy=text(view.pending_buy_steps),
        pending_sell=text(view.pending_sell_steps),
    )


def _pnl(view: View, instrument: Instrument) -> Pnl:
    paid = {instrument.quote_asset: view.pnl.fees, **view.pnl.other_fees}
    return Pnl(
        realised=_MONEY.text(view.pnl.realised),
        unrealised=_MONEY.text(view.unrealised),
        fees=None if view.fees is None else _MONEY.text(view.fees),
        fees_by_asset={asset: _MONEY.text(amount) for asset, amount in paid.items() if amount},
        funding=_MONEY.text(view.funding),
        day=None if view.day_result is None else _MONEY.text(view.day_result),
        day_start_ms=view.day_start_ms,
        began_ms=view.accounts_began_ms,
    )


def _activity(view: View, instrument: Instrument, meters: Meters) -> Activity:
    counters, pnl = view.counters, view.pnl
    return Activity(
        market_events=counters.market_events,
        decisions=counters.decisions,
        orders_sent=counters.placed + counters.amended,
        orders_rejected=dict(counters.refusals),
        fills=pnl.fills,
        bought=instrument.quantity.text(pnl.bought_steps),
        sold=instrument.quantity.text(pnl.sold_steps),
        volume=_MONEY.text(pnl.volume),
        stale_episodes=view.stale_episodes,
        resyncs=counters.resyncs,
        stances_ms=_durations(view.tally.stances),
        reasons_ms=_durations(view.tally.reasons),
        tick_to_order_us=_latency(meters.tick_to_order),
        decision_us=_latency(meters.decision),
        rss_mib=rss_mib(),
    )


def _latency(histogram: Histogram) -> Latency:
    return Latency(histogram.quantile_us(0.5), histogram.quantile_us(0.99))


def _durations(spent_ns: Mapping[_Word, int]) -> dict[str, int]:
    return {word.value: ns // 1_000_000 for word, ns in spent_ns.items()}


def _ms(age_ns: int | None) -> int | None:
    return None if age_ns is None else age_ns // 1_000_000
