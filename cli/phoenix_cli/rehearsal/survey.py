"""A recording read once before anything trades on it: contract, clock, latency, and what its own engine did."""

from decimal import Decimal
from pathlib import Path
from statistics import median

import msgspec
from phoenix_simulator.exchange.symbols import BUILT_IN, E8, LeverageBracket, SymbolSpec
from phoenix_simulator.market.source import MarketStart
from phoenix_worker.core import events as ev
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.runtime.recording import BadRecordingError, Frame
from phoenix_worker.runtime.replay import Orders

from phoenix_cli.rehearsal.feed import Day
from phoenix_cli.rehearsal.recorded import Opened, Tape, played

NS_PER_MS = 1_000_000
USUAL_EACH_WAY_NS = 20_000_000
"""Where the recording has no answer from which it could be known."""
_HOUR_MS = 3_600_000
_FUNDING_HOURS = (8, 4, 2, 1)
_ROUND_TRIPS = 10_000
_FUNDING_CAP = Decimal("0.03")
"""The widest that the venue has; rates of a recording are what they were."""
_BRACKET = LeverageBracket(1, 20, 0, 10**9 * E8, Decimal("0.02"), 0)
"""Of a symbol whose table is not known: wide enough not to be in the way."""


class Recorded(msgspec.Struct):
    """What the recorded engine itself did, for comparison: of its own orders and fills."""

    orders: Orders = msgspec.field(default_factory=Orders)
    fills: int = 0
    volume: int = 0
    """Money (1e-8 quote), as `fees`, which are those paid in quote."""
    fees: int = 0


class Survey(msgspec.Struct):
    """A recording read once. `memory` is what its engine knew of the market before the first event, the account left
    out; `day` the minutes that it was told of; `notes` say what is missing.
    """

    build: str
    instrument: Instrument
    parameters: Parameters
    spec: SymbolSpec
    start: MarketStart
    opens_ms: int
    memory: bytes
    seconds: float
    updates: int
    each_way_ns: int
    day: Day | None
    recorded: Recorded
    notes: list[str]


class _Surveyor:
    """What is learned of a recording beside its market."""

    def __init__(self) -> None:
        self.first: Engine | None = None
        self.day: Day | None = None
        self.fees_bps: tuple[float, float] | None = None
        self.clock: ev.ClockSynced | None = None
        self.wall_ms = 0
        """Of the newest market event, by the exchange's clock."""
        self.next_funding_ms = 0
        self.recorded = Recorded()
        self.round_trips: list[int] = []
        self.parameters_set = 0
        self._trades: set[int] = set()

    def keyframe(self, engine: Engine) -> None:
        if self.first is None:
            self.first = engine

    def hear(self, frame: Frame) -> None:
        if frame.actions:
            self.recorded.orders.count(frame.actions)
        match frame.event:
            case ev.Depth(event_ms=event_ms) | ev.Touch(event_ms=event_ms):
                self.wall_ms = event_ms
            case ev.OrderReport(fill=fill) if fill is not None:
                self._count(fill)
            case ev.Truth(fills=fills):
                for fill in fills:
                    self._count(fill)
            case ev.Answer(sent_ns=sent_ns, at=at) if sent_ns and len(self.round_trips) < _ROUND_TRIPS:
                self.round_trips.append(at - sent_ns)
            case event:
                self._learn(event)

    def _learn(self, event: ev.AnyEvent) -> None:
        """What is told once, or seldom."""
        match event:
            case ev.Minutes(closes=closes, volumes=volumes, taker_buys=taker_buys) if self.day is None and closes:
                self.day = Day(closes, volumes, taker_buys)
            case ev.FeesSet(maker_bps=maker_bps, taker_bps=taker_bps) if self.fees_bps is None:
                self.fees_bps = maker_bps, taker_bps
            case ev.ClockSynced() as clock if self.clock is None:
                self.clock = clock
            case ev.Mark(next_funding_ms=next_funding_ms):
                self.next_funding_ms = self.next_funding_ms or next_funding_ms
            case ev.ParametersSet():
                self.parameters_set += 1
            case _:
                pass

    def _count(self, fill: ev.Fill) -> None:
        """Once, however often it was told; those that were known before the recording began are not of it."""
        if self.first is None or fill.trade_id in self._trades or not self.first.account.position.is_new(fill.trade_id):
            return
        self._trades.add(fill.trade_id)
        instrument = self.first.instrument
        self.recorded.fills += 1
        self.recorded.volume += instrument.notional(fill.price_ticks, fill.qty_steps)
        if fill.commission_asset == instrument.quote_asset:
            self.recorded.fees += fill.commission


