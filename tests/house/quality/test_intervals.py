import math
from random import Random

import pytest
from quality.intervals import LEAST, bootstrap, mean, ratio, ratio_difference


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    random = Random(5)  # noqa: S311 - a sample
    draws = [random.gauss(3.0, 2.0) for _ in range(200)]
    interval = bootstrap([draws], mean)
    middle = sum(draws) / 200
    sigma = math.sqrt(sum((draw - middle) ** 2 for draw in draws) / 199)
    assert interval.value == pytest.approx(middle)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * sigma / math.sqrt(200), rel=0.1)
    assert interval.is_above_zero
    assert not interval.is_below_zero


def test_each_stratum_is_drawn_from_by_itself():
    apart = bootstrap([[0.0] * 10, [100.0] * 10], mean)
    assert (apart.low, apart.value, apart.high) == (50.0, 50.0, 50.0)


def test_strata_of_few_draws_do_not_hide_how_much_they_differ():
    few = bootstrap([[0.0], [100.0], [0.0], [100.0], [0.0], [100.0]], mean)
    assert few.low < few.value < few.high


def test_too_few_draws_have_no_interval_and_decide_nothing():
    interval = bootstrap([[5.0] * (LEAST - 1)], mean)
    assert (interval.low, interval.high) == (5.0, 5.0)
    assert not interval.known
    assert not interval.is_above_zero


def test_a_ratio_is_of_the_sums():
    assert ratio([(1.0, 10.0), (0.0, 90.0)]) == pytest.approx(0.01)


def test_who_traded_nothing_has_no_ratio_and_no_difference():
    assert bootstrap([[(0.0, 0.0)] * 6], ratio) is None
    assert bootstrap([[((1.0, 1.0), (0.0, 0.0))] * 6], ratio_difference) is None


def test_two_who_are_the_same_in_every_draw_differ_by_nothing_however_the_draws_differ():
    draws = [((float(n), 10.0 + n), (float(n), 10.0 + n)) for n in range(20)]
    interval = bootstrap([draws], ratio_difference)
    assert (interval.low, interval.value, interval.high) == (0.0, 0.0, 0.0)


def test_the_same_draws_give_the_same_interval():
    draws = [[1.0, 5.0, 2.0, 8.0, 3.0, 9.0]]
    assert bootstrap(draws, mean) == bootstrap(draws, mean)
