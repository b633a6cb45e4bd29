"""Grinding: what a stuck position costs in a flat market is lowered, a little at a time.

A taker takes a share of the position off. Once all of its fill is known, a maker re-enters at a price that is better
than the taker's average by more than both fees, and for more than was taken: what was sold dear is bought back cheap.
An overlay beside the quotes of Pinning; the one rule by which a pinned position may grow again, and never beyond Block.
"""

import math

import msgspec
from phoenix_coordination import order_id

from phoenix_worker.core.actions import Purpose, TimeInForce, WantedOrder
from phoenix_worker.core.events import Fill, Request, Side
from phoenix_worker.core.fees import charge
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.orders import Life, OrderBook, OwnOrder
from phoenix_worker.core.parameters import Grinding, Parameters
from phoenix_worker.core.position import Position
from phoenix_worker.core.quoting import BPS, Target

LAYER = 1_000
"""The re-entry's slot, beside all layers of a ladder."""
MARGIN_BPS = 0.2
"""By how much the re-entry is better than what both fees cost, at least."""
HOUR_NS = 3_600_000_000_000
RETRY_NS = 1_000_000_000
"""The breath after a taker that the gate refused: it was never sent, so the interval does not count."""
_STUCK = (Mode.PIN, Mode.BLOCK)
_LEGS = (Purpose.GRIND, Purpose.REENTRY)
_KEPT_WHERE_IT_IS = 1 << 40


class Fees(msgspec.Struct, frozen=True):
    """What the exchange charges, in bps of notional; negative where it pays."""

    maker_bps: float
    taker_bps: float


