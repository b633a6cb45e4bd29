import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_simulator.market import shapes
from phoenix_simulator.market.shapes import Shape


def test_draws_have_the_quantiles_that_were_asked_for(random):
    shape = Shape((0, 1), (0.5, 10), (0.9, 100), (1, 1000))
    drawn = sorted(shape.draw(random) for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(10, rel=0.05)
    assert drawn[18_000] == pytest.approx(100, rel=0.05)
    assert 1 <= drawn[0] < drawn[-1] <= 1000


def test_the_mean_is_that_of_the_draws(random):
    shape = Shape((0, 1), (0.5, 10), (1, 50))
    assert sum(shape.draw(random) for _ in range(50_000)) / 50_000 == pytest.approx(shape.mean(), rel=0.02)


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=8).map(sorted), st.randoms())
def test_draws_stay_between_the_ends(values, random):
    quantiles = [(index / (len(values) - 1), value) for index, value in enumerate(values)]
    drawn = Shape(*quantiles).draw(random)
    assert values[0] * (1 - 1e-9) <= drawn <= values[-1] * (1 + 1e-9)


def test_the_bands_of_the_ladder_follow_each_other_to_its_end():
    starts = [band[0] for band in shapes.LADDER]
    assert starts == sorted(set(starts))
    assert starts[0] == 1
    assert starts[-1] < shapes.LADDER_END
    assert all(0 < occupancy < 1 and 0 < add < 0.5 for _, occupancy, _, add, _ in shapes.LADDER)
