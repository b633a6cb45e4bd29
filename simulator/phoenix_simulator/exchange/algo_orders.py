"""A conditional order: words, terms, and the condition itself. The values are the venue's own spellings."""

import copy
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Self

import msgspec

from phoenix_simulator.exchange.orders import PositionSide, PriceMatch, Side, StpMode, TimeInForce


class ConditionalType(StrEnum):
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"

    @property
    def becomes_limit(self) -> bool:
        return self in {ConditionalType.STOP, ConditionalType.TAKE_PROFIT}

    @property
    def may_close_position(self) -> bool:
        return self in {ConditionalType.STOP_MARKET, ConditionalType.TAKE_PROFIT_MARKET}

    def rises_for(self, side: Side) -> bool:
        """Whether the condition is met by a price at or above the trigger (else: at or below)."""
        takes_profit = self in {ConditionalType.TAKE_PROFIT, ConditionalType.TAKE_PROFIT_MARKET}
        return (side is Side.BUY) is not takes_profit


class WorkingType(StrEnum):
    """Which price the condition looks at."""

    CONTRACT_PRICE = "CONTRACT_PRICE"
    """Of the last public trade."""
    MARK_PRICE = "MARK_PRICE"


class AlgoStatus(StrEnum):
    NEW = "NEW"
    CANCELED = "CANCELED"
    TRIGGERING = "TRIGGERING"
    """The condition is met, the order is on its way to the matching engine."""
    TRIGGERED = "TRIGGERED"
    """The order is in the matching engine."""
    FINISHED = "FINISHED"
    """The order was filled, or ended otherwise."""
    REJECTED = "REJECTED"
    """The matching engine refused the order."""
    EXPIRED = "EXPIRED"


class NewAlgoOrder(msgspec.Struct, frozen=True, kw_only=True):
    """POST algoOrder after the wire's own checks (presence of the names, format, enumerations)."""

    symbol: str
    side: Side
    type: ConditionalType
    position_side: PositionSide = PositionSide.BOTH
    time_in_force: TimeInForce = TimeInForce.GTC
    quantity: Decimal | None = None
    price: Decimal | None = None
    price_match: PriceMatch = PriceMatch.NONE
    trigger_price: Decimal | None = None
    activate_price: Decimal | None = None
    callback_rate: Decimal | None = None
    """Percent."""
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    close_position: bool = False
    price_protect: bool = False
    reduce_only: bool = False
    client_algo_id: str | None = None
    stp_mode: StpMode = StpMode.EXPIRE_MAKER
    good_till_ms: int = 0


class AlgoRef(msgspec.Struct, frozen=True):
    """By the venue's id or the client's; the venue's wins where both are given."""

    algo_id: int | None = None
    client_algo_id: str | None = None


class AlgoOrder(msgspec.Struct):
    """One conditional order of one account. Whoever is told about it gets a `snapshot`."""

    algo_id: int
    account_id: str
    client_algo_id: str
    request: NewAlgoOrder
    trigger_e8: int
    """0 for a trailing stop."""
    activate_e8: int
    """0 unless a trailing stop waits for a price; then it begins to follow there."""
    created_ms: int
    updated_ms: int
    status: AlgoStatus = AlgoStatus.NEW
    triggered_ms: int = 0
    extreme_e8: int = 0
    """The best price since a trailing stop follows: lowest for a buy, highest for a sell; 0 before."""
    order_id: int = 0
    """Of the order in the matching engine; 0 before."""
    reject_reason: str = ""

    @property
    def symbol(self) -> str:
        return self.request.symbol

    def snapshot(self) -> Self:
        return copy.copy(self)

    def is_met_at(self, price_e8: int) -> bool:
        """Whether this price triggers the order. A trailing stop remembers what it saw."""
        request = self.request
        if request.callback_rate is not None:
            return self._follow(price_e8, Fraction(request.callback_rate) / 100)
        return price_e8 >= self.trigger_e8 if request.type.rises_for(request.side) else price_e8 <= self.trigger_e8

    def _follow(self, price_e8: int, callback: Fraction) -> bool:
        sign = self.request.side.sign
        if not self.extreme_e8:
            # A buy waits for the price to fall to where it is activated, a sell for it to rise there.
            if self.activate_e8 and (price_e8 - self.activate_e8) * sign > 0:
                return False
            self.extreme_e8 = price_e8
        elif (price_e8 - self.extreme_e8) * sign < 0:
            self.extreme_e8 = price_e8
        return (price_e8 - self.extreme_e8) * sign >= self.extreme_e8 * callback
