"""The quotes of the literature, as their papers write them: distances from the mid in one unit of price.

`sigma` is in that unit per √s, `k` per that unit, `a` in orders a second, and `q` counts lots (orders of one size)
held, positive when long. `gamma` is the absolute risk aversion per lot and unit.
"""

import math
from collections.abc import Callable, Sequence


def avellaneda_stoikov(q: float, sigma: float, gamma: float, k: float, horizon_s: float) -> tuple[float, float]:
    """(bid, ask) below and above the mid, `horizon_s` before the end.

    Avellaneda and Stoikov, "High-frequency trading in a limit order book", Quantitative Finance 8 (2008): the
    reservation price lies q γ σ² (T − t) below the mid, and the spread around it is γ σ² (T − t) + 2/γ ln(1 + γ/k).
    """
    risk = gamma * sigma * sigma * horizon_s
    half = risk / 2 + math.log1p(gamma / k) / gamma
    return half + q * risk, half - q * risk


def gueant_lehalle_fernandez_tapia(q: float, sigma: float, gamma: float, k: float, a: float) -> tuple[float, float]:
    """(bid, ask) below and above the mid, far from the end.

    Guéant, Lehalle and Fernandez-Tapia, "Dealing with the inventory risk: a solution to the market making problem",
    Mathematics and Financial Economics 7 (2013), the closed-form approximation of the asymptotic quotes:
    1/γ ln(1 + γ/k) ± (2q ± 1)/2 · √(σ²γ/(2kA) (1 + γ/k)^(1 + k/γ)).
    """
    base = math.log1p(gamma / k) / gamma
    slope = glft_slope(sigma, gamma, k, a)
    return base + (2 * q + 1) / 2 * slope, base - (2 * q - 1) / 2 * slope


def glft_slope(sigma: float, gamma: float, k: float, a: float) -> float:
    """By how much both quotes move for each lot held."""
    return math.sqrt(sigma * sigma * gamma / (2 * k * a) * math.exp((1 + k / gamma) * math.log1p(gamma / k)))


def intensity(distances: Sequence[float], rates: Sequence[float]) -> tuple[float, float]:
    """(A, k) of λ(δ) = A exp(−k δ): least squares on the logarithm of the rates; those of zero say nothing."""
    points = [(distance, math.log(rate)) for distance, rate in zip(distances, rates, strict=True) if rate > 0]
    if len(points) < 2:
        raise ValueError("fewer than two distances were reached: there is no intensity to fit")
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    k = -sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return math.exp(mean_y + k * mean_x), k


def solve(rising: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where a rising function of a positive number is `wanted`: bisection of its logarithm. ValueError outside."""
    if not rising(low) <= wanted <= rising(high):
        raise ValueError(f"{wanted} is not between {rising(low)} and {rising(high)}")
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return math.sqrt(low * high)
