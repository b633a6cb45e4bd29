import asyncio
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.events import DepthChanged, MarkChanged, OrderUpdated
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import NewOrder, OrderStatus, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market import player as player_module
from phoenix_simulator.market.player import MarketPlayer
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.market.replay import ReplaySource
from phoenix_simulator.market.source import DepthUpdate, MarketKind, MarketStart, MarkUpdate
from phoenix_simulator.market.synthetic import SyntheticSource

BTC, ETH = BUILT_IN["BTCUSDT"], BUILT_IN["ETHUSDT"]
MS = 1_000_000


class ListedSource:
    """Plays the updates that it is given."""

    def __init__(self, spec, updates):
        self.symbol = spec.symbol
        self._updates = updates
        price = 618_000 if spec is BTC else 250_000
        mark_e8 = price * spec.tick_e8
        self._start = MarketStart(
            MarketKind.SYNTHETIC, ((price, 5000),), ((price + 1, 5000),), mark_e8, mark_e8, 10_000
        )

    def start(self):
        return self._start

    def updates(self, background):  # noqa: ARG002 - plays what it was given
        return iter(self._updates)


def frames(spec, *times_ms):
    """One update of a bid far behind the touch at each of these times."""
    price = 600_000 if spec is BTC else 240_000
    return [DepthUpdate(time * MS, ((price, index + 1),), ()) for index, time in enumerate(times_ms)]


@pytest.fixture
def exchange():
    return Exchange()


@pytest.fixture
def heard(exchange):
    events = []
    exchange.listeners.append(events.append)
    return events


