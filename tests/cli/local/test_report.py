import json
import re
from decimal import Decimal

import msgspec
import pytest
from phoenix_cli.local.exchange import Audit, Books, Verdict
from phoenix_cli.local.report import MakerStory, account_report, build_report
from phoenix_cli.local.view import AccountView, Exposure
from phoenix_cli.plain import summary
from phoenix_cli.printing import as_json
from phoenix_coordination.state import Latency

AGREED = Books(
    position=Decimal("0.004"),
    fills=3,
    filled=Decimal("0.012"),
    fees=Decimal("0.12345678"),
    fees_in_bnb=Decimal("0.05"),
    funding=Decimal("-0.01"),
)
PEAK = Exposure(Decimal("1234.567890"), Decimal("-5.000000"), Decimal(2000))
ACCOUNT = AccountView(
    name="default", level="Halt", epoch=3, reason="looked odd", net_limit=Decimal(25000), gross_limit=Decimal(50000)
)


@pytest.fixture
def worker_record(record):
    return record(
        activity={
            "market_events": 100,
            "decisions": 10,
            "orders_sent": 6,
            "orders_rejected": {"would-take": 1},
            "fills": 3,
            "bought": "0.008",
            "sold": "0.004",
            "volume": "734.81",
            "stale_episodes": 1,
            "resyncs": 2,
            "stances_ms": {"normal": 30_040, "pin": 9_960},
            "reasons_ms": {"Quoting": 38_000, "LeaseNotHeld": 2_000},
            "tick_to_order_us": Latency(200.0, 900.0),
            "rss_mib": 41.5,
        },
        position={"qty": "0.004", "max_worst_case_ratio": 0.8},
        pnl={
            "realised": "1.5",
            "unrealised": "-0.25",
            "fees": "30.12345678",
            "fees_by_asset": {"USDT": "0.12345678", "BNB": "0.05"},
            "funding": "-0.01",
        },
    )


def report(records, books=AGREED, violations=None, restarts=0, verdicts=(), halts=()):
    return build_report(
        duration_s=40.0004,
        speed=1.0,
        seed=7,
        makers={"BTCUSDT": MakerStory(records, restarts, halts)},
        account=account_report(PEAK, ACCOUNT),
        books={"BTCUSDT": books},
        audit=Audit(violations or {"exposure": 0}),
        verdicts=verdicts,
    )


def test_the_report_has_every_field_that_others_rely_on(worker_record):
    told = json.loads(as_json(report([worker_record])))
    assert told == {
        "duration_s": 40.0,
        "speed": 1.0,
        "seed": 7,
        "symbols": {
            "BTCUSDT": {
                "market_events": 100,
                "decisions": 10,
                "orders_sent": 6,
                "orders_rejected": {"would-take": 1},
                "fills": 3,
                "volume": 734.81,
                "position": 0.004,
                "pnl": {"realised": 1.5, "unrealised": -0.25, "fees": 30.12345678, "funding": -0.01},
                "max_worst_case_ratio": 0.8,
                "stale_episodes": 1,
                "resyncs": 2,
                "restarts": 0,
                "modes_s": {"normal": 30.04, "pin": 9.96},
                "reasons_s": {"Quoting": 38.0, "LeaseNotHeld": 2.0},
                "halts": [],
                "tick_to_order_us": {"p50": 200.0, "p99": 900.0},
                "decision_us": {"p50": None, "p99": None},
                "rss_mib": 41.5,
            }
        },
        "account": {
            "net_long": 1234.57,
            "net_short": -5.00,
            "gross": 2000.00,
            "limits": {"net": 25000, "gross": 50000},
            "emergency": {"level": "Halt", "epoch": 3, "reason": "looked odd"},
        },
        "exchange": {
            "fills": 3,
            "open_orders": 0,
            "positions": {"BTCUSDT": 0.004},
            "audit": {"exposure": 0},
            "expectations": [],
        },
        "agreement": True,
        "disagreements": [],
    }


