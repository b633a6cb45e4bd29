"""A minute of a market, a calibration, and parameters: small enough for whole runs within a test."""

import pytest
from phoenix_cli.rehearsal.feed import Day
from phoenix_cli.rehearsal.run import instrument_of
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.regimes import RegimeName
from quality.calibration import Calibration
from quality.study import Study
from quality.tape import generate
from quality_report import ROOT, _parameters

SYMBOL = "ETHUSDC"
SECONDS = 25


@pytest.fixture(scope="session")
def spec():
    return BUILT_IN[SYMBOL]


@pytest.fixture(scope="session")
def instrument(spec):
    return instrument_of(spec)


@pytest.fixture(scope="session")
def parameters():
    """Of the preset."""
    return _parameters(ROOT / "configs/makers/ethusdc.yaml")[1]


@pytest.fixture(scope="session")
def calibration():
    day = Day([4_200.0 * (1 + 1e-4 * (minute % 3)) for minute in range(60)], [5_000.0] * 60, [2_600.0] * 60)
    return Calibration(0.08, 0.65, 0.9, day)


@pytest.fixture(scope="session")
def study(parameters, calibration):
    return Study(SYMBOL, parameters, calibration, SECONDS)


@pytest.fixture(scope="session")
def tape(spec):
    return generate(spec, RegimeName.JUMP, 3, SECONDS)
