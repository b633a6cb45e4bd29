"""What may still be sent: request weight of the public IP, order counts of the account, and bans.

Two sources, and the stricter counts: our own count over a sliding window (which no aligned window of the exchange
exceeds), and the usage that the exchange reports in headers and `rateLimits` (which holds what others used). A share of
each limit is reserved for cancels, reducing orders and reading the truth: quoting cannot use it up.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from phoenix_worker.core.events import Budget
from phoenix_worker.venue.clock import NS_PER_S

WINDOW_1M_NS = 60 * NS_PER_S
WINDOW_10S_NS = 10 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Limits:
    """The exchange's limits (production's until `exchangeInfo` said otherwise), and the shares of them that are ours.

    `weight_share` and `order_share` leave the rest to people and other programs; `reserve_share` of ours is for what
    reduces risk.
    """

    weight_1m: int = 2400
    orders_10s: int = 300
    orders_1m: int = 1200
    weight_share: float = 0.8
    order_share: float = 0.8
    reserve_share: float = 0.2
    quotes: tuple[float, float] = field(init=False)
    """What quoting may use of the two order windows."""

    def __post_init__(self) -> None:
        share = self.order_share * (1.0 - self.reserve_share)
        object.__setattr__(self, "quotes", (self.orders_10s * share, self.orders_1m * share))


class Urgency(Enum):
    """What a request is for, in the order in which budgets run out."""

    QUOTE = 0  # stops at the reserve
    REDUCE = 1  # reducing orders and the truth: stop at the limit
    CANCEL = 2  # stops only where the exchange has said stop: what it refuses unread withdraws nothing


@dataclass(slots=True)
class _Window:
    """Units used in the last `length_ns`: ours by time, and the exchange's own figure while its window lasts."""

    length_ns: int
    used: deque[tuple[int, int]] = field(default_factory=deque)
    total: int = 0
    reported: int = 0
    reported_until_ns: int = 0

    def add(self, now_ns: int, units: int) -> None:
        self.used.append((now_ns, units))
        self.total += units
        if now_ns < self.reported_until_ns:
            self.reported += units

    def report(self, units: int, until_ns: int) -> None:
        """Answers overtake each other: of the figures of one window the highest stays."""
        self.reported = max(units, self.reported) if until_ns == self.reported_until_ns else units
        self.reported_until_ns = until_ns

    def count(self, now_ns: int) -> int:
        horizon = now_ns - self.length_ns
        used = self.used
        while used and used[0][0] <= horizon:
            self.total -= used.popleft()[1]
        return max(self.total, self.reported) if now_ns < self.reported_until_ns else self.total