class Grinder(msgspec.Struct):
    """The running grind and the accounts of all: `taken_*` is what its taker got, `regained_*` what came back for it.

    Saved is `earned` less `fees`. Earned is by how much each fill of a re-entry was better than the average at which
    the taker had traded a moment before: the re-entry is larger than the taker, so that this pays for both fees.
    """

    taker_id: str = ""
    """The taker, until it has ended and all of its fills are known."""
    running: bool = False
    """The taker is alive, or the re-entry is still to come or to be filled."""
    side: int = 0
    """Sign of the position that is, or was last, ground."""
    taken_steps: int = 0
    taken_money: int = 0
    regained_steps: int = 0
    regained_money: int = 0
    starts: list[int] = []
    """When takers were sent within the last hour, but for those that provably got nothing."""
    tried_ns: int | None = None
    """When the newest taker was sent, whatever came of it."""
    retry_ns: int = 0
    count: int = 0
    earned: int = 0
    fees: dict[str, int] = {}
    """Paid less received, by asset, in 1e-8 of its units."""
    left: dict[str, int] = {}
    """Orders of a grind that an earlier leader has left, with their venue ids (0: not known)."""

    # -- when --------------------------------------------------------------------------------------

    def judge(
        self, settings: Grinding, mode: Mode, position_steps: int, orders: OrderBook, instrument: Instrument
    ) -> None:
        """The taker's end, and that of the grind: nothing is regained for a position that is not stuck any more."""
        if not self.running:
            return
        if self.taker_id:
            order = orders.get(self.taker_id)
            if order is not None and (order.life is not Life.CLOSED or order.exposure_steps):
                return
            self.taker_id = ""
            if not self.taken_steps and self.starts:
                self.starts.pop()
        stuck = settings.enabled and mode in _STUCK and self.side * position_steps > 0
        self.running = stuck and (self._is_worth_an_order(settings, instrument) or bool(reentries(orders)))

    def _is_worth_an_order(self, settings: Grinding, instrument: Instrument) -> bool:
        """Whether what is still to be regained is as much as the exchange takes."""
        left = self.left_steps(settings)
        return left > 0 and left >= instrument.min_steps_at(round(self.average_ticks(instrument)))

    def due(
        self, now_ns: int, parameters: Parameters, mode: Mode, position_steps: int, deviation: float | None
    ) -> bool:
        """Whether a taker may go; the hour and the interval count from when the ones before were sent."""
        settings = parameters.grinding
        if self.taker_id or mode not in _STUCK or not is_flat(settings, deviation):
            return False
        if abs(position_steps) < settings.ratio * parameters.net_max_steps - 1e-9 or now_ns < self.retry_ns:
            return False
        if self.tried_ns is not None and now_ns < self.tried_ns + settings.interval_ns:
            return False
        return sum(start > now_ns - HOUR_NS for start in self.starts) < settings.per_hour

    # -- the taker ---------------------------------------------------------------------------------

    def sent(self, client_id: str, position_steps: int, now_ns: int) -> None:
        """A grind begins; the one before is over, and its re-entry confirmed as gone."""
        self.taker_id, self.running, self.side = client_id, True, 1 if position_steps > 0 else -1
        self.taken_steps = self.taken_money = self.regained_steps = self.regained_money = 0
        self.starts = [start for start in self.starts if start > now_ns - HOUR_NS] + [now_ns]
        self.tried_ns = now_ns
        self.left = {}

    def denied(self, now_ns: int) -> None:
        """The gate refused the taker."""
        self.retry_ns = now_ns + RETRY_NS

    # -- what came of it ---------------------------------------------------------------------------

    def leg_of(self, venue_id: int) -> Purpose | None:
        """What an order that an earlier leader has left is of a grind that is remembered; `None`: nothing."""
        for client_id, known in self.left.items():
            if known == venue_id and (ident := order_id.parse(client_id)) is not None:
                return Purpose(ident.purpose)
        return None

    def on_fill(self, fill: Fill, leg: Purpose | None, instrument: Instrument) -> None:
        """A fill that is told for the first time; of `leg`, the purpose of its order."""
        if leg not in _LEGS:
            return
        charge(self.fees, fill)
        if leg is Purpose.GRIND:
            self.count += not self.taken_steps
            self.taken_steps += fill.qty_steps
            self.taken_money += instrument.notional(fill.price_ticks, fill.qty_steps)
            return
        if self.taken_steps:
            before = self._earned()
            self.regained_steps += fill.qty_steps
            self.regained_money += instrument.notional(fill.price_ticks, fill.qty_steps)
            self.earned += self._earned() - before

    def _earned(self) -> int:
        """Of the running grind, rounded down; each fill adds by how much this has changed."""
        at_average = self.side * self.taken_money * self.regained_steps // self.taken_steps
        return at_average - self.side * self.regained_money

    # -- the re-entry ------------------------------------------------------------------------------

    def reentry(
        self,
        orders: OrderBook,
        parameters: Parameters,
        position: Position,
        fees: Fees,
        instrument: Instrument,
        touch: tuple[int, int],
    ) -> Target | None:
        """What should rest of it: the order that does, or a new one where none is left anywhere; `None`: nothing.

        While fills and account tell different positions the room is not known: nothing new is sent, what rests stays.
        """
        if self.taker_id or not self.running:
            return None
        side = Side(self.side)
        told_alike = position.by_account == position.by_fills
        beside = orders.exposure(side)
        if known := reentries(orders):
            (order, *more) = known
            if more or order.life is not Life.OPEN or order.layer != LAYER:
                return None
            fits = self.side * position.steps + beside <= block_steps(parameters)
            return self._target(side, order.price_ticks, order.exposure_steps) if fits or not told_alike else None
        if not told_alike:
            return None
        room = block_steps(parameters) - self.side * position.steps - beside
        qty = min(self.left_steps(parameters.grinding), room, instrument.max_qty_steps)
        price = self.reentry_ticks(parameters.grinding, fees, instrument, touch)
        return self._target(side, price, qty) if qty >= instrument.min_steps_at(price) else None

    def left_steps(self, settings: Grinding) -> int:
        """What is still to be regained."""
        return int(settings.reentry * self.taken_steps + 1e-9) - self.regained_steps

    def average_ticks(self, instrument: Instrument) -> float:
        """At which the taker has traded."""
        return self.taken_money / self.taken_steps / instrument.notional(1, 1)

    def reentry_ticks(self, settings: Grinding, fees: Fees, instrument: Instrument, touch: tuple[int, int]) -> int:
        """Better than the taker's average price by the offset, or by what both fees cost and a little; never taking."""
        average = self.average_ticks(instrument)
        better = BPS * max(settings.offset_bps, fees.taker_bps + fees.maker_bps + MARGIN_BPS)
        bid, ask = touch
        if self.side > 0:
            return max(min(math.floor(average * (1.0 - better)), ask - 1), instrument.min_price_ticks)
        return min(max(math.ceil(average * (1.0 + better)), bid + 1), instrument.max_price_ticks)

    @staticmethod
    def _target(side: Side, price_ticks: int, qty_steps: int) -> Target:
        return Target(side, LAYER, price_ticks, qty_steps, _KEPT_WHERE_IT_IS, False, Purpose.REENTRY)

    # -- memory ------------------------------------------------------------------------------------

    def remembered(self, now_ns: int, orders: OrderBook) -> "Grinder":
        """For the next leader: times as seen from now, and what may still be told of this grind's orders."""
        left = {order.client_id: order.venue_id for order in orders.orders.values() if order.purpose in _LEGS}
        return msgspec.structs.replace(self._seen_from(-now_ns), retry_ns=0, left=self.left | left)

    def recalled(self, now_ns: int, observed_ns: int) -> "Grinder":
        """As an earlier leader left it, so long ago at least. One more may have begun since: it counts."""
        grinder = self._seen_from(now_ns - max(0, observed_ns))
        grinder.starts.append(now_ns)
        grinder.tried_ns = now_ns
        return grinder

    def forgotten(self, now_ns: int, per_hour: int) -> None:
        """Nobody knows what was ground in the last hour: as much as may be."""
        self.starts, self.tried_ns = [now_ns] * per_hour, now_ns

    def named(self, client_id: str, venue_id: int) -> None:
        """The exchange tells the venue id of one of `left`."""
        if client_id in self.left:
            self.left[client_id] = venue_id

    def unresolved(self) -> list[str]:
        """Which of `left` have to be asked for."""
        return [client_id for client_id, venue_id in self.left.items() if not venue_id]

    def resolved(self) -> None:
        """The exchange has been asked: what it does not know does not exist."""
        self.left = {client_id: venue_id for client_id, venue_id in self.left.items() if venue_id}

    def _seen_from(self, shift_ns: int) -> "Grinder":
        return msgspec.structs.replace(
            self,
            starts=[start + shift_ns for start in self.starts],
            tried_ns=None if self.tried_ns is None else self.tried_ns + shift_ns,
            fees=dict(self.fees),
        )


