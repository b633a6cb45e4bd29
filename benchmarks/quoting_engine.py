"""An engine that really quotes, without an exchange: everything it asks for is answered at once, and nothing fills."""

from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from capture import Frame, Kind
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Amend, AnyAction, ArmDeadMan, Cancel, FetchSnapshot, FetchTruth, Place, Reserve
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.instrument import MONEY, Grid, Instrument
from phoenix_worker.core.parameters import Grinding, Guards, Parameters, Risk, Vpin
from phoenix_worker.venue.binance import messages

BTCUSDT = Instrument(
    symbol="BTCUSDT",
    base_asset="BTC",
    quote_asset="USDT",
    price=Grid.of(Decimal("0.10")),
    quantity=Grid.of(Decimal("0.001")),
    min_price_ticks=5_568,
    max_price_ticks=45_297_640,
    min_qty_steps=1,
    max_qty_steps=1_000_000,
    market_min_steps=1,
    market_max_steps=120_000,
    min_notional=50 * MONEY,
    band_up=1.05,
    band_down=0.95,
    max_open_orders=200,
)
SECOND = 1_000_000_000

PARAMETERS = Parameters(
    net_max_steps=200,
    base_size_steps=20,
    worst_case_multiplier=1.15,
    size_decay_k=3.8,
    layer_decay=0.9,
    min_spread_bps=2.0,
    edge_bps=0.5,
    vol_multiplier=1.0,
    horizon_seconds=10.0,
    inventory_skew_bps=5.0,
    near_layers=3,
    near_step_bps=1.5,
    far_layers=2,
    far_ratio=1.6,
    quote_interval_ns=SECOND // 2,
    min_requote_interval_ns=SECOND // 10,
    requote_threshold_bps=0.75,
    stale_after_ns=2 * SECOND,
    late_after_ns=3_600 * SECOND,
    ack_lag_ns=SECOND,
    give_up_after_ns=60 * SECOND,
    handover_after_ns=3 * SECOND,
    funding_sensitivity=2.2,
    funding_alpha=0.3,
    guards=Guards(0.70, 0.95, 1.00, 1.10, 0.02, 0.05, 1.0, 60 * SECOND, 4.0),
    grinding=Grinding(True, 0.87, 0.0038, 42 * SECOND, 18, 0.075, 2.1, 4.2, 1.4),
    vpin=Vpin(0.55, 0.70, 0.85, 2.5, 50, 1440, 60 * SECOND),
    risk=Risk(0.05, 50, 200.0),
)


@dataclass
class QuotingEngine:
    """`engine` in the state in which it quotes; `acknowledge` answers what it asked for."""

    engine: Engine
    snapshot: ev.Snapshot
    last_tick_ns: int
    venue_id: int = 0
    resting: dict[str, ev.OpenOrder] = field(default_factory=dict)

    @classmethod
    def of_capture(cls, frames: list[Frame]) -> "QuotingEngine":
        """Book synchronised from the capture's own snapshot once its diffs reach it."""
        at = frames[0].at_ns
        raw = next(frame.raw for frame in frames if frame.kind is Kind.SNAPSHOT)
        return cls.started(messages.snapshot(raw, at), at, clock_offset_ns=0, parameters=PARAMETERS)

    @classmethod
    def started(
        cls, snapshot: ev.Snapshot, at: int, *, clock_offset_ns: int, parameters: Parameters
    ) -> "QuotingEngine":
        """Streams up, lease held, truth read."""
        engine = Engine.new(parameters, BTCUSDT, at, dry_run=False)
        rig = cls(engine, snapshot, at)
        for event in (
            ev.ClockSynced(at, clock_offset_ns, 0),
            ev.FeesSet(at, 2.0, 5.0),
            ev.Coordination(at, True),
            ev.Emergency(at, ev.EmergencyLevel.NONE, 0, ""),
            ev.Minutes(at, 0, [61_800.0 + 10 * (minute % 3) for minute in range(30)]),
            ev.StreamOpened(at, ev.Stream.USER),
            ev.Lease(at, 1_723_161_255_000, at + 3_600 * SECOND, "bench0"),
            ev.StreamOpened(at, ev.Stream.BOOK),
        ):
            rig.acknowledge(engine.on(event), at)
        return rig

    def let_time_pass(self, at: int) -> None:
        """A tick each 50 ms, outside of what is measured: it belongs to time, not to a message."""
        while at - self.last_tick_ns >= SECOND // 20:
            self.last_tick_ns += SECOND // 20
            self.acknowledge(self.engine.on(ev.Tick(self.last_tick_ns)), self.last_tick_ns)

    def acknowledge(self, actions: list[AnyAction], at: int) -> None:
        """The answers of an exchange without latency, and their events on the user stream."""
        for action in actions:
            for event in self.answers(action, at):
                self.acknowledge(self.engine.on(event), at)

    def answers(self, action: AnyAction, at: int) -> list[ev.AnyEvent]:
        match action:
            case FetchTruth():
                return [ev.Truth(at, action.request_id, open_orders=list(self.resting.values()))]
            case FetchSnapshot():
                return [msgspec.structs.replace(self.snapshot, at=at)]
            case ArmDeadMan():
                return [ev.DeadManArmed(at, at + 3_600 * SECOND)]
            case Reserve():
                return [ev.Reserved(at, action.sequence, action.buy_steps, action.sell_steps)]
            case Place() | Amend():
                order = action.approved.order
                self.venue_id += 1
                answer = ev.Answer(
                    at,
                    order.request,
                    order.client_id,
                    ev.Outcome.CONFIRMED,
                    at,
                    venue_id=order.venue_id or self.venue_id,
                    price_ticks=order.price_ticks,
                    qty_steps=order.qty_steps,
                )
                return [answer, *self.reports(action, at)]
            case Cancel():
                answer = ev.Answer(at, ev.Request.CANCEL, action.client_id, ev.Outcome.CONFIRMED, at, closed=True)
                return [answer, *self.reports(action, at)]
            case _:
                return []

    def reports(self, action: Place | Amend | Cancel, at: int) -> list[ev.AnyEvent]:
        """What the user stream says about a command that was accepted."""
        if isinstance(action, Cancel):
            gone = msgspec.structs.replace(self.resting.pop(action.client_id), state=ev.OrderState.CANCELED)
            return [ev.OrderReport(at, 0, 0, ev.Execution.CANCELED, gone, None)]
        order = action.approved.order
        told = ev.OpenOrder(
            order.client_id,
            order.venue_id or self.venue_id,
            order.side,
            order.price_ticks,
            order.qty_steps,
            0,
            order.reduce_only,
            ev.OrderState.NEW,
            at // 1_000_000,
        )
        self.resting[order.client_id] = told
        execution = ev.Execution.NEW if isinstance(action, Place) else ev.Execution.AMENDMENT
        return [ev.OrderReport(at, 0, 0, execution, told, None)]
