"""The closed forms against what their papers say, and against the problem that they approximate."""

import math

import pytest
from quality.closed_forms import (
    avellaneda_stoikov,
    glft_slope,
    gueant_lehalle_fernandez_tapia,
    intensity,
    solve,
)


@pytest.mark.parametrize(("gamma", "spread"), [(0.1, 1.29), (0.01, 1.33), (0.5, 1.15)])
def test_avellaneda_and_stoikovs_tables_list_these_spreads_around_the_reservation_price(gamma, spread):
    """σ = 2, k = 1.5, flat, at the end of the day."""
    bid, ask = avellaneda_stoikov(0, 2.0, gamma, 1.5, 0.0)
    assert round(bid + ask, 2) == spread


@pytest.mark.parametrize("q", [-7, 0, 3])
def test_avellaneda_and_stoikov_lean_by_q_gamma_sigma_squared_times_what_is_left_of_the_day(q):
    bid, ask = avellaneda_stoikov(q, 2.0, 0.1, 1.5, 0.25)
    assert (bid - ask) / 2 == pytest.approx(q * 0.1 * 4.0 * 0.25)
    flat = sum(avellaneda_stoikov(0, 2.0, 0.1, 1.5, 0.25))
    assert bid + ask == pytest.approx(flat)
    assert flat - sum(avellaneda_stoikov(0, 2.0, 0.1, 1.5, 0.0)) == pytest.approx(0.1 * 4.0 * 0.25)


@pytest.mark.parametrize("q", range(-5, 6))
def test_glft_treats_long_and_short_alike_and_quotes_one_spread_whatever_is_held(q):
    bid, ask = gueant_lehalle_fernandez_tapia(q, 0.3, 0.01, 0.3, 0.9)
    mirrored = gueant_lehalle_fernandez_tapia(-q, 0.3, 0.01, 0.3, 0.9)
    assert (bid, ask) == pytest.approx((mirrored[1], mirrored[0]))
    assert bid + ask == pytest.approx(2 / 0.01 * math.log1p(0.01 / 0.3) + glft_slope(0.3, 0.01, 0.3, 0.9))


def test_glft_without_aversion_is_the_best_of_a_monopolist_1_over_k():
    bid, ask = gueant_lehalle_fernandez_tapia(4, 0.3, 1e-9, 0.3, 0.9)
    assert (bid, ask) == pytest.approx((1 / 0.3, 1 / 0.3), rel=1e-3)


def test_the_slope_for_little_aversion_is_sigma_root_gamma_e_over_2ka():
    gamma = 1e-6
    assert glft_slope(0.3, gamma, 0.3, 0.9) == pytest.approx(
        0.3 * math.sqrt(gamma * math.e / (2 * 0.3 * 0.9)), rel=1e-4
    )


@pytest.mark.parametrize("q", [-3, 0, 2])
def test_glft_is_near_the_exact_quotes_of_the_market_far_from_the_end(q):
    """Theorem 2 of the paper: quotes of the eigenvector to the smallest eigenvalue of the matrix with k γ σ² q²/2 on
    its diagonal and −η beside it; the paper's own parameters (its figures: σ 0.3, A 0.9, k 0.3, γ 0.01).
    """
    sigma, a, k, gamma, most = 0.3, 0.9, 0.3, 0.01, 20
    alpha, eta = k / 2 * gamma * sigma**2, a * (1 + gamma / k) ** -(1 + k / gamma)
    above = alpha * most**2 + 2 * eta
    vector = [1.0] * (2 * most + 1)
    for _ in range(2_000):
        padded = [0.0, *vector, 0.0]
        vector = [
            (above - alpha * (at - most) ** 2) * padded[at + 1] + eta * (padded[at] + padded[at + 2])
            for at in range(2 * most + 1)
        ]
        length = max(vector)
        vector = [value / length for value in vector]
    base = math.log1p(gamma / k) / gamma
    exact_bid = math.log(vector[most + q] / vector[most + q + 1]) / k + base
    exact_ask = math.log(vector[most + q] / vector[most + q - 1]) / k + base
    bid, ask = gueant_lehalle_fernandez_tapia(q, sigma, gamma, k, a)
    assert (bid, ask) == pytest.approx((exact_bid, exact_ask), rel=0.02)


def test_an_intensity_is_found_again_from_its_own_rates():
    distances = [0.5, 1.0, 2.0, 4.0]
    a, k = intensity([*distances, 9.0], [*(1.4 * math.exp(-0.7 * distance) for distance in distances), 0.0])
    assert (a, k) == pytest.approx((1.4, 0.7))


def test_a_market_that_reached_nothing_has_no_intensity():
    with pytest.raises(ValueError, match="no intensity to fit"):
        intensity([1.0, 2.0], [0.3, 0.0])


def test_solving_finds_the_aversion_that_moves_quotes_by_so_much():
    gamma = solve(lambda gamma: glft_slope(0.3, gamma, 0.3, 0.9), 0.02, 1e-9, 10.0)
    assert glft_slope(0.3, gamma, 0.3, 0.9) == pytest.approx(0.02)
    with pytest.raises(ValueError, match="is not between"):
        solve(lambda gamma: gamma, 20.0, 1e-9, 10.0)
