"""Volatility and the 30-minute deviation, incrementally, against a plain computation over all samples."""

import itertools
import math
from statistics import pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phoenix_worker.core.statistics import HALF_LIFE_SECONDS, WARM_SAMPLES, WINDOW_SECONDS, Statistics
from samples import MS, SECOND

PRICES = st.lists(st.floats(50_000.0, 70_000.0), min_size=1, max_size=60)


def fed(prices, every_ns=SECOND):
    statistics = Statistics()
    for number, price in enumerate(prices):
        statistics.on_time(10 * SECOND + number * every_ns, price)
    return statistics


def naive_variance(prices):
    decay = 0.5 ** (1 / HALF_LIFE_SECONDS)
    returns = [math.log(b / a) ** 2 for a, b in itertools.pairwise(prices)]
    value = returns[0] if returns else 0.0
    for square in returns[1:]:
        value = decay * value + (1 - decay) * square
    return value


@given(PRICES)
def test_sigma_is_the_ewma_of_squared_one_second_returns(prices):
    assert fed(prices).sigma_1s == pytest.approx(math.sqrt(naive_variance(prices)), rel=1e-9, abs=1e-15)


@given(st.lists(st.floats(100.0, 130.0), min_size=1, max_size=40), st.integers(1, 4_000))
@settings(max_examples=30)
def test_the_deviation_is_that_of_the_last_thirty_minutes_relative_to_their_mean(pattern, count):
    prices = [pattern[number % len(pattern)] + number * 1e-3 for number in range(count)]
    statistics = fed(prices)
    if count < WINDOW_SECONDS:
        assert statistics.stddev_30m is None
        return
    window = prices[-WINDOW_SECONDS:]
    expected = pstdev(window) / (sum(window) / len(window))
    assert statistics.stddev_30m == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_sums_are_rebuilt_once_a_turn_of_the_window():
    prices = [60_000.0 + 40.0 * math.sin(number / 50) for number in range(2 * WINDOW_SECONDS + 100)]
    window = prices[-WINDOW_SECONDS:]
    assert fed(prices).stddev_30m == pytest.approx(pstdev(window) / (sum(window) / len(window)), rel=1e-9)


def test_one_sample_a_second_is_taken_however_often_time_is_told():
    statistics = fed([100.0 + n for n in range(100)], every_ns=50 * MS)
    assert len(statistics.ring) == 5


def test_samples_keep_their_phase_where_ticks_are_late():
    statistics = Statistics()
    for at in (10.0, 11.04, 12.02, 13.01):
        statistics.on_time(int(at * SECOND), 100.0)
    assert len(statistics.ring) == 4


def test_after_a_pause_no_return_is_invented():
    statistics = fed([100.0, 100.0])
    statistics.on_time(60 * SECOND, 200.0)
    assert statistics.sigma_1s == 0.0
    statistics.on_time(61 * SECOND, 200.0)
    assert statistics.returns == 2


def test_a_late_sample_spans_more_than_a_second():
    statistics = Statistics()
    statistics.on_time(10 * SECOND, 100.0)
    statistics.on_time(14 * SECOND, 101.0)
    assert statistics.variance == pytest.approx(math.log(1.01) ** 2 / 4)
    decay = 0.5 ** (1 / HALF_LIFE_SECONDS)
    before, late = statistics.variance, math.log(103.0 / 101.0) ** 2 / 3
    statistics.on_time(17 * SECOND, 103.0)
    assert statistics.variance == pytest.approx(decay * before + (1 - decay) * late), "also where others came before"


def test_it_is_warm_after_enough_returns():
    assert not fed([100.0] * WARM_SAMPLES).warm
    assert fed([100.0] * (WARM_SAMPLES + 1)).warm


@pytest.mark.parametrize("known_from", ["samples", "klines"])
@pytest.mark.parametrize(("unheard_s", "forgotten"), [(60, False), (61, True), (3 * 3600, True)])
def test_of_a_market_that_was_unheard_of_for_long_nothing_is_known(known_from, unheard_s, forgotten):
    statistics = Statistics()
    statistics.preload([60_000.0] * 31, 10 * SECOND)
    if known_from == "samples":
        for number in range(5):
            statistics.on_time((10 + number) * SECOND, 60_000.0)
    back = statistics.heard_ns + unheard_s * SECOND
    assert statistics.forget(back) is forgotten
    assert statistics.warm is not forgotten
    assert (statistics.stddev_30m is None) is forgotten
    if forgotten:
        assert not statistics.forget(back), "once"
        fresh = Statistics()
        for each in (statistics, fresh):
            each.on_time(back, 63_000.0)
            each.preload(CLOSES, back)
        assert statistics == fresh, "as one that has only just begun"


CLOSES = [60_000.0 + 30.0 * (n % 3) for n in range(31)]


def test_klines_make_it_warm_at_once():
    statistics = Statistics()
    statistics.preload(CLOSES, 14 * SECOND)
    returns = [math.log(b / a) for a, b in itertools.pairwise(CLOSES)]
    assert statistics.sigma_1s == pytest.approx(math.sqrt(sum(r * r for r in returns) / 30 / 60))
    assert statistics.warm
    assert statistics.stddev_30m == pytest.approx(pstdev(CLOSES[1:]) / (sum(CLOSES[1:]) / 30), rel=1e-9)


def test_klines_that_come_after_the_first_samples_count_all_the_same():
    statistics = fed([60_000.0] * 4)
    statistics.preload(CLOSES, 14 * SECOND)
    assert statistics.warm
    assert statistics.stddev_30m is not None


def test_klines_do_not_replace_what_is_warm():
    statistics = fed([60_000.0 + n % 2 for n in range(20)])
    sigma = statistics.sigma_1s
    statistics.preload(CLOSES, 14 * SECOND)
    assert statistics.sigma_1s == sigma


@pytest.mark.parametrize("closes", [[], [60_000.0], [0.0, 60_000.0]], ids=["none", "one", "one usable"])
def test_too_few_klines_are_not_used(closes):
    statistics = Statistics()
    statistics.preload(closes, 14 * SECOND)
    assert not statistics.warm
    assert statistics.ring == []
