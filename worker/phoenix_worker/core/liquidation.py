"""Getting out: one tracked emergency order at a time, slice by slice, and a cool-down afterwards.

A slice goes out as a reduce-only market order; where the exchange refuses that, as a reduce-only limit order inside
its price band that takes what it can at once (IOC). What expires unfilled belongs to the next slice.
"""

import math

import msgspec

from phoenix_worker.core.actions import Purpose, TimeInForce, WantedOrder
from phoenix_worker.core.events import Request, Side
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.parameters import Guards

WAIT_FOR_CANCELS_NS = 500_000_000
"""How long the emergency waits for the quotes to be gone: resting reduce-only orders can make the venue refuse it."""
RETRY_NS = 1_000_000_000
"""The breath after an emergency order that was refused or got nothing: a storm of them would find no more."""
LIMIT_REACH = 0.005
"""How far through the touch the fallback limit may go (50 bps), inside the venue's own band."""


class Liquidation(msgspec.Struct):
    """`order_id` names the emergency order that is alive; `market_refused` sends the next slice as a limit."""

    active: bool = False
    since_ns: int = 0
    order_id: str = ""
    market_refused: bool = False
    not_before_ns: int = 0
    cooldown_until_ns: int = 0
    orders: int = 0
    tried_ns: int = 0
    tried_steps: int = 0
    """The position that the newest order was to close."""

    def judge(self, wanted: bool, now_ns: int, guards: Guards) -> None:
        """Enters and leaves; leaving waits for the emergency order's end and starts the cool-down."""
        if wanted and not self.active:
            self.active, self.since_ns = True, now_ns
        elif self.active and not wanted and not self.order_id:
            self.active = self.market_refused = False
            self.cooldown_until_ns = now_ns + guards.cooldown_ns

    def waits(self, now_ns: int, position_steps: int) -> bool:
        """Whether the next order has to: one is alive, was refused a moment ago, or has not moved the position."""
        in_vain = position_steps == self.tried_steps and now_ns < self.tried_ns + RETRY_NS
        return bool(self.order_id) or now_ns < self.not_before_ns or in_vain

    def cooling(self, now_ns: int) -> bool:
        return now_ns < self.cooldown_until_ns

    def cool_until(self, until_ns: int) -> None:
        """A cool-down that somebody else began: never shorter than our own."""
        self.cooldown_until_ns = max(self.cooldown_until_ns, until_ns)

    def ended(self, client_id: str) -> None:
        """The emergency order has come to its end, filled or not."""
        if client_id == self.order_id:
            self.order_id = ""

    def refused(self, client_id: str, now_ns: int, *, judged: bool) -> None:
        """It was not taken; the next one goes after a breath, as a limit where the exchange itself had judged it."""
        if client_id == self.order_id:
            self.order_id = ""
            self.market_refused = self.market_refused or judged
            self.not_before_ns = now_ns + RETRY_NS

    def next_slice(
        self,
        client_id: str,
        position_steps: int,
        slice_ratio: float,
        instrument: Instrument,
        touch: tuple[int, int],
        mark_ticks: float,
    ) -> WantedOrder | None:
        """The next emergency order; none while one is alive or nothing is left to close."""
        if self.order_id or not position_steps:
            return None
        side = Side.SELL if position_steps > 0 else Side.BUY
        held = abs(position_steps)
        # Round up: halving a position of one step must close it.
        qty = min(held, math.ceil(held * slice_ratio))
        price = self._limit_price(side, instrument, touch, mark_ticks) if self.market_refused else 0
        if not price:
            qty = min(max(qty, instrument.market_min_steps), held, instrument.market_max_steps)
        else:
            qty = min(max(qty, instrument.min_qty_steps), held, instrument.max_qty_steps)
        return self._order(client_id, side, price, qty)

    def sent(self, client_id: str, now_ns: int, position_steps: int) -> None:
        self.order_id, self.tried_ns, self.tried_steps = client_id, now_ns, position_steps
        self.orders += 1

    @staticmethod
    def _limit_price(side: Side, instrument: Instrument, touch: tuple[int, int], mark_ticks: float) -> int:
        """Through the touch (the mark, where no book is known), but within the venue's band of mark; 0 where neither is
        known: a market order is all that is left to be tried.
        """
        bid, ask = touch
        if not 0 < bid < ask:
            bid = ask = int(mark_ticks)
        if not bid:
            return 0
        if side is Side.BUY:
            price = int(ask * (1.0 + LIMIT_REACH))
            if mark_ticks > 0:
                price = min(price, int(mark_ticks * instrument.band_up))
            return min(price, instrument.max_price_ticks)
        price = int(bid * (1.0 - LIMIT_REACH)) + 1
        if mark_ticks > 0:
            price = max(price, int(mark_ticks * instrument.band_down) + 1)
        return max(price, instrument.min_price_ticks)

    @staticmethod
    def _order(client_id: str, side: Side, price: int, qty: int) -> WantedOrder:
        immediate = TimeInForce.IMMEDIATE
        return WantedOrder(
            Request.PLACE, client_id, side, price, qty, True, Purpose.LIQUIDATE, layer=-1, time_in_force=immediate
        )
