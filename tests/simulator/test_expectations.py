"""The judge of a scenario, looking at an exchange that the test moves."""

from decimal import Decimal

import msgspec
import pytest
from phoenix_simulator.audit.ledger import Audit, Kind
from phoenix_simulator.conditions import ConditionWatch
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.expectations import (
    AuditClean,
    Empty,
    Expectation,
    FaultsMet,
    Judge,
    LossWithin,
    Origin,
    PositionWithin,
    Quoting,
    Reducing,
    State,
    Traded,
)
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.faults import Silence
from phoenix_simulator.market.source import MarketKind, MarketStart, MarkUpdate

BTC = BUILT_IN["BTCUSDT"]
SECOND_NS = 1_000_000_000


class Rehearsal:
    """BTCUSDT at 1000.0 / 1000.1, one account, one expectation, and a clock that the test moves."""

    def __init__(self, expectation: Expectation, *faults: Silence) -> None:
        self.exchange = Exchange()
        mark = 10_000 * BTC.tick_e8
        start = MarketStart(MarketKind.SYNTHETIC, ((10_000, 1_000),), ((10_001, 1_000),), mark, mark, 0)
        self.exchange.list_symbol(BTC, start, 0)
        self.exchange.open_account("a", {"USDT": 10**5 * E8}, 0)
        self.faults = Faults(ConditionWatch(self.exchange))
        planned = [self.faults.add(fault, 0) for fault in faults]
        self.judge = Judge([expectation], self.exchange, Audit(self.exchange), self.faults, planned, 0)
        self._number = 0

    def look(self, seconds: float) -> "Rehearsal":
        self.faults.advance(int(seconds * SECOND_NS))
        self.judge.look(int(seconds * SECOND_NS))
        return self

    def place(self, side: Side, price_ticks: int, steps: int = 100) -> "Rehearsal":
        self._number += 1
        request = NewOrder(
            symbol="BTCUSDT",
            side=side,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            price=BTC.price_to_decimal(price_ticks),
            quantity=BTC.quantity_to_decimal(steps),
            client_order_id=f"o{self._number}",
        )
        self.exchange.place("a", request, 0)
        return self

    def quote(self) -> "Rehearsal":
        return self.place(Side.BUY, 9_990).place(Side.SELL, 10_010)

    def withdraw(self) -> "Rehearsal":
        self.exchange.cancel_all("a", "BTCUSDT", 0)
        return self

    def mark(self, price_ticks: int) -> "Rehearsal":
        price_e8 = price_ticks * BTC.tick_e8
        self.exchange.apply("BTCUSDT", MarkUpdate(0, price_e8, price_e8, 0), 0)
        return self

    def transfer(self, amount: int) -> "Rehearsal":
        self.exchange.transfer("a", "USDT", amount * E8, 0)
        return self

    @property
    def state(self) -> State:
        return self.judge.verdicts()[0].state

    @property
    def reason(self) -> str:
        return self.judge.verdicts()[0].reason


def of(expectation: Expectation) -> Rehearsal:
    return Rehearsal(expectation)


# ---- what must be met at some moment ----------------------------------------------------------------------------


def test_quoting_is_a_bid_and_an_ask():
    run = of(Quoting(symbol="BTCUSDT"))
    run.place(Side.BUY, 9_990).look(1)
    assert (run.state, run.reason) == (State.OPEN, "no ask")
    run.place(Side.SELL, 10_010).look(2)
    assert (run.state, run.reason) == (State.HELD, "")
    # What was met stays met.
    assert run.withdraw().look(3).state is State.HELD


def test_what_is_not_met_in_its_window_is_broken():
    run = of(Quoting(symbol="BTCUSDT", from_seconds=10, within_seconds=5))
    run.quote().look(9).withdraw().look(12)
    assert run.state is State.OPEN
    run.look(15.5)
    assert (run.state, run.reason) == (State.BROKEN, "no bid and no ask")
    assert run.quote().look(16).state is State.BROKEN


def test_reducing_is_that_no_order_increases_a_position():
    run = of(Reducing(symbol="BTCUSDT", from_seconds=1))
    run.quote().look(2)
    assert (run.state, run.reason) == (State.OPEN, "2 orders increase a position")
    run.place(Side.BUY, 10_001).look(3)
    assert (run.state, run.reason) == (State.OPEN, "1 orders increase a position")
    assert run.withdraw().place(Side.SELL, 10_010).look(4).state is State.HELD


def test_reducing_throughout_is_broken_by_the_first_order_that_increases():
    run = of(Reducing(symbol="BTCUSDT", throughout=True))
    assert run.look(1).state is State.HELD
    run.place(Side.SELL, 10_010).look(2)
    assert (run.state, run.reason) == (State.BROKEN, "1 orders increase a position")


def test_reducing_is_refused_where_it_would_hold_before_anybody_has_begun():
    with pytest.raises(ValueError, match="give fromSeconds, or after: faults"):
        Reducing(symbol="BTCUSDT")


def test_a_window_that_the_run_did_not_reach_is_not_held():
    run = of(Quoting(symbol="BTCUSDT", from_seconds=60)).quote().look(59)
    assert (run.state, run.reason) == (State.OPEN, "the run has not come so far")


