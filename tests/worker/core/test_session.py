"""What must hold beside the market: reasons in their order, budgets, the dead-man."""

import pytest
from phoenix_coordination.state import Reason
from phoenix_worker.core.events import Budget, EmergencyLevel
from phoenix_worker.core.instrument import SymbolStatus
from phoenix_worker.core.session import DEAD_MAN_MS, UNLIMITED, WITHDRAW_FOR, Session
from phoenix_worker.core.switch import Switch
from samples import MS, SECOND

NOW = 100 * SECOND


def healthy(**fields):
    values = {
        "token": 1,
        "deadline_ns": NOW + 1,
        "reachable": True,
        "clock_known": True,
        "dead_man_until_ns": NOW + 1,
        "emergency": Switch(),
    }
    return Session(**{**values, **fields})


def unready(session, **facts):
    values = {"book_synced": True, "stale": False, "reconciled": True, "user_ok": True}
    return session.not_ready(NOW, **{**values, **facts})


def forbidden(session, **facts):
    values = {
        "paused": False,
        "status": SymbolStatus.TRADING,
        "warm": True,
        "liquidating": False,
        "cooling": False,
        "toxic": False,
        "lost": False,
        "loss_unknown": False,
    }
    return session.not_quoting(NOW, **{**values, **facts})


@pytest.mark.parametrize(
    ("fields", "facts", "reasons"),
    [
        ({}, {}, []),
        ({"maintenance": True}, {}, [Reason.VENUE_MAINTENANCE]),
        ({"stopping": "SIGTERM"}, {}, [Reason.DRAINING]),
        ({"exited": True}, {}, [Reason.DRAINING]),
        ({"reachable": False}, {}, [Reason.COORDINATION_UNREACHABLE]),
        ({"token": 0}, {}, [Reason.LEASE_NOT_HELD]),
        ({"deadline_ns": NOW}, {}, [Reason.LEASE_NOT_HELD]),
        ({}, {"book_synced": False}, [Reason.BOOK_NOT_SYNCED]),
        ({}, {"stale": True}, [Reason.PRICE_STALE]),
        ({}, {"user_ok": False}, [Reason.USER_STREAM_OUT_OF_SYNC]),
        ({}, {"reconciled": False}, [Reason.NOT_RECONCILED]),
        ({"clock_known": False}, {}, [Reason.CLOCK_UNKNOWN]),
        ({"dead_man_until_ns": NOW}, {}, [Reason.DEAD_MAN_NOT_ARMED]),
    ],
)
def test_what_makes_a_worker_unready(fields, facts, reasons):
    assert unready(healthy(**fields), **facts) == reasons


@pytest.mark.parametrize(
    ("fields", "facts", "reason"),
    [
        ({"emergency": Switch(EmergencyLevel.HALT)}, {}, Reason.EMERGENCY),
        ({"emergency": Switch(EmergencyLevel.FLATTEN)}, {}, Reason.EMERGENCY),
        ({"second_writer": True}, {}, Reason.SECOND_WRITER),
        ({"halt": Switch(EmergencyLevel.HALT, 1, "losses")}, {}, Reason.RISK_HALTED),
        ({"foreign": {"web": True}}, {}, Reason.FOREIGN_ACTIVITY),
        ({"foreign": {"web": False}}, {}, Reason.FOREIGN_ACTIVITY),
        ({}, {"status": SymbolStatus.NOT_TRADING}, Reason.SYMBOL_NOT_TRADING),
        ({}, {"status": SymbolStatus.REDUCE_ONLY}, Reason.REDUCE_ONLY),
        ({"budget": Budget(NOW, 1, 1, 1, NOW + 1)}, {}, Reason.RATE_LIMITED),
        ({}, {"cooling": True}, Reason.COOLDOWN),
        ({}, {"lost": True}, Reason.RISK_HALTED),
        ({}, {"loss_unknown": True}, Reason.LOSS_UNKNOWN),
        ({}, {"toxic": True}, Reason.TOXIC_FLOW),
        ({}, {"liquidating": True}, Reason.GUARD),
        ({}, {"paused": True}, Reason.PAUSED),
        ({}, {"warm": False}, Reason.STATISTICS_WARMING),
    ],
)
def test_what_forbids_quoting(fields, facts, reason):
    assert forbidden(healthy(**fields), **facts) == [reason]


def test_a_worker_that_knows_nothing_is_neither_ready_nor_quoting():
    reasons = unready(Session(), book_synced=False, stale=True, reconciled=False, user_ok=False)
    assert reasons == sorted(reasons, key=lambda reason: reason.severity)
    assert forbidden(Session()) == [Reason.EMERGENCY], "a switch that was not read is on"


def test_under_these_reasons_reducing_quotes_stay_alive():
    assert {
        Reason.RISK_HALTED,
        Reason.LOSS_UNKNOWN,
        Reason.REDUCE_ONLY,
        Reason.COOLDOWN,
        Reason.RATE_LIMITED,
    }.isdisjoint(WITHDRAW_FOR)


@pytest.mark.parametrize(
    ("age_s", "sent", "left"),
    [(0, 0, 10), (0, 4, 6), (9, 4, 6), (10, 4, 96), (59, 4, 96), (60, 4, UNLIMITED), (0, 12, -2)],
)
def test_a_window_that_has_passed_since_it_was_told_limits_nothing(age_s, sent, left):
    session = healthy(budget=Budget(NOW - age_s * SECOND, 10, 100, 1), orders_since_budget=sent)
    assert session.orders_left(NOW) == left


def test_a_budget_is_used_up_since_it_was_first_told_and_until_more_is():
    session = healthy()
    assert not session.used_up_for_long(NOW)
    for at_s, orders, long in ((0, 20, False), (1, 0, False), (2, 20, True), (3, 21, False), (4, 20, False)):
        session.heed(Budget(NOW + at_s * SECOND, orders, 100, 1))
        assert session.used_up_for_long(NOW + at_s * SECOND) is long, f"after {at_s} s"
    assert session.used_up_for_long(NOW + 6 * SECOND), "without being told again"


def test_either_window_uses_a_budget_up():
    session = healthy()
    session.heed(Budget(NOW, 100, 20, 1))
    assert session.used_up_for_long(NOW + 2 * SECOND)


def test_without_a_budget_nothing_is_known_to_be_limited():
    assert healthy().orders_left(NOW) == UNLIMITED
    assert healthy().blocked_until_ns == 0


@pytest.mark.parametrize(
    ("until_in_s", "asked_ago_s", "due"),
    [(60, 1, False), (41, 19, False), (39.9, 21, True), (0, 1, False), (0, 2, True), (-50, 3, True)],
    ids=["just armed", "not yet", "after 20 s", "asked just now", "failed, again", "ran out"],
)
def test_the_dead_man_is_refreshed_every_20_s_and_retried_every_2(until_in_s, asked_ago_s, due):
    session = healthy(dead_man_until_ns=NOW + int(until_in_s * SECOND), dead_man_asked_ns=NOW - asked_ago_s * SECOND)
    assert session.dead_man_due(NOW) is due
    assert session.dead_man_armed(NOW) is (until_in_s > 0)


def test_the_time_of_the_exchange():
    assert healthy(clock_offset_ns=5 * SECOND).exchange_ms(SECOND + MS) == 6_001
    assert DEAD_MAN_MS == 60_000
