"""The steward's rules: margin, what a symbol without a leader needs, and how it is closed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from phoenix_coordination import order_id
from phoenix_coordination.redis.ledger import MICRO, Holding, rebuilt_entry
from phoenix_worker.core.actions import ApprovedOrder, Purpose, TimeInForce
from phoenix_worker.core.events import (
    Answer,
    EmergencyLevel,
    Outcome,
    Refusal,
    Request,
    Side,
)
from phoenix_worker.core.instrument import Instrument, SymbolStatus
from phoenix_worker.core.reconcile import is_of
from phoenix_worker.core.risk import Denial
from phoenix_worker.core.stewardship import (
    Closing,
    Duty,
    Leaderless,
    Margin,
    called_for,
    counts_wrongly,
    duty_of,
)
from samples import BTCUSDT

NONE, HALT, FLATTEN = EmergencyLevel
OURS = "k3f9a0"
NOW, DEADLINE = 1_000, 5_000
TOUCH, MARK = (251_234, 251_236), 251_235.0


# -- margin ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margins", "level"),
    [
        pytest.param([], NONE, id="no asset at all"),
        pytest.param([Margin("USDT", 1000.0, 0.0)], NONE, id="no position"),
        pytest.param([Margin("USDT", 0.0, 0.0)], NONE, id="nothing there and nothing needed"),
        pytest.param([Margin("USDT", 1000.0, 499.9)], NONE, id="just below the halt"),
        pytest.param([Margin("USDT", 1000.0, 500.0)], HALT, id="at the halt"),
        pytest.param([Margin("USDT", 1000.0, 699.9)], HALT, id="just below the flatten"),
        pytest.param([Margin("USDT", 1000.0, 700.0)], FLATTEN, id="at the flatten"),
        pytest.param([Margin("USDT", 0.0, 1.0)], FLATTEN, id="the balance is gone"),
        pytest.param([Margin("USDT", -5.0, 1.0)], FLATTEN, id="less than nothing is left"),
        pytest.param([Margin("USDT", 9e9, 1.0), Margin("USDC", 10.0, 6.0)], HALT, id="the fullest asset decides"),
    ],
)
def test_the_margin_calls_for_an_emergency_at_its_borders(margins, level) -> None:
    assert called_for(margins)[0] is level
    assert called_for(margins[::-1])[0] is level


def test_the_reason_names_the_asset_and_the_figures() -> None:
    _, reason = called_for([Margin("USDC", 1000.0, 712.5)])
    assert reason == "margin of USDC: maintenance is 71.2% of the balance, beyond 70%"


@given(st.floats(0.01, 1e12), st.floats(0, 1e12), st.floats(0, 1e12))
def test_more_maintenance_or_less_balance_never_lowers_the_level(balance, maintenance, more) -> None:
    level, _ = called_for([Margin("USDT", balance, maintenance)])
    assert called_for([Margin("USDT", balance, maintenance + more)])[0] >= level
    assert called_for([Margin("USDT", balance - more, maintenance)])[0] >= level


# -- duty --------------------------------------------------------------------------------------------

GONE = Leaderless(led=True, marked=0, others=0, held=False, unsettled=False)


@pytest.mark.parametrize(
    ("symbol", "in_peace", "at_halt", "at_flatten"),
    [
        pytest.param(GONE, Duty.NONE, Duty.NONE, Duty.NONE, id="left in order"),
        pytest.param(replace(GONE, unsettled=True), Duty.SETTLE, Duty.SETTLE, Duty.SETTLE, id="still counted"),
        pytest.param(replace(GONE, held=True), Duty.NONE, Duty.NONE, Duty.CLOSE, id="a position"),
        pytest.param(replace(GONE, marked=1), Duty.WITHDRAW, Duty.CLEAR, Duty.CLEAR, id="orders of ours"),
        pytest.param(replace(GONE, others=1), Duty.NONE, Duty.CLEAR, Duty.CLEAR, id="foreign orders"),
        pytest.param(replace(GONE, marked=2, others=1, held=True), Duty.WITHDRAW, Duty.CLEAR, Duty.CLOSE, id="all"),
        pytest.param(
            Leaderless(led=False, marked=1, others=0, held=True, unsettled=False),
            *(Duty.WITHDRAW, Duty.CLEAR, Duty.CLOSE),
            id="our mark, but the lease was forgotten",
        ),
        pytest.param(
            Leaderless(led=False, marked=0, others=3, held=True, unsettled=True),
            *(Duty.NONE, Duty.NONE, Duty.NONE),
            id="a person's symbol",
        ),
    ],
)
def test_what_a_symbol_without_a_leader_needs(symbol, in_peace, at_halt, at_flatten) -> None:
    assert [duty_of(symbol, level) for level in EmergencyLevel] == [in_peace, at_halt, at_flatten]


@given(st.builds(Leaderless, *[st.booleans(), st.integers(0, 3), st.integers(0, 3), st.booleans(), st.booleans()]))
def test_a_worse_emergency_never_asks_for_less_and_peace_never_for_foreign_orders(symbol) -> None:
    duties = [duty_of(symbol, level) for level in EmergencyLevel]
    assert duties == sorted(duties)
    assert duties[0] <= Duty.WITHDRAW
    assert duties[1] <= Duty.CLEAR


@pytest.mark.parametrize(
    ("counted", "held", "settled", "resting", "wrong"),
    [
        pytest.param(0.0, 0.0, True, False, False, id="nothing counts and nothing is held"),
        pytest.param(101.0, 100.0, True, False, False, id="the ledger's own buffer"),
        pytest.param(101.0, 90.0, True, False, True, id="the mark has fallen"),
        pytest.param(101.0, 110.0, True, False, True, id="the mark has risen"),
        pytest.param(0.0, 100.0, True, False, True, id="a position that does not count"),
        pytest.param(101.0, 0.0, True, False, True, id="an entry without a position"),
        pytest.param(101.0, 50.0, True, True, False, id="somebody's orders rest"),
        pytest.param(101.0, 100.0, False, False, True, id="a maker's own entry, though the value fits"),
        pytest.param(101.0, 100.0, False, True, True, id="a maker's own entry, and orders rest"),
        pytest.param(0.5, None, True, False, False, id="another asset's, which counts"),
        pytest.param(0.0, None, True, False, True, id="another asset's, which does not count"),
    ],
)
def test_when_a_leaderless_symbol_counts_wrongly(counted, held, settled, resting, wrong) -> None:
    assert counts_wrongly(counted, held, settled=settled, resting=resting) is wrong


@given(st.floats(0.01, 1e9))
def test_what_was_just_settled_counts_rightly(value) -> None:
    """Or the steward would settle it for ever."""
    _, _, _, gross, _, _ = rebuilt_entry(Holding("BTCUSDT", value, 0.0, 0.0))
    assert not counts_wrongly(int(gross) / MICRO, value, settled=True, resting=False)


@pytest.mark.parametrize(
    ("client_id", "marked"),
    [
        (order_id.format(OURS, 7, "q", 1), True),
        (order_id.format("zzzzzz", 7, "q", 1), False),
        ("web_abcdef", False),
        ("pxk3f9a0-", False),
        ("autoclose-1", False),
    ],
)
def test_only_our_installations_mark_is_ours(client_id, marked) -> None:
    assert is_of(client_id, OURS) is marked


# -- closing -----------------------------------------------------------------------------------------


def closing() -> Closing:
    return Closing(OURS, 1_700_000_000_000)


def ask(
    closing: Closing, position: int, instrument: Instrument = BTCUSDT, **change: object
) -> ApprovedOrder | Denial | None:
    facts = {"touch": TOUCH, "mark_ticks": MARK, "now_ns": NOW, "deadline_ns": DEADLINE, **change}
    return closing.next_order(position, instrument, **facts)


def answer(client_id: str, outcome: Outcome, refusal: Refusal | None = None, *, closed: bool = False) -> Answer:
    return Answer(NOW, Request.PLACE, client_id, outcome, NOW, refusal, closed=closed)


@given(st.integers(-1_200_000, 1_200_000).filter(bool))
def test_a_position_is_closed_by_reduce_only_orders_that_never_turn_it(position) -> None:
    ours = closing()
    left = position
    for _ in range(20):
        approved = ask(ours, left)
        if approved is None:
            break
        order = approved.order
        assert order.reduce_only
        assert order.side is (Side.SELL if left > 0 else Side.BUY)
        assert order.qty_steps <= min(abs(left), BTCUSDT.market_max_steps)
        assert order.price_ticks == 0
        left += order.side * order.qty_steps
        ours.heard(answer(order.client_id, Outcome.CONFIRMED, closed=True))
    assert left == 0


def test_its_ids_carry_the_symbols_token_and_never_repeat() -> None:
    ours = closing()
    seen = set()
    for _ in range(3):
        order = ask(ours, 100).order
        assert order_id.parse(order.client_id).token == 1_700_000_000_000
        assert order_id.parse(order.client_id).purpose == Purpose.LIQUIDATE.value
        seen.add(order.client_id)
        ours.heard(answer(order.client_id, Outcome.CONFIRMED, closed=True))
    assert len(seen) == 3


def test_while_an_order_may_still_fill_there_is_no_other() -> None:
    ours = closing()
    order = ask(ours, 100).order
    ours.heard(answer(order.client_id, Outcome.UNKNOWN))
    assert ours.alive == order.client_id
    assert ask(ours, 100) is None
    ours.resolved()
    assert isinstance(ask(ours, 100), ApprovedOrder)


def test_a_market_order_that_the_exchange_judged_is_followed_by_a_limit_order_within_its_band() -> None:
    ours = closing()
    ours.heard(answer(ask(ours, 100).order.client_id, Outcome.REFUSED, Refusal.FILTER))
    order = ask(ours, 100).order
    assert order.time_in_force is TimeInForce.IMMEDIATE
    assert math.ceil(MARK * BTCUSDT.band_down) <= order.price_ticks < TOUCH[0]


@pytest.mark.parametrize("refusal", [Refusal.RATE_LIMIT, Refusal.NOT_SENT, Refusal.EXPIRED_DEADLINE])
def test_an_order_that_nobody_judged_is_tried_again_as_it_was(refusal) -> None:
    ours = closing()
    ours.heard(answer(ask(ours, 100).order.client_id, Outcome.REFUSED, refusal))
    assert ask(ours, 100).order.price_ticks == 0


@pytest.mark.parametrize(
    ("change", "denial"),
    [
        pytest.param({"now_ns": DEADLINE}, Denial.DEADLINE, id="the symbol's lease has run out"),
        pytest.param({"position": 0}, None, id="flat"),
    ],
)
def test_the_gate_has_the_last_word(change, denial) -> None:
    assert ask(closing(), **{"position": 100, **change}) is denial


def test_without_a_token_nothing_is_approved() -> None:
    assert ask(Closing(OURS, 0), 100) is Denial.LEASE


def test_a_symbol_that_does_not_trade_is_not_closed() -> None:
    halted = replace(BTCUSDT, status=SymbolStatus.NOT_TRADING)
    assert ask(closing(), 100, halted) is Denial.SYMBOL
