from decimal import Decimal

import pytest
from phoenix_cli.demo import find_configs
from phoenix_cli.local.describe import changes, ending, health, maker_view, with_record
from phoenix_cli.local.fleet import load_fleet
from phoenix_cli.local.view import MakerView, Mood
from phoenix_coordination.state import SWITCH_NOT_READ, Halt, Prices, Quote, Quotes, Reason, Role


@pytest.fixture(scope="module")
def maker():
    configs = find_configs()
    return load_fleet([configs / "accounts", configs / "makers" / "btcusdt.yaml"])[0].maker


def said(before, now) -> list[str]:
    return [text for text, _ in changes(before, now)]


UNREADY = {"ready": False, "reason": Reason.PRICE_STALE, "detail": "no frame for 2 s"}


def test_health_is_the_first_reason_in_the_vocabulary_of_readyz_with_its_sentence(record):
    assert health(record()) == "Quoting"
    assert health(record(**UNREADY)) == "PriceStale: no frame for 2 s"


def test_becoming_ready_and_unready_is_told_with_the_reason(record):
    assert said(None, record()) == ["ready, leading"]
    assert said(record(), record(**UNREADY)) == ["not ready: PriceStale: no frame for 2 s"]
    assert said(record(**UNREADY), record()) == ["ready, leading"]


def test_a_standby_that_takes_over_is_told(record):
    assert said(record(role=Role.STANDBY), record()) == ["ready, leading"]
    assert said(record(**UNREADY, role=Role.STANDBY), record(**UNREADY)) == []


def test_another_reason_while_unready_is_told(record):
    later = record(ready=False, reason=Reason.BOOK_NOT_SYNCED)
    assert said(record(**UNREADY), later) == ["not ready: BookNotSynced"]


def test_nothing_is_told_where_nothing_has_changed(record):
    assert said(record(), record()) == []
    assert said(None, record(**UNREADY)) == []


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        pytest.param(
            {"fills": 3, "bought": "0.008", "sold": "0.004"},
            {"fills": 4, "bought": "0.012", "sold": "0.004"},
            "bought 0.004 (1 fill), position 0.008",
            id="one-buy",
        ),
        pytest.param(
            {"fills": 3, "bought": "0.008", "sold": "0.004"},
            {"fills": 6, "bought": "0.012", "sold": "0.014"},
            "bought 0.004 and sold 0.010 (3 fills), position 0.008",
            id="both-sides",
        ),
    ],
)
def test_fills_are_told_by_side_with_the_position(record, before, now, text):
    assert said(record(activity=before), record(activity=now, position={"qty": "0.008"})) == [text]


def test_guard_emergency_and_refused_parameters_are_told(record):
    assert said(record(guard="normal"), record(guard="pin")) == ["mode: pin"]
    assert said(record(), record(emergency={"level": "Halt", "reason": "by hand"})) == ["emergency Halt by hand"]
    starting = {"level": "Halt", "reason": SWITCH_NOT_READ}
    assert said(None, record(ready=False, emergency=starting)) == []
    assert said(record(emergency=starting), record()) == []
    refused = record(configuration={"refused": "netMax: must be positive"})
    assert said(record(), refused) == ["parameters refused: netMax: must be positive"]
    assert said(refused, refused) == []


