from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phoenix_simulator.exchange.events import DepthChanged, TouchChanged, TradePrinted
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.agents import PickOff, QueueJump
from phoenix_simulator.market.regimes import REGIMES, RegimeName
from phoenix_simulator.market.source import DepthUpdate, MarketKind, MarkUpdate, TakerUpdate
from phoenix_simulator.market.synthetic import SyntheticSource

BTC = BUILT_IN["BTCUSDT"]
REGIME_NAMES = list(RegimeName)


# ---- one seed, one market ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", REGIME_NAMES)
def test_the_same_seed_gives_the_same_market(stage, regime):
    first, second = (stage(SyntheticSource(BTC, 7, regime)) for _ in range(2))
    assert first.start == second.start
    assert first.run(3000) == second.run(3000)
    assert first.events == second.events


@pytest.mark.parametrize(
    "other", [SyntheticSource(BTC, 8), SyntheticSource(BUILT_IN["BTCUSDC"], 7)], ids=["seed", "symbol"]
)
def test_another_seed_or_symbol_gives_another_market(stage, other):
    assert stage(SyntheticSource(BTC, 7)).run(200) != stage(other).run(200)


def market_order(side, steps):
    quantity = BTC.quantity_to_decimal(steps)
    return NewOrder(symbol="BTCUSDT", side=side, type=OrderType.MARKET, quantity=quantity, client_order_id="taker")


def limit_order(spec, side, price_ticks, steps, tag, time_in_force=TimeInForce.GTC):
    return NewOrder(
        symbol=spec.symbol,
        side=side,
        type=OrderType.LIMIT,
        time_in_force=time_in_force,
        price=spec.price_to_decimal(price_ticks),
        quantity=spec.quantity_to_decimal(steps),
        client_order_id=tag,
    )


def test_what_an_account_took_changes_what_follows(stage):
    markets = [stage(SyntheticSource(BTC, 7)) for _ in range(2)]
    for market in markets:
        market.run(500)
    taken = markets[0]
    taken.exchange.open_account("a", {"USDT": 10**9 * E8}, 0)
    taken.exchange.place("a", market_order(Side.BUY, 60_000), 0)
    assert markets[0].run(500) != markets[1].run(500)


def test_a_side_that_accounts_emptied_is_quoted_again(stage):
    market = stage(SyntheticSource(BTC, 7))
    market.run(200)
    for price in [key for key, _ in market.exchange.depth("BTCUSDT", 10_000).asks]:
        market.exchange.apply("BTCUSDT", DepthUpdate(0, (), ((price, 0),)), 0)
    assert market.background.best_ask() is None
    market.run(500)
    bid, ask = market.background.best_bid(), market.background.best_ask()
    assert bid is not None
    assert ask is not None
    assert bid[0] < ask[0]


def test_a_spread_that_accounts_opened_closes_again(stage):
    market = stage(SyntheticSource(BTC, 7))
    market.run(200)
    market.exchange.open_account("a", {"USDT": 10**9 * E8}, 0)
    market.exchange.place("a", market_order(Side.BUY, 30_000), 0)
    opened = market.background.best_ask()[0] - market.background.best_bid()[0]
    spreads = [market.background.best_ask()[0] - market.background.best_bid()[0] for _ in market.play(400)]
    assert opened > 1
    assert min(spreads) == 1


# ---- sanity -----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    symbol=st.sampled_from(sorted(BUILT_IN)),
    regime=st.sampled_from(REGIME_NAMES),
    seed=st.integers(0, 2**32),
    agents=st.sampled_from([(), (PickOff(edge_bps=0.1), QueueJump(hold_seconds=0.1))]),
    switches=st.dictionaries(st.integers(0, 600), st.sampled_from(REGIME_NAMES), max_size=3),
    orders=st.lists(st.tuples(st.integers(0, 600), st.booleans(), st.integers(-30, 30)), max_size=12),
)
def test_the_book_is_never_crossed_and_time_never_runs_back(stage, symbol, regime, seed, agents, switches, orders):
    source = SyntheticSource(BUILT_IN[symbol], seed, regime, agents)
    market = stage(source)
    market.exchange.open_account("a", {"USDT": 10**9 * E8, "USDC": 10**9 * E8}, 0)
    previous_ns = 0
    for index, update in enumerate(market.play(600)):
        assert update.time_ns >= previous_ns
        previous_ns = update.time_ns
        match update:
            case DepthUpdate(bids=bids, asks=asks):
                assert all(price > 0 and steps >= 0 for price, steps in bids + asks)
                assert len(dict(bids)) == len(bids)
                assert len(dict(asks)) == len(asks)
            case TakerUpdate():
                assert update.qty_steps > 0
        bid, ask = market.background.best_bid(), market.background.best_ask()
        assert bid is None or ask is None or bid[0] < ask[0]
        if index in switches:
            source.set_regime(switches[index])
        for at, is_buy, offset in orders:
            if at == index and bid is not None and ask is not None:
                rest_near(market, is_buy=is_buy, price=(bid[0] if is_buy else ask[0]) + offset, tag=f"{index}")
    for event in market.events:
        if isinstance(event, TouchChanged) and event.bid_steps and event.ask_steps:
            assert event.bid_ticks < event.ask_ticks
        elif isinstance(event, TradePrinted):
            assert event.qty_steps > 0


