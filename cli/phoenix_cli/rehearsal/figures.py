"""What came of a run: money from the exchange's own books, and what the mid did to it.

    PnL = spread captured − fees + funding + inventory

The spread captured is what fills were better than the mid of the moment before they came (Huang and Stoll 1996,
effective half spread); inventory is all that the mid has done to the position since. Markouts are realised spreads: the
mid so many seconds later against the fill's price. All sums are exact integers; what is divided is divided last.
"""

from collections import deque
from collections.abc import Iterator
from itertools import accumulate

import msgspec
from phoenix_simulator.exchange.events import AccountUpdated, ExchangeEvent, Fill, OrderUpdated, UpdateReason
from phoenix_simulator.exchange.orders import ExecutionType
from phoenix_simulator.exchange.symbols import SymbolSpec

HORIZONS_S = (1, 10, 60)
BORDERS = (0.70, 0.87, 0.95, 1.00, 1.10)
"""|q| / netMax of the guards' defaults: pin, grind, block, flatten, liquidate."""
SECOND_NS = 1_000_000_000
MONEY = 100_000_000


class Figures(msgspec.Struct, frozen=True):
    """Money in 1e-8 quote. `markout` sums are by `HORIZONS_S`, of maker fills alone, with the volume that they are of.

    Inventory is |q| / netMax of samples a second apart, its variance that around zero: flat is what a maker wants.
    `beyond` counts the samples at or beyond each of `BORDERS`, `modes` those in which the maker called itself so,
    `two_sided` those with orders resting on both sides.
    """

    seconds: int = 0
    fills: int = 0
    maker_fills: int = 0
    volume: int = 0
    spread: int = 0
    fees: int = 0
    funding: int = 0
    pnl: int = 0
    markout: tuple[int, ...] = (0,) * len(HORIZONS_S)
    markout_volume: tuple[int, ...] = (0,) * len(HORIZONS_S)
    drawdown: int = 0
    inventory_mean: float = 0.0
    inventory_variance: float = 0.0
    inventory_most: float = 0.0
    beyond: tuple[int, ...] = (0,) * len(BORDERS)
    modes: dict[str, int] = {}
    two_sided: int = 0
    placed: int = 0
    amended: int = 0
    cancelled: int = 0

    @property
    def inventory(self) -> int:
        return self.pnl - self.spread + self.fees - self.funding

    def per_volume_bps(self, money: int) -> float | None:
        """None where nothing was traded."""
        return 1e4 * money / self.volume if self.volume else None

    def markout_bps(self, horizon: int) -> float | None:
        """By the index of the horizon."""
        volume = self.markout_volume[horizon]
        return 1e4 * self.markout[horizon] / volume if volume else None


class _Waiting(msgspec.Struct, frozen=True):
    """A maker's fill whose horizon has not come; `due_ns` is when."""

    due_ns: int
    signed_steps: int
    price_ticks: int