class RequestBudget:
    """Counts what is sent, and says whether the next request may be. Memory is bounded by the limits themselves."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.offset_ns = 0
        """Exchange ns ≈ monotonic ns + offset: the exchange's windows are aligned to its own clock."""
        self.blocked_until_ns = 0
        """Nothing before (429): to go on asking leads to a ban, under which nothing could be withdrawn for minutes."""
        self.orders_blocked_until_ns = 0
        """No place and no amend before (-1015)."""
        self.banned_until_ns = 0
        """Nothing before (418)."""
        self._weight_1m = _Window(WINDOW_1M_NS)
        self._orders_10s = _Window(WINDOW_10S_NS)
        self._orders_1m = _Window(WINDOW_1M_NS)

    # -- asking ------------------------------------------------------------------------------------

    def admits_order(self, now_ns: int, urgency: Urgency) -> bool:
        """Whether a place or amend fits both order windows."""
        if now_ns < self.blocked_until_ns or now_ns < self.orders_blocked_until_ns or now_ns < self.banned_until_ns:
            return False
        limits = self.limits
        most_10s, most_1m = limits.quotes if urgency is Urgency.QUOTE else (limits.orders_10s, limits.orders_1m)
        return self._orders_10s.count(now_ns) < most_10s and self._orders_1m.count(now_ns) < most_1m

    def admits_weight(self, now_ns: int, weight: int, urgency: Urgency) -> bool:
        """Whether a request of this weight fits the minute."""
        if now_ns < self.blocked_until_ns or now_ns < self.banned_until_ns:
            return False
        if urgency is Urgency.CANCEL:
            return True
        limits = self.limits
        room = float(limits.weight_1m)
        if urgency is Urgency.QUOTE:
            room *= limits.weight_share * (1.0 - limits.reserve_share)
        return self._weight_1m.count(now_ns) + weight <= room

    def view(self, now_ns: int) -> Budget:
        """What is left of our shares, the reserve for reducing included."""
        limits = self.limits
        orders, weight = limits.order_share, limits.weight_share
        blocked = max(self.blocked_until_ns, self.orders_blocked_until_ns, self.banned_until_ns)
        return Budget(
            at=now_ns,
            orders_10s=max(int(limits.orders_10s * orders) - self._orders_10s.count(now_ns), 0),
            orders_1m=max(int(limits.orders_1m * orders) - self._orders_1m.count(now_ns), 0),
            weight_1m=max(int(limits.weight_1m * weight) - self._weight_1m.count(now_ns), 0),
            blocked_until_ns=blocked if blocked > now_ns else 0,
        )

    def usage(self, now_ns: int) -> tuple[float, float, float]:
        """Used share (0…1 and above) of the exchange's limits: orders in 10 s, orders in 1 min, weight in 1 min."""
        limits = self.limits
        return (
            self._orders_10s.count(now_ns) / limits.orders_10s,
            self._orders_1m.count(now_ns) / limits.orders_1m,
            self._weight_1m.count(now_ns) / limits.weight_1m,
        )

    # -- counting ----------------------------------------------------------------------------------

    def order_sent(self, now_ns: int) -> None:
        self._orders_10s.add(now_ns, 1)
        self._orders_1m.add(now_ns, 1)

    def weight_sent(self, now_ns: int, weight: int) -> None:
        if weight:
            self._weight_1m.add(now_ns, weight)

    def weight_reported(self, now_ns: int, used_1m: int) -> None:
        """`X-MBX-USED-WEIGHT-1M`; endpoints without weight report -1, which says nothing."""
        if used_1m >= 0:
            self._weight_1m.report(used_1m, self._window_end(now_ns, WINDOW_1M_NS))

    def orders_reported(self, now_ns: int, interval_s: int, used: int) -> None:
        """`X-MBX-ORDER-COUNT-10S` and `-1M`, or a row of `rateLimits`."""
        if used < 0:
            return
        if interval_s == 10:
            self._orders_10s.report(used, self._window_end(now_ns, WINDOW_10S_NS))
        elif interval_s == 60:
            self._orders_1m.report(used, self._window_end(now_ns, WINDOW_1M_NS))

    def rate_limited(self, now_ns: int, retry_after_s: float | None) -> None:
        """A 429: nothing until `Retry-After`, or to the end of the minute where it did not say."""
        if retry_after_s is None:
            until = self._window_end(now_ns, WINDOW_1M_NS)
        else:
            until = now_ns + int(retry_after_s * NS_PER_S)
        self.blocked_until_ns = max(self.blocked_until_ns, until)

    def orders_limited(self, now_ns: int) -> None:
        """A -1015: no orders until the short window ends; if it was the long one, the next refusal says so again."""
        self.orders_blocked_until_ns = max(self.orders_blocked_until_ns, self._window_end(now_ns, WINDOW_10S_NS))

    def banned(self, now_ns: int, retry_after_s: float | None) -> None:
        """A 418: nothing. Bans start at two minutes (documentation: limits): that stands in for no `Retry-After`."""
        until = now_ns + int((120.0 if retry_after_s is None else retry_after_s) * NS_PER_S)
        self.banned_until_ns = max(self.banned_until_ns, until)

    def _window_end(self, now_ns: int, length_ns: int) -> int:
        exchange_ns = now_ns + self.offset_ns
        return now_ns + length_ns - exchange_ns % length_ns
