"""The account's daily loss: the sum of its makers' days, and what it calls for (trading 5, `limits.dailyLoss`)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from phoenix_coordination.state import SymbolDay
from phoenix_worker.core.account_day import Held, called_for, followed, total
from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.instrument import MONEY

YESTERDAY, TODAY, TOMORROW = (day * 86_400_000 for day in (20_000, 20_001, 20_002))
LONG = SymbolDay("ETHUSDT", TODAY, -40 * MONEY, 2.0, 3000.0)
FLAT = SymbolDay("BTCUSDT", TODAY, -15 * MONEY, 0.0, 60_000.0)


def results(days: list[SymbolDay]) -> dict[str, float]:
    return {day.symbol: day.result / MONEY for day in days}


@pytest.mark.parametrize(
    ("known", "told", "held", "result"),
    [
        pytest.param([], [LONG, FLAT], {}, {"ETHUSDT": -40, "BTCUSDT": -15}, id="every leader tells its own"),
        pytest.param(
            [LONG],
            [replace(LONG, result=-42 * MONEY, mark=2999.0)],
            {"ETHUSDT": Held(2.0, 2990.0)},
            {"ETHUSDT": -42},
            id="what a leader tells counts as it tells it",
        ),
        pytest.param(
            [LONG, FLAT],
            [],
            {"ETHUSDT": Held(2.0, 2990.0)},
            {"ETHUSDT": -60, "BTCUSDT": -15},
            id="of a dead maker the last counts on, its position at the mark of now",
        ),
        pytest.param(
            [replace(LONG, qty=-2.0)], [], {"ETHUSDT": Held(-2.0, 2990.0)}, {"ETHUSDT": -20}, id="a short one"
        ),
        pytest.param([LONG], [], {}, {"ETHUSDT": -40}, id="its position is gone: closed at the last mark"),
        pytest.param([LONG], [], {"ETHUSDT": Held(2.0, 0.0)}, {"ETHUSDT": -40}, id="no mark is no price"),
        pytest.param(
            [replace(LONG, mark=0.0)], [], {"ETHUSDT": Held(2.0, 3000.0)}, {"ETHUSDT": -40}, id="nor was there one"
        ),
        pytest.param([], [replace(LONG, start_ms=YESTERDAY)], {}, {}, id="who tells of yesterday has not begun today"),
        pytest.param(
            [replace(LONG, start_ms=YESTERDAY)],
            [],
            {"ETHUSDT": Held(2.0, 2990.0)},
            {"ETHUSDT": 0},
            id="at midnight what has no leader begins at nothing",
        ),
        pytest.param([replace(FLAT, start_ms=YESTERDAY)], [], {}, {}, id="and what is flat then is forgotten"),
        pytest.param([], [], {"SOLUSDT": Held(9.0, 150.0)}, {}, id="a person's position is not among them"),
    ],
)
def test_the_day_of_each_symbol(known, told, held, result) -> None:
    days = followed(known, told, held, TODAY)
    assert results(days) == result
    assert all(day.start_ms == TODAY for day in days)


def test_a_position_that_was_closed_does_not_move_again() -> None:
    closed = followed([LONG], [], {"ETHUSDT": Held(0.0, 2990.0)}, TODAY)
    assert results(closed) == {"ETHUSDT": -60}
    assert results(followed(closed, [], {"ETHUSDT": Held(0.0, 1000.0)}, TODAY)) == {"ETHUSDT": -60}


def test_a_position_that_outlives_midnight_counts_from_there() -> None:
    begun = followed([LONG], [], {"ETHUSDT": Held(2.0, 2990.0)}, TOMORROW)
    assert results(followed(begun, [], {"ETHUSDT": Held(2.0, 2980.0)}, TOMORROW)) == {"ETHUSDT": -20}


@given(st.lists(st.floats(1000, 5000), min_size=1, max_size=20), st.floats(-50, 50))
def test_however_often_it_is_looked_at_a_dead_makers_position_is_worth_its_mark(marks, qty) -> None:
    days = [SymbolDay("ETHUSDT", TODAY, 0, qty, 3000.0)]
    for mark in marks:
        days = followed(days, [], {"ETHUSDT": Held(qty, mark)}, TODAY)
    assert total(days) / MONEY == pytest.approx(qty * (marks[-1] - 3000.0), abs=1e-6)


@pytest.mark.parametrize(
    ("result", "level"),
    [(0, EmergencyLevel.NONE), (70, EmergencyLevel.NONE), (-50, EmergencyLevel.NONE), (-50.01, EmergencyLevel.HALT)],
    ids=["nothing", "a gain", "at the limit", "beyond it"],
)
def test_beyond_the_limit_the_account_halts(result, level) -> None:
    day = SymbolDay("ETHUSDT", TODAY, round(result * MONEY), 0.0, 3000.0)
    assert called_for([day], 50 * MONEY)[0] is level


def test_gains_of_one_maker_stand_for_losses_of_another() -> None:
    days = [LONG, FLAT, SymbolDay("SOLUSDT", TODAY, 10 * MONEY, 0.0, 150.0)]
    assert total(days) == -45 * MONEY
    assert called_for(days, 50 * MONEY)[0] is EmergencyLevel.NONE
    assert called_for(days[:2], 50 * MONEY)[0] is EmergencyLevel.HALT


def test_the_reason_names_the_loss_the_limit_and_what_ends_it() -> None:
    _, reason = called_for([LONG, FLAT], 50 * MONEY)
    assert reason == (
        "the account has lost 55.00 since 00:00 UTC, more than limits.dailyLoss of 50.00: "
        "resume it on the next UTC day, or once the limit is raised"
    )