@asynccontextmanager
async def running(player):
    task = asyncio.create_task(player.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(exchange, condition):
    """Waits until an event of the exchange finds the condition true."""
    reached = asyncio.Event()
    exchange.listeners.append(lambda _: reached.set() if condition() else None)
    await reached.wait()


async def played_out(player):
    async with running(player):
        await player.wait_ended()


async def test_updates_of_all_symbols_are_applied_in_the_order_of_their_times(exchange, heard):
    player = MarketPlayer(exchange, Clock(rate=100))
    player.open(BTC, ListedSource(BTC, frames(BTC, 10, 30, 50)))
    player.open(ETH, ListedSource(ETH, frames(ETH, 20, 40)))
    await played_out(player)
    told = [event.symbol for event in heard if isinstance(event, DepthChanged)]
    assert told == ["BTCUSDT", "ETHUSDT", "BTCUSDT", "ETHUSDT", "BTCUSDT"]


async def test_no_update_comes_before_its_time(exchange, heard):
    clock = Clock(rate=10)
    player = MarketPlayer(exchange, clock)
    player.open(BTC, ListedSource(BTC, frames(BTC, 0, 100, 250, 400)))
    began_ms = clock.now_ms()
    await played_out(player)
    times_ms = [event.time_ms - began_ms for event in heard if isinstance(event, DepthChanged)]
    assert all(told >= due for told, due in zip(times_ms, (0, 100, 250, 400), strict=True))


async def test_engine_time_never_runs_backwards(exchange, heard):
    player = MarketPlayer(exchange, Clock(rate=200))
    player.open(BTC, SyntheticSource(BTC, 1))
    player.open(ETH, SyntheticSource(ETH, 1))
    async with running(player):
        await until(exchange, lambda: player.report().updates > 2000)
    times = [event.time_ms for event in heard]
    assert all(now <= then for now, then in pairwise(times))


async def test_an_accelerated_run_plays_everything_and_reports_how_late_it_was(exchange, heard):
    player = MarketPlayer(exchange, Clock(rate=1000))
    player.open(BTC, ListedSource(BTC, frames(BTC, *range(0, 5000, 5))))
    await played_out(player)
    report = player.report()
    assert report.updates == len([event for event in heard if isinstance(event, DepthChanged)]) == 1000
    assert report.ended == ("BTCUSDT",)
    assert report.max_lag_ms >= report.lag_ms >= 0


async def test_a_market_whose_source_ended_stays_as_it_is_while_others_go_on(exchange, heard):
    player = MarketPlayer(exchange, Clock(rate=100))
    player.open(BTC, ListedSource(BTC, frames(BTC, 1)))
    player.open(ETH, ListedSource(ETH, frames(ETH, *range(10, 2000, 10))))
    async with running(player):
        await until(exchange, lambda: "BTCUSDT" in player.report().ended)
        standing = exchange.depth("BTCUSDT", 10)
        heard.clear()
        await player.wait_ended()
    assert {event.symbol for event in heard} == {"ETHUSDT"}
    assert exchange.depth("BTCUSDT", 10) == standing


async def test_the_end_of_a_recording_is_told(exchange, capture):
    path = capture().opening().trade(7).touch(118).write()
    player = MarketPlayer(exchange, Clock())
    player.open(BTC, ReplaySource([path]))
    await played_out(player)
    assert player.report().ended == ("BTCUSDT",)
    assert exchange.listing("BTCUSDT").touch.update_id == 118


async def test_timers_of_the_exchange_run_although_the_market_is_silent(exchange, heard):
    clock = Clock(rate=100)
    player = MarketPlayer(exchange, clock)
    player.open(BTC, ListedSource(BTC, []))
    exchange.open_account("a", {"USDT": 10**6 * E8}, clock.now_ms())
    order = NewOrder(
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price=BTC.price_to_decimal(617_000),
        quantity=BTC.quantity_to_decimal(10),
    )
    exchange.place("a", order, clock.now_ms())
    exchange.set_countdown("a", "BTCUSDT", 500, clock.now_ms())
    async with running(player):
        await until(exchange, lambda: isinstance(heard[-1], OrderUpdated))
    told = [event.order.status for event in heard if isinstance(event, OrderUpdated)]
    assert told == [OrderStatus.NEW, OrderStatus.CANCELED]
    assert not exchange.open_orders("a")


async def test_marks_are_played_like_everything_else(exchange, heard):
    player = MarketPlayer(exchange, Clock(rate=100))
    player.open(BTC, ListedSource(BTC, [MarkUpdate(10 * MS, 6_180_100_000_000, 6_180_000_000_000, 12_000)]))
    await played_out(player)
    marks = [event for event in heard if isinstance(event, MarkChanged)]
    assert [(event.mark_e8, event.funding_rate_e8) for event in marks] == [(6_180_100_000_000, 12_000)]


async def test_a_long_batch_lets_connections_have_their_turn(exchange, monkeypatch):
    monkeypatch.setattr(player_module, "_MAX_BATCH_NS", 0)
    player = MarketPlayer(exchange, Clock())
    player.open(BTC, ListedSource(BTC, frames(BTC, *[0] * 500)))
    turns = 0

    async def connection():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(connection())
    await played_out(player)
    task.cancel()
    assert turns >= 500


async def test_a_source_that_breaks_ends_the_run_with_its_error(exchange):
    def broken():
        yield from frames(BTC, 1)
        raise RuntimeError("the disk is gone")

    player = MarketPlayer(exchange, Clock())
    player.open(BTC, ListedSource(BTC, broken()))
    with pytest.raises(RuntimeError, match="the disk is gone"):
        await player.run()


async def test_a_source_of_another_symbol_is_refused(exchange):
    with pytest.raises(ValueError, match="a source of ETHUSDT cannot play BTCUSDT"):
        MarketPlayer(exchange, Clock()).open(BTC, SyntheticSource(ETH, 1))


async def test_the_regime_of_a_synthetic_market_can_be_set_and_that_of_a_recording_cannot(exchange, capture):
    player = MarketPlayer(exchange, Clock())
    player.open(ETH, SyntheticSource(ETH, 1))
    player.open(BTC, ReplaySource([capture().opening().write()]))
    player.set_regime("ETHUSDT", RegimeName.JUMP)
    with pytest.raises(ValueError, match="BTCUSDT plays a recording"):
        player.set_regime("BTCUSDT", RegimeName.JUMP)
    with pytest.raises(KeyError):
        player.set_regime("SOLUSDT", RegimeName.JUMP)


def test_only_a_synthetic_market_can_be_made_to_jump(exchange):
    player = MarketPlayer(exchange, Clock())
    player.open(BTC, SyntheticSource(BTC, 1))
    player.open(ETH, ListedSource(ETH, frames(ETH, 1)))
    assert player.jump("BTCUSDT", 20.0)
    assert not player.jump("ETHUSDT", 20.0)
    assert not player.jump("NOPE", 20.0)
