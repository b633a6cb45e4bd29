"""A whole rehearsal: one time for all, and the exchange's own books at the end."""

from collections.abc import Sequence

import msgspec
import pytest
from phoenix_cli.rehearsal.feed import Day
from phoenix_cli.rehearsal.maker import EngineMaker
from phoenix_cli.rehearsal.run import ACCOUNT, BEGINS_NS, Conditions, Rehearsal, instrument_of, rehearse
from phoenix_simulator.exchange.events import OrderUpdated
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.market.source import (
    DepthUpdate,
    MarketKind,
    MarketStart,
    MarkUpdate,
    PrintUpdate,
    TouchUpdate,
)
from phoenix_simulator.market.synthetic import SyntheticSource
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Purpose, TimeInForce, WantedOrder
from samples import BTCUSDT, GUARDS, MAKER

SPEC = BUILT_IN["BTCUSDT"]
MS = 1_000_000
SECOND = 1_000_000_000
E8 = 100_000_000
DAY = Day([61_800.0 + 10 * (minute % 3) for minute in range(60)], [400.0] * 60, [210.0] * 60)
SETTLES_MS = 1_767_254_400_000


def quoting():
    """Near the touch, so that a minute has fills."""
    return msgspec.structs.replace(
        MAKER, net_max_steps=200, base_size_steps=10, min_spread_bps=0.4, edge_bps=-1.9, vol_multiplier=0.0
    )


def run_engine(seconds=30.0, opens_ms=SETTLES_MS - 15_000, **conditions):
    source = SyntheticSource(SPEC, 11, RegimeName.THIN)
    maker = EngineMaker(quoting(), instrument_of(SPEC))
    rehearsal = Rehearsal(SPEC, source, maker, 200, Conditions(opens_ms=opens_ms, **conditions), DAY)
    return rehearsal, maker, rehearsal.run(seconds)


@pytest.mark.parametrize("held", [150, -150])
def test_what_is_held_at_the_beginning_is_bought_at_the_market_and_no_foreign_order_to_the_maker(held):
    rehearsal, maker, figures = run_engine(seconds=3.0, held_steps=held)
    assert figures.inventory_most >= 0.75
    assert figures.fees >= rehearsal.exchange.account(ACCOUNT).holding(SPEC).fills[0].commission_e8 > 0
    assert maker.engine.account.position.steps == rehearsal.meter.position_steps
    assert set(figures.modes) <= {"pin", "normal"}


def test_the_money_is_the_exchanges_to_the_last_digit_over_fills_fees_and_a_settlement():
    rehearsal, maker, figures = run_engine()
    exchange, listing = rehearsal.exchange, rehearsal.exchange.listing("BTCUSDT")
    account = exchange.account(ACCOUNT)
    holding = account.holding(SPEC)
    mid_e8 = (listing.touch.bid_ticks + listing.touch.ask_ticks) * SPEC.tick_e8 // 2
    assert figures.fills > 5
    assert figures.funding == holding.totals.funding_e8 != 0
    assert figures.fees == holding.totals.fees_e8["USDT"] > 0
    assert figures.volume == holding.totals.quote_e8
    deposit = Conditions().deposit * E8
    assert figures.pnl == account.wallet_e8("USDT") - deposit + holding.position.unrealised_e8(mid_e8)
    assert rehearsal.meter.position_steps == holding.net_steps
    seen = maker.engine.view()
    assert seen.pnl.fees <= figures.fees  # what is still on its way is not known to the maker


def test_the_same_arguments_give_the_same_figures_and_other_ones_others():
    assert run_engine(seconds=10.0)[2] == run_engine(seconds=10.0)[2]
    assert run_engine(seconds=10.0)[2] != run_engine(seconds=10.0, each_way_ns=100 * MS)[2]


class Replay:
    """A recording of a few updates."""

    symbol = "BTCUSDT"

    def __init__(self, *updates):
        self._updates = updates

    def start(self):
        book = tuple((600_000 - i, 1000) for i in range(5)), tuple((600_001 + i, 1000) for i in range(5))
        return MarketStart(MarketKind.REPLAY, *book, 60_000 * E8, 60_000 * E8, 10_000, 1000, 500)

    def updates(self, _):
        return iter(self._updates)


