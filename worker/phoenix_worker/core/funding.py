"""Funding: what the next settlement is expected to cost, and what the past ones did, booked as the exchange booked it.

    predicted = α · rate + (1 − α) · predicted           sampled once a minute

Income records are the account: each counts once, by its type and id, however often it is read. The user stream tells
of a settlement without any id, sooner: that counts until the record of the same amount is read, and is taken back where
there is none. Records are read at each new lease, after each full hour (the shortest time between two settlements) and
after what the stream tells, always from well before the last reading: a settlement that nobody heard of, or that was
booked late, is found then. `−q · mark · rate` only checks what was paid.
"""

import msgspec

from phoenix_worker.core.back_off import doubled
from phoenix_worker.core.day import DAY_MS, start_of_day
from phoenix_worker.core.events import FundingKind, FundingPaid, FundingRead, FundingRow
from phoenix_worker.core.instrument import MONEY

SAMPLE_NS = 60_000_000_000
PREDICTION_LASTS_NS = 600_000_000_000
"""Without a newer rate, what was predicted so long ago leans no quote any more."""
HOUR_MS = 3_600_000
BOOKED_AFTER_MS = 90_000
"""A settlement may be booked up to about a minute after its time."""
OVERLAP_MS = HOUR_MS
KEPT_MS = 2 * DAY_MS
LONGEST_MS = 89 * DAY_MS
"""The exchange keeps three months."""
CONFIRM_AGAIN_MS = 300_000
PATIENCE_MS = 900_000
"""So long after it was told, a settlement that no record has is none."""
FIRST_RETRY_NS = 5_000_000_000
LAST_RETRY_NS = 320_000_000_000
ANSWER_LOST_NS = 120_000_000_000
AGREES_WITHIN = 0.05
"""Mark, rate and position are those of seconds before or after the settlement."""


class Prediction(msgspec.Struct):
    """`rate` is a ratio, positive: longs pay; none before the first sample."""

    rate: float | None = None
    sampled_ns: int = 0

    def on_rate(self, rate: float, alpha: float, now_ns: int) -> None:
        """The rate that is running: takes the one sample of this minute, if it is due."""
        if self.rate is None:
            self.rate, self.sampled_ns = rate, now_ns
        elif now_ns - self.sampled_ns >= SAMPLE_NS:
            self.rate, self.sampled_ns = alpha * rate + (1.0 - alpha) * self.rate, now_ns

    def bps(self, now_ns: int) -> float:
        """What quotes lean by: 0 while nothing is known, or nothing recent."""
        if self.rate is None or now_ns - self.sampled_ns > PREDICTION_LASTS_NS:
            return 0.0
        return self.rate * 1e4


class Told(msgspec.Struct, frozen=True):
    """A settlement that the user stream has told of, and no record yet."""

    transaction_ms: int
    amount: int


class Record(msgspec.Struct):
    """An income record, and whether the user stream has told of it."""

    row: FundingRow
    told: bool = False


class Expected(msgspec.Struct, frozen=True):
    """What `−q · mark · rate` says of the settlement at this time."""

    settled_ms: int
    amount: int


