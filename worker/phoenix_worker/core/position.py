"""The position, told twice by the exchange: by every fill, and by its account updates. Neither is waited for.

The order of the two is not guaranteed, so both are kept. Quotes are planned from the fills, the limit is kept for the
worse of the two, and when they differ for longer than an event may lag, something was missed: look at the truth.
"""

import msgspec

from phoenix_worker.core.events import Fill, PositionReport

_REMEMBERED_TRADES = 2_000


class Position(msgspec.Struct):
    """Signed steps. `entry_price` is the volume-weighted entry, 0 when flat."""

    by_fills: int = 0
    by_account: int = 0
    entry_price: float = 0.0
    differ_since_ns: int = 0
    last_trade_id: int = 0
    """Every trade up to this id is accounted for."""
    newer_trades: dict[int, bool] = {}
    report_ms: int = 0

    @property
    def steps(self) -> int:
        return self.by_fills

    @property
    def longest(self) -> int:
        return max(self.by_fills, self.by_account)

    @property
    def shortest(self) -> int:
        return min(self.by_fills, self.by_account)

    @property
    def newest_trade_id(self) -> int:
        return max(self.newer_trades, default=self.last_trade_id)

    def is_new(self, trade_id: int) -> bool:
        return trade_id > self.last_trade_id and trade_id not in self.newer_trades

    def on_fill(self, fill: Fill, price: float, now_ns: int) -> bool:
        """Books a fill once, whoever made it; false where it was known."""
        if not self.is_new(fill.trade_id):
            return False
        self.newer_trades[fill.trade_id] = True
        if len(self.newer_trades) > _REMEMBERED_TRADES:
            ids = sorted(self.newer_trades)
            self.last_trade_id = ids[len(ids) // 2]
            self.newer_trades = dict.fromkeys(ids[len(ids) // 2 + 1 :], True)
        self._move(fill.side * fill.qty_steps, price)
        self._compare(now_ns)
        return True

    def on_report(self, report: PositionReport, now_ns: int) -> None:
        """Takes what the account says, unless it is older than what it said before."""
        if report.transaction_ms < self.report_ms:
            return
        self.report_ms = report.transaction_ms
        self.by_account = report.position_steps
        if self.by_account == self.by_fills:
            self.entry_price = report.entry_price
        self._compare(now_ns)

    def recall(self, last_trade_id: int, newer_trades: list[int]) -> None:
        """Which trades have been booked by whoever kept the accounts before; the position itself is read anew."""
        self.last_trade_id, self.newer_trades = last_trade_id, dict.fromkeys(newer_trades, True)

    def account_for(self, trade_id: int) -> None:
        """The exchange agrees up to this trade: there is nothing older to be read, or remembered, any more."""
        if trade_id > self.last_trade_id:
            self.last_trade_id = trade_id
            self.newer_trades = {known: True for known in self.newer_trades if known > trade_id}

    def replace(self, steps: int, entry_price: float, last_trade_id: int, read_ms: int) -> None:
        """The truth, read until it agreed with itself: both tellings start again from it."""
        self.by_fills = self.by_account = steps
        self.entry_price = entry_price
        self.last_trade_id = max(self.last_trade_id, last_trade_id, *self.newer_trades, 0)
        self.newer_trades = {}
        self.report_ms = max(self.report_ms, read_ms)
        self.differ_since_ns = 0

    def _move(self, signed_steps: int, price: float) -> None:
        old, new = self.by_fills, self.by_fills + signed_steps
        if new == 0:
            self.entry_price = 0.0
        elif old * new <= 0:
            self.entry_price = price  # opened, or turned: the remainder stands at the fill's price
        elif abs(new) > abs(old):
            self.entry_price += (price - self.entry_price) * abs(signed_steps) / abs(new)
        self.by_fills = new

    def _compare(self, now_ns: int) -> None:
        if self.by_fills == self.by_account:
            self.differ_since_ns = 0
        elif not self.differ_since_ns:
            self.differ_since_ns = now_ns
