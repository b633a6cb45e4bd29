"""What the venue's documentation leaves open, as choices: a client must be right under each of them."""

from enum import Enum
from typing import Literal

import msgspec

from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.orders import ExecutionType, OrderStatus

StrayTimeInForceCode = Literal[-1106, -1114]
CancelBatchSizeCode = Literal[-4032, -1130]


class FillEvent(Enum):
    """The private events of one fill."""

    TRADE_LITE = "trade_lite"
    OPENING = "opening"
    """NEW, or AMENDMENT where an amendment took at once; only before the first fill."""
    ACCOUNT = "account"
    TRADE = "trade"


class OrderEnd(Enum):
    """How an order ends that nobody has cancelled by its id."""

    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def outcome(self) -> tuple[ExecutionType, OrderStatus]:
        if self is OrderEnd.CANCELED:
            return ExecutionType.CANCELED, OrderStatus.CANCELED
        return ExecutionType.EXPIRED, OrderStatus.EXPIRED


class ReduceOnlyExcess(Enum):
    """What becomes of a new reduce-only order for more than is left to be reduced."""

    REJECT = "reject"
    REDUCE = "reduce"


class ExchangeSettings(msgspec.Struct, frozen=True):
    queue_model: QueueModel = QueueModel.PESSIMISTIC
    amendment_end: OrderEnd = OrderEnd.CANCELED
    """Of an order that its own amendment ends: post-only would take, or quantity not above what is filled."""
    countdown_end: OrderEnd = OrderEnd.CANCELED
    """Of an order that a countdown ends."""
    good_till_end: OrderEnd = OrderEnd.EXPIRED
    """Of a GTD order at its date."""
    reduce_only_excess: ReduceOnlyExcess = ReduceOnlyExcess.REJECT
    """−2022, or as much as is left: the venue's documents name the refusal, its users tell of orders that it shrank."""
    ack_turnover: bool = False
    """Whether answers to place, modify and cancel have `avgPrice` and `cumQuote`, as all had before mid-2026."""
    stray_time_in_force: StrayTimeInForceCode = -1106
    """What a market order with a time in force is refused with."""
    cancel_batch_size: CancelBatchSizeCode = -4032
    """What a batch of too many cancels (or of none) is refused with."""
    fill_events: tuple[FillEvent, ...] = (
        FillEvent.TRADE_LITE,
        FillEvent.OPENING,
        FillEvent.ACCOUNT,
        FillEvent.TRADE,
    )
    """The order within one fill, as captured for a taker on the venue. Each kind exactly once."""
    insurance_fund_e8: int | None = None
    """What the fund begins with in each margin asset; where it cannot pay, others are deleveraged. None: endless."""

    def __post_init__(self) -> None:
        if sorted(kind.value for kind in self.fill_events) != sorted(kind.value for kind in FillEvent):
            msg = f"fillEvents must name each of {', '.join(kind.value for kind in FillEvent)} exactly once"
            raise ValueError(msg)
