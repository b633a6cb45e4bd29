"""Rate limits: request weight per IP, orders per account, the funding pool, and what happens to who ignores them.

Windows are aligned to the venue's clock (UTC minute, 10 s, 5 min). Every method takes the venue's time in ms.
"""

from typing import Final

import msgspec

from phoenix_simulator.exchange.errors import VenueError

MINUTE_MS: Final = 60_000
TEN_SECONDS_MS: Final = 10_000
FIVE_MINUTES_MS: Final = 300_000
_LONGEST_BAN_MS: Final = 3 * 24 * 3_600_000


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The venue's production limits; a run may choose others."""

    weight_per_minute: int = 2_400
    orders_per_10_seconds: int = 300
    orders_per_minute: int = 1_200
    funding_requests_per_5_minutes: int = 500
    ban_after: int = 20
    """Requests of one IP answered with 429 in one minute after which it is banned (the venue names no number)."""
    first_ban_seconds: int = 120


class RateLimitedError(VenueError):
    """429 or 418: nothing was executed, and `retry_after_s` is when to come back.

    `earned_ban` marks the one refusal with which an IP that ignored the others is banned.
    """

    def __init__(self, code: int, msg: str, http_status: int, retry_after_s: int, *, earned_ban: bool = False) -> None:
        super().__init__(code, msg, http_status)
        self.retry_after_s = retry_after_s
        self.earned_ban = earned_ban


class Window:
    """Counts per key in windows aligned to the clock."""

    __slots__ = ("_counts", "_start_ms", "interval_ms")

    def __init__(self, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self._start_ms = 0
        self._counts: dict[str, int] = {}

    def add(self, key: str, amount: int, now_ms: int) -> int:
        self._turn(now_ms)
        count = self._counts.get(key, 0) + amount
        self._counts[key] = count
        return count

    def count(self, key: str, now_ms: int) -> int:
        self._turn(now_ms)
        return self._counts.get(key, 0)

    def retry_after_s(self, now_ms: int) -> int:
        return max(1, -(-(self.interval_ms - now_ms % self.interval_ms) // 1000))

    def _turn(self, now_ms: int) -> None:
        start_ms = now_ms - now_ms % self.interval_ms
        # A clock-skew fault may move the venue's time back: a window is then simply another one.
        if start_ms != self._start_ms:
            self._start_ms = start_ms
            self._counts.clear()


class RateLimits:
    """One exchange's counters. REST and the WebSocket API share them."""

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self._weight = Window(MINUTE_MS)
        self._refused = Window(MINUTE_MS)
        self._funding = Window(FIVE_MINUTES_MS)
        self._orders_10s = Window(TEN_SECONDS_MS)
        self._orders_1m = Window(MINUTE_MS)
        self._banned_until_ms: dict[str, int] = {}
        self._bans: dict[str, int] = {}

    def check_ban(self, ip: str, now_ms: int) -> None:
        until_ms = self._banned_until_ms.get(ip, 0)
        if until_ms > now_ms:
            raise _banned(ip, until_ms, now_ms)

    def charge_weight(self, ip: str, weight: int, now_ms: int) -> None:
        """Counts the weight, refused or not. Raises 429, and 418 once too many 429s were ignored."""
        self.check_ban(ip, now_ms)
        if self._weight.add(ip, weight, now_ms) > self.settings.weight_per_minute and weight > 0:
            limit = self.settings.weight_per_minute
            self._refuse(ip, now_ms)
            raise RateLimitedError(
                -1003,
                f"Too many requests; current limit of IP({ip}) is {limit} requests per minute. "
                "Please use the websocket for live updates to avoid polling the API.",
                429,
                self._weight.retry_after_s(now_ms),
            )

    def charge_funding_pool(self, ip: str, now_ms: int) -> None:
        self.check_ban(ip, now_ms)
        if self._funding.add(ip, 1, now_ms) > self.settings.funding_requests_per_5_minutes:
            self._refuse(ip, now_ms)
            limit = self.settings.funding_requests_per_5_minutes
            raise RateLimitedError(
                -1003,
                f"Too many requests; current limit is {limit} requests per 5 minutes.",
                429,
                self._funding.retry_after_s(now_ms),
            )

    def charge_orders(self, account: str, cost_10s: int, cost_1m: int, now_ms: int) -> None:
        """-1015 when a counter of the account is full; a refused request is not counted."""
        for window, cost, limit, interval in (
            (self._orders_10s, cost_10s, self.settings.orders_per_10_seconds, "10 SECONDS"),
            (self._orders_1m, cost_1m, self.settings.orders_per_minute, "1 MINUTE"),
        ):
            if window.count(account, now_ms) + cost > limit:
                raise RateLimitedError(
                    -1015,
                    f"Too many new orders; current limit is {limit} orders per {interval}.",
                    429,
                    window.retry_after_s(now_ms),
                )
        self._orders_10s.add(account, cost_10s, now_ms)
        self._orders_1m.add(account, cost_1m, now_ms)

    def ban(self, ip: str, now_ms: int, duration_ms: int) -> None:
        self._banned_until_ms[ip] = now_ms + duration_ms

    def used_weight(self, ip: str, now_ms: int) -> int:
        return self._weight.count(ip, now_ms)

    def used_orders(self, account: str, now_ms: int) -> tuple[int, int]:
        """Orders counted in the present 10 s and the present minute."""
        return self._orders_10s.count(account, now_ms), self._orders_1m.count(account, now_ms)

    def _refuse(self, ip: str, now_ms: int) -> None:
        if self._refused.add(ip, 1, now_ms) <= self.settings.ban_after:
            return
        bans = self._bans.get(ip, 0)
        self._bans[ip] = bans + 1
        # Each further ban is four times as long, up to the three days that the venue names.
        duration_ms = min(self.settings.first_ban_seconds * 1_000 * 4**bans, _LONGEST_BAN_MS)
        self.ban(ip, now_ms, duration_ms)
        raise _banned(ip, now_ms + duration_ms, now_ms, earned=True)


def _banned(ip: str, until_ms: int, now_ms: int, *, earned: bool = False) -> RateLimitedError:
    return RateLimitedError(
        -1003,
        f"Way too many requests; IP({ip}) banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans.",
        418,
        max(1, -(-(until_ms - now_ms) // 1000)),
        earned_ban=earned,
    )
