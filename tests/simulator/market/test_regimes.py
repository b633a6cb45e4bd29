import msgspec
import pytest
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.regimes import CHARACTERS, REGIMES, RegimeName, scale_of
from phoenix_simulator.market.synthetic import SyntheticSource


def test_every_regime_has_its_parameters_and_every_built_in_symbol_its_character():
    assert set(REGIMES) == set(RegimeName)
    assert set(CHARACTERS) == set(BUILT_IN)


def test_the_recordings_symbol_is_the_unit():
    scale = scale_of(BUILT_IN["BTCUSDT"])
    assert (scale.ticks, scale.steps, scale.activity, scale.volatility) == pytest.approx((1, 1, 1, 1))
    assert scale.bps_to_ticks == pytest.approx(61.8)


def test_the_same_distance_and_value_is_other_ticks_and_steps_elsewhere():
    scale, character = scale_of(BUILT_IN["ETHUSDT"]), CHARACTERS["ETHUSDT"]
    # Ticks are 0.01: 1 bps of 2 500 would be 25 of them. 0.001 BTC are 61.80 in quote, and 0.001 ETH a thousandth of
    # its price.
    assert scale.bps_to_ticks == pytest.approx(character.price * 1e-4 / 0.01)
    assert scale.steps == pytest.approx(61.8 / (character.price * 0.001) * character.liquidity)


def test_a_symbol_without_a_character_still_has_a_market():
    spec = msgspec.structs.replace(BUILT_IN["SOLUSDT"], symbol="NEWUSDT")
    start = SyntheticSource(spec, 1).start()
    assert spec.min_price_ticks < start.bids[0][0] < start.asks[0][0] < spec.max_price_ticks