def rest_near(market, *, is_buy, price, tag):
    """An order of an account around the touch; some rest inside the spread, some take."""
    spec = BUILT_IN[market.symbol]
    steps = spec.min_notional_e8 * 3 // max(1, spec.notional_e8(price, 1)) + spec.min_steps
    order = limit_order(spec, Side.BUY if is_buy else Side.SELL, price, steps, f"{tag}{'b' if is_buy else 's'}{price}")
    if not any(open_order.client_order_id == order.client_order_id for open_order in market.exchange.open_orders("a")):
        market.exchange.place("a", order, market.exchange.listing(market.symbol).changed_ms)


@pytest.mark.parametrize("symbol", sorted(BUILT_IN))
def test_every_built_in_symbol_opens_around_its_own_price(symbol):
    spec = BUILT_IN[symbol]
    start = SyntheticSource(spec, 1).start()
    assert start.kind is MarketKind.SYNTHETIC
    assert spec.min_price_ticks < start.bids[0][0] < start.asks[0][0] < spec.max_price_ticks
    assert [price for price, _ in start.bids] == sorted((price for price, _ in start.bids), reverse=True)
    assert [price for price, _ in start.asks] == sorted(price for price, _ in start.asks)
    mid_e8 = (start.bids[0][0] + start.asks[0][0]) * spec.tick_e8 / 2
    assert start.mark_e8 == pytest.approx(mid_e8, rel=0.001)
    assert start.index_e8 == pytest.approx(mid_e8, rel=0.002)


def test_the_book_does_not_grow_as_the_price_wanders(stage):
    market = stage(SyntheticSource(BTC, 3, RegimeName.JUMP))
    opening = len(market.start.bids) + len(market.start.asks)
    for _ in market.play(until_s=150):
        pass
    snapshot = market.exchange.depth("BTCUSDT", 100_000)
    assert len(snapshot.bids) + len(snapshot.asks) < 1.5 * opening


# ---- accounts' orders -------------------------------------------------------------------------------------------


def test_orders_at_the_touch_are_filled_as_makers_and_shown_in_the_public_book(stage):
    market = stage(SyntheticSource(BTC, 5))
    market.run(100)
    market.exchange.open_account("a", {"USDT": 10**9 * E8}, 0)
    bid, before = market.background.best_bid()
    market.exchange.place("a", limit_order(BTC, Side.BUY, bid, 50, "maker", TimeInForce.GTX), 1)
    assert market.exchange.depth("BTCUSDT", 5).bids[0] == (bid, before + 50)
    for _ in market.play(until_s=120):
        if market.exchange.fills("a", "BTCUSDT"):
            break
    fills = market.exchange.fills("a", "BTCUSDT")
    assert fills
    assert all(fill.is_maker and fill.price_ticks == bid for fill in fills)
    printed = {event.trade_id for event in market.events if isinstance(event, TradePrinted)}
    assert {fill.trade_id for fill in fills} <= printed


# ---- regimes ----------------------------------------------------------------------------------------------------


def touches(market, until_s):
    for _ in market.play(until_s=until_s):
        pass
    return [event for event in market.events if isinstance(event, TouchChanged)]


