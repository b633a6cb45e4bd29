import msgspec
import pytest
from phoenix_coordination.state import Pnl, Position, Prices
from phoenix_operator.plan.figures import LEAST_MS, plan_figures
from state_records import leading_record

NOW_MS = 1_790_000_000_000
RECORD = leading_record(
    prices=Prices(mid=60_000.0),
    position=Position(qty="0.02", net_max="0.10", worst_case_long="0.06", worst_case_short="-0.08"),
    pnl=Pnl(realised="10", unrealised="-3", fees="2", funding="-1"),
)


def test_what_is_told_is_the_leaders_position_and_all_that_it_has_earned():
    told = plan_figures(None, RECORD, NOW_MS, 0).figures
    assert (str(told.position), str(told.mid), str(told.pnl), str(told.worst_case)) == ("0.02", "60000", "4", "0.08")
    assert told.model_dump(mode="json")["mid"] == "60000"


def test_money_is_told_in_cents():
    record = msgspec.structs.replace(RECORD, pnl=Pnl(realised="-2.16671337"))
    assert str(plan_figures(None, record, NOW_MS, 0).figures.pnl) == "-2.17"


@pytest.mark.parametrize(
    ("age_ms", "changes", "is_told"),
    [
        pytest.param(LEAST_MS - 1, {"position": Position("0.10", net_max="0.10")}, False, id="not within a minute"),
        pytest.param(LEAST_MS, {"position": Position("0.03", net_max="0.10")}, True, id="another position"),
        pytest.param(LEAST_MS, {"position": Position("0.024", net_max="0.10")}, False, id="hardly another position"),
        pytest.param(LEAST_MS, {"position": Position("0", net_max="10")}, True, id="flat now, however small it was"),
        pytest.param(LEAST_MS, {"prices": Prices(mid=60_400.0)}, True, id="another price"),
        pytest.param(LEAST_MS, {"prices": Prices(mid=60_200.0)}, False, id="hardly another price"),
        pytest.param(LEAST_MS, {"pnl": Pnl(realised="20")}, True, id="another PnL"),
        pytest.param(LEAST_MS, {"pnl": Pnl(realised="5")}, False, id="hardly another PnL"),
        pytest.param(LEAST_MS, {}, False, id="nothing new"),
        pytest.param(-LEAST_MS, {"prices": Prices(mid=70_000.0)}, True, id="a clock that was set back"),
    ],
)
def test_figures_are_told_at_most_once_a_minute_and_past_a_threshold(age_ms, changes, is_told):
    before = plan_figures(None, RECORD, NOW_MS, 0).figures
    now = msgspec.structs.replace(RECORD, **changes)
    told = plan_figures(before, now, NOW_MS + age_ms, 0)
    assert (told.figures is not before) is is_told


def test_while_fees_have_no_price_the_result_is_left_out_and_the_rest_goes_on():
    before = plan_figures(None, RECORD, NOW_MS, 0).figures
    unpriced = msgspec.structs.replace(RECORD, pnl=Pnl(realised="10", fees=None), prices=Prices(mid=61_000.0))
    told = plan_figures(before, unpriced, NOW_MS + LEAST_MS, 0).figures
    assert (told.pnl, str(told.mid)) == (None, "61000")
    assert plan_figures(told, unpriced, NOW_MS + 2 * LEAST_MS, 0).figures is told, "that it is not known is no news"
    assert plan_figures(told, RECORD, NOW_MS + 2 * LEAST_MS, 0).figures.pnl == 4


def test_a_thousand_makers_do_not_write_in_one_second():
    before = plan_figures(None, RECORD, NOW_MS, 0).figures
    waits = {plan_figures(before, RECORD, NOW_MS, at / 1000).again_ms for at in range(1000)}
    assert max(waits) - min(waits) > 14_000


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(None, id="nobody leads"),
        pytest.param(leading_record(), id="no price yet"),
        pytest.param(msgspec.structs.replace(RECORD, position=Position("many")), id="no number"),
        pytest.param(msgspec.structs.replace(RECORD, pnl=Pnl(fees="NaN")), id="not a number"),
        pytest.param(msgspec.structs.replace(RECORD, prices=Prices(mid=float("inf"))), id="an infinite one"),
    ],
)
def test_without_numbers_nothing_new_is_told(record):
    before = plan_figures(None, RECORD, NOW_MS, 0).figures
    assert plan_figures(before, record, NOW_MS + 2 * LEAST_MS, 0).figures is before
