"""What was earned and paid, in money (integers of 1e-8 quote), from the exchange's own figures of each fill."""

import msgspec

from phoenix_worker.core.events import Fill
from phoenix_worker.core.fees import charge
from phoenix_worker.core.instrument import MONEY, Instrument


class Pnl(msgspec.Struct):
    """Since the symbol's first worker started; a restart goes on counting.

    `fees` positive = paid; fees in another asset are kept apart, unconverted.
    """

    realised: int = 0
    fees: int = 0
    other_fees: dict[str, int] = {}
    volume: int = 0
    fills: int = 0
    bought_steps: int = 0
    sold_steps: int = 0
    began_ms: int = 0
    """The exchange's time from which fills count (0: since this worker started)."""

    def on_fill(self, fill: Fill, instrument: Instrument) -> None:
        self.fills += 1
        self.realised += fill.realised
        self.volume += instrument.notional(fill.price_ticks, fill.qty_steps)
        if fill.side > 0:
            self.bought_steps += fill.qty_steps
        else:
            self.sold_steps += fill.qty_steps
        if fill.commission_asset == instrument.quote_asset:
            self.fees += fill.commission
        else:
            charge(self.other_fees, fill)


def unrealised(position_steps: int, entry_price: float, mark: float, instrument: Instrument) -> int:
    """Q · (mark − entry) in money; 0 when flat or while the mark is unknown."""
    if not position_steps or mark <= 0 or entry_price <= 0:
        return 0
    return round(position_steps * instrument.step * (mark - entry_price) * MONEY)