def survey(recording: Path) -> Survey:
    """Reads it once, whole; raises `BadRecordingError` for what cannot be played."""
    tape, learned = Tape(recording), _Surveyor()
    opened: Opened | None = None
    opens_ms = updates = time_ns = 0
    for update in played(tape, learned):
        if isinstance(update, Opened):
            opened, opens_ms = update, _exchange_ms(learned, update.at)
        else:
            updates, time_ns = updates + 1, update.time_ns
    first = learned.first
    if opened is None or first is None or not updates:
        raise BadRecordingError(
            f"{recording}: holds no market: its engine never had a book: record one that has quoted"
        )
    notes = list(tape.notes)
    if learned.parameters_set:
        notes.append(
            f"parameters were set {learned.parameters_set} times while it was recorded: "
            "the recorded ones are those of its beginning"
        )
    fees_bps = (first.maker_fee_bps, first.taker_fee_bps)
    return Survey(
        build=tape.head.build,
        instrument=first.instrument,
        parameters=first.parameters,
        spec=spec_of(
            first.instrument,
            fees_bps if any(fees_bps) else learned.fees_bps or fees_bps,
            _funding_interval_ms(opens_ms, first.next_funding_ms or learned.next_funding_ms),
        ),
        start=opened.start,
        opens_ms=opens_ms,
        memory=_memory(first),
        seconds=time_ns / 1e9,
        updates=updates,
        each_way_ns=int(median(learned.round_trips) / 2) if learned.round_trips else USUAL_EACH_WAY_NS,
        day=learned.day,
        recorded=learned.recorded,
        notes=notes,
    )


def spec_of(instrument: Instrument, fees_bps: tuple[float, float], funding_interval_ms: int) -> SymbolSpec:
    """The contract as the recorded engine knew it, with its own fees; what it did not know is the simulator's."""
    known = BUILT_IN.get(instrument.symbol)
    return SymbolSpec(
        symbol=instrument.symbol,
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        margin_asset=instrument.quote_asset,
        price_precision=instrument.price.scale,
        quantity_precision=instrument.quantity.scale,
        tick_e8=instrument.price.mantissa * 10 ** (8 - instrument.price.scale),
        step_e8=instrument.quantity.mantissa * 10 ** (8 - instrument.quantity.scale),
        min_price_ticks=instrument.min_price_ticks,
        max_price_ticks=instrument.max_price_ticks,
        min_steps=instrument.min_qty_steps,
        max_steps=instrument.max_qty_steps,
        market_max_steps=instrument.market_max_steps,
        min_notional_e8=instrument.min_notional,
        max_num_orders=instrument.max_open_orders,
        multiplier_up=Decimal(str(instrument.band_up)),
        multiplier_down=Decimal(str(instrument.band_down)),
        market_take_bound=Decimal("0.05"),
        liquidation_fee=Decimal("0.0125"),
        maker_rate_e8=round(fees_bps[0] * 10_000),
        taker_rate_e8=round(fees_bps[1] * 10_000),
        funding_interval_ms=funding_interval_ms,
        funding_cap=_FUNDING_CAP,
        brackets=known.brackets if known is not None else (_BRACKET,),
    )


def _exchange_ms(learned: _Surveyor, at: int) -> int:
    first = learned.first
    if first is not None and first.session.clock_known:
        return first.session.exchange_ms(at)
    if learned.clock is not None:
        return (at + learned.clock.offset_ns) // NS_PER_MS
    return learned.wall_ms


def _funding_interval_ms(opens_ms: int, next_funding_ms: int) -> int:
    """The longest of the venue's intervals whose next multiple is the settlement that was announced."""
    for hours in _FUNDING_HOURS:
        interval_ms = hours * _HOUR_MS
        if (opens_ms // interval_ms + 1) * interval_ms == next_funding_ms:
            return interval_ms
    return _FUNDING_HOURS[0] * _HOUR_MS


def _memory(recorded: Engine) -> bytes:
    """Statistics, flow and the funding that was expected, without the account."""
    fresh = Engine.new(recorded.parameters, recorded.instrument, recorded.now_ns, dry_run=True)
    fresh.statistics, fresh.vpin, fresh.prediction = recorded.statistics, recorded.vpin, recorded.prediction
    return fresh.remember()
