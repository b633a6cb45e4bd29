import msgspec
import pytest
from phoenix_coordination.state import Reason, RecentFill, Role, decode, encode
from phoenix_worker.core import events as ev
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.orders import Life
from phoenix_worker.core.view import LiveOrder
from phoenix_worker.runtime.hot import InForce
from phoenix_worker.runtime.meters import Meters
from phoenix_worker.runtime.publisher import Identity, ReasonClock, running_record, starting_record

IDENTITY = Identity("pod-1/7f3a", "k3f9a0", started_ns=1_000_000_000)


@pytest.fixture
def publish(files, engine, instrument):
    """The record of an engine whose view was changed so."""
    resolved = files.resolve()
    reasons = ReasonClock()

    def make(now_ns=3_000_000_000, refused="", needs_restart=(), steward_unseen_ns=None, **changes):
        view = msgspec.structs.replace(engine.view(), **changes)
        in_force = InForce(resolved, resolved.hash, 7, refused=refused, needs_restart=needs_restart)
        return running_record(
            *(IDENTITY, in_force, view, instrument, Meters(), reasons),
            steward_unseen_ns=steward_unseen_ns,
            now_ns=now_ns,
            wall_ns=1_700_000_000_123_456_789,
        )

    return make


def test_a_record_survives_the_wire(publish):
    record = publish()
    assert decode(encode(record)) == record


@pytest.mark.parametrize(("result", "told"), [(None, None), (-12_345_678, "-0.12345678"), (0, "0.00000000")])
def test_the_day_is_told_where_it_is_known(publish, result, told):
    pnl = publish(day_result=result, day_start_ms=1_700_006_400_000).pnl
    assert (pnl.day, pnl.day_start_ms) == (told, 1_700_006_400_000)


def test_figures_are_exact_strings_in_people_s_units(publish, engine):
    pnl = msgspec.structs.replace(engine.view().pnl, realised=-12_345_678, fees=100_000_000, volume=5, bought_steps=7)
    record = publish(
        bid_ticks=600_001,
        ask_ticks=600_002,
        position_steps=-4,
        worst_short_steps=-9,
        pnl=pnl,
        fees=pnl.fees,
        unrealised=1,
        orders=[
            LiveOrder("a", ev.Side.BUY, 1, "q", 599_990, 3, next(iter(Life))),
            LiveOrder("b", ev.Side.BUY, 0, "q", 600_000, 2, next(iter(Life))),
            LiveOrder("c", ev.Side.SELL, 0, "p", 600_003, 1, next(iter(Life))),
        ],
    )
    assert (record.prices.bid, record.prices.ask, record.prices.mid) == ("60000.1", "60000.2", pytest.approx(60000.15))
    assert (record.position.qty, record.position.worst_case_short) == ("-0.004", "-0.009")
    assert (record.pnl.realised, record.pnl.unrealised, record.pnl.fees) == ("-0.12345678", "0.00000001", "1.00000000")
    assert (record.activity.volume, record.activity.bought) == ("0.00000005", "0.007")
    assert [quote.price for quote in record.quotes.bids] == ["60000.0", "59999.0"], "nearest first"
    assert (record.quotes.asks[0].qty, record.quotes.asks[0].purpose) == ("0.001", "p")
    assert record.published_ms == 1_700_000_000_123
    assert record.configuration.generation == 7


