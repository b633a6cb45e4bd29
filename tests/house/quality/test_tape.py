"""What is thinned tells the same market: its trades, its book, its times."""

from phoenix_simulator.exchange.events import TradePrinted
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.market.regimes import REGIMES, RegimeName
from phoenix_simulator.market.source import DepthUpdate, MarketKind, PrintUpdate, TouchUpdate
from phoenix_simulator.market.synthetic import SyntheticSource
from quality.tape import generate, thinned

SECONDS = 20
SECOND_NS = 1_000_000_000


def original(spec, seed):
    """The generator's own exchange after so long, and all that was traded in it."""
    source = SyntheticSource(spec, seed, thinned(REGIMES[RegimeName.JUMP]))
    exchange = Exchange()
    exchange.list_symbol(spec, source.start(), 0)
    trades = []
    exchange.listeners.append(lambda event: trades.append(event) if isinstance(event, TradePrinted) else None)
    for update in source.updates(exchange.background(spec.symbol)):
        if update.time_ns > SECONDS * SECOND_NS:
            break
        exchange.apply(spec.symbol, update, update.time_ns // 1_000_000)
    return exchange, trades


def replayed(spec, tape):
    exchange = Exchange()
    exchange.list_symbol(spec, tape.start(), 0)
    for update in tape.updates(exchange.background(spec.symbol)):
        exchange.apply(spec.symbol, update, update.time_ns // 1_000_000)
    return exchange


def test_the_book_at_the_end_is_the_generators(spec):
    exchange, _ = original(spec, 7)
    again = replayed(spec, generate(spec, RegimeName.JUMP, 7, SECONDS))
    one, other = exchange.depth(spec.symbol, 10_000), again.depth(spec.symbol, 10_000)
    assert (one.bids, one.asks) == (other.bids, other.asks)
    touch, told = exchange.listing(spec.symbol).touch, again.listing(spec.symbol).touch
    assert (touch.bid_ticks, touch.bid_steps, touch.ask_ticks) == (told.bid_ticks, told.bid_steps, told.ask_ticks)


def test_what_was_traded_at_each_price_and_by_whom_is_all_there(spec):
    _, trades = original(spec, 7)
    tape = generate(spec, RegimeName.JUMP, 7, SECONDS)
    prints = [update for update in tape.played if isinstance(update, PrintUpdate)]

    def volumes(all_trades):
        found = {}
        for trade in all_trades:
            key = trade.price_ticks, trade.buyer_is_maker
            found[key] = found.get(key, 0) + trade.qty_steps
        return found

    assert trades
    assert len(prints) < len(trades)
    assert volumes(prints) == volumes(trades)


def test_ids_and_times_never_run_back_and_frames_follow_each_other(tape):
    times = [update.time_ns for update in tape.played]
    assert times == sorted(times)
    frames = [update for update in tape.played if isinstance(update, DepthUpdate)]
    last_id = tape.opening.last_update_id
    for frame in frames:
        assert frame.first_id == last_id + 1
        assert frame.last_id >= frame.first_id
        last_id = frame.last_id
    prints = [update.trade_id for update in tape.played if isinstance(update, PrintUpdate)]
    assert prints == sorted(set(prints))


def test_no_touch_is_left_without_a_frame_for_longer_than_a_maker_would_trust_it(tape):
    waiting_ns = None
    for update in tape.played:
        if isinstance(update, DepthUpdate):
            waiting_ns = None
        elif isinstance(update, TouchUpdate) and waiting_ns is None:
            waiting_ns = update.time_ns
        assert waiting_ns is None or update.time_ns - waiting_ns <= 1.5 * SECOND_NS


def test_a_seed_is_one_market_and_another_seed_another(spec, study, tape):
    assert generate(spec, RegimeName.JUMP, 3, study.seconds) == tape
    assert generate(spec, RegimeName.JUMP, 4, study.seconds) != tape
    assert tape.start().kind is MarketKind.REPLAY
