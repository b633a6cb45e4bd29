"""What the page is told: where something is not known, neither is what follows from it."""

from collections.abc import Sequence

import msgspec
import pytest
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import HaltState, SwitchState
from phoenix_coordination.redis.ledger import Entry, LedgerView
from phoenix_coordination.state import Mode, Pnl, Position, Prices, Quote, Quotes, Reason, RecentFill, Role, StateRecord
from phoenix_operator.page.heard import Heard
from phoenix_operator.page.picture import Picture, quote_asset
from phoenix_operator.page.reader import Told
from phoenix_operator.page.roster import KnownAccount, KnownMaker, Roster
from phoenix_operator.page.view import Money, Mood
from state_records import leading_record

NOW_MS = 1_800_000_000_000
CALM = SwitchState(EmergencyLevel.NONE, 4, "", "anna", 0, seeded=True)
ACCOUNT = KnownAccount(name="trading/main", environment="Testnet", net_limit="25000", gross_limit="50000")
MAKER = KnownMaker(
    namespace="trading", name="btc", account="main", symbol="BTCUSDT", mode="Live", net_max="0.1", restarts=2
)
ROSTER = Roster("a cluster", (ACCOUNT,), (MAKER,))


def record(**changes: object) -> StateRecord:
    named = {"namespace": "trading", "maker": "btc", "account": "trading/main"}
    return leading_record(**(named | changes))


def picture(
    *records: StateRecord, roster: Roster = ROSTER, silent_s: float = 1.0, problem: str = "", **told: object
) -> Picture:
    """As of workers that have told something, and then nothing for `silent_s`."""
    heard = Heard()
    heard.take((msgspec.structs.replace(each, published_ms=each.published_ms - 1) for each in records), 0.0)
    heard.take(records, 1.0)
    heard.take(records, 1.0 + silent_s / 2)
    heard.take(records, 1.0 + silent_s)
    known = {} if problem else {"trading/main": Told(**({"records": records, "switch": CALM} | told))}
    return Picture(roster, known, heard, problem, NOW_MS)


def maker_of(*records: StateRecord, **how: object):
    return picture(*records, **how).fleet.makers[0]


def known(**changes: object) -> Roster:
    return Roster("a cluster", (ACCOUNT,), (msgspec.structs.replace(MAKER, **changes),))


def test_a_maker_that_quotes_is_told_with_all_its_figures():
    maker = maker_of(
        record(
            prices=Prices(bid="60000.1", ask="60000.2"),
            quotes=Quotes([Quote("59990.0", "0.002", "q")], [Quote("60010.0", "0.001", "q")]),
            position=Position(qty="-0.05", net_max="0.1", worst_case_long="0.02", worst_case_short="-0.08"),
            pnl=Pnl(realised="10", unrealised="-3", fees="2", funding="-1", day="3.5"),
        )
    )
    assert (maker.mood, maker.word, maker.quoting, maker.stale, maker.heard_ms) == (
        *(Mood.GOOD, "Quoting", True, False),
        1000,
    )
    assert (maker.bid, maker.ask, maker.bids, maker.asks) == (
        *("60000.1", "60000.2"),
        [("59990.0", "0.002")],
        [("60010.0", "0.001")],
    )
    assert (maker.position, maker.net_max, maker.share, maker.worst) == ("-0.05", "0.1", -0.5, 0.8)
    assert (maker.pnl, maker.day, maker.restarts) == ("4", "3.5", 2)


HEALTH = [
    pytest.param({"guard": "pin"}, 1.0, Mood.WARNING, "Quoting", "mode pin", True, id="quotes-in-a-mode"),
    pytest.param({}, 5.1, Mood.BAD, "Silent", "nothing for 5 s; the last was Quoting", False, id="silent"),
    pytest.param(
        {"ready": False, "reason": Reason.PRICE_STALE, "detail": "connection silent"},
        *(1.0, Mood.BAD, "PriceStale", "connection silent", False),
        id="not-ready",
    ),
    pytest.param({"reason": Reason.EMERGENCY}, 1.0, Mood.BAD, "Emergency", "", False, id="stopped-until-a-person-acts"),
    pytest.param({"reason": Reason.COOLDOWN}, 1.0, Mood.WARNING, "Cooldown", "", False, id="ready-without-quotes"),
    pytest.param(
        {"role": Role.STANDBY}, 1.0, Mood.WARNING, "Quoting", "", False, id="who-does-not-lead-does-not-quote"
    ),
    pytest.param(
        {"role": Role.STARTING, "ready": False, "reason": Reason.CREDENTIALS_MISSING, "detail": "no apiKey"},
        *(1.0, Mood.WARNING, "CredentialsMissing", "no apiKey", False),
        id="starting",
    ),
]


