"""Candles from minutes: whatever the interval, nothing is lost and nothing overlaps."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_simulator.api import intervals
from phoenix_simulator.api.tape import Tape
from phoenix_simulator.exchange.events import TradePrinted
from phoenix_simulator.exchange.symbols import BUILT_IN

SPEC = BUILT_IN["BTCUSDT"]
START_MS = 1_760_000_000_000
times = st.integers(min_value=1_600_000_000_000, max_value=1_900_000_000_000)


@pytest.mark.parametrize(
    ("interval", "moment", "opened"),
    [
        ("1m", "2026-10-09T08:53:20", "2026-10-09T08:53:00"),
        ("15m", "2026-10-09T08:53:20", "2026-10-09T08:45:00"),
        ("4h", "2026-10-09T08:53:20", "2026-10-09T08:00:00"),
        ("1d", "2026-10-09T08:53:20", "2026-10-09T00:00:00"),
        ("1w", "2026-10-09T08:53:20", "2026-10-05T00:00:00"),  # a Monday
        ("1M", "2026-10-09T08:53:20", "2026-10-01T00:00:00"),
    ],
)
def test_candles_open_where_the_venue_opens_them(interval, moment, opened):
    def ms(text):
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)

    assert intervals.open_of(interval, ms(moment)) == ms(opened)


def test_a_day_that_was_recalled_is_in_the_candles_and_ends_where_trading_begins():
    tape = Tape(SPEC, 600_000, 1)
    tape.recall_day(101, START_MS)
    minute = START_MS - START_MS % intervals.MINUTE_MS
    tape.print(TradePrinted("BTCUSDT", START_MS, 1, 600_010, 7, False))
    candles = tape.minutes.candles("1m", minute - 1440 * intervals.MINUTE_MS, START_MS, 1500)
    assert len(candles) == 1441
    assert {(each.volume_steps, each.taker_buy_steps, each.close) for each in candles[:-1]} == {(101, 50, 600_000)}
    assert candles[0].quote_e8 == SPEC.notional_e8(600_000, 101)
    assert (candles[-1].volume_steps, candles[-1].open) == (7, 600_010)


@given(st.sampled_from(sorted(intervals.NAMES)), times)
def test_every_moment_lies_in_exactly_one_candle(interval, time_ms):
    open_ms = intervals.open_of(interval, time_ms)
    following = intervals.next_open(interval, open_ms)
    assert open_ms <= time_ms < following
    assert intervals.open_of(interval, following) == following
    assert intervals.open_of(interval, following - 1) == open_ms
    assert intervals.previous_opens(interval, following, 1) == open_ms


prints = st.lists(
    st.tuples(
        st.integers(0, 90_000),  # ms since the one before
        st.integers(600_000, 601_000),
        st.integers(1, 500),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


def tape_of(rows):
    tape = Tape(SPEC, 600_000, 60_000 * 10**8)
    time_ms = START_MS
    for number, (gap_ms, price, steps, maker) in enumerate(rows):
        time_ms += gap_ms
        tape.print(TradePrinted(SPEC.symbol, time_ms, number + 1, price, steps, maker))
    return tape, time_ms


@given(prints, st.sampled_from(["1m", "3m", "1h", "1d"]))
def test_candles_of_any_interval_hold_every_trade_once(rows, interval):
    tape, end_ms = tape_of(rows)
    start_ms = intervals.open_of(interval, START_MS)
    candles = tape.minutes.candles(interval, start_ms, end_ms, 1500)
    assert sum(candle.volume_steps for candle in candles) == sum(steps for _, _, steps, _ in rows)
    assert sum(candle.trades for candle in candles) == len(rows)
    assert max(candle.high for candle in candles) >= max(price for _, price, _, _ in rows)
    assert candles[-1].close == rows[-1][1]
    assert all(candle.low <= min(candle.open, candle.close) for candle in candles)
    assert all(candle.high >= max(candle.open, candle.close) for candle in candles)
    opens = [candle.open_ms for candle in candles]
    assert opens == sorted(set(opens))
    # Where nothing traded the price stood still.
    for previous, candle in pairwise(candles):
        if not candle.trades:
            assert candle.open == candle.close == previous.close


@given(prints)
def test_aggregates_hold_every_trade_once_and_no_two_prices_or_sides(rows):
    tape, end_ms = tape_of(rows)
    heard = []
    tape.on_aggregate = heard.append
    tape.close_aggregate(end_ms + 100)
    assert heard == list(tape.aggregates)[-1:]
    trades = {trade.trade_id: trade for trade in tape.trades}
    covered = []
    for aggregate in tape.aggregates:
        members = [trades[number] for number in range(aggregate.first_trade_id, aggregate.last_trade_id + 1)]
        covered += [member.trade_id for member in members]
        assert {(member.price_ticks, member.buyer_is_maker) for member in members} == {
            (aggregate.price_ticks, aggregate.buyer_is_maker)
        }
        assert aggregate.qty_steps == sum(member.qty_steps for member in members)
        assert members[-1].time_ms - members[0].time_ms < 100
    assert covered == sorted(trades)


@given(prints)
def test_the_day_is_the_sum_of_its_minutes(rows):
    tape, end_ms = tape_of(rows)
    day = tape.minutes.since(START_MS, end_ms)
    assert day.volume_steps == sum(steps for _, _, steps, _ in rows)
    assert (day.first_trade_id, day.last_trade_id) == (1, len(rows))
    assert day.open == rows[0][1]