def test_fees_without_a_price_are_no_fees_of_nothing(worker_record):
    pnl = msgspec.structs.replace(worker_record.pnl, fees=None)
    found = report([msgspec.structs.replace(worker_record, pnl=pnl)])
    assert json.loads(as_json(found))["symbols"]["BTCUSDT"]["pnl"]["fees"] is None
    assert found.agreement, "what was paid is told as it was paid"
    assert "pnl not known (fees in what has no price yet), worst case" in summary(found)


@pytest.mark.parametrize(
    ("books", "said"),
    [
        pytest.param(
            {"position": Decimal("0.005")}, "position: the worker says 0.004, the exchange 0.005", id="position"
        ),
        pytest.param({"fills": 4}, "fills: the worker says 3, the exchange 4", id="fills"),
        pytest.param({"filled": Decimal("0.013")}, "filled quantity: .* 0.012, the exchange 0.013", id="quantity"),
        pytest.param(
            {"fees": Decimal("0.12345679")}, "fees: .* 0.12345678, the exchange 0.12345679", id="last-decimal"
        ),
        pytest.param(
            {"fees_in_bnb": Decimal("0.06")}, "fees in BNB: the worker says 0.05, the exchange 0.06", id="fees-in-bnb"
        ),
        pytest.param({"funding": Decimal("-0.02")}, "funding: the worker says -0.01, the exchange -0.02", id="funding"),
    ],
)
def test_any_difference_to_the_last_decimal_is_a_disagreement(worker_record, books, said):
    found = report([worker_record], msgspec.structs.replace(AGREED, **books))
    assert not found.agreement
    assert len(found.faults) == 1
    assert re.search(said, found.faults[0])


def test_numbers_are_written_without_exponent_or_trailing_zeros(record):
    told = as_json(report([record(activity={"volume": "7000.00000000"}, pnl={"funding": "0.00000000"})]))
    assert '"volume": 7000,' in told
    assert '"funding": 0\n' in told


def test_time_in_modes_is_summed_over_the_workers_and_told_with_the_halts(worker_record):
    found = report([worker_record, worker_record], halts=["a foreign order that opens"])
    told = found.symbols["BTCUSDT"]
    assert told.modes_s == {"normal": 60.08, "pin": 19.92}
    assert told.halts == ["a foreign order that opens"]
    assert "BTCUSDT: modes normal 60 s, pin 20 s; Quoting 76 s, LeaseNotHeld 4 s\n" in summary(found)
    assert "BTCUSDT: halted: a foreign order that opens\n" in summary(found)


def test_a_maker_of_which_nothing_was_heard_disagrees_with_books_that_have_fills():
    assert not report([]).agreement


def test_a_maker_of_which_nothing_was_heard_agrees_with_empty_books():
    assert report([], Books()).agreement


@pytest.mark.parametrize(
    ("books", "violations", "said"),
    [
        pytest.param({"open_orders": 2}, {}, "orders that rest on the exchange after the stop: 2", id="orders-left"),
        pytest.param({}, {"twoWriters": 3, "exposure": 0}, "audit: 3 × twoWriters", id="violation"),
    ],
)
def test_orders_left_and_violations_make_a_bad_run(worker_record, books, violations, said):
    assert report([worker_record], msgspec.structs.replace(AGREED, **books), violations).faults == [said]


@pytest.mark.parametrize("state", ["broken", "open"])
def test_what_the_scenario_expects_and_does_not_hold_makes_a_bad_run(worker_record, state):
    verdicts = [Verdict("audit-clean", "held", ""), Verdict("quoting BTCUSDT", state, "no bid")]
    found = report([worker_record], verdicts=verdicts)
    assert found.faults == ["expected: quoting BTCUSDT: no bid"]
    assert "expected: audit-clean: held\nexpected: quoting BTCUSDT: no bid\n" in summary(found)


def test_a_good_run_has_no_faults(worker_record):
    assert report([worker_record]).faults == []
