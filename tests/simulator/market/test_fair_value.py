import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.fair_value import FairValue
from phoenix_simulator.market.regimes import REGIMES, RegimeName, scale_of

BTC = BUILT_IN["BTCUSDT"]
MID = 618_000.5


def fair_value(random, **changes):
    regime = msgspec.structs.replace(REGIMES[RegimeName.CALM], **changes)
    return FairValue(BTC, scale_of(BTC), regime, MID, random), regime


@pytest.mark.parametrize(
    ("gap", "moved", "follows"),
    [
        pytest.param(0, 100, 90, id="a_surprise_is_mostly_news"),
        pytest.param(100, 100, 0, id="closing_a_gap_is_no_news"),
        pytest.param(40, 100, 54, id="beyond_the_gap_it_is"),
        pytest.param(100, 40, 0, id="closing_half_a_gap_is_none"),
        pytest.param(100, -40, -36, id="away_from_it_is"),
        pytest.param(-100, -100, 0, id="down_as_up"),
        pytest.param(50, 0, 0, id="no_move_no_news"),
    ],
)
def test_the_fair_price_follows_what_it_did_not_expect(random, gap, moved, follows):
    fair, _ = fair_value(random)
    fair.ticks = MID + gap
    fair.moved(MID, moved)
    assert fair.ticks == pytest.approx(MID + gap + follows)


def test_a_drift_runs_at_its_speed(random):
    fair, regime = fair_value(random, drift_bps_per_s=0.5)
    for second in range(60):
        fair.advance(1.0, regime, MID, second)
    assert abs(fair.ticks / MID - 1) * 1e4 == pytest.approx(30, rel=0.01)


def test_mark_and_index_follow_the_market_and_the_premium_lies_between_them(random):
    fair, regime = fair_value(random, premium_bps=10.0)
    update = fair.mark(0)
    for second in range(300):
        update = fair.advance(1.0, regime, MID * 1.01, second)
    assert update.mark_e8 == pytest.approx(MID * 1.01 * BTC.tick_e8, rel=3e-4)
    assert 2 < (update.mark_e8 / update.index_e8 - 1) * 1e4 < 18


@pytest.mark.parametrize(
    ("premium_bps", "rate_bps"),
    [
        pytest.param(0.0, 1.0, id="interest_alone"),
        pytest.param(4.0, 1.0, id="small_premium_is_clamped_to_interest"),
        pytest.param(10.0, 5.0, id="large_premium_less_the_clamp"),
        pytest.param(-10.0, -5.0, id="discount_makes_shorts_pay"),
        pytest.param(90.0, 30.0, id="capped"),
    ],
)
def test_the_funding_rate_is_the_venues_formula_of_the_premium(random, premium_bps, rate_bps):
    fair, _ = fair_value(random, premium_bps=premium_bps)
    assert fair.mark(0).funding_rate_e8 == round(rate_bps * 1e4)


@given(st.randoms(), st.lists(st.integers(-5000, 5000), max_size=50))
def test_marks_are_positive_and_the_rate_stays_in_its_cap(random, moves):
    fair, regime = fair_value(random, drift_bps_per_s=0.5, premium_bps=20.0)
    mid = MID
    for move in moves:
        fair.moved(mid, move)
        mid += move
        update = fair.advance(1.0, regime, mid, 0)
        assert update.mark_e8 > 0
        assert update.index_e8 > 0
        assert abs(update.funding_rate_e8) <= BTC.funding_cap * 10**8