def mids(market, until_s):
    """By second."""
    by_second = {}
    for event in touches(market, until_s):
        by_second[event.time_ms // 1000] = (event.bid_ticks + event.ask_ticks) / 2
    return list(by_second.values())


def test_a_quiet_touch_rests_for_tens_of_seconds_and_still_moves(stage):
    market = stage(SyntheticSource(BUILT_IN["ETHUSDC"], 2, RegimeName.QUIET))
    changes = touches(market, 1800)
    rests_ms = [then.time_ms - now.time_ms for now, then in pairwise(changes)]
    assert max(rests_ms) > 20_000
    assert len({(event.bid_ticks, event.ask_ticks) for event in changes}) > 3
    frames_ms = [event.time_ms for event in market.events if isinstance(event, DepthChanged)]
    assert max(then - now for now, then in pairwise(frames_ms)) > 5_000


@pytest.mark.parametrize("seed", range(3))
def test_the_price_follows_a_trend(stage, monkeypatch, seed):
    steep = msgspec.structs.replace(REGIMES[RegimeName.TREND], drift_bps_per_s=0.6)
    monkeypatch.setitem(REGIMES, RegimeName.TREND, steep)
    path = mids(stage(SyntheticSource(BTC, seed, RegimeName.TREND)), 120)
    assert abs(path[-1] / path[0] - 1) * 1e4 > 30


def test_a_jumping_price_jumps(stage):
    path = mids(stage(SyntheticSource(BTC, 1, RegimeName.JUMP)), 200)
    steps_bps = [abs(then / now - 1) * 1e4 for now, then in pairwise(path)]
    assert sum(step > 7 for step in steps_bps) >= 3


def worth_to_makers(market, until_s):
    """Their mean markout a second after each trade, in bps: negative is what the taker earned."""
    by_second = {}
    trades = []
    for _ in market.play(until_s=until_s):
        pass
    for event in market.events:
        if isinstance(event, TouchChanged):
            by_second[event.time_ms // 100] = (event.bid_ticks + event.ask_ticks) / 2
        elif isinstance(event, TradePrinted):
            trades.append(event)
    worth = [
        (1 if trade.buyer_is_maker else -1) * (by_second[at] / trade.price_ticks - 1) * 1e4
        for trade in trades
        if (at := trade.time_ms // 100 + 10) in by_second
    ]
    return sum(worth) / len(worth)


def test_toxic_takers_earn_more_from_makers_than_calm_ones(stage):
    regimes = (RegimeName.CALM, RegimeName.TOXIC)
    calm, toxic = (worth_to_makers(stage(SyntheticSource(BTC, 1, regime)), 200) for regime in regimes)
    assert toxic < 1.5 * calm < 0


def test_one_sided_takers_come_to_one_side(stage):
    market = stage(SyntheticSource(BTC, 1, RegimeName.ONE_SIDED))
    for _ in market.play(until_s=20):
        pass
    bought = [event.buyer_is_maker for event in market.events if isinstance(event, TradePrinted)]
    share = sum(bought) / len(bought)
    assert max(share, 1 - share) > 0.65


def test_a_thin_book_holds_a_fraction_and_its_spread_is_wide(stage):
    books = {}
    for regime in (RegimeName.CALM, RegimeName.THIN):
        market = stage(SyntheticSource(BTC, 1, regime))
        for _ in market.play(until_s=5):
            pass
        books[regime] = market.exchange.depth("BTCUSDT", 1000)
    held = {regime: sum(steps for _, steps in (*book.bids, *book.asks)) for regime, book in books.items()}
    assert held[RegimeName.THIN] < held[RegimeName.CALM] / 5
    thin = books[RegimeName.THIN]
    assert thin.asks[0][0] - thin.bids[0][0] > 1


def test_a_calm_book_becomes_thin_when_the_regime_changes(stage):
    source = SyntheticSource(BTC, 1)
    market = stage(source)
    market.run(until_s=2)
    before = sum(steps for _, steps in market.exchange.depth("BTCUSDT", 100).bids)
    source.set_regime(RegimeName.THIN)
    market.run(until_s=25)
    assert sum(steps for _, steps in market.exchange.depth("BTCUSDT", 100).bids) < before / 2


def test_a_funding_squeeze_begins_with_a_rate_far_from_a_calm_ones():
    calm, squeeze = (
        SyntheticSource(BTC, 1, regime).start().funding_rate_e8
        for regime in (RegimeName.CALM, RegimeName.FUNDING_SQUEEZE)
    )
    assert (calm, squeeze) == (10_000, 300_000)  # 1 bps for eight hours, and the symbol's cap of 30


@pytest.mark.parametrize("bps", [25.0, -25.0, 1000.0, -1000.0, 5000.0, -5000.0])
def test_a_jump_by_command_comes_at_once_however_far_and_the_mark_with_it(stage, bps):
    source = SyntheticSource(BTC, 1)
    market = stage(source)
    market.run(until_s=1)
    before = (market.background.best_bid()[0] + market.background.best_ask()[0]) / 2
    source.jump(bps)
    marks = [update.time_ns / 1e9 for update in market.play(until_s=4.5) if isinstance(update, MarkUpdate)]
    after = (market.background.best_bid()[0] + market.background.best_ask()[0]) / 2
    assert 1e4 * (after / before - 1) == pytest.approx(bps, abs=8 + abs(bps) / 100)
    assert max(then - now for now, then in pairwise(marks)) < 2, "a second apart, and half a one for the jump"


def test_a_regime_can_change_while_the_market_runs(stage):
    source = SyntheticSource(BTC, 1, RegimeName.CALM)
    market = stage(source)
    busy = len(touches(market, 20))
    source.set_regime(RegimeName.QUIET)
    market.events.clear()
    for _ in market.play(until_s=25):
        pass
    market.events.clear()
    assert len(touches(market, 45)) < busy / 5


# ---- marks ------------------------------------------------------------------------------------------------------


def test_a_mark_comes_every_second_and_stays_by_the_market(stage):
    market = stage(SyntheticSource(BTC, 4))
    marks = []
    for update in market.play(until_s=60):
        if isinstance(update, MarkUpdate):
            marks.append(update.time_ns)
            mid_e8 = (market.background.best_bid()[0] + market.background.best_ask()[0]) * BTC.tick_e8 / 2
            assert update.mark_e8 == pytest.approx(mid_e8, rel=0.002)
            assert update.index_e8 == pytest.approx(mid_e8, rel=0.002)
    assert len(marks) in {59, 60}
    assert all(900_000_000 < then - now < 1_200_000_000 for now, then in pairwise(marks))
