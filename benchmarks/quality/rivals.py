"""The others: a fixed grid and the closed forms, as makers that speak the worker's words to the same exchange.

All keep the house's manners, so that quoting alone is compared: post-only, one order a slot, a keep band, requotes no
faster, the same position limit, never a fill beyond it if all that rests is filled.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import msgspec
from phoenix_cli.rehearsal.maker import IDLE_TICK_NS, Wish
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Cancel, FetchMinutes, Purpose, TimeInForce, WantedOrder
from phoenix_worker.core.events import Execution, Outcome, Request, Side
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.statistics import Statistics

from quality.closed_forms import avellaneda_stoikov, gueant_lehalle_fernandez_tapia

BPS = 1e-4
Slot = tuple[Side, int]
"""At most one order each: side, and a number of the policy's choice."""


class Seen(msgspec.Struct):
    """What a policy looks at. `sigma_bps` is per √s; `maker_fee_bps` as the exchange charges."""

    bid_ticks: int = 0
    ask_ticks: int = 0
    sigma_bps: float = 0.0
    position_steps: int = 0
    maker_fee_bps: float = 0.0

    @property
    def mid_ticks(self) -> float:
        return (self.bid_ticks + self.ask_ticks) / 2


class Policy(Protocol):
    """Where to quote: a price in ticks for each slot, before it is clamped to what does not cross."""

    def prices(self, seen: Seen) -> dict[Slot, float]: ...

    def on_fill(self, side: Side, price_ticks: int) -> None: ...


class ClosedForm:
    """One order a side at the distances of a paper, a maker's fee further out: with fills that come at A exp(−kδ), a
    cost c a fill moves the best distance by c.
    """

    def __init__(self, lot_steps: int) -> None:
        self._lot_steps = lot_steps

    def distances_bps(self, lots: float, sigma_bps: float) -> tuple[float, float]:
        raise NotImplementedError

    def prices(self, seen: Seen) -> dict[Slot, float]:
        bid, ask = self.distances_bps(seen.position_steps / self._lot_steps, seen.sigma_bps)
        mid = seen.mid_ticks
        return {
            (Side.BUY, 0): mid * (1 - BPS * (bid + seen.maker_fee_bps)),
            (Side.SELL, 0): mid * (1 + BPS * (ask + seen.maker_fee_bps)),
        }

    def on_fill(self, side: Side, price_ticks: int) -> None:
        pass


class AvellanedaStoikov(ClosedForm):
    def __init__(self, lot_steps: int, gamma: float, k: float, horizon_s: float) -> None:
        super().__init__(lot_steps)
        self._gamma, self._k, self._horizon_s = gamma, k, horizon_s

    def distances_bps(self, lots: float, sigma_bps: float) -> tuple[float, float]:
        return avellaneda_stoikov(lots, sigma_bps, self._gamma, self._k, self._horizon_s)


class Glft(ClosedForm):
    def __init__(self, lot_steps: int, gamma: float, k: float, a: float) -> None:
        super().__init__(lot_steps)
        self._gamma, self._k, self._a = gamma, k, a

    def distances_bps(self, lots: float, sigma_bps: float) -> tuple[float, float]:
        return gueant_lehalle_fernandez_tapia(lots, sigma_bps, self._gamma, self._k, self._a)


class FixedGrid:
    """Lines at fixed prices, `spacing_bps` apart, from where the market was first seen: bids on the nearest `lines`
    below the mid, asks on those above; the line that was traded last stays empty, so that each round trip earns a
    spacing.
    """

    def __init__(self, spacing_bps: float, lines: int) -> None:
        self._spacing_bps, self._lines = spacing_bps, lines
        self._anchor = self._spacing = 0.0
        self._empty: int | None = None

    def prices(self, seen: Seen) -> dict[Slot, float]:
        if not self._anchor:
            self._anchor = seen.mid_ticks
            self._spacing = self._anchor * BPS * self._spacing_bps
            self._empty = 0
        below = math.ceil((seen.mid_ticks - self._anchor) / self._spacing) - 1
        above = math.floor((seen.mid_ticks - self._anchor) / self._spacing) + 1
        bids = [line for line in range(below, below - self._lines - 1, -1) if line != self._empty][: self._lines]
        asks = [line for line in range(above, above + self._lines + 1) if line != self._empty][: self._lines]
        wanted = {(Side.BUY, line): self._price(line) for line in bids}
        return wanted | {(Side.SELL, line): self._price(line) for line in asks}

    def on_fill(self, side: Side, price_ticks: int) -> None:  # noqa: ARG002 - either side empties its line
        self._empty = round((price_ticks - self._anchor) / self._spacing)

    def _price(self, line: int) -> float:
        return self._anchor + line * self._spacing


class _Order(msgspec.Struct):
    """In a slot. `busy`: a request is on its way."""

    client_id: str
    side: Side
    price_ticks: int
    leaves_steps: int
    venue_id: int = 0
    busy: bool = True


