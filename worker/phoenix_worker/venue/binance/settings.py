"""What the account resource and the maker declare, as far as the venue acts on it."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from phoenix_worker.venue.binance.limits import Limits


class MarginType(StrEnum):
    """The exchange's own words for how a position's margin is kept."""

    CROSSED = "CROSSED"
    ISOLATED = "ISOLATED"


@dataclass(frozen=True, slots=True)
class Settings:
    """`net_max` in base units. `apply`: leverage and margin type are set where they differ, while the symbol is flat.

    `recv_window_ms` is how long an order may take to the exchange (it admits 60 000 and recommends 5000 or less): an
    order whose answer is lost stays unknown for at least as long. `depth_speed` is the diff depth's stream suffix.
    """

    net_max: Decimal
    leverage: int
    margin_type: MarginType
    apply: bool = False
    recv_window_ms: int = 2000
    depth_speed: str = "100ms"
    limits: Limits = field(default_factory=Limits)
