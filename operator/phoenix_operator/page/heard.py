"""Who still tells something, and how often is filled: seen from here, so that no other machine's clock is believed.

A record says when it was published by a clock that may be wrong, or a run's own that is faster than life. What counts
is when it last changed before our eyes. So nothing is known of a record that is seen for the first time: a worker that
died ten seconds ago left one that looks like any other. Nor is anything after we have not looked for a while ourselves.
"""

from collections import deque
from collections.abc import Iterable

from phoenix_coordination.state import StateRecord

STALE_MS = 5_000
"""A worker tells once a second; five times nothing is no accident of a busy machine."""
_RATE_OVER_S = 60.0
_RATE_FROM_S = 10.0
"""Less than that says nothing of a minute."""

Worker = tuple[str, str, str]


class Heard:
    """Of one watch. Whoever begins to look again begins with a new one."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._seen: dict[Worker, tuple[int, float, bool]] = {}
        self._fills: dict[Worker, deque[tuple[float, int]]] = {}

    def take(self, records: Iterable[StateRecord], now_s: float) -> None:
        """One look, `now_s` on a clock that only goes forward."""
        if (now_s - self._now_s) * 1000 > STALE_MS:
            self._seen, self._fills = {}, {}
        seen: dict[Worker, tuple[int, float, bool]] = {}
        fills: dict[Worker, deque[tuple[float, int]]] = {}
        for record in records:
            worker = _worker(record)
            before = self._seen.get(worker)
            if before is None:
                seen[worker] = (record.published_ms, now_s, False)
            elif before[0] != record.published_ms:
                seen[worker] = (record.published_ms, now_s, True)
            else:
                seen[worker] = before
            counted = self._fills.get(worker, deque())
            if counted and record.activity.fills < counted[-1][1]:
                counted = deque()  # its accounts began anew
            counted.append((now_s, record.activity.fills))
            while now_s - counted[0][0] > _RATE_OVER_S:
                counted.popleft()
            fills[worker] = counted
        self._now_s, self._seen, self._fills = now_s, seen, fills

    def age_ms(self, record: StateRecord) -> int | None:
        """Since it last told something new; None where it has not yet done so before our eyes, and may still."""
        _, since_s, changed = self._seen[_worker(record)]
        age_ms = round((self._now_s - since_s) * 1000)
        return age_ms if changed or age_ms > STALE_MS else None

    def fills_per_minute(self, record: StateRecord) -> float | None:
        """Over the last minute, or the part of it that was seen; None where that is too short."""
        counted = self._fills[_worker(record)]
        span_s = counted[-1][0] - counted[0][0]
        return None if span_s < _RATE_FROM_S else 60.0 * (counted[-1][1] - counted[0][1]) / span_s


def _worker(record: StateRecord) -> Worker:
    return (record.account, record.symbol, record.holder)
