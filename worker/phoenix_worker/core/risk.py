"""The gate: it turns a wanted order into an `ApprovedOrder`, or into a refusal with its reason. There is no way
round it.

The order of the checks is the order in which reasons are told. Nothing is raised and nothing is changed but the room
that an approval takes up within the same pass.
"""

from enum import StrEnum

import msgspec

from phoenix_worker.core.actions import ApprovedOrder, Purpose, WantedOrder
from phoenix_worker.core.events import EmergencyLevel, Request, Side
from phoenix_worker.core.instrument import Instrument, SymbolStatus
from phoenix_worker.core.inventory import Mask

ORDERS_KEPT_FOR_REDUCING = 20
"""Of the account's order budget: quoting may not use up what getting out needs."""


class Denial(StrEnum):
    """Why the gate refused; a metric label and a log line."""

    LEASE = "lease"
    DEADLINE = "deadline"
    BLOCKED = "blocked"
    EMERGENCY = "emergency"
    BOOK = "book"
    USER_STREAM = "user-stream"
    SYMBOL = "symbol"
    MASK = "mask"
    GRID = "grid"
    NOTIONAL = "notional"
    WORST_CASE = "worst-case"
    RESERVATION = "reservation"
    PRICE_BAND = "price-band"
    SANE_BAND = "sane-band"
    WOULD_TAKE = "would-take"
    OWN_CROSS = "own-cross"
    OPEN_ORDERS = "open-orders"
    BUDGET = "budget"


# Every order passes here, and looking up a member of an enum costs more than comparing with it.
_BUY, _PLACE, _NO_EMERGENCY = Side.BUY, Request.PLACE, EmergencyLevel.NONE
_LIQUIDATE, _GRIND = Purpose.LIQUIDATE, Purpose.GRIND
_NOT_TRADING, _REDUCE_ONLY = SymbolStatus.NOT_TRADING, SymbolStatus.REDUCE_ONLY
_new, _set = object.__new__, object.__setattr__


class Pass(msgspec.Struct):
    """What the gate looks at during one decision. Exposures and counts grow with each approval of the pass.

    `longest` and `shortest` are the position at its worst for either side; `*_exposure` what is live, in flight or
    unknown; `*_granted` what the account's ledger admits. Prices of own orders are 0 where there is none.
    """

    now_ns: int
    trigger_ns: int
    token: int
    deadline_ns: int
    blocked_until_ns: int
    emergency: EmergencyLevel
    book_ok: bool
    user_ok: bool
    mask: Mask
    longest: int
    shortest: int
    buy_exposure: int
    sell_exposure: int
    worst_case_limit: int
    buy_granted: int
    sell_granted: int
    bid_ticks: int
    ask_ticks: int
    mark_ticks: float
    sane_band: float
    highest_own_buy: int
    lowest_own_sell: int
    open_orders: int
    orders_left: int


def approve(order: WantedOrder, added_steps: int, instrument: Instrument, facts: Pass) -> ApprovedOrder | Denial:
    """One order. `added_steps` is how much exposure it adds to its side (an amend: beyond what the order has
    already).
    """
    denial = (
        _session(order, facts)
        or _shape(order, instrument)
        or _exposure(order, added_steps, facts)
        or _price(order, instrument, facts)
        or _capacity(order, instrument, facts)
    )
    if denial is not None:
        return denial
    _take_room(order, added_steps, facts)
    approved = _new(ApprovedOrder)
    _set(approved, "order", order)
    _set(approved, "deadline_ns", facts.deadline_ns)
    _set(approved, "trigger_ns", facts.trigger_ns)
    return approved


def _session(order: WantedOrder, facts: Pass) -> Denial | None:
    """Who may send at all. Liquidation reduces, so it needs neither a fresh book nor a quiet account."""
    if not facts.token:
        return Denial.LEASE
    if facts.now_ns >= facts.deadline_ns:
        return Denial.DEADLINE
    if facts.now_ns < facts.blocked_until_ns:
        return Denial.BLOCKED
    if order.purpose is _LIQUIDATE and order.reduce_only:
        return None
    if facts.emergency is not _NO_EMERGENCY:
        return Denial.EMERGENCY
    if not facts.book_ok:
        return Denial.BOOK
    if not facts.user_ok:
        return Denial.USER_STREAM
    if not facts.mask.admits(order.side, order.purpose, order.reduce_only):
        return Denial.MASK
    return None