@pytest.mark.parametrize(("said", "silent_s", "mood", "word", "text", "quoting"), HEALTH)
def test_health_is_what_the_worker_says_as_long_as_it_says_it(said, silent_s, mood, word, text, quoting):
    maker = maker_of(record(**said), silent_s=silent_s)
    assert (maker.mood, maker.word, maker.quoting) == (mood, word, quoting)
    assert text in maker.text
    assert maker.stale == (word == "Silent")


def test_a_worker_that_was_seen_once_is_not_known_to_quote():
    heard = Heard()
    heard.take([record()], 0.0)
    told = {"trading/main": Told((record(),), CALM)}
    maker = Picture(ROSTER, told, heard, "", NOW_MS).fleet.makers[0]
    assert (maker.mood, maker.word, maker.quoting, maker.heard_ms) == (Mood.UNKNOWN, "Quoting", False, None)


@pytest.mark.parametrize(
    ("changes", "problem", "mood", "word", "text"),
    [
        pytest.param({}, "", Mood.BAD, "NoWorker", "no worker tells of itself", id="nobody"),
        pytest.param(
            *({"reason": "PodsRefused", "message": "quota"}, "", Mood.BAD, "PodsRefused", "quota"), id="said-by-status"
        ),
        pytest.param({"reason": "Quoting"}, "", Mood.BAD, "NoWorker", "no worker", id="a-status-of-yesterday"),
        pytest.param({"reason": "Starting"}, "", Mood.WARNING, "Starting", "", id="starting"),
        pytest.param({"paused": True}, "", Mood.WARNING, "Paused", "", id="paused"),
        pytest.param({"deleting": True}, "", Mood.WARNING, "Deleting", "", id="deleting"),
        pytest.param({}, "Redis is away", Mood.UNKNOWN, "NotKnown", "Redis is away", id="nothing-can-be-read"),
    ],
)
def test_without_a_worker_the_resource_speaks_and_no_figure_is_of_now(changes, problem, mood, word, text):
    maker = maker_of(roster=known(position="0.07", **changes), problem=problem)
    assert (maker.mood, maker.word, maker.quoting, maker.stale) == (mood, word, False, True)
    assert text in maker.text
    assert (maker.position, maker.bid, maker.pnl, maker.day, maker.share) == ("0.07", None, None, None, None)


def test_of_several_workers_the_leader_under_the_highest_token_speaks():
    workers = [
        record(holder="b/1", role=Role.STANDBY, ready=True, reason=Reason.STANDBY, token=0),
        record(holder="a/1", token=3, guard="old"),
        record(holder="c/1", token=9),
    ]
    shown = picture(*workers)
    assert (shown.fleet.makers[0].word, shown.fleet.makers[0].standbys) == ("Quoting", 1)
    detail = shown.detail("trading/btc")
    assert detail is not None
    assert [each.holder for each in detail.workers] == ["c/1", "a/1", "b/1"]
    assert detail.guard == "normal"


def switch(
    level: EmergencyLevel, declared: EmergencyLevel = EmergencyLevel.NONE, *, seeded: bool = True
) -> SwitchState:
    return SwitchState(level, 4, "looked odd", "anna", 0, seeded=seeded, declared=declared)


NONE, HALT, FLATTEN = EmergencyLevel
EMERGENCIES = [
    pytest.param(switch(NONE), "None", "None", Mood.GOOD, "", id="calm"),
    pytest.param(switch(HALT), "None", "Halt", Mood.BAD, "looked odd", id="halted"),
    pytest.param(switch(HALT, declared=FLATTEN), "None", "Flatten", Mood.BAD, "spec.emergency", id="declared-more"),
    pytest.param(switch(FLATTEN), "Halt", "Flatten", Mood.BAD, "looked odd", id="declared-less"),
    pytest.param(switch(NONE), "Halt", "Halt", Mood.BAD, "spec.emergency", id="declared-and-not-told-yet"),
    pytest.param(switch(NONE, seeded=False), "None", "Halt", Mood.BAD, "seeded", id="not-seeded: nobody trades"),
    pytest.param(None, "None", "Unknown", Mood.UNKNOWN, "no worker has named", id="not-known"),
    pytest.param(None, "Flatten", "Flatten", Mood.BAD, "spec.emergency", id="only-declared"),
]


@pytest.mark.parametrize(("there", "declared", "level", "mood", "reason"), EMERGENCIES)
def test_the_emergency_is_what_is_in_force_and_unknown_is_not_none(there, declared, level, mood, reason):
    roster = Roster("a cluster", (msgspec.structs.replace(ACCOUNT, declared=declared),), (MAKER,))
    fleet = picture(roster=roster, switch=there).fleet
    emergency = fleet.accounts[0].emergency
    assert (emergency.level, emergency.mood) == (level, mood)
    assert reason in emergency.reason
    assert (fleet.totals.emergency, fleet.totals.mood) == (level, mood)


