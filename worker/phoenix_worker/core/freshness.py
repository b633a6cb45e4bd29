"""Fresh and stale: whether what we see of the market is what it is now.

Three questions, in this order. Does the connection live (a frame of the symbol, or of a stream that never rests)? If
the
symbol rests while the connection lives, does the touch that we hold still stand (asked over REST)? And do frames
come in time (exchange time against our offset-corrected clock)?
"""

from enum import StrEnum

import msgspec

PROBES_AFTER_NS = (0, 5_000_000_000, 10_000_000_000)
"""Silence beyond `staleAfter` at which the touch is asked; then every 30 s."""
PROBE_EVERY_NS = 30_000_000_000
PROBE_PATIENCE_NS = 500_000_000
"""How long the first question about a quiet symbol may stay open before the price counts as stale."""


class Staleness(StrEnum):
    """Why a price is stale."""

    CONNECTION = "connection silent"
    QUIET_UNANSWERED = "quiet symbol, nobody answered"
    QUIET_DIFFERENT = "quiet symbol, the touch is another one"
    LATE = "frames late"


class Freshness(msgspec.Struct):
    """Times are monotonic ns. `stale` holds from the first moment until the book has been rebuilt from a new stream."""

    stale: Staleness | None = None
    stale_since_ns: int = 0
    episodes: int = 0
    last_frame_ns: int = 0
    last_canary_ns: int = 0
    probes: int = 0
    probe_sent_ns: int = 0
    """When the question that is open was asked; 0: none is."""

    def restart(self, now_ns: int) -> None:
        """The stream was opened anew and the book rebuilt: fresh until proved otherwise."""
        self.stale = None
        self.last_frame_ns = self.last_canary_ns = now_ns
        self.probes = self.probe_sent_ns = 0

    def frame(self, now_ns: int) -> None:
        """Any frame of the symbol's book streams refreshes it, whatever it changes."""
        self.last_frame_ns = now_ns
        if self.probes:
            self.probes = self.probe_sent_ns = 0

    def canary(self, now_ns: int) -> None:
        self.last_canary_ns = now_ns

    def stale_seconds(self, now_ns: int) -> float:
        return (now_ns - self.stale_since_ns) / 1e9 if self.stale else 0.0

    def judge(self, now_ns: int, stale_after_ns: int) -> bool:
        """Once a tick: declares staleness where it is due; true where the touch should be asked now."""
        silence = now_ns - self.last_frame_ns
        if self.stale or silence <= stale_after_ns:
            return False
        if now_ns - self.last_canary_ns > stale_after_ns:
            self.declare(Staleness.CONNECTION, now_ns)
            return False
        if self.probe_sent_ns:
            if now_ns - self.probe_sent_ns > PROBE_PATIENCE_NS:
                self.declare(Staleness.QUIET_UNANSWERED, now_ns)
            return False
        if silence - stale_after_ns < self._next_probe_after():
            return False
        self.probe_sent_ns = now_ns
        self.probes += 1
        return True

    def answered(self, equal: bool | None, now_ns: int) -> None:
        """The touch over REST: equal, different, or (none) unanswered."""
        if not self.probe_sent_ns or self.stale:
            return
        self.probe_sent_ns = 0
        if equal is None:
            self.declare(Staleness.QUIET_UNANSWERED, now_ns)
        elif not equal:
            self.declare(Staleness.QUIET_DIFFERENT, now_ns)

    def declare(self, why: Staleness, now_ns: int) -> None:
        self.stale = why
        self.stale_since_ns = now_ns
        self.episodes += 1

    def _next_probe_after(self) -> int:
        if self.probes < len(PROBES_AFTER_NS):
            return PROBES_AFTER_NS[self.probes]
        return PROBES_AFTER_NS[-1] + PROBE_EVERY_NS * (self.probes - len(PROBES_AFTER_NS) + 1)
