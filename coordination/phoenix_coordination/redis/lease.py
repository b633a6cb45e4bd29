"""The leader lease as one process knows it: what it holds until when, or what it watches until it is free.

A candidate takes what it has seen unchanged for `ttl` on its own monotonic clock, so no clock jump, here or at the
server, makes two holders (after Gray & Cheriton, "Leases", 1989, without trust in synchronised clocks).

The monotonic clock stands still while the machine is suspended. For who watches that only takes longer; a holder's
deadline would come too late, so a lease ends with every suspension.
"""

import time
from enum import Enum

import msgspec

from phoenix_coordination.port import LeaseTimes

NS = 1_000_000_000
_READING_NS = 10_000_000
"""Two clocks are not read in the same instant."""
_TRIES = 5
_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""macOS has no other than `CLOCK_MONOTONIC`, which counts it there, unlike Python's own."""


def suspended_ns() -> int:
    """For how long this machine has ever been suspended, up to a constant.

    Too large, or too small, by at most the time between the two readings around it: of a few the closest, as who is
    preempted there would read a suspension that was none.
    """
    closest_ns = told_ns = 0
    for attempt in range(_TRIES):
        before_ns = time.monotonic_ns()
        counted_ns = time.clock_gettime_ns(_COUNTS_SLEEP)
        after_ns = time.monotonic_ns()
        apart_ns = after_ns - before_ns
        if attempt == 0 or apart_ns < closest_ns:
            closest_ns, told_ns = apart_ns, counted_ns - after_ns
        if closest_ns < _READING_NS // 4:
            break
    return told_ns


class Watch(msgspec.Struct):
    """How long something has been seen unchanged. A gap in looking begins it anew: see `restart`."""

    what: str = ""
    since_ns: int = 0

    def saw(self, what: str, at_ns: int) -> None:
        """`at_ns`: when the answer was here, which is not before it was true."""
        if what != self.what:
            self.what, self.since_ns = what, at_ns

    def restart(self) -> None:
        self.what = ""

    def left_ns(self, now_ns: int, ttl_ns: int) -> int:
        """Until it has been watched for the ttl; 0 where it has."""
        if not self.what:
            return ttl_ns
        return max(0, self.since_ns + ttl_ns - now_ns)


class Asked(msgspec.Struct, frozen=True):
    """What a heartbeat says of the lease: the token that it renews (0: candidate), or what has been watched.

    `suspended_ns`: see there, as of `sent_ns`.
    """

    token: int
    watched: str
    sent_ns: int
    suspended_ns: int


class Change(Enum):
    """What an answer means for who asked."""

    NONE = "none"
    GRANTED = "granted"
    RENEWED = "renewed"
    LOST = "lost"
    TOO_LATE = "too late"


class Lease(msgspec.Struct):
    """`token` 0: not held. `highest` is the largest token ever seen, below which no new one may be."""

    times: LeaseTimes
    token: int = 0
    deadline_ns: int = 0
    highest: int = 0
    suspended_ns: int = 0
    watch: Watch = msgspec.field(default_factory=Watch)

    @property
    def ttl_ns(self) -> int:
        return int(self.times.ttl_s * NS)

    def expired(self, now_ns: int) -> bool:
        return self.token != 0 and (now_ns >= self.deadline_ns or _slept_since(self.suspended_ns))

    def ask(self, now_ns: int) -> Asked:
        """Not to be called while `expired`: a renewal that leaves after the deadline could meet the next holder's."""
        slept_ns = suspended_ns()
        if self.token:
            return Asked(self.token, "", now_ns, slept_ns)
        watched = self.watch.what if self.watch.left_ns(now_ns, self.ttl_ns) == 0 else ""
        return Asked(0, watched, now_ns, slept_ns)

    def heed(self, asked: Asked, status: str, token: int, fingerprint: str, now_ns: int) -> Change:
        """Takes the server's answer, which counts from when it was asked for. After a loss `token` is for `lose`."""
        self.exceed(token)
        if self.token != asked.token:
            return Change.NONE  # it ran out while we were asking
        if status == "watch":
            self.watch.saw(fingerprint, now_ns)
            return Change.NONE
        if status == "lost":
            return Change.LOST
        # A holder stops `margin` before anybody could take what it renewed at that moment.
        deadline_ns = asked.sent_ns + int((self.times.ttl_s - self.times.margin_s) * NS)
        if now_ns >= deadline_ns or _slept_since(asked.suspended_ns):
            return Change.TOO_LATE
        self.token, self.deadline_ns, self.suspended_ns = token, deadline_ns, asked.suspended_ns
        self.watch.restart()
        return Change.RENEWED if status == "held" else Change.GRANTED

    def lose(self) -> int:
        """The token that was lost; 0 where none was held."""
        token, self.token = self.token, 0
        return token

    def exceed(self, token: int) -> None:
        """Whoever leads next does it under a higher one: somebody has led under this."""
        self.highest = max(self.highest, token)

    def next_beat_ns(self, now_ns: int) -> int:
        """How long to the next heartbeat: a renewal, or the moment in which what is watched is free."""
        renew_ns = int(self.times.renew_s * NS)
        if self.token or not self.watch.what:
            return renew_ns
        return min(renew_ns, self.watch.left_ns(now_ns, self.ttl_ns) + NS // 1000)


def _slept_since(before_ns: int) -> bool:
    return suspended_ns() - before_ns > _READING_NS