def test_halts_exposure_and_what_is_wrong_with_an_account_are_told():
    halt = HaltState("BTCUSDT", False, switch(HALT))
    entry = Entry("BTCUSDT", 1, 1_500_000_000, -100, 2_000_000_000, 0, 0)
    ledger = LedgerView(rebuilt=False, epoch=1, net_limit_micro=9_000_000_000, gross_limit_micro=None, entries=(entry,))
    account = picture(halts=(halt,), ledger=ledger, unreadable=("schema 9",)).fleet.accounts[0]
    assert [(each.symbol, each.epoch, each.reason) for each in account.halts] == [("BTCUSDT", 4, "looked odd")]
    assert account.exposure is not None
    assert (account.exposure.long, account.exposure.short, account.exposure.gross) == ("1500.00", "-0.00", "2000.00")
    assert (account.exposure.net_limit, account.exposure.gross_limit) == ("9000.00", "50000")
    assert [note.split(":")[0] for note in account.notes] == ["schema 9", "its ledger is not rebuilt yet"]


def two(*days: str | None, silent: Sequence[int] = ()) -> Picture:
    """Two makers of one account, of which some have gone silent."""
    names = [("btc", "BTCUSDT"), ("eth", "ETHUSDT")]
    makers = tuple(msgspec.structs.replace(MAKER, name=name, symbol=symbol) for name, symbol in names)
    records = [
        record(maker=name, symbol=symbol, holder=f"{name}/1", pnl=Pnl(day=day))
        for (name, symbol), day in zip(names, days, strict=True)
    ]
    heard = Heard()
    for look in range(20):
        told = [
            each if index in silent else msgspec.structs.replace(each, published_ms=look)
            for index, each in enumerate(records)
        ]
        heard.take(told, float(look))
    return Picture(
        Roster("a cluster", (ACCOUNT,), makers), {"trading/main": Told(tuple(told), CALM)}, heard, "", NOW_MS
    )


def test_a_result_with_a_fee_that_has_no_price_is_not_known():
    assert maker_of(record(pnl=Pnl(realised="10", fees=None))).pnl is None


def test_totals_add_what_is_known_and_say_what_is_not():
    totals = two("1.5", "-2").fleet.totals
    assert (totals.makers, totals.quoting, totals.silent) == (2, 2, 0)
    assert totals.day == [Money("USDT", "-0.5", 2, 2)]
    assert (totals.fills_per_minute, totals.restarts, totals.gross) == (0.0, 4, None)
    assert two("1.5", None).fleet.totals.day == [Money("USDT", "1.5", 1, 2)]
    silent = two("1.5", "-2", silent=[1]).fleet.totals
    assert (silent.quoting, silent.silent, silent.day) == (1, 1, [Money("USDT", "1.5", 1, 2)])


def test_an_account_without_makers_is_nothing_that_is_not_known():
    roster = Roster("a cluster", (ACCOUNT, KnownAccount(name="trading/idle")), (MAKER,))
    fleet = picture(record(), roster=roster).fleet
    assert [each.emergency.level for each in fleet.accounts] == ["None", "Unknown"]
    assert fleet.totals.emergency == "None"


def test_who_cannot_read_redis_says_so_and_shows_no_figure():
    fleet = picture(problem="cannot reach Redis").fleet
    assert (fleet.problem, fleet.totals.quoting, fleet.totals.gross) == ("cannot reach Redis", 0, None)
    assert fleet.totals.emergency == "Unknown"
    assert fleet.totals.day == [Money("USDT", "0", 0, 1)]


def test_the_detail_is_of_the_leader_and_of_nobody_who_is_not_there():
    fill = RecentFill("buy", "60000.1", "0.002", maker=True, at_ms=NOW_MS)
    shown = picture(record(recent_fills=[fill], mode=Mode.DRY_RUN))
    detail = shown.detail("trading/btc")
    assert detail is not None
    assert detail.recent_fills == [fill]
    assert shown.detail("trading/no-such") is None
    empty = picture(roster=known(message="quota")).detail("trading/btc")
    assert empty is not None
    assert (empty.message, empty.prices, empty.workers) == ("quota", None, [])


@pytest.mark.parametrize(
    ("symbol", "asset"),
    [("BTCUSDT", "USDT"), ("ETHUSDC", "USDC"), ("USDCUSDT", "USDT"), ("BTCUSDT_251226", ""), ("", "")],
)
def test_money_is_added_by_its_asset(symbol, asset):
    assert quote_asset(symbol) == asset
