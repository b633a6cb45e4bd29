"""Fresh and stale: whether what we see of the market is what it is now.

Four questions. Does the connection live (a frame of the symbol's book, or of a stream that never rests)? If the symbol
rests while the connection lives, does the touch that we hold still stand (asked over REST)? Do the diffs follow the
touch (a touch with a newer update id says that the book has changed, so a diff must come)? And do frames come in time
(exchange time against our offset-corrected clock)?
"""

from enum import StrEnum

import msgspec

PROBES_AFTER_NS = (0, 5_000_000_000, 10_000_000_000)
"""Silence beyond `staleAfter` at which the touch is asked; then every 30 s."""
PROBE_EVERY_NS = 30_000_000_000
PROBE_PATIENCE_NS = 500_000_000
"""How long a question about a quiet symbol may stay open before the price counts as stale."""
EVIDENCE_AFTER_NS = 500_000_000
"""How long a new stream may bring nothing of the symbol before its touch is asked for."""


class Staleness(StrEnum):
    """Why a price is stale."""

    CONNECTION = "connection silent"
    QUIET_UNANSWERED = "quiet symbol, nobody answered"
    QUIET_DIFFERENT = "quiet symbol, the touch is another one"
    DIFFS = "diffs silent while the touch moves on"
    LATE = "frames late"


CAUGHT = frozenset({Staleness.QUIET_DIFFERENT, Staleness.DIFFS, Staleness.LATE})
"""The stream itself told nothing, too little, or too late: that the touch stands over REST does not acquit the next
one, or it would be quoted on for as long as it takes to catch it again. Only what it brings in time does.
"""


class Phase(StrEnum):
    """FRESH needs evidence from the present stream: a frame in time (a diff where diffs were missed), or, unless the
    stream before was caught, a REST touch equal to ours while it lives.
    """

    UNPROVEN = "unproven"  # a stream is open (or about to be), and has brought nothing yet
    FRESH = "fresh"
    STALE = "stale"  # this stream is not believed any more: another one must be opened


class Freshness(msgspec.Struct):
    """Times are monotonic ns. `why` is kept from the first moment of an episode until there is evidence again."""

    phase: Phase = Phase.UNPROVEN
    why: Staleness | None = None
    stale_since_ns: int = 0
    episodes: int = 0
    stale_ns: int = 0
    """Of the episodes that are over."""
    fresh_since_ns: int = 0
    last_frame_ns: int = 0
    last_canary_ns: int = 0
    canary_seen: bool = False
    """On the present stream."""
    probes: int = 0
    probe_sent_ns: int = 0
    """When the question that is open was asked; 0: none is."""
    ahead_since_ns: int = 0
    """Since when the touch has been newer than the last diff; 0: it is not."""

    @property
    def fresh(self) -> bool:
        return self.phase is Phase.FRESH

    def opened(self, now_ns: int) -> None:
        """A new stream: nothing is known of it yet."""
        self.phase = Phase.UNPROVEN
        self.last_frame_ns = self.last_canary_ns = now_ns
        self.canary_seen = False
        self.probes = self.probe_sent_ns = self.ahead_since_ns = 0

    def frame(self, now_ns: int, *, diff: bool = True) -> None:
        """A frame of the symbol's book that came in time, whatever it changes: a diff, or else a touch."""
        self.last_frame_ns = now_ns
        self.probes = self.probe_sent_ns = 0
        if self.phase is Phase.UNPROVEN and (diff or self.why is not Staleness.DIFFS):
            self._proven(now_ns)

    def canary(self, now_ns: int) -> None:
        self.last_canary_ns = now_ns
        self.canary_seen = True

    def stale_seconds(self, now_ns: int) -> float:
        """Of all episodes together, one that goes on included."""
        return (self.stale_ns + (now_ns - self.stale_since_ns if self.why else 0)) / 1e9

    def judge(self, now_ns: int, stale_after_ns: int, *, touch_known: bool) -> bool:
        """Once a tick: declares staleness where it is due; true where our touch should be compared over REST now."""
        if self.phase is Phase.STALE:
            return False
        silence = now_ns - self.last_frame_ns
        if silence > stale_after_ns and now_ns - self.last_canary_ns > stale_after_ns:
            self.declare(Staleness.CONNECTION, now_ns)
            return False
        if self.ahead_since_ns and now_ns - self.ahead_since_ns > stale_after_ns:
            self.declare(Staleness.DIFFS, now_ns)
            return False
        if self.probe_sent_ns:
            if now_ns - self.probe_sent_ns > PROBE_PATIENCE_NS:
                self.declare(Staleness.QUIET_UNANSWERED, now_ns)
            return False
        patience = EVIDENCE_AFTER_NS if self.phase is Phase.UNPROVEN else stale_after_ns
        due = silence > patience and silence - patience >= self._next_probe_after()
        if self.phase is Phase.UNPROVEN:
            due = due and self.canary_seen
        if due and touch_known:
            self.probe_sent_ns = now_ns
            self.probes += 1
        return due and touch_known

    def answered(self, equal: bool | None, now_ns: int) -> None:
        """The touch over REST: equal, different, or (none) unanswered."""
        if not self.probe_sent_ns or self.phase is Phase.STALE:
            return
        self.probe_sent_ns = 0
        if equal is None:
            self.declare(Staleness.QUIET_UNANSWERED, now_ns)
        elif not equal:
            self.declare(Staleness.QUIET_DIFFERENT, now_ns)
        elif self.phase is Phase.UNPROVEN and self.why not in CAUGHT:
            self._proven(now_ns)

    def declare(self, why: Staleness, now_ns: int) -> None:
        """Stale from now on. An episode that goes on (a new stream that is no better) stays one."""
        if self.why is None:
            self.stale_since_ns = now_ns
            self.episodes += 1
        self.phase, self.why = Phase.STALE, why

    def _proven(self, now_ns: int) -> None:
        if self.why:
            self.stale_ns += now_ns - self.stale_since_ns
        self.phase, self.why, self.fresh_since_ns = Phase.FRESH, None, now_ns

    def _next_probe_after(self) -> int:
        if self.probes < len(PROBES_AFTER_NS):
            return PROBES_AFTER_NS[self.probes]
        return PROBES_AFTER_NS[-1] + PROBE_EVERY_NS * (self.probes - len(PROBES_AFTER_NS) + 1)