def test_halts_and_what_risk_forbids_are_told_when_they_come_and_go(record):
    halted = record(reason=Reason.RISK_HALTED, detail="daily loss", halt=Halt(3, "daily loss"))
    assert said(record(), halted) == ["halted: daily loss", "RiskHalted: daily loss"]
    assert said(halted, halted) == []
    assert said(halted, record()) == ["no longer RiskHalted: Quoting"]
    assert said(None, halted) == ["ready, leading", "halted: daily loss"]
    assert said(record(), record(reason=Reason.TOXIC_FLOW)) == ["ToxicFlow"]
    assert said(record(), record(reason=Reason.NOT_RESERVED)) == [], "comes and goes"
    assert said(halted, record(reason=Reason.EMERGENCY, halt=halted.halt)) == [], "told by itself, and hides the halt"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        pytest.param({"guard": "normal"}, "Quoting", id="normal"),
        pytest.param({"guard": "grind"}, "Quoting, grind", id="a-mode"),
        pytest.param(
            {"guard": "emergency", "reason": Reason.EMERGENCY, "detail": "by hand"}, "Emergency: by hand", id="once"
        ),
        pytest.param({"guard": "liquidate", "reason": Reason.GUARD}, "Guard, liquidate", id="guard"),
        pytest.param(
            {"guard": "block", "reason": Reason.RISK_HALTED, "detail": "loss"}, "RiskHalted, block: loss", id="halt"
        ),
    ],
)
def test_the_mode_stands_beside_the_reason(record, changed, text):
    assert health(record(**changed)) == text


def test_pnl_is_after_fees_and_funding(record):
    told = record(pnl={"realised": "2", "unrealised": "-0.5", "fees": "0.25", "funding": "-0.05"})
    assert told.pnl.total == Decimal("1.20")


def test_pnl_is_not_known_while_a_fee_has_no_price(record):
    told = record(pnl={"realised": "2", "fees": None, "fees_by_asset": {"BNB": "0.05"}})
    row = MakerView(name="btcusdt", symbol="BTCUSDT", health="", mood=Mood.GOOD, net_max=Decimal(1))
    shown = with_record(row, told, alive=True)
    assert (told.pnl.total, shown.pnl, shown.fees) == (None, None, None)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "ended with status 1"),
        (0, "ended with status 0"),
        (-9, "was ended by SIGKILL"),
        (-99, "by signal 99"),
    ],
)
def test_how_a_process_ended(code, text):
    assert ending(code).endswith(text)


def test_a_row_tells_what_the_worker_says(maker, record):
    told = record(
        prices=Prices(bid="61234.5", ask="61234.6"),
        quotes=Quotes([Quote("61230.0", "0.004", "q")], [Quote("61240.0", "0.002", "q")]),
        position={"qty": "-0.05", "worst_case_long": "0.02", "worst_case_short": "-0.08"},
    )
    row = maker_view(maker, told, alive=True, restarts=2, pid=7)
    assert (row.bid, row.ask) == (Decimal("61234.5"), Decimal("61234.6"))
    assert (row.bids[0].price, row.asks[0].quantity) == (Decimal("61230.0"), Decimal("0.002"))
    assert (row.position, row.net_max, row.restarts) == (Decimal("-0.05"), Decimal("0.1"), 2)
    assert row.worst_case_ratio == pytest.approx(0.8)
    assert (row.health, row.mood) == ("Quoting", Mood.GOOD)


def test_a_worker_that_is_gone_still_tells_its_position_and_no_quotes(maker, record):
    told = record(
        prices=Prices(bid="61234.5", ask="61234.6"),
        quotes=Quotes([Quote("61230.0", "0.004", "q")], []),
        position={"qty": "-0.05"},
    )
    row = maker_view(maker, told, alive=False, restarts=1, pid=None)
    assert (row.position, row.bid, row.bids, row.health) == (Decimal("-0.05"), None, (), "no worker")


@pytest.mark.parametrize(
    ("changed", "mood"),
    [
        pytest.param({"ready": True, "reason": Reason.GUARD}, Mood.WARNING, id="ready-and-not-quoting"),
        pytest.param({"ready": False, "reason": Reason.PRICE_STALE}, Mood.BAD, id="unready"),
        pytest.param({"ready": False, "reason": Reason.STARTING, "role": Role.STARTING}, Mood.WARNING, id="starting"),
        pytest.param({"ready": False, "reason": Reason.DRAINING, "role": Role.DRAINING}, Mood.WARNING, id="draining"),
    ],
)
def test_the_mood_of_a_row(maker, record, changed, mood):
    assert maker_view(maker, record(**changed), alive=True, restarts=0, pid=7).mood is mood