def test_fees_in_another_asset_are_told_in_quote_and_as_they_were_paid(publish, engine):
    """A fill for which 0.05 BNB were paid, at 600 a BNB, has cost 30."""
    pnl = msgspec.structs.replace(engine.view().pnl, realised=12 * MONEY, fees=MONEY, other_fees={"BNB": MONEY // 20})
    told = publish(pnl=pnl, fees=31 * MONEY).pnl
    assert (told.fees, told.total) == ("31.00000000", -19)
    assert told.fees_by_asset == {"USDT": "1.00000000", "BNB": "0.05000000"}


def test_while_a_fee_has_no_price_neither_fees_nor_total_are_told(publish, engine):
    pnl = msgspec.structs.replace(engine.view().pnl, realised=12 * MONEY, other_fees={"BNB": MONEY // 20})
    record = publish(pnl=pnl, fees=None)
    assert (record.pnl.fees, record.pnl.total) == (None, None)
    assert decode(encode(record)).pnl == record.pnl


@pytest.mark.parametrize("began_ms", [None, 1_700_000_000_000])
def test_since_when_the_accounts_count_is_told_where_it_is_known(publish, began_ms):
    assert publish(accounts_began_ms=began_ms).pnl.began_ms == began_ms


def test_the_last_fills_are_told_newest_first(publish):
    fills = [
        ev.Fill(1, 7, ev.Side.BUY, 600_001, 3, 0, "USDT", 0, True, 1_700_000_000_001),
        ev.Fill(2, 7, ev.Side.SELL, 600_020, 1, 0, "USDT", 0, False, 1_700_000_000_009),
    ]
    assert publish(recent_fills=fills).recent_fills == [
        RecentFill("sell", "60002.0", "0.001", maker=False, at_ms=1_700_000_000_009),
        RecentFill("buy", "60000.1", "0.003", maker=True, at_ms=1_700_000_000_001),
    ]


@pytest.mark.parametrize("said", [("fresh_connection_silent",), ("fresh_connection_refused",)])
def test_what_a_fresh_connection_has_shown_is_told(publish, said):
    """The operator tells by it whether another process would fare better."""
    record = publish(**dict.fromkeys(said, True))
    told = [name for name in ("fresh_connection_silent", "fresh_connection_refused") if getattr(record, name)]
    assert told == [*said]


def test_a_halt_is_told_with_the_epoch_that_a_resume_has_to_name(publish):
    record = publish(halted="orders fail", halt_epoch=3)
    assert (record.halt.reason, record.halt.epoch) == ("orders fail", 3)
    assert publish(halted="", halt_epoch=3).halt.reason == ""


@pytest.mark.parametrize(
    ("role", "not_ready", "reasons", "ready", "reason"),
    [
        pytest.param(Role.LEADING, [], [], True, Reason.QUOTING, id="a leader that quotes"),
        pytest.param(Role.LEADING, [], [Reason.PAUSED], True, Reason.PAUSED, id="ready, and told not to quote"),
        pytest.param(
            Role.LEADING,
            [Reason.PRICE_STALE, Reason.DEAD_MAN_NOT_ARMED],
            [Reason.PRICE_STALE, Reason.DEAD_MAN_NOT_ARMED],
            False,
            Reason.PRICE_STALE,
            id="the first reason is told",
        ),
        pytest.param(
            Role.STANDBY,
            [Reason.LEASE_NOT_HELD, Reason.DEAD_MAN_NOT_ARMED, Reason.NOT_RECONCILED],
            [Reason.LEASE_NOT_HELD],
            True,
            Reason.STANDBY,
            id="a warm standby is ready",
        ),
        pytest.param(
            Role.STANDBY,
            [Reason.LEASE_NOT_HELD, Reason.BOOK_NOT_SYNCED],
            [Reason.LEASE_NOT_HELD],
            False,
            Reason.BOOK_NOT_SYNCED,
            id="a cold one is not",
        ),
        pytest.param(Role.DRAINING, [Reason.DRAINING], [], False, Reason.DRAINING, id="who drains is not"),
    ],
)
def test_ready_and_its_reason(publish, role, not_ready, reasons, ready, reason):
    record = publish(role=role, not_ready=not_ready, reasons=reasons)
    assert record.ready is ready
    assert record.reason is reason


def test_how_long_the_reason_has_held_is_told(publish):
    publish(now_ns=3_000_000_000, reasons=[Reason.PAUSED], not_ready=[], role=Role.LEADING)
    later = publish(now_ns=5_500_000_000, reasons=[Reason.PAUSED], not_ready=[], role=Role.LEADING)
    assert later.ages.reason == 2500
    assert later.ages.running == 4500
    assert publish(steward_unseen_ns=61_500_000_000).ages.steward == 61_500
    assert publish(now_ns=6_000_000_000, reasons=[], not_ready=[], role=Role.LEADING).ages.reason == 0


def test_a_refused_file_and_a_needed_restart_are_told_without_making_the_worker_unready(publish):
    record = publish(
        refused="maker.yaml:3: …", needs_restart=("spec.mode",), reasons=[], not_ready=[], role=Role.LEADING
    )
    assert record.ready
    assert record.configuration.refused == "maker.yaml:3: …"
    assert record.configuration.needs_restart == ["spec.mode"]


def test_before_the_engine_runs_the_record_says_why(files):
    in_force = InForce(files.resolve(), "h", 1)
    record = starting_record(
        IDENTITY, in_force, Reason.CREDENTIALS_MISSING, "apiKey missing", age_ms=5, now_ns=2_000_000_000, wall_ns=0
    )
    assert (record.role, record.ready, record.reason) == (Role.STARTING, False, Reason.CREDENTIALS_MISSING)
    assert record.reasons_not_ready == [Reason.CREDENTIALS_MISSING]
    assert record.ages.running == 1000
    assert record.ages.steward is None
    assert decode(encode(record)) == record
