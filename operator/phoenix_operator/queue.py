"""Which resources are to be looked at, each at most once at a time, and when again.

A key that is marked while it waits is looked at once; one that is marked while it is being looked at, is looked at
again. What failed comes again later, and ever later. Accounts come before makers: a stop waits behind no thousand
starts. Nothing here awaits, and the clock is an argument: each rule is a table test.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from enum import StrEnum

import msgspec

FIRST_BACK_OFF_S = 0.5
LONGEST_BACK_OFF_S = 60.0
_DOUBLINGS = 8


class Kind(StrEnum):
    """What is reconciled."""

    MAKER = "MarketMaker"
    ACCOUNT = "TradingAccount"


class Key(msgspec.Struct, frozen=True, order=True):
    """One resource by name, whether it is still there or not."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class WorkQueue:
    """`now_s`: monotonic seconds. `wake` is called when something may have become ready, or the next due time has
    moved.
    """

    def __init__(self, now_s: Callable[[], float], wake: Callable[[], None] = lambda: None, seed: int = 0) -> None:
        self._now_s = now_s
        self._wake = wake
        self._random = random.Random(seed or None)  # noqa: S311 - jitter, no secret
        self._ready: dict[Kind, deque[Key]] = {Kind.ACCOUNT: deque(), Kind.MAKER: deque()}
        self._since: dict[Key, float] = {}
        self._working: set[Key] = set()
        self._marked: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._agenda: list[tuple[float, Key]] = []

    # -- marking -----------------------------------------------------------------------------------

    def mark(self, key: Key) -> None:
        """To be looked at as soon as a worker is free."""
        self._due.pop(key, None)
        if key in self._since:
            return
        if key in self._working:
            self._marked.add(key)
            return
        self._since[key] = self._now_s()
        self._ready[key.kind].append(key)
        self._wake()

    def mark_after(self, key: Key, seconds: float) -> None:
        """To be looked at in `seconds`; an earlier appointment stands."""
        if key in self._since or key in self._marked:
            return
        due = self._now_s() + seconds
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        heapq.heappush(self._agenda, (due, key))
        self._wake()

    # -- working -----------------------------------------------------------------------------------

    def take(self) -> Key | None:
        """The account that has waited longest, else the maker; None while nothing is ready. Who takes it says
        `done` or `failed`.
        """
        self._keep_appointments()
        waiting = next(filter(None, self._ready.values()), None)
        if waiting is None:
            return None
        key = waiting.popleft()
        del self._since[key]
        self._working.add(key)
        return key

    def next_due_s(self) -> float | None:
        """In how many seconds the next appointment is, None without one."""
        while self._agenda and self._due.get(self._agenda[0][1]) != self._agenda[0][0]:
            heapq.heappop(self._agenda)
        return max(0.0, self._agenda[0][0] - self._now_s()) if self._agenda else None

    def done(self, key: Key, again_s: float | None = None) -> None:
        """It went through; `again_s`: look again after so long though nothing happens."""
        self._failures.pop(key, None)
        self._finish(key)
        if again_s is not None:
            self.mark_after(key, again_s)

    def failed(self, key: Key, at_least_s: float = 0.0) -> float:
        """It comes again after its back-off, half to three halves of 0.5, 1, 2 … 60 s, which is returned; or at once
        where there is news of it: that may be what heals it.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        back_off = min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(failures, _DOUBLINGS))
        wait = max(at_least_s, back_off * self._random.uniform(0.5, 1.5))
        self._finish(key)
        self.mark_after(key, wait)
        return wait

    # -- figures -----------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        return len(self._since)

    @property
    def working(self) -> int:
        return len(self._working)

    @property
    def age_s(self) -> float:
        """For how long the one that has waited longest has."""
        first = min((self._since[waiting[0]] for waiting in self._ready.values() if waiting), default=None)
        return 0.0 if first is None else self._now_s() - first

    # -- helpers -----------------------------------------------------------------------------------

    def _finish(self, key: Key) -> None:
        self._working.discard(key)
        if key in self._marked:
            self._marked.discard(key)
            self.mark(key)

    def _keep_appointments(self) -> None:
        now = self._now_s()
        while self._agenda and self._agenda[0][0] <= now:
            due, key = heapq.heappop(self._agenda)
            if self._due.get(key) == due:
                self.mark(key)
