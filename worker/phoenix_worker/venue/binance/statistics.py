"""What the gateway counts: for metrics, read at scrape; nothing on the hot path but additions."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from phoenix_worker.core.events import Stream

MAX_LATENCIES = 4096
"""Between two scrapes; beyond it the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """One snapshot. Counters grow from 0 at the start of the process; latencies are those since the last snapshot."""

    connected: Mapping[Stream, bool]
    orders_connected: bool
    reconnects: Mapping[str, int]
    """By connection: `book`, `market`, `user`, `orders`."""
    connects_failed: Mapping[str, int]
    """Attempts to open a connection that came to nothing."""
    successions: int
    """Connections replaced before the exchange's 24 hours ended them."""
    rest_fallbacks: int
    """Commands sent over HTTP because the WebSocket API was down."""
    frames: Mapping[Stream, int]
    conflated: int
    """bookTickers that a newer one of the same read made superfluous."""
    batch_last: int
    batch_max: int
    """Frames of one read of the BOOK socket: the only queue there is."""
    decode_errors: int
    api_errors: Mapping[int, int]
    """By the exchange's code; HTTP statuses where it gave none, 0 where nothing was answered."""
    ignored_events: Mapping[str, int]
    """User events that we do not act on, by name."""
    late_replies: int
    order_latency_ns: Sequence[int]
    """From the write of a command to its answer."""
    orders_10s_used: float
    orders_1m_used: float
    weight_1m_used: float
    """Shares of the exchange's limits, 0…1."""
    orders_granted: int
    weight_granted: int
    """What is left of what the account's workers were granted of them; 0 once it has lapsed."""


@dataclass(slots=True)
class Counts:
    decode_errors: int = 0
    api_errors: Counter[int] = field(default_factory=Counter)
    ignored_events: Counter[str] = field(default_factory=Counter)
    order_latency_ns: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_LATENCIES))

    def drain_latencies(self) -> Sequence[int]:
        drained = tuple(self.order_latency_ns)
        self.order_latency_ns.clear()
        return drained
