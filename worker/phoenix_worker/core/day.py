"""The profit and loss of one UTC day, from what the exchange itself can tell again, so that a restart resets nothing:

    q · mark − q₀ · mark₀ − Σ signed fill notional + funding − fees

`q₀` is the position at 00:00 UTC, the present one less what the day has traded; `mark₀` the mark price at 00:00. Fees
that were paid in another asset count at that asset's mark price. Money is in 1e-8 quote, exact but for the two marks.
"""

import msgspec

from phoenix_worker.core.events import Fill
from phoenix_worker.core.fees import charge
from phoenix_worker.core.instrument import MONEY, Instrument

DAY_MS = 86_400_000


def start_of_day(exchange_ms: int) -> int:
    """00:00 UTC of the day of this moment."""
    return exchange_ms - exchange_ms % DAY_MS


class Day(msgspec.Struct):
    """What has been traded since 00:00 UTC, whoever traded it.

    Trades up to `read_to` came from the exchange's own list, all newer ones are counted as they are told: their ids
    keep the two apart.
    """

    start_ms: int = 0
    """00:00 UTC by the exchange's clock; 0: no day has begun here yet."""
    read_to: int = 0
    open_mark: float = 0.0
    """mark₀; 0 where it is not known (yet)."""
    steps: int = 0
    """Bought less sold."""
    notional: int = 0
    """Σ signed fill notional: buys positive."""
    fees: dict[str, int] = {}
    """Paid less received, by asset, in 1e-8 of its units."""

    def on_fill(self, fill: Fill, instrument: Instrument) -> None:
        """A fill that is told for the first time; it may be of yesterday, or among those that were read."""
        if fill.time_ms < self.start_ms or fill.trade_id <= self.read_to:
            return
        self.steps += fill.side * fill.qty_steps
        self.notional += fill.side * instrument.notional(fill.price_ticks, fill.qty_steps)
        charge(self.fees, fill)

    def add(self, open_mark: float, steps: int, notional: int, fees: dict[str, int]) -> None:
        """What the exchange lists of the day up to `read_to`."""
        self.open_mark = open_mark
        self.steps += steps
        self.notional += notional
        for asset, amount in fees.items():
            self.fees[asset] = self.fees.get(asset, 0) + amount

    def opened_with(self, position_steps: int) -> int:
        """q₀, beside this position."""
        return position_steps - self.steps

    def is_valued(self, position_steps: int) -> bool:
        """Whether mark₀ is known, or nothing was held then: a symbol that was listed today has none."""
        return self.open_mark > 0 or self.opened_with(position_steps) == 0

    def result(self, position_steps: int, mark: float, funding: int, fees: int, instrument: Instrument) -> int:
        """The formula, where `is_valued` and the mark is known; `fees` are those of the day in quote."""
        now = value(position_steps, mark, instrument)
        opened = value(self.opened_with(position_steps), self.open_mark, instrument)
        return now - opened - self.notional + funding - fees


def value(steps: int, price: float, instrument: Instrument) -> int:
    """Signed, in money; the one rounding of each mark."""
    return round(steps * instrument.step * price * MONEY)
