import argparse

import pytest
from phoenix_cli.local.faults import DESCRIPTIONS, EVERYONE, Fault, FaultKind, parse_fault, venue_faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("stale@20s", Fault(FaultKind.STALE, None, 20.0), id="kind-and-time"),
        pytest.param("kill:ETHUSDC@1m", Fault(FaultKind.KILL, "ETHUSDC", 60.0), id="kind-symbol-and-time"),
        pytest.param("unknown-order@500ms", Fault(FaultKind.UNKNOWN_ORDER, None, 0.5), id="kind-with-a-dash"),
        pytest.param("redis-flush@20s", Fault(FaultKind.REDIS_FLUSH, None, 20.0), id="of-what-is-shared"),
        pytest.param("outage@0s", Fault(FaultKind.OUTAGE, None, 0.0), id="at-once"),
    ],
)
def test_a_fault_is_read_from_the_command_line(text, fault):
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("stale", "write KIND@T", id="no-time"),
        pytest.param("stale:@20s", "write KIND@T", id="empty-symbol"),
        pytest.param("stale@20", "no duration", id="time-without-unit"),
        pytest.param("stale@", "no duration", id="empty-time"),
        pytest.param("stale@-5s", "no duration", id="negative-time"),
        pytest.param("explode@20s", "there are: stale, gap", id="unknown-kind"),
        pytest.param("outage:BTCUSDT@20s", "hits everyone", id="symbol-where-all-are-hit"),
        pytest.param("redis-flush:BTCUSDT@20s", "hits everyone", id="symbol-where-all-share"),
        pytest.param("", "write KIND@T", id="nothing"),
    ],
)
def test_a_bad_fault_is_refused_with_what_to_write(text, said):
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        parse_fault(text)


def test_every_fault_has_a_description():
    assert set(DESCRIPTIONS) == set(FaultKind)


OURS = {FaultKind.KILL, FaultKind.PAUSE, FaultKind.REDIS_RESTART, FaultKind.REDIS_FLUSH, FaultKind.STOP}


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in OURS])
def test_a_venue_fault_names_the_symbol_unless_it_hits_everyone(kind):
    symbols = {told.get("symbol") for told in venue_faults(kind, "ETHUSDC")}
    assert symbols == ({None} if kind in EVERYONE else {"ETHUSDC"})


@pytest.mark.parametrize("kind", sorted(OURS))
def test_what_the_exchange_cannot_do_is_no_venue_fault(kind):
    with pytest.raises(ValueError, match="not a fault of the venue"):
        venue_faults(kind, "ETHUSDC")
