"""The leader lease as one process knows it: what it holds until when, or what it watches until it is free.

A candidate takes what it has seen unchanged for `ttl` on its own monotonic clock, so no clock jump, here or at the
server, makes two holders (after Gray & Cheriton, "Leases", 1989, without trust in synchronised clocks).
"""

import msgspec

from phoenix_coordination.port import LeaseTimes

NS = 1_000_000_000


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


class Lease(msgspec.Struct):
    """`token` 0: not held. `highest` is the largest token ever seen, below which no new one may be."""

    times: LeaseTimes
    token: int = 0
    deadline_ns: int = 0
    highest: int = 0
    watch: Watch = msgspec.field(default_factory=Watch)

    @property
    def ttl_ns(self) -> int:
        return int(self.times.ttl_s * NS)

    def deadline_of(self, sent_ns: int) -> int:
        """A holder stops `margin` before anybody could take what it renewed at `sent_ns`."""
        return sent_ns + int((self.times.ttl_s - self.times.margin_s) * NS)

    def watched(self, now_ns: int) -> str:
        """What has been watched for long enough to be taken; empty where nothing has."""
        return self.watch.what if self.watch.left_ns(now_ns, self.ttl_ns) == 0 else ""

    def next_beat_ns(self, now_ns: int) -> int:
        """How long to the next heartbeat: a renewal, or the moment in which what is watched is free."""
        renew_ns = int(self.times.renew_s * NS)
        if self.token or not self.watch.what:
            return renew_ns
        return min(renew_ns, self.watch.left_ns(now_ns, self.ttl_ns) + NS // 1000)
