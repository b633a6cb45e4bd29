"""What the venue's documentation leaves open, as choices: a client must be right under each of them."""

from enum import Enum

import msgspec

from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.orders import ExecutionType, OrderStatus


class FillEvent(Enum):
    """The private events of one fill."""

    TRADE_LITE = "trade_lite"
    OPENING = "opening"
    """NEW, or AMENDMENT where an amendment took at once; only before the first fill."""
    ACCOUNT = "account"
    TRADE = "trade"


class AmendmentEnd(Enum):
    """How an order ends that its own amendment cancels (post-only would take; quantity not above what is filled)."""

    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def outcome(self) -> tuple[ExecutionType, OrderStatus]:
        if self is AmendmentEnd.CANCELED:
            return ExecutionType.CANCELED, OrderStatus.CANCELED
        return ExecutionType.EXPIRED, OrderStatus.EXPIRED


class ExchangeSettings(msgspec.Struct, frozen=True):
    queue_model: QueueModel = QueueModel.PESSIMISTIC
    amendment_end: AmendmentEnd = AmendmentEnd.CANCELED
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