def is_flat(settings: Grinding, deviation: float | None) -> bool:
    """Whether anything is ground at all in this market; a deviation that is not known yet is none to rely on."""
    return settings.enabled and deviation is not None and deviation < settings.deviation


def block_steps(parameters: Parameters) -> int:
    """How far a re-entry may bring the position: up to Block."""
    return int(parameters.guards.block_ratio * parameters.net_max_steps + 1e-9)


def reentries(orders: OrderBook) -> list[OwnOrder]:
    """Whatever is left of re-entries: resting, on the way, or with fills that have not been told."""
    return [order for order in orders.orders.values() if order.purpose is Purpose.REENTRY]


def taker_steps(position_steps: int, settings: Grinding, instrument: Instrument, pays_funding: bool) -> int:
    """Its share of the position, more of one that pays funding; what the exchange takes as one order."""
    held = abs(position_steps)
    share = int(held * settings.size * (settings.boost if pays_funding else 1.0) + 1e-9)
    least = max(instrument.min_qty_steps, instrument.market_min_steps)
    return min(max(share, least), held, instrument.max_qty_steps, instrument.market_max_steps)


def taker(
    client_id: str, position_steps: int, qty_steps: int, touch: tuple[int, int], settings: Grinding
) -> WantedOrder:
    """Takes at once what it can get no further from the touch than the re-entry's offset, which could not earn more
    back; the rest expires.
    """
    bid, ask = touch
    reach = BPS * settings.offset_bps
    if position_steps > 0:
        side, price = Side.SELL, math.ceil(bid * (1.0 - reach))
    else:
        side, price = Side.BUY, math.floor(ask * (1.0 + reach))
    return WantedOrder(
        Request.PLACE,
        client_id,
        side,
        price,
        qty_steps,
        True,
        Purpose.GRIND,
        layer=-1,
        time_in_force=TimeInForce.IMMEDIATE,
    )


def beside(targets: list[Target], room_steps: int) -> list[Target]:
    """The nearest of the reducing quotes that leave room for the taker: the venue refuses reduce-only orders that are
    together more than the position.
    """
    kept: list[Target] = []
    for target in targets:
        if target.qty_steps > room_steps:
            break
        kept.append(target)
        room_steps -= target.qty_steps
    return kept