class Meter:
    """Listens to the exchange (`exchange.listeners`) for one account in one symbol.

    Whoever drives the exchange says `see` before each update, with the mid that stands until then: what the update
    fills is measured against it; and `sample` once a second.
    """

    def __init__(self, spec: SymbolSpec, account_id: str, net_max_steps: int) -> None:
        self._spec = spec
        self._account_id = account_id
        self._net_max_steps = net_max_steps
        self.position_steps = 0
        self._cash = 0
        """What fills have brought in and cost, without fees."""
        self._fees = self._funding = self._volume = self._spread = 0
        self._fills = self._maker_fills = 0
        self._mid_half_ticks = 0
        self._now_ns = 0
        self._waiting: tuple[deque[_Waiting], ...] = tuple(deque() for _ in HORIZONS_S)
        self._next_due_ns = 1 << 62
        self._markout = [0] * len(HORIZONS_S)
        self._markout_volume = [0] * len(HORIZONS_S)
        self._equity: list[int] = [0]
        self._ratios: list[float] = []
        self._modes: dict[str, int] = {}
        self._two_sided = 0
        self._counts = dict.fromkeys((ExecutionType.NEW, ExecutionType.AMENDMENT, ExecutionType.CANCELED), 0)

    # ---- what happens -------------------------------------------------------------------------------------------

    def see(self, now_ns: int, mid_half_ticks: int) -> None:
        """Twice the mid in ticks, as it stands at `now_ns` before whatever comes next."""
        if now_ns >= self._next_due_ns:
            self._measure(now_ns, mid_half_ticks)
        self._now_ns, self._mid_half_ticks = now_ns, mid_half_ticks

    def on(self, event: ExchangeEvent) -> None:
        if isinstance(event, OrderUpdated):
            if event.account_id == self._account_id and event.order.symbol == self._spec.symbol:
                if event.fill is not None:
                    self._book(event.fill)
                elif event.execution in self._counts:
                    self._counts[event.execution] += 1
        elif isinstance(event, AccountUpdated) and event.reason is UpdateReason.FUNDING_FEE:
            ours = event.account_id == self._account_id and event.symbol == self._spec.symbol
            self._funding += sum(balance.change_e8 for balance in event.balances) if ours else 0

    def sample(self, mode: str, *, two_sided: bool) -> None:
        """Once a second, after `see`."""
        self._equity.append(self.equity)
        self._ratios.append(abs(self.position_steps) / self._net_max_steps)
        self._modes[mode] = self._modes.get(mode, 0) + 1
        self._two_sided += two_sided

    @property
    def equity(self) -> int:
        """What the run has made so far, the position valued at the mid."""
        return self._cash - self._fees + self._funding + self._worth(self.position_steps)

    def figures(self) -> Figures:
        ratios, count = self._ratios, max(1, len(self._ratios))
        mean = sum(ratios) / count
        return Figures(
            seconds=len(ratios),
            fills=self._fills,
            maker_fills=self._maker_fills,
            volume=self._volume,
            spread=self._spread,
            fees=self._fees,
            funding=self._funding,
            pnl=self.equity,
            markout=tuple(self._markout),
            markout_volume=tuple(self._markout_volume),
            drawdown=max(_falls(self._equity)),
            inventory_mean=mean,
            inventory_variance=sum(ratio * ratio for ratio in ratios) / count,
            inventory_most=max(ratios, default=0.0),
            beyond=tuple(sum(ratio >= border for ratio in ratios) for border in BORDERS),
            modes=dict(self._modes),
            two_sided=self._two_sided,
            placed=self._counts[ExecutionType.NEW],
            amended=self._counts[ExecutionType.AMENDMENT],
            cancelled=self._counts[ExecutionType.CANCELED],
        )

    # ---- sums ---------------------------------------------------------------------------------------------------

    def _worth(self, signed_steps: int) -> int:
        """At the mid; half a tick of one step is a whole number of 1e-8 for every listed symbol but the finest."""
        return self._spec.notional_e8(self._mid_half_ticks, signed_steps) // 2

    def _book(self, fill: Fill) -> None:
        signed_steps = fill.side.sign * fill.qty_steps
        self.position_steps += signed_steps
        self._cash -= fill.side.sign * fill.quote_e8
        self._fees += fill.commission_e8
        self._volume += fill.quote_e8
        self._spread += self._worth(signed_steps) - fill.side.sign * fill.quote_e8
        self._fills += 1
        if not fill.is_maker:
            return
        self._maker_fills += 1
        for waiting, horizon_s in zip(self._waiting, HORIZONS_S, strict=True):
            waiting.append(_Waiting(self._now_ns + horizon_s * SECOND_NS, signed_steps, fill.price_ticks))
        self._next_due_ns = min(self._next_due_ns, self._now_ns + HORIZONS_S[0] * SECOND_NS)

    def _measure(self, now_ns: int, mid_half_ticks: int) -> None:
        """By the mid that stood when it was due, which is the one before this moment's."""
        value = self._spec.notional_e8
        for index, waiting in enumerate(self._waiting):
            while waiting and waiting[0].due_ns <= now_ns:
                fill = waiting.popleft()
                moved_half_ticks = mid_half_ticks - 2 * fill.price_ticks
                self._markout[index] += value(moved_half_ticks, fill.signed_steps) // 2
                self._markout_volume[index] += value(fill.price_ticks, abs(fill.signed_steps))
        self._next_due_ns = min((waiting[0].due_ns for waiting in self._waiting if waiting), default=1 << 62)


def _falls(equity: list[int]) -> Iterator[int]:
    """From the highest point so far, at each moment."""
    return (top - now for top, now in zip(accumulate(equity, max), equity, strict=True))
