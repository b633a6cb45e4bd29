"""An order and the words it is described with; the values are the venue's own spellings."""

import copy
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Self

import msgspec


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for what adds to a long position, −1 for what adds to a short one."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"
    """Good till crossing: post-only."""
    GTD = "GTD"
    RPI = "RPI"
    """Retail price improvement: post-only, out of sight of the public book, and never met by an order of the API."""

    @property
    def is_post_only(self) -> bool:
        return self in {TimeInForce.GTX, TimeInForce.RPI}


class OrderStatus(StrEnum):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"

    @property
    def is_open(self) -> bool:
        return self is OrderStatus.NEW or self is OrderStatus.PARTIALLY_FILLED


class ExecutionType(StrEnum):
    """What happened to the order: `x` of ORDER_TRADE_UPDATE."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    CALCULATED = "CALCULATED"
    """A fill of a liquidation order."""
    EXPIRED = "EXPIRED"
    TRADE = "TRADE"
    AMENDMENT = "AMENDMENT"


class StpMode(StrEnum):
    """Self-trade prevention; the incoming order's mode decides."""

    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class PriceMatch(StrEnum):
    NONE = "NONE"
    OPPONENT = "OPPONENT"
    OPPONENT_5 = "OPPONENT_5"
    QUEUE = "QUEUE"
    QUEUE_5 = "QUEUE_5"
    QUEUE_10 = "QUEUE_10"
    QUEUE_20 = "QUEUE_20"

    @property
    def is_opponent(self) -> bool:
        """The price is taken from the other side of the book."""
        return self.value.startswith("OPPONENT")

    @property
    def level(self) -> int:
        """Which level's price, 1 = the best (meaningless for NONE)."""
        _, _, number = self.value.partition("_")
        return int(number or 1)


class PositionSide(StrEnum):
    """Which position an order is for: the only one (one-way mode), or one of the two of hedge mode."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"

    def is_closed_by(self, side: Side) -> bool:
        """Whether orders of this side can only reduce the position, as in hedge mode half of all do."""
        return (self is PositionSide.LONG and side is Side.SELL) or (self is PositionSide.SHORT and side is Side.BUY)


class ExpiryReason(IntEnum):
    """`er` of ORDER_TRADE_UPDATE."""

    NONE = 0
    SELF_TRADE_PREVENTION = 1
    IOC_REMAINDER = 2
    IOC_REMAINDER_SELF_TRADE = 3
    REDUCE_ONLY_DISPLACED = 4
    LIQUIDATION = 5
    DELISTING = 7
    MARKET_REMAINDER = 9


class ForcedBy(StrEnum):
    """Why the venue itself closed a position; the first two are `autoCloseType` of forceOrders."""

    LIQUIDATION = "LIQUIDATION"
    ADL = "ADL"
    SETTLEMENT = "SETTLEMENT"

    def client_order_id(self, order_id: int) -> str:
        """How the venue names such an order. An account has one of ADL at a time, as there."""
        match self:
            case ForcedBy.LIQUIDATION:
                return f"autoclose-{order_id}"
            case ForcedBy.ADL:
                return "adl_autoclose"
            case ForcedBy.SETTLEMENT:
                return f"settlement_autoclose-{order_id}"


class Order(msgspec.Struct):
    """One order of one account. Mutable inside the exchange; whoever is told about it gets a `snapshot`."""

    order_id: int
    account_id: str
    symbol: str
    client_order_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price_ticks: int
    """0 for market orders."""
    orig_steps: int
    reduce_only: bool
    """Asked for, or in hedge mode implied by what it closes."""
    stp_mode: StpMode
    price_match: PriceMatch
    good_till_ms: int
    """0 unless GTD."""
    created_ms: int
    updated_ms: int
    position_side: PositionSide = PositionSide.BOTH
    status: OrderStatus = OrderStatus.NEW
    executed_steps: int = 0
    cum_quote_e8: int = 0
    amend_count: int = 0
    expiry_reason: ExpiryReason = ExpiryReason.NONE
    forced_by: ForcedBy | None = None
    """None for the account's own orders."""

    @property
    def leaves_steps(self) -> int:
        """What is still to be filled."""
        return self.orig_steps - self.executed_steps

    def snapshot(self) -> Self:
        return copy.copy(self)


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """POST order after the wire's own checks (presence, format, enumerations)."""

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    """Required for LIMIT unless `price_match` is given (−1102); refused with MARKET (−1106)."""
    time_in_force: TimeInForce | None = None
    """Required for LIMIT (−1102), refused for MARKET (−1106)."""
    reduce_only: bool | None = False
    """None for what is neither true nor false (−4062)."""
    client_order_id: str | None = None
    """Generated (22 characters) where None."""
    position_side: PositionSide = PositionSide.BOTH
    stp_mode: StpMode = StpMode.EXPIRE_MAKER
    price_match: PriceMatch = PriceMatch.NONE
    good_till_ms: int = 0

    @property
    def only_reduces(self) -> bool:
        return self.reduce_only is True or self.position_side.is_closed_by(self.side)


class OrderRef(msgspec.Struct, frozen=True):
    """An order by the venue's id or the client's; the venue's wins where both are given."""

    order_id: int | None = None
    client_order_id: str | None = None


class AmendOrder(msgspec.Struct, frozen=True, kw_only=True):
    """PUT order. `quantity` is the new total, not the remainder."""

    symbol: str
    ref: OrderRef
    side: Side
    quantity: Decimal
    price: Decimal | None = None
    """Required unless `price_match` is given (−1102)."""
    price_match: PriceMatch = PriceMatch.NONE
    reduce_only: bool | None = None
    """Only validated (−5047)."""
    modify_id: int | None = None


class Amendment(msgspec.Struct, frozen=True):
    """A row of the amendment history of an order."""

    amendment_id: int
    order_id: int
    client_order_id: str
    symbol: str
    time_ms: int
    price_ticks_before: int
    price_ticks_after: int
    orig_steps_before: int
    orig_steps_after: int
    count: int
    modify_id: int | None