class Funding(msgspec.Struct):
    """Times are the exchange's, in ms, but for `*_ns`; money in 1e-8 quote, negative = paid."""

    booked: int = 0
    """All records since the symbol's accounts began."""
    records: list[Record] = []
    """Those of the last two days, by time."""
    told: list[Told] = []
    newest_told_ms: int = 0
    through_ms: int = 0
    """When the last reading was asked."""
    since_ms: int = 0
    """From when on `records` are complete, under this lease (0: not read yet)."""
    next_read_ms: int = 0
    asked_ns: int = 0
    """When the reading that is under way was asked (0: none is)."""
    not_before_ns: int = 0
    failures: int = 0
    """Readings in a row that came to nothing: the next one waits twice as long."""
    expected: list[Expected] = []
    differences: int = 0
    """Settlements whose amount is another than position, mark and rate say, or that the stream told and no record."""

    @property
    def paid(self) -> int:
        """Since the accounts began, what no record confirms yet included."""
        return self.booked + sum(told.amount for told in self.told)

    def paid_since(self, start_ms: int) -> int | None:
        """What the exchange booked from this time on; none before it has been read, under this lease."""
        if not self.since_ms or start_ms < self.since_ms:
            return None
        recorded = sum(record.row.amount for record in self.records if record.row.time_ms >= start_ms)
        return recorded + sum(told.amount for told in self.told if told.transaction_ms >= start_ms)

    # -- reading -----------------------------------------------------------------------------------

    def forget(self) -> None:
        """A new lease: others may have booked meanwhile."""
        self.since_ms = self.next_read_ms = self.asked_ns = self.not_before_ns = self.failures = 0

    def due(self, now_ns: int, now_ms: int) -> bool:
        if self.asked_ns and now_ns - self.asked_ns < ANSWER_LOST_NS:
            return False
        return now_ms >= self.next_read_ms and now_ns >= self.not_before_ns

    def ask(self, now_ns: int, now_ms: int, began_ms: int) -> int:
        """From when on records are to be read: well before the last reading, and the whole UTC day."""
        self.asked_ns = now_ns
        known_ms = self.through_ms - OVERLAP_MS if self.through_ms else began_ms
        return max(min(known_ms, start_of_day(now_ms)), now_ms - LONGEST_MS)

    def on_read(self, read: FundingRead, began_ms: int, spread_ms: int) -> list[str]:
        """Books what is new; returns what does not agree, a sentence each. `began_ms`: the accounts' beginning."""
        self.asked_ns = 0
        if read.problem:
            self.not_before_ns = read.at + doubled(FIRST_RETRY_NS, self.failures, LAST_RETRY_NS)
            self.failures += 1
            return [f"income could not be read: {read.problem}"]
        self.failures = 0
        known = {(record.row.kind, record.row.record_id) for record in self.records}
        for row in read.rows:
            if (row.kind, row.record_id) not in known:
                known.add((row.kind, row.record_id))
                self._book(row, began_ms)
        self.through_ms = max(self.through_ms, read.asked_ms)
        self.since_ms = min(self.since_ms or read.since_ms, read.since_ms)
        self._prune()
        remarks = self._take_back() + self._check()
        hour_ms = read.asked_ms - BOOKED_AFTER_MS - spread_ms
        self.next_read_ms = hour_ms - hour_ms % HOUR_MS + HOUR_MS + BOOKED_AFTER_MS + spread_ms
        if self.told:
            self.next_read_ms = min(self.next_read_ms, read.asked_ms + CONFIRM_AGAIN_MS)
        return remarks

    def _book(self, row: FundingRow, began_ms: int) -> None:
        if row.time_ms >= began_ms:
            self.booked += row.amount
        same = [told for told in self.told if _same(told.transaction_ms, told.amount, row)]
        if same:
            self.told.remove(same[0])
        self.records.append(Record(row, told=bool(same)))
        self.records.sort(key=_time_of)

    def _prune(self) -> None:
        kept_from_ms = self.through_ms - KEPT_MS
        self.since_ms = max(self.since_ms, kept_from_ms)
        self.records = [record for record in self.records if record.row.time_ms >= kept_from_ms]

    def _take_back(self) -> list[str]:
        """What the stream told and no record has, although there was time enough."""
        over = [told for told in self.told if told.transaction_ms + PATIENCE_MS <= self.through_ms]
        self.told = [told for told in self.told if told.transaction_ms + PATIENCE_MS > self.through_ms]
        self.differences += len(over)
        return [
            f"the user stream told {_text(told.amount)} at {told.transaction_ms}, no record has it" for told in over
        ]

    # -- what is told sooner -----------------------------------------------------------------------

    def on_told(self, paid: FundingPaid) -> None:
        """The user stream: counts until its record is read, once, also where two connections tell it."""
        if paid.transaction_ms <= self.newest_told_ms:
            return
        self.newest_told_ms = paid.transaction_ms
        for record in self.records:
            if not record.told and _same(paid.transaction_ms, paid.amount, record.row):
                record.told = True
                return
        self.told.append(Told(paid.transaction_ms, paid.amount))
        self.next_read_ms = min(self.next_read_ms, paid.transaction_ms + BOOKED_AFTER_MS)

    def followed_by(self, later: "Funding") -> "Funding":
        """These accounts, and what was told since to a worker who did not keep them."""
        accounts = msgspec.structs.replace(
            self, told=list(self.told), records=[msgspec.structs.replace(record) for record in self.records]
        )
        for told in later.told:
            accounts.on_told(FundingPaid(0, told.transaction_ms, told.amount))
        accounts.forget()
        return accounts

    # -- the check ---------------------------------------------------------------------------------

    def expect(self, settled_ms: int, position: float, mark: float, rate: float) -> None:
        """A settlement has passed, at this signed position (base units), mark and rate: a long pays a positive rate."""
        self.expected.append(Expected(settled_ms, round(-position * mark * rate * MONEY)))

    def _check(self) -> list[str]:
        remarks: list[str] = []
        due = [each for each in self.expected if each.settled_ms + BOOKED_AFTER_MS <= self.through_ms]
        self.expected = [each for each in self.expected if each.settled_ms + BOOKED_AFTER_MS > self.through_ms]
        for each in due:
            if each.settled_ms < self.since_ms:
                continue
            rows = (record.row for record in self.records if record.row.kind is FundingKind.REGULAR)
            paid = sum(row.amount for row in rows if _near(row.time_ms, each.settled_ms))
            if abs(paid - each.amount) > AGREES_WITHIN * abs(each.amount) + 1:
                self.differences += 1
                told = f"position, mark and rate say {_text(each.amount)}"
                remarks.append(f"funding of {each.settled_ms} was {_text(paid)}, {told}")
        return remarks


def _time_of(record: Record) -> int:
    return record.row.time_ms


def _same(transaction_ms: int, amount: int, row: FundingRow) -> bool:
    return amount == row.amount and abs(transaction_ms - row.time_ms) <= PATIENCE_MS


def _near(time_ms: int, settled_ms: int) -> bool:
    return abs(time_ms - settled_ms) <= BOOKED_AFTER_MS


def _text(amount: int) -> str:
    return f"{amount / MONEY:.8f}"
