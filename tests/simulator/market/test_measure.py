import pytest
from phoenix_simulator.market.measure import MarketMeter, quantile


@pytest.fixture
def meter():
    return MarketMeter([(100, 5), (99, 7)], [(101, 5), (103, 2)])


def test_quantiles_are_of_the_values_seen():
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([3, 1, 2], 1) == 3
    assert quantile([], 0.5) == 0


def test_rates_are_per_second_between_the_first_and_last_touch(meter):
    for second in range(5):
        meter.touch(second * 1000, (100, 5 + second), (101, 5))
        meter.depth(second * 1000, [(100, 5 + second)], [(104, second)])
    meter.trade(1500, 101, 3, buyer_is_maker=False)
    figures = meter.figures()
    assert figures["touch updates /s"] == 5 / 4
    assert figures["depth frames /s"] == 5 / 4
    assert figures["levels per depth frame"] == 2
    assert figures["prints /s"] == 1 / 4


def test_changes_within_a_frames_time_are_one_frame_that_names_each_price_once():
    meter = MarketMeter([(100, 5)], [(101, 5)], frame_ms=50)
    for time_ms in (0, 10, 20, 60, 70):
        meter.depth(time_ms, [(100, time_ms + 1)], [])
        meter.touch(time_ms, (100, time_ms + 1), (101, 5))
    figures = meter.figures()
    assert figures["depth frames /s"] == pytest.approx(2 / 0.07)
    assert figures["levels per depth frame"] == 1


def test_the_spread_is_weighted_by_its_time(meter):
    meter.touch(0, (100, 5), (101, 5))
    meter.touch(900, (100, 5), (103, 2))
    meter.touch(1000, (100, 5), (101, 9))
    figures = meter.figures()
    assert figures["spread of 1 tick, % of time"] == 90
    assert figures["spread over 1 tick, % of touch updates"] == pytest.approx(100 / 3)


def test_touch_moves_close_together_are_one_move_of_the_price(meter):
    meter.touch(0, (100, 5), (101, 5))
    meter.touch(1000, (100, 5), (105, 5))
    meter.touch(1030, (104, 5), (105, 5))
    meter.touch(3000, (102, 5), (103, 5))
    figures = meter.figures()
    assert figures["touch price changes /s"] == 1
    assert figures["moves (bursts of them) /s"] == pytest.approx(2 / 3)
    assert figures["move size p25, ticks"] == 2
    assert figures["move size p95, ticks"] == 4
    assert figures["touch price rests max, ms"] == 1970


def test_prints_of_one_millisecond_and_side_are_one_order(meter):
    meter.touch(0, (100, 5), (101, 5))
    for price, steps, sold in ((101, 2, False), (101, 3, False), (100, 4, True)):
        meter.trade(500, price, steps, buyer_is_maker=sold)
    meter.touch(1000, (100, 1), (103, 2))
    figures = meter.figures()
    assert figures["market orders /s"] == 2
    assert figures["order size p95, steps"] == 5
    assert figures["volume, steps /s"] == 9


def test_the_makers_markout_is_what_his_fill_is_worth_afterwards(meter):
    meter.touch(0, (10_000, 5), (10_002, 5))
    meter.trade(500, 10_002, 1, buyer_is_maker=False)
    meter.touch(550, (10_010, 5), (10_012, 5))
    meter.touch(5_600, (10_010, 6), (10_012, 5))
    figures = meter.figures()
    assert figures["maker's markout after 10 ms, bps"] == pytest.approx(1e4 * 1 / 10_002)
    assert figures["maker's markout after 100 ms, bps"] == pytest.approx(-1e4 * 9 / 10_002)


def test_the_ladder_is_sampled_from_the_book_that_the_frames_make():
    meter = MarketMeter([(1000 - i, 10) for i in range(10)], [(1001 + i, 10) for i in range(5)])
    meter.touch(0, (1000, 10), (1001, 10))
    for frame in range(21):
        meter.depth(frame * 50, [(999, 20)], [])
    meter.touch(2000, (1000, 11), (1001, 10))
    figures = meter.figures()
    assert figures["prices with liquidity 1…9 ticks behind the touch, %"] == pytest.approx(100 * 13 / 18)
    assert figures["quantity per tick 1…9 ticks behind the touch, steps"] == pytest.approx(140 / 18)
