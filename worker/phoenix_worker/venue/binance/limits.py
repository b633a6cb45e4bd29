"""What may still be sent: request weight of the public IP, order counts of the account, and bans.

Three sources, and the strictest counts: our own count over a sliding window (which no aligned window of the exchange
exceeds), the usage that the exchange reports in headers and `rateLimits` (which holds what others used), and, once
other workers share the limits, what of them was granted to this one. A share of each limit is reserved for cancels,
reducing orders and reading the truth: quoting cannot use it up, and they need no grant.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from phoenix_worker.core.events import Budget
from phoenix_worker.core.risk import ORDERS_KEPT_FOR_REDUCING
from phoenix_worker.venue.clock import NS_PER_MS, NS_PER_S

WINDOW_1M_NS = 60 * NS_PER_S
WINDOW_10S_NS = 10 * NS_PER_S
FIRST_OVERLOAD_NS = 200 * NS_PER_MS
LAST_OVERLOAD_NS = 6_400 * NS_PER_MS
OVERLOAD_FORGOTTEN_NS = 10 * NS_PER_S
"""The exchange's own protection (-1008): the waits that its documentation proposes, doubled while it goes on."""
SHORTEST_BACK_OFF_S = 1.0
KEPT_FOR_CANCELS = 0.05
"""Of the exchange's own limit of weight: a 429 stops what withdraws, too, and readings are many at a start."""


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
    quotes: tuple[int, int] = field(init=False)
    """What quoting may use of the two order windows."""

    def __post_init__(self) -> None:
        share = self.order_share * (1.0 - self.reserve_share)
        object.__setattr__(self, "quotes", (int(self.orders_10s * share), int(self.orders_1m * share)))


class Urgency(Enum):
    """What a request is for, in the order in which budgets run out."""

    QUOTE = 0  # stops at the reserve, and with the grant
    REDUCE = 1  # reducing orders and the truth: stop at the limit, of weight a little before it
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

    def ours(self, now_ns: int) -> int:
        horizon = now_ns - self.length_ns
        used = self.used
        while used and used[0][0] <= horizon:
            self.total -= used.popleft()[1]
        return self.total

    def count(self, now_ns: int) -> int:
        ours = self.ours(now_ns)
        return max(ours, self.reported) if now_ns < self.reported_until_ns else ours

    def told(self, now_ns: int) -> int:
        """What the exchange itself says of its present window; -1: nothing."""
        return self.reported if now_ns < self.reported_until_ns else -1


@dataclass(slots=True)
class _Grant:
    """A part of what many share, usable until `until_ns`."""

    units: int = 0
    left: int = 0

    def use(self, units: int) -> bool:
        """Whether this leaves so little that more should be asked for."""
        self.left = max(0, self.left - units)
        return 3 * self.left < self.units


@dataclass(frozen=True, slots=True)
class Usage:
    """What there is to tell those who share the limits. Totals only grow; figures of the exchange are -1 where it has
    said nothing of the window that runs at `exchange_ms`; `*_blocked_ns` is how much longer it wants to hear nothing.
    """

    orders_sent: int
    orders_sent_1m: int
    """Of them those of the last minute: what was sent before is in no window of the exchange any more."""
    orders_left: int
    weight_sent: int
    weight_sent_1m: int
    weight_quoted: int
    """Of what was sent, what needs a grant."""
    weight_left: int
    exchange_ms: int
    orders_10s_reported: int
    orders_1m_reported: int
    weight_1m_reported: int
    account_blocked_ns: int
    egress_blocked_ns: int


