"""The loss limits of one symbol: what has been read of the day, and what has halted for how long.

Beyond the daily limit the symbol halts for the rest of the UTC day, and is free again by itself at the next 00:00, or
where a person raises the limit. The stop loss counts from the beginning of the symbol's accounts, over all days and
restarts, and halts until a person resumes; then it counts anew from there.
"""

import msgspec

from phoenix_worker.core.back_off import doubled
from phoenix_worker.core.day import Day

FIRST_RETRY_NS = 2_000_000_000
LAST_RETRY_NS = 60_000_000_000
ANSWER_WITHIN_NS = 15_000_000_000
"""A reading that is not answered by then is asked again: the venue bounds each of its requests, this their sum."""
READ_AFTER_MIDNIGHT_NS = 60_000_000_000
SPREAD_AFTER_MIDNIGHT_S = 60
"""A day that began under us is known already, but for its exact first mark: it is read when not everybody reads."""


class Losses(msgspec.Struct):
    """`read_token`: the lease under which the day is known; a fill that came while another one led is in no list of
    ours.
    """

    day: Day = msgspec.field(default_factory=Day)
    reading: Day | None = None
    """The day as it will be: counts what is told while the exchange's list is on its way."""
    request_id: int = 0
    asked_ns: int = 0
    asked_token: int = 0
    read_token: int = 0
    failures: int = 0
    """Readings in a row that brought nothing."""
    next_ask_ns: int = 0
    read_again_ns: int = 0
    """When the day that began under us is due to be read; 0: it has been."""
    rates: dict[str, float] = {}
    """Quote per unit of the other assets in which fees were paid, when last read."""
    unknown: str = "the day has not been read yet"
    """Why the limits cannot be judged; empty where they can."""
    halted_day_ms: int = 0
    """The day in which the daily limit was exceeded, and the limit that it was; 0: none."""
    halted_limit: int = 0
    halted_reason: str = ""
    stop_base: int = 0
    """The result at which a person resumed after a stop loss: it counts from there."""
    resumed: bool = False
    """A person has resumed the symbol, and the stop loss has not been judged since."""

    def halted(self, daily_loss_max: int | None) -> bool:
        """Whether the daily loss still halts; a limit that was raised since is judged anew."""
        if daily_loss_max is None or not self.halted_day_ms:
            return False
        return self.halted_day_ms == self.day.start_ms and daily_loss_max <= self.halted_limit

    def is_unknown(self, token: int) -> bool:
        return bool(self.unknown) or self.read_token != token

    def begin(self, day: Day, *, known: bool, read_at_ns: int) -> None:
        """Another day. Where the one before was followed all along this one is `known` from its first moment."""
        self.day, self.reading = day, None
        self.read_again_ns = read_at_ns if known else 0
        if not known:
            self.read_token = 0

    def asked(self, now_ns: int, token: int, newest_trade_id: int) -> int:
        """Begins a reading of the day's trades up to `newest_trade_id`; returns its id."""
        self.request_id += 1
        self.asked_ns, self.asked_token = now_ns, token
        self.reading = Day(self.day.start_ms, newest_trade_id)
        return self.request_id

    def failed(self, now_ns: int) -> None:
        self.reading = None
        self.next_ask_ns = now_ns + doubled(FIRST_RETRY_NS, self.failures, LAST_RETRY_NS)
        self.failures += 1

    def waits(self, now_ns: int, token: int) -> bool:
        """Whether a question is on its way under this lease, or the last one failed a moment ago."""
        if self.reading is not None:
            return self.asked_token == token and now_ns - self.asked_ns <= ANSWER_WITHIN_NS
        return now_ns < self.next_ask_ns