def test_books_that_must_empty_once():
    run = of(Empty(symbol="BTCUSDT", from_seconds=5)).quote().look(6)
    assert (run.state, run.reason) == (State.OPEN, "2 orders rest")
    assert run.withdraw().look(7).state is State.HELD


def test_so_many_fills():
    run = of(Traded(symbol="BTCUSDT", fills=2)).place(Side.BUY, 10_001).look(1)
    assert (run.state, run.reason) == (State.OPEN, "1 fills")
    assert run.place(Side.SELL, 10_000).look(2).state is State.HELD


def test_after_the_faults_means_after_the_last_one():
    run = Rehearsal(Quoting(symbol="BTCUSDT", after=Origin.FAULTS), Silence(start_seconds=5, duration_seconds=5))
    run.quote().look(6)
    assert (run.state, run.reason) == (State.OPEN, "the faults are not over")
    run.look(10.1)
    assert run.state is State.HELD


def test_a_fault_that_nobody_met_is_named():
    run = Rehearsal(FaultsMet(), Silence(start_seconds=0, duration_seconds=50), Silence(start_seconds=5, count=1))
    run.look(6)
    assert (run.state, run.reason) == (State.OPEN, "nobody met silence, silence")


# ---- what must always hold --------------------------------------------------------------------------------------


def test_a_position_beyond_its_bound_is_broken_for_good():
    run = of(PositionWithin(symbol="BTCUSDT", max=Decimal("0.1")))
    assert run.place(Side.BUY, 10_001, 100).look(1).state is State.HELD
    run.place(Side.BUY, 10_001, 100).look(2)
    assert (run.state, run.reason) == (State.BROKEN, "a position of 0.2")
    run.place(Side.SELL, 10_000, 200).look(3)
    assert run.state is State.BROKEN
    assert run.judge.verdicts()[0].at_seconds == 2


def test_what_must_hold_throughout_and_did_is_held_at_the_end_and_not_before_its_window_is_over():
    run = of(Quoting(symbol="BTCUSDT", throughout=True, within_seconds=10)).quote().look(1)
    assert (run.state, run.reason) == (State.OPEN, "its time is not over")
    assert run.look(10.5).withdraw().look(11).state is State.HELD


def test_a_gap_in_what_must_hold_throughout_breaks_it():
    run = of(Quoting(symbol="BTCUSDT", throughout=True, from_seconds=1)).quote().look(1)
    assert run.state is State.HELD
    assert run.withdraw().look(2).quote().look(3).state is State.BROKEN


def test_a_loss_counts_what_is_open_at_mark():
    run = of(LossWithin(asset="USDT", max=Decimal(10))).place(Side.BUY, 10_001, 1_000).look(1)
    assert run.state is State.HELD
    run.mark(9_800).look(2)  # one BTC bought at 1000.1 is worth 980.0
    assert run.state is State.BROKEN
    assert run.reason.startswith("a loss of 20.")


@pytest.mark.parametrize(
    ("transferred", "mark_ticks", "state"),
    [
        pytest.param(-5_000, 10_000, State.HELD, id="money that goes is no loss"),
        pytest.param(5_000, 9_800, State.BROKEN, id="money that comes hides no loss"),
    ],
)
def test_transfers_neither_make_nor_hide_a_loss(transferred, mark_ticks, state):
    run = of(LossWithin(asset="USDT", max=Decimal(10))).place(Side.BUY, 10_001, 1_000).look(1)
    run.transfer(transferred).mark(mark_ticks).look(2)
    assert run.state is state
    assert run.reason == ("" if state is State.HELD else "a loss of 20.00")


def test_a_violation_of_the_audit_breaks_a_clean_one():
    crossed = of(AuditClean())
    excused = of(AuditClean(besides=(Kind.SELF_CROSSING,)))
    for run in (crossed, excused):
        assert run.look(1).state is State.HELD
        run.judge._audit._counts[Kind.SELF_CROSSING] += 1  # its rules have their own tests
        run.look(2)
    assert (crossed.state, crossed.reason) == (State.BROKEN, "1 × selfCrossing")
    assert excused.state is State.HELD


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param({"kind": "empty"}, "before anybody", id="empty from the start"),
        pytest.param({"kind": "position-within", "symbol": "BTCUSDT", "max": -1}, "at least 0", id="negative"),
        pytest.param({"kind": "quoting"}, "symbol", id="quoting what"),
        pytest.param({"kind": "joy"}, "joy", id="unknown"),
        pytest.param({"kind": "traded", "withinSeconds": 0}, "> 0", id="no window"),
    ],
)
def test_what_makes_no_sense_is_refused(body, reason):
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(body, type=Expectation, strict=False)


@pytest.mark.parametrize(
    ("expectation", "text"),
    [
        (
            Quoting(symbol="BTCUSDT", after=Origin.FAULTS, within_seconds=10),
            "quoting BTCUSDT within 10 s from 0 s after the faults",
        ),
        (Empty(from_seconds=20, throughout=True), "empty everywhere throughout from 20 s after the start"),
        (PositionWithin(symbol="BTCUSDT", max=Decimal("0.5")), "position-within BTCUSDT 0.5"),
        (AuditClean(), "audit-clean"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_expectation_reads_well(expectation, text):
    assert of(expectation).judge.verdicts()[0].text == text
