"""What happens by itself: countdowns, GTD expiries, funding settlements."""

import heapq
from collections.abc import Iterator

from phoenix_simulator.exchange.orders import Order

_NEVER_MS = 1 << 62
_TIDY_FROM = 1_024


class Timers:
    """Deadlines in Unix ms. `next_due_ms` makes asking free when nothing is due."""

    def __init__(self) -> None:
        self.next_due_ms = _NEVER_MS
        self._countdowns: dict[tuple[str, str], int] = {}
        self._fundings: dict[str, int] = {}
        self._tidy_at = _TIDY_FROM
        self._expiries: list[tuple[int, int, Order]] = []
        """(deadline, order id, order): the id breaks ties, orders do not compare."""

    def set_countdown(self, account_id: str, symbol: str, deadline_ms: int | None) -> None:
        """None disarms; a new deadline replaces the old one."""
        if deadline_ms is None:
            self._countdowns.pop((account_id, symbol), None)
        else:
            self._countdowns[account_id, symbol] = deadline_ms
        self._recompute()

    def add_funding(self, symbol: str, deadline_ms: int) -> None:
        self._fundings[symbol] = deadline_ms
        self._recompute()

    def add_expiry(self, order: Order) -> None:
        if len(self._expiries) >= self._tidy_at:
            # Most orders are cancelled long before their time, and would lie here until then.
            self._expiries = [entry for entry in self._expiries if entry[2].status.is_open]
            heapq.heapify(self._expiries)
            self._tidy_at = 2 * len(self._expiries) + _TIDY_FROM
        heapq.heappush(self._expiries, (order.good_till_ms, order.order_id, order))
        self._recompute()

    def due_fundings(self, now_ms: int) -> list[str]:
        return [symbol for symbol, deadline_ms in self._fundings.items() if deadline_ms <= now_ms]

    def due_expiries(self, now_ms: int) -> Iterator[Order]:
        while self._expiries and self._expiries[0][0] <= now_ms:
            yield heapq.heappop(self._expiries)[2]
        self._recompute()

    def due_countdowns(self, now_ms: int) -> list[tuple[str, str]]:
        """Those that fire now; they are gone (one-shot)."""
        due = [key for key, deadline_ms in self._countdowns.items() if deadline_ms <= now_ms]
        for key in due:
            del self._countdowns[key]
        self._recompute()
        return due

    def _recompute(self) -> None:
        self.next_due_ms = min(
            min(self._countdowns.values(), default=_NEVER_MS),
            min(self._fundings.values(), default=_NEVER_MS),
            self._expiries[0][0] if self._expiries else _NEVER_MS,
        )