def _nobody() -> None:
    """Who shares with nobody has nobody to tell."""


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
        self.overloaded_until_ns = 0
        """No quote before (-1008)."""
        self.on_low: Callable[[], None] = _nobody
        """Called when little is left of a grant."""
        self.on_blocked: Callable[[], None] = _nobody
        """Called when the exchange wants to hear nothing for a while: the others should know at once."""
        self._overload_ns = 0
        self._weight_1m = _Window(WINDOW_1M_NS)
        self._orders_10s = _Window(WINDOW_10S_NS)
        self._orders_1m = _Window(WINDOW_1M_NS)
        self._orders_sent = 0
        self._weight_sent = 0
        self._weight_quoted = 0
        self._orders_grant: _Grant | None = None
        self._weight_grant: _Grant | None = None
        self._granted_until_ns = 0
        self._others_blocked_ns = (0, 0)
        """Until when orders and everything are held because others were told so."""

    # -- sharing -----------------------------------------------------------------------------------

    def share(self, *, orders: bool) -> None:
        """From now on quoting needs a grant: for weight, and for `orders` where they are sent at all."""
        self._weight_grant = _Grant()
        self._orders_grant = _Grant() if orders else None

    def granted(self, orders: int, weight: int, until_ns: int) -> None:
        """Instead of what is left of the last grant."""
        self._granted_until_ns = until_ns
        if self._orders_grant is not None:
            self._orders_grant = _Grant(orders, orders)
        if self._weight_grant is not None:
            self._weight_grant = _Grant(weight, weight)

    def others_blocked(self, orders_until_ns: int, everything_until_ns: int) -> None:
        """What the exchange has told others of this account, and of this egress."""
        self._others_blocked_ns = orders_until_ns, everything_until_ns

    def to_tell(self, now_ns: int) -> Usage:
        valid = now_ns < self._granted_until_ns
        orders, weight = self._orders_grant, self._weight_grant
        return Usage(
            orders_sent=self._orders_sent,
            orders_sent_1m=self._orders_1m.ours(now_ns),
            orders_left=orders.left if valid and orders is not None else 0,
            weight_sent=self._weight_sent,
            weight_sent_1m=self._weight_1m.ours(now_ns),
            weight_quoted=self._weight_quoted,
            weight_left=weight.left if valid and weight is not None else 0,
            exchange_ms=(now_ns + self.offset_ns) // NS_PER_MS,
            orders_10s_reported=self._orders_10s.told(now_ns),
            orders_1m_reported=self._orders_1m.told(now_ns),
            weight_1m_reported=self._weight_1m.told(now_ns),
            account_blocked_ns=max(0, self.orders_blocked_until_ns - now_ns),
            egress_blocked_ns=max(0, max(self.blocked_until_ns, self.banned_until_ns) - now_ns),
        )

    # -- asking ------------------------------------------------------------------------------------

    def admits_order(self, now_ns: int, urgency: Urgency) -> bool:
        """Whether a place or amend fits both order windows, and what was granted."""
        if now_ns < self._orders_held_until_ns():
            return False
        limits = self.limits
        most = (limits.orders_10s, limits.orders_1m)
        if urgency is Urgency.QUOTE:
            if not self._quotes_left(now_ns):
                return False
            most = limits.quotes
        return self._orders_10s.count(now_ns) < most[0] and self._orders_1m.count(now_ns) < most[1]

    def admits_weight(self, now_ns: int, weight: int, urgency: Urgency) -> bool:
        """Whether a request of this weight fits the minute, and what was granted."""
        if now_ns < self._held_until_ns():
            return False
        if urgency is Urgency.CANCEL:
            return True
        limits = self.limits
        room = limits.weight_1m * (1.0 - KEPT_FOR_CANCELS)
        if urgency is Urgency.QUOTE:
            room = limits.weight_1m * limits.weight_share * (1.0 - limits.reserve_share)
            grant = self._weight_grant
            if grant is not None and (now_ns >= self._granted_until_ns or grant.left < weight):
                return False
        return self._weight_1m.count(now_ns) + weight <= room

    def view(self, now_ns: int) -> Budget:
        """What is left: for quoting what was granted, and what the reserve for reducing adds to it."""
        limits, quotes, held_until_ns = self.limits, self._quotes_left(now_ns), self._orders_held_until_ns()

        def left(used: int, quotable: int, limit: int) -> int:
            return max(min(max(min(quotes, quotable - used), 0) + ORDERS_KEPT_FOR_REDUCING, limit - used), 0)

        return Budget(
            at=now_ns,
            orders_10s=left(self._orders_10s.count(now_ns), limits.quotes[0], limits.orders_10s),
            orders_1m=left(self._orders_1m.count(now_ns), limits.quotes[1], limits.orders_1m),
            weight_1m=max(int(limits.weight_1m * limits.weight_share) - self._weight_1m.count(now_ns), 0),
            blocked_until_ns=held_until_ns if held_until_ns > now_ns else 0,
        )

    def _quotes_left(self, now_ns: int) -> int:
        """Of what is granted; without bound where nobody shares."""
        if now_ns < self.overloaded_until_ns:
            return 0
        grant = self._orders_grant
        if grant is None:
            return self.limits.orders_1m
        return grant.left if now_ns < self._granted_until_ns else 0

    def _held_until_ns(self) -> int:
        return max(self.blocked_until_ns, self.banned_until_ns, self._others_blocked_ns[1])

    def _orders_held_until_ns(self) -> int:
        return max(self._held_until_ns(), self.orders_blocked_until_ns, self._others_blocked_ns[0])

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
        """What reduces takes from the grant, too, while there is any: the reserve is for when there is not."""
        self._orders_sent += 1
        self._orders_10s.add(now_ns, 1)
        self._orders_1m.add(now_ns, 1)
        if self._orders_grant is not None and self._orders_grant.use(1):
            self.on_low()

    def weight_sent(self, now_ns: int, weight: int, urgency: Urgency) -> None:
        if not weight:
            return
        self._weight_sent += weight
        self._weight_1m.add(now_ns, weight)
        if urgency is Urgency.QUOTE:
            self._weight_quoted += weight
            if self._weight_grant is not None and self._weight_grant.use(weight):
                self.on_low()

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
        until = _after(now_ns, retry_after_s) or self._window_end(now_ns, WINDOW_1M_NS)
        self.blocked_until_ns = max(self.blocked_until_ns, until)
        self.on_blocked()

    def orders_limited(self, now_ns: int, retry_after_s: float | None) -> None:
        """A -1015: no orders until `Retry-After`, or until the short window ends; if it was the long one, the next
        refusal says so again.
        """
        until = _after(now_ns, retry_after_s) or self._window_end(now_ns, WINDOW_10S_NS)
        self.orders_blocked_until_ns = max(self.orders_blocked_until_ns, until)
        self.on_blocked()

    def banned(self, now_ns: int, retry_after_s: float | None) -> None:
        """A 418: nothing. Bans start at two minutes (documentation: limits): that stands in for no `Retry-After`."""
        until = _after(now_ns, retry_after_s) or now_ns + 120 * NS_PER_S
        self.banned_until_ns = max(self.banned_until_ns, until)
        self.on_blocked()

    def overloaded(self, now_ns: int) -> None:
        """A -1008: the exchange protects itself. Fewer quotes; what reduces and what cancels is exempt there."""
        if now_ns - self.overloaded_until_ns > OVERLOAD_FORGOTTEN_NS:
            self._overload_ns = 0
        if now_ns >= self.overloaded_until_ns:  # what was on its way with the first is the same overload
            self._overload_ns = min(max(2 * self._overload_ns, FIRST_OVERLOAD_NS), LAST_OVERLOAD_NS)
            self.overloaded_until_ns = now_ns + self._overload_ns

    def _window_end(self, now_ns: int, length_ns: int) -> int:
        exchange_ns = now_ns + self.offset_ns
        return now_ns + length_ns - exchange_ns % length_ns


def _after(now_ns: int, retry_after_s: float | None) -> int:
    """0 where it was not said."""
    return 0 if retry_after_s is None else now_ns + int(max(retry_after_s, SHORTEST_BACK_OFF_S) * NS_PER_S)