class Places:
    """A maker that buys at the touch as soon as it sees one, and writes down when it heard what."""

    mode = "normal"
    wake_ns = 1 << 62

    def __init__(self):
        self.heard: list[tuple[int, ev.AnyEvent]] = []

    def start(self, _, __, fees_bps):
        self.fees_bps = fees_bps
        return []

    def on(self, event) -> Sequence[WantedOrder]:
        first = isinstance(event, ev.Touch) and not any(isinstance(each, ev.Touch) for _, each in self.heard)
        self.heard.append((event.at, event))
        if not first:
            return []
        order = WantedOrder(
            ev.Request.PLACE, "mine", ev.Side.BUY, 600_000, 3, False, Purpose.QUOTE, 0, TimeInForce.POST_ONLY
        )
        return [order]


def test_everything_takes_its_time_each_way():
    """A touch at 10 ms is seen at 30, its order is there at 50, known of at 70; a print at 200 is a fill at 220."""
    updates = (
        TouchUpdate(10 * MS, 1001, 600_000, 2, 600_001, 1000),
        PrintUpdate(40 * MS, 501, 600_000, 4, True),  # before the order is there: it fills nothing
        PrintUpdate(200 * MS, 502, 600_000, 1000, True),
        MarkUpdate(900 * MS, 60_000 * E8, 60_000 * E8, 10_000),
    )
    maker = Places()
    rehearsal = Rehearsal(SPEC, Replay(*updates), maker, 10, Conditions(each_way_ns=20 * MS))
    arrived = []
    rehearsal.exchange.listeners.append(
        lambda event: arrived.append(event.time_ms - Conditions().opens_ms) if isinstance(event, OrderUpdated) else None
    )
    rehearsal.run(1.0)
    assert arrived == [50, 200]
    told = [(at - BEGINS_NS) // MS for at, event in maker.heard if isinstance(event, ev.OrderReport)]
    assert told == [70, 220]
    assert [(at - BEGINS_NS) // MS for at, event in maker.heard if isinstance(event, ev.Touch)] == [30]
    assert [(at - BEGINS_NS) // MS for at, event in maker.heard if isinstance(event, ev.Trade)] == [60, 220]
    assert maker.fees_bps == (2.0, 5.0)


def test_a_source_that_ends_ends_the_run():
    updates = [TouchUpdate(n * SECOND, 1001 + n, 600_000, 2, 600_001, 1000) for n in range(4)]
    assert rehearse(SPEC, Replay(*updates), Places(), 10).seconds in (2, 3)


def test_an_engine_that_is_told_of_a_quiet_symbol_asks_and_quotes_on():
    """Nothing of the book for 20 s: the touch is asked for, stands, and is quoted on."""
    updates = (
        DepthUpdate(10 * MS, ((600_000, 999),), (), 1001, 1001),
        *(MarkUpdate(n * SECOND, 60_000 * E8, 60_000 * E8, 10_000) for n in range(1, 21)),
    )
    maker = EngineMaker(MAKER, BTCUSDT)
    figures = rehearse(SPEC, Replay(*updates), maker, MAKER.net_max_steps, 20.0, Conditions(), DAY)
    assert set(figures.modes) == {"normal"}
    assert figures.two_sided >= figures.seconds - 2


def test_a_guard_of_the_engine_is_a_mode_of_the_run():
    parameters = msgspec.structs.replace(
        quoting(), net_max_steps=15, guards=msgspec.structs.replace(GUARDS, pin_ratio=0.3)
    )
    maker = EngineMaker(parameters, instrument_of(SPEC))
    figures = rehearse(SPEC, SyntheticSource(SPEC, 11, RegimeName.ONE_SIDED), maker, 15, 20.0, Conditions(), DAY)
    assert figures.modes["pin"] > 0


def test_statistics_of_a_leader_before_count_from_the_start():
    before = EngineMaker(MAKER, BTCUSDT)
    before.start(BEGINS_NS, 0, (2.0, 5.0))
    before.on(ev.Minutes(BEGINS_NS, 0, DAY.closes, DAY.volumes, DAY.taker_buys))
    maker = EngineMaker(MAKER, BTCUSDT, before.engine.remember())
    maker.start(BEGINS_NS, 0, (2.0, 5.0))
    assert maker.engine.statistics.warm
    assert maker.engine.vpin.ring


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_instrument_is_the_simulators_contract(name):
    spec = BUILT_IN[name]
    instrument = instrument_of(spec)
    assert instrument.notional(spec.min_price_ticks * 7, 3) == spec.notional_e8(spec.min_price_ticks * 7, 3)
    assert instrument.min_notional == spec.min_notional_e8