class Rival:
    """A policy with manners. Times in ns, sizes in steps."""

    def __init__(
        self,
        policy: Policy,
        instrument: Instrument,
        *,
        size_steps: int,
        net_max_steps: int,
        keep_bps: float,
        requote_ns: int,
    ) -> None:
        self._policy = policy
        self._instrument = instrument
        self._size_steps, self._net_max_steps = size_steps, net_max_steps
        self._keep_bps, self._requote_ns = keep_bps, requote_ns
        self._seen = Seen()
        self._statistics = Statistics()
        self._slots: dict[Slot, _Order] = {}
        self._number = 0
        self._ticked_ns = self._requoted_ns = 0
        self._dirty = False

    @property
    def wake_ns(self) -> int:
        idle_ns = self._ticked_ns + IDLE_TICK_NS
        if self._dirty:
            return max(self._ticked_ns + 1, min(idle_ns, self._requoted_ns + self._requote_ns))
        return idle_ns

    @property
    def mode(self) -> str:
        return "normal"

    def start(self, now_ns: int, clock_offset_ns: int, fees_bps: tuple[float, float]) -> Sequence[Wish]:  # noqa: ARG002
        self._ticked_ns = now_ns
        self._seen.maker_fee_bps = fees_bps[0]
        return [FetchMinutes()]

    def on(self, event: ev.AnyEvent) -> Sequence[Wish]:
        match event:
            case ev.Touch():
                inverse = 1 / self._instrument.tick
                self._seen.bid_ticks, self._seen.ask_ticks = round(event.bid * inverse), round(event.ask * inverse)
                return self._requote(event.at)
            case ev.Tick():
                self._ticked_ns = event.at
                if self._seen.bid_ticks:
                    self._statistics.on_time(event.at, self._seen.mid_ticks * self._instrument.tick)
                return self._requote(event.at)
            case ev.Minutes():
                self._statistics.preload(event.closes, event.at)
            case ev.OrderReport():
                return self._on_report(event)
            case ev.Answer():
                return self._on_answer(event)
            case _:
                pass
        return []

    # ---- our orders ---------------------------------------------------------------------------------------------

    def _on_report(self, event: ev.OrderReport) -> Sequence[Wish]:
        told = event.order
        slot = self._slot_of(told.client_id)
        if event.fill is not None:
            self._seen.position_steps += event.fill.side * event.fill.qty_steps
            self._policy.on_fill(event.fill.side, told.price_ticks)
        if slot is not None:
            if not told.state.is_open:
                del self._slots[slot]
            elif event.execution is not Execution.NEW:
                order = self._slots[slot]
                order.price_ticks, order.leaves_steps = told.price_ticks, told.qty_steps - told.filled_steps
        return self._requote(event.at)

    def _on_answer(self, event: ev.Answer) -> Sequence[Wish]:
        slot = self._slot_of(event.client_id)
        if slot is not None:
            order = self._slots[slot]
            order.busy = False
            order.venue_id = event.venue_id or order.venue_id
            if event.outcome is not Outcome.CONFIRMED and (event.request is Request.PLACE or not order.venue_id):
                del self._slots[slot]
        return self._requote(event.at)

    def _slot_of(self, client_id: str) -> Slot | None:
        return next((slot for slot, order in self._slots.items() if order.client_id == client_id), None)

    # ---- quoting ------------------------------------------------------------------------------------------------

    def _requote(self, now_ns: int) -> Sequence[Wish]:
        seen = self._seen
        if not seen.bid_ticks or not self._statistics.warm:
            return []
        if now_ns - self._requoted_ns < self._requote_ns:
            self._dirty = True
            return []
        self._dirty = False
        seen.sigma_bps = self._statistics.sigma_1s * 1e4
        keep_ticks = self._keep_bps * BPS * seen.mid_ticks
        wanted = {slot: self._price(slot[0], price) for slot, price in self._policy.prices(seen).items()}
        wishes: list[Wish] = []
        for slot, order in self._slots.items():
            if slot not in wanted and not order.busy:
                order.busy = True
                wishes.append(Cancel(order.client_id, order.venue_id))
        for slot, price_ticks in wanted.items():
            live = self._slots.get(slot)
            if live is None:
                wishes += self._place(slot, price_ticks)
            elif not live.busy and abs(live.price_ticks - price_ticks) > keep_ticks:
                live.busy = True
                wishes.append(self._order(Request.AMEND, live, price_ticks))
        if wishes:
            self._requoted_ns = now_ns
        return wishes

    def _price(self, side: Side, price: float) -> int:
        """Bids down, asks up, and never through the other side's touch."""
        if side is Side.BUY:
            return min(math.floor(price), self._seen.ask_ticks - 1)
        return max(math.ceil(price), self._seen.bid_ticks + 1)

    def _place(self, slot: Slot, price_ticks: int) -> list[Wish]:
        side = slot[0]
        resting = sum(order.leaves_steps for order in self._slots.values() if order.side is side)
        if side * self._seen.position_steps + resting + self._size_steps > self._net_max_steps:
            return []
        self._number += 1
        order = self._slots[slot] = _Order(f"rival-{self._number}", side, price_ticks, self._size_steps)
        return [self._order(Request.PLACE, order, price_ticks)]

    def _order(self, request: Request, order: _Order, price_ticks: int) -> WantedOrder:
        return WantedOrder(
            request,
            order.client_id,
            order.side,
            price_ticks,
            self._size_steps,
            reduce_only=False,
            purpose=Purpose.QUOTE,
            layer=0,
            time_in_force=TimeInForce.POST_ONLY,
            venue_id=order.venue_id,
        )