def _shape(order: WantedOrder, instrument: Instrument) -> Denial | None:
    """The venue's filters, exact because everything is on the grid by construction."""
    if instrument.status is _NOT_TRADING:
        return Denial.SYMBOL
    if instrument.status is _REDUCE_ONLY and not order.reduce_only:
        return Denial.SYMBOL
    if order.price_ticks == 0:
        within = instrument.market_min_steps <= order.qty_steps <= instrument.market_max_steps
        return None if within and order.reduce_only else Denial.GRID
    if not instrument.min_price_ticks <= order.price_ticks <= instrument.max_price_ticks:
        return Denial.GRID
    if not instrument.min_qty_steps <= order.qty_steps <= instrument.max_qty_steps:
        return Denial.GRID
    if not order.reduce_only and instrument.notional(order.price_ticks, order.qty_steps) < instrument.min_notional:
        return Denial.NOTIONAL
    return None


def _exposure(order: WantedOrder, added_steps: int, facts: Pass) -> Denial | None:
    """The worst case if everything fills at once, the order itself included; then the account's room.

    What adds nothing is let through, so that orders can shrink when the limit has been lowered; so is what only
    reduces. A sell is judged by the short side alone.
    """
    if added_steps <= 0 or _reduces(order, facts):
        return None
    if order.side is _BUY:
        if facts.longest + facts.buy_exposure + added_steps > facts.worst_case_limit:
            return Denial.WORST_CASE
        granted = facts.buy_granted - facts.buy_exposure
    else:
        if -facts.shortest + facts.sell_exposure + added_steps > facts.worst_case_limit:
            return Denial.WORST_CASE
        granted = facts.sell_granted - facts.sell_exposure
    return Denial.RESERVATION if added_steps > granted else None


def _reduces(order: WantedOrder, facts: Pass) -> bool:
    """Reduce-only on the side that shrinks the position: the venue itself will not let it turn."""
    return order.reduce_only and (facts.longest < 0 if order.side is _BUY else facts.shortest > 0)


def _price(order: WantedOrder, instrument: Instrument, facts: Pass) -> Denial | None:
    """The venue's band of mark, our own of mid, and never into the book or into ourselves; only what takes a part of a
    position off may take.
    """
    price = order.price_ticks
    if price == 0:
        return None
    if facts.mark_ticks > 0:
        buy = order.side is _BUY
        beyond = (
            price > facts.mark_ticks * instrument.band_up if buy else price < facts.mark_ticks * instrument.band_down
        )
        if beyond:
            return Denial.PRICE_BAND
    if order.purpose is _LIQUIDATE and order.reduce_only:
        return None
    mid = (facts.bid_ticks + facts.ask_ticks) / 2
    if abs(price - mid) > facts.sane_band * mid:
        return Denial.SANE_BAND
    if order.side is _BUY:
        takes, crosses = price >= facts.ask_ticks, 0 < facts.lowest_own_sell <= price
    else:
        takes, crosses = price <= facts.bid_ticks, facts.highest_own_buy >= price
    if takes and not (order.purpose is _GRIND and order.reduce_only):
        return Denial.WOULD_TAKE
    return Denial.OWN_CROSS if crosses else None


def _capacity(order: WantedOrder, instrument: Instrument, facts: Pass) -> Denial | None:
    if order.request is _PLACE and facts.open_orders >= instrument.max_open_orders:
        return Denial.OPEN_ORDERS
    kept = 0 if order.reduce_only else ORDERS_KEPT_FOR_REDUCING
    if facts.orders_left <= kept:
        return Denial.BUDGET
    return None


def _take_room(order: WantedOrder, added_steps: int, facts: Pass) -> None:
    facts.orders_left -= 1
    if order.request is _PLACE:
        facts.open_orders += 1
    if order.side is _BUY:
        facts.buy_exposure += added_steps
        facts.highest_own_buy = max(facts.highest_own_buy, order.price_ticks)
    else:
        facts.sell_exposure += added_steps
        if order.price_ticks:
            lowest = facts.lowest_own_sell
            facts.lowest_own_sell = min(lowest, order.price_ticks) if lowest else order.price_ticks
