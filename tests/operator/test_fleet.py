"""What the fleet is read for, from a real Redis: what a plan heeds marks, figures do not; silence is not a verdict."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import SwitchState, account_tools
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.records import publish
from phoenix_coordination.redis.tasks import end
from phoenix_coordination.state import Position, Reason, StateRecord
from phoenix_crds import Emergency
from phoenix_operator import fleet as module
from phoenix_operator.cluster.resources import DEPLOYMENTS, MARKET_MAKERS, PODS
from phoenix_operator.fleet import Fleet
from phoenix_operator.plan.restarts import Judged, Verdict
from phoenix_operator.queue import Key, Kind
from redis_process import RedisProcess
from state_records import leading_record

IDENTITY = "BinanceUSDM/Simulator/x"
MAKER, ACCOUNT = Key(Kind.MAKER, "trading", "btc"), Key(Kind.ACCOUNT, "trading", "main")
STALE = {"ready": False, "reason": Reason.PRICE_STALE, "reasons_not_ready": [Reason.PRICE_STALE]}


POD_UIDS = {name: f"00000000-0000-4000-8000-0000000000{number:02}" for number, name in enumerate(("btc", "eth", "sol"))}


def record(maker: str = "btc", symbol: str = "BTCUSDT", **changes: object) -> StateRecord:
    named = {"namespace": "trading", "maker": maker, "account": "trading/main", "symbol": symbol}
    return leading_record(holder=f"{POD_UIDS[maker]}/1", **(named | changes))


def pod(maker: str, **meta: str) -> dict[str, object]:
    labels = {"phoenix.trading/maker": maker}
    named = {"name": f"{maker}-pod", "namespace": "trading", "uid": POD_UIDS[maker], "labels": labels}
    return {"metadata": named | {"resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"} | meta}


@pytest.fixture
async def tell(redis_url) -> AsyncIterator[Callable]:
    client = connect(redis_url, 5.0)
    await client.execute_command("FLUSHALL")
    yield lambda told: publish(client, AccountKeys(IDENTITY), told, 1.0)
    await client.aclose()


@pytest.fixture
def marked() -> list[Key]:
    return []


@pytest.fixture
async def fleet(redis_url, store, census, put_maker, put_account, marked, monkeypatch, tell) -> AsyncIterator[Fleet]:
    """Reads twenty times a second; three makers of one account, a pod each, replaced when stale for 10 s."""
    assert tell
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    put_account("main")
    for name, symbol in (("btc", "BTCUSDT"), ("eth", "ETHUSDT"), ("sol", "SOLUSDT")):
        put_maker(name, spec={"accountRef": "main", "symbol": symbol, "restartAfter": "10s"})
        census.observe(store.observe(PODS, pod(name)))
    fleet = Fleet(redis_url, census, 0.5, marked.append)
    task = asyncio.create_task(fleet.run())
    yield fleet
    await end((task,))


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not look():  # noqa: ASYNC110 - what is waited for is in Redis
            await asyncio.sleep(0.01)


async def looks(fleet: Fleet, count: int = 3) -> None:
    """So many whole looks."""
    for _ in range(count):
        before = fleet._last_look_s
        await until(lambda before=before: fleet._last_look_s != before)


async def test_a_worker_that_tells_marks_its_maker_and_its_account(fleet, tell, marked):
    await until(fleet.looked.is_set)
    await looks(fleet)
    marked.clear()
    await tell(record())
    await until(lambda: {MAKER, ACCOUNT} <= set(marked))
    assert [each.maker for each in fleet.records_of(("trading", "btc"))] == ["btc"]
    assert fleet.seen(("trading", "main")).shared.identity == IDENTITY


async def test_figures_mark_nobody_and_a_reason_does(fleet, tell, marked):
    await tell(record())
    await until(lambda: fleet.records_of(("trading", "btc")))
    await looks(fleet)
    marked.clear()
    await tell(record(position=Position(qty="0.5"), published_ms=1))
    await until(lambda: fleet.records_of(("trading", "btc"))[0].position.qty == "0.5")
    await looks(fleet)
    assert marked == []
    await tell(record(reason=Reason.GUARD))
    await until(lambda: MAKER in marked)
    assert ACCOUNT not in marked


async def test_what_is_said_of_a_key_marks_and_what_is_said_of_a_price_does_not(fleet, tell, marked):
    stale = {"ready": False, "reason": Reason.PRICE_STALE, "reasons_not_ready": [Reason.PRICE_STALE]}
    await tell(record(**stale, detail="61 843.9 is 3 s old"))
    await until(lambda: fleet.records_of(("trading", "btc")))
    await looks(fleet)
    marked.clear()
    await tell(record(**stale, detail="61 843.9 is 4 s old"))
    await looks(fleet)
    assert marked == []

    keyless = {"ready": False, "reason": Reason.CREDENTIALS_MISSING, "reasons_not_ready": [Reason.CREDENTIALS_MISSING]}
    await tell(record(**keyless, detail="apiKey missing (the directory is empty)"))
    await until(lambda: MAKER in marked)
    await looks(fleet)
    marked.clear()
    await tell(record(**keyless, detail="apiKey missing (there are apiKeys)"))
    await until(lambda: MAKER in marked)


async def test_a_look_costs_nothing_for_makers_of_which_nobody_tells_anything(
    fleet, tell, put_maker, census, monkeypatch
):
    """A thousand makers that are just being made have no workers yet, and there is a look each second."""
    for number in range(30):
        put_maker(f"silent-{number}", spec=SPEC | {"symbol": f"X{number}USDT"})
    await tell(record())
    await until(lambda: fleet.records_of(("trading", "btc")))
    await looks(fleet)
    asked: list[object] = []
    judges, sums_up = census.serves, fleet._gist_of_maker
    monkeypatch.setattr(census, "serves", lambda maker: asked.append(maker.meta.name) or judges(maker))
    monkeypatch.setattr(fleet, "_gist_of_maker", lambda name: asked.append(name) or sums_up(name))
    await looks(fleet)
    assert set(asked) == {"btc", ("trading", "btc")}


async def test_what_an_account_cannot_be_read_for_marks_its_makers_when_it_begins_and_ends(fleet, tell, marked, census):
    await tell(record())
    await until(lambda: fleet.records_of(("trading", "btc")))
    await looks(fleet)
    own = {Key(Kind.MAKER, "trading", maker.meta.name) for maker in census.makers_of(("trading", "main"))}
    assert len(own) == 3
    told = fleet._seen
    name = ("trading", "main")
    for problem in ("its switch is none", ""):
        marked.clear()
        fleet._take_in({name: msgspec.structs.replace(told[name], problem=problem)})
        assert own <= set(marked)
    marked.clear()
    fleet._take_in(told)
    assert marked == []


async def test_a_maker_that_has_gone_takes_its_history_with_it(fleet, tell, put_maker, store, census):
    put_maker("btc", spec=SPEC, status=LONG_AGO)
    await tell(record(**STALE))
    await until(lambda: fleet.history_of(("trading", "btc")))
    assert fleet.history_of(("trading", "btc")).total == 9
    gone = store.get(MARKET_MAKERS, "trading", "btc")
    census.observe(store.forget(MARKET_MAKERS, gone))
    await looks(fleet)
    put_maker("btc", spec=SPEC, meta={"uid": "another"})
    await looks(fleet)
    assert fleet.history_of(("trading", "btc")).total == 0


@pytest.mark.parametrize(
    ("since_nudge_s", "took_s", "pause_s"),
    [
        pytest.param(None, 0.1, 0.9, id="nobody was told anything: once a second"),
        pytest.param(0.0, 0.01, 0.19, id="a report is awaited: soon"),
        pytest.param(0.0, 0.1, 0.3, id="a look that takes long comes again later"),
        pytest.param(0.0, 0.5, 0.5, id="but never later than else"),
        pytest.param(5.1, 0.1, 0.9, id="not awaited any more"),
        pytest.param(None, 1.5, 0.0, id="one that takes longer than a second is followed at once"),
    ],
)
async def test_reports_are_looked_for_more_often_after_a_nudge(census, monkeypatch, since_nudge_s, took_s, pause_s):
    fleet = Fleet("", census, 0.5, lambda _: None)
    clock = [1_000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    if since_nudge_s is not None:
        fleet.awaits_report()
        clock[0] += since_nudge_s
    assert fleet._pause_s(clock[0] - took_s, clock[0]) == pytest.approx(pause_s)


async def test_the_switch_marks_the_account(fleet, tell, marked, redis_url):
    await tell(record())
    await until(lambda: (shared := fleet.seen(("trading", "main")).shared) and shared.identity)
    assert not fleet.seen(("trading", "main")).shared.switch.seeded
    async with account_tools(redis_url) as tools:
        await tools.account(IDENTITY).seed(EmergencyLevel.NONE, 0, "", "test")
        await looks(fleet)
        marked.clear()
        await tools.account(IDENTITY).stop(EmergencyLevel.HALT, "odd", "anna")
    await until(lambda: ACCOUNT in marked)
    switch = fleet.seen(("trading", "main")).shared.switch
    assert (switch.level, switch.reason, switch.source, switch.seeded) == (Emergency.HALT, "odd", "anna", True)


async def test_a_switch_that_redis_forgets_before_the_next_look_marks_the_account_again(fleet, tell, marked):
    """The next look finds what the last one found, and yet it is news: in between it had been told."""
    await tell(record())
    await until(lambda: fleet.records_of(("trading", "btc")))
    await looks(fleet)
    marked.clear()
    fleet.switched(("trading", "main"), SwitchState(EmergencyLevel.NONE, 0, "", "operator", 0, seeded=True))
    await looks(fleet)
    assert ACCOUNT in marked


async def test_an_outage_of_the_venue_marks_the_account_when_it_begins_and_ends(fleet, tell, marked):
    markets = (("btc", "BTCUSDT"), ("eth", "ETHUSDT"), ("sol", "SOLUSDT"))
    for maker, symbol in markets:
        await tell(record(maker, symbol))
    await until(lambda: fleet.records_of(("trading", "sol")))
    await looks(fleet)
    for changes in (STALE, {}):
        marked.clear()
        for maker, symbol in markets:
            await tell(record(maker, symbol, **changes))
        await until(lambda changes=changes: bool(fleet.outages) == bool(changes))
        await looks(fleet)
        assert ACCOUNT in marked


async def test_workers_that_begin_together_are_no_outage_of_the_venue(fleet, tell):
    """For a moment each of them has neither reached the others nor a book."""
    reasons = [Reason.COORDINATION_UNREACHABLE, Reason.BOOK_NOT_SYNCED, Reason.PRICE_STALE]
    begins = {"ready": False, "reason": reasons[0], "reasons_not_ready": reasons}
    for name, symbol in (("btc", "BTCUSDT"), ("eth", "ETHUSDT"), ("sol", "SOLUSDT")):
        await tell(record(name, symbol, **begins))
    await until(lambda: len(list(fleet.everything)) == 3)
    await looks(fleet)
    assert fleet.outage_of(("trading", "main")) == ""
    assert fleet.judged(("trading", "btc")) is None
    for name, symbol in (("btc", "BTCUSDT"), ("eth", "ETHUSDT"), ("sol", "SOLUSDT")):
        await tell(record(name, symbol, **begins | {"reasons_not_ready": reasons[1:]}))
    await until(lambda: fleet.outage_of(("trading", "main")) != "")


async def test_a_restart_stands_until_it_was_carried_out_and_is_counted_once(fleet, tell, monkeypatch):
    now = [1_000_000_000]
    monkeypatch.setattr(module.time, "time_ns", lambda: now[0] * 1_000_000)
    for maker, symbol in (("eth", "ETHUSDT"), ("sol", "SOLUSDT")):
        await tell(record(maker, symbol))
    await tell(record(**STALE))
    await until(lambda: fleet.judged(("trading", "btc")))
    assert fleet.judged(("trading", "btc")).verdict is Verdict.WAITING
    now[0] += 11_000
    await until(lambda: fleet.judged(("trading", "btc")).verdict is Verdict.RESTART)
    await looks(fleet)
    assert fleet.judged(("trading", "btc")).verdict is Verdict.RESTART
    assert fleet.history_of(("trading", "btc")).total == 1
    fleet.restarted(("trading", "btc"))
    await looks(fleet)
    assert fleet.judged(("trading", "btc")).verdict is not Verdict.RESTART
    assert fleet.history_of(("trading", "btc")).total == 1


async def test_what_a_pod_that_goes_still_tells_is_not_counted_a_second_time(fleet, tell, monkeypatch, store, census):
    """Its last record lives on for seconds: longer than the shortest back-off."""
    now = await decided_to_restart(fleet, tell, monkeypatch)
    fleet.restarted(("trading", "btc"))
    census.observe(store.observe(PODS, pod("btc", resourceVersion="2", deletionTimestamp="2026-01-01T00:01:00Z")))
    now[0] += 20_000
    await looks(fleet)
    assert fleet.records_of(("trading", "btc"))
    assert fleet.history_of(("trading", "btc")).total == 1


async def decided_to_restart(fleet, tell, monkeypatch):
    """One of three markets is stale for longer than its patience."""
    now = [1_000_000_000]
    monkeypatch.setattr(module.time, "time_ns", lambda: now[0] * 1_000_000)
    for maker, symbol in (("eth", "ETHUSDT"), ("sol", "SOLUSDT")):
        await tell(record(maker, symbol))
    await tell(record(**STALE))
    await until(lambda: fleet.judged(("trading", "btc")))
    now[0] += 11_000
    await until(lambda: fleet.judged(("trading", "btc")).verdict is Verdict.RESTART)
    return now


async def test_a_worker_that_recovers_before_its_restart_is_not_restarted(fleet, tell, monkeypatch):
    await decided_to_restart(fleet, tell, monkeypatch)
    await tell(record())
    await until(lambda: fleet.judged(("trading", "btc")) is None)


async def test_a_maker_that_is_left_alone_on_purpose_is_not_judged(fleet, tell, put_maker):
    disabled = {"annotations": {"phoenix.trading/reconcile": "disabled"}}
    put_maker("btc", spec={"accountRef": "main", "restartAfter": "10s"}, meta=disabled)
    await tell(record(**STALE))
    await until(lambda: fleet.records_of(("trading", "btc")))
    assert fleet.judged(("trading", "btc")) is None


async def test_a_maker_whose_symbol_an_older_account_trades_is_not_judged(
    fleet, tell, put_maker, put_account, store, census
):
    """It is scaled to zero: a restart would hold its account's others up."""
    put_account("main", status={"identity": "x"})
    put_account("elder", status={"identity": "x"}, meta={"creationTimestamp": "2025-01-01T00:00:00Z"})
    put_maker("older", spec={"accountRef": "elder"})
    put_maker("btc", spec=SPEC)
    await tell(record(**STALE))
    await until(lambda: fleet.judged(("trading", "btc")))
    labels = {"phoenix.trading/maker": "older"}
    meta = {"name": "older", "namespace": "trading", "uid": "d", "resourceVersion": "1", "labels": labels}
    census.observe(store.observe(DEPLOYMENTS, {"metadata": meta}))
    await looks(fleet)
    assert fleet.records_of(("trading", "btc"))
    assert fleet.judged(("trading", "btc")) is None


LONG_AGO = {"restarts": {"count": 5, "total": 9, "lastTime": "2026-01-01T00:00:00Z", "awaitingReady": False}}
SPEC = {"accountRef": "main", "symbol": "BTCUSDT", "restartAfter": "10s"}


@pytest.mark.parametrize(
    "left_alone",
    [
        {"meta": {"annotations": {"phoenix.trading/reconcile": "disabled"}}},
        {"spec": SPEC | {"netMax": "none"}},
        {"spec": SPEC | {"accountRef": "another"}},
    ],
    ids=["disabled", "does not validate", "its account is not there"],
)
async def test_a_maker_that_is_left_alone_for_a_while_keeps_its_back_off(fleet, tell, put_maker, left_alone):
    name = ("trading", "btc")
    put_maker("btc", spec=SPEC, status=LONG_AGO)
    await tell(record(**STALE))
    await until(lambda: fleet.judged(name))
    assert (fleet.history_of(name).restarts, fleet.history_of(name).total) == (5, 9)
    put_maker("btc", **({"spec": SPEC, "status": LONG_AGO} | left_alone))
    await looks(fleet)
    put_maker("btc", spec=SPEC, status=LONG_AGO)
    await looks(fleet)
    assert (fleet.history_of(name).restarts, fleet.history_of(name).total) == (5, 9)


async def test_a_maker_that_is_seen_later_brings_its_history_with_it(fleet, tell, put_maker):
    await tell(record())
    await until(lambda: fleet.records_of(("trading", "btc")))
    put_maker("late", spec=SPEC | {"symbol": "XRPUSDT"}, status=LONG_AGO)
    await until(lambda: fleet.history_of(("trading", "late")))
    assert fleet.history_of(("trading", "late")).total == 9


async def test_a_restart_that_was_not_carried_out_before_an_outage_is_not_carried_out_in_it(fleet, tell, monkeypatch):
    await decided_to_restart(fleet, tell, monkeypatch)
    for maker, symbol in (("eth", "ETHUSDT"), ("sol", "SOLUSDT")):
        await tell(record(maker, symbol, **STALE))
    await until(lambda: fleet.outages)
    assert fleet.judged(("trading", "btc")).verdict is Verdict.VENUE_OUTAGE


async def test_an_account_that_was_made_anew_inherits_nothing_and_is_looked_at(fleet, tell, put_account, marked):
    await tell(record())
    await until(lambda: fleet.seen(("trading", "main")).records)
    await looks(fleet)
    marked.clear()
    put_account("main", meta={"uid": "another"})
    assert fleet.seen(("trading", "main")).records == ()
    await until(lambda: ACCOUNT in marked)


async def test_without_redis_it_is_said_that_nothing_is_known(census, put_account):
    put_account("main")
    fleet = Fleet("", census, 0.5, lambda _: None)
    assert fleet.looked.is_set()
    assert "redisUrlFile" in fleet.seen(("trading", "main")).problem
    await fleet.run()  # there is nothing to read: it ends


async def test_a_redis_that_goes_away_is_believed_for_as_long_as_a_record_lives(
    census, put_account, monkeypatch, marked
):
    process = RedisProcess()
    process.start()
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    monkeypatch.setattr(module, "_RETRY_S", (0.05, 0.05))
    monkeypatch.setattr(module, "TTL_MS", 1_500)
    put_account("main")
    fleet = Fleet(process.url, census, 0.5, marked.append)
    task = asyncio.create_task(fleet.run())
    try:
        await until(lambda: not fleet.problem)
        process.kill()
        await asyncio.sleep(0.3)
        assert fleet.problem == ""
        marked.clear()
        await until(lambda: fleet.problem)
        assert "Redis" in fleet.seen(("trading", "main")).problem
        assert ACCOUNT in marked
        process.start()
        await until(lambda: not fleet.problem)
    finally:
        await end((task,))
        process.close()


@pytest.fixture
def blind(census, put_account, marked) -> Fleet:
    """Has never read Redis."""
    put_account("main")
    return Fleet("redis://nowhere", census, 0.5, marked.append)


def test_each_trouble_with_redis_is_told_when_it_begins_and_once(blind, marked):
    for problem, news in (("silent", [ACCOUNT]), ("silent", []), ("wrong password", [ACCOUNT])):
        marked.clear()
        blind._failed(problem)
        assert (blind.seen(("trading", "main")).problem, marked) == (problem, news)


async def test_what_is_told_of_redis_says_where_it_was_looked_for(blind, monkeypatch):
    monkeypatch.setattr(blind, "_source", "http://nowhere")
    task = asyncio.create_task(blind.run())
    await blind.looked.wait()
    await end((task,))
    assert "redisUrlFile" in blind.problem
    assert "phoenix-redis" in blind.problem


def test_without_redis_nobody_is_restarted_for_what_was_seen_before(blind):
    blind._to_restart["trading/btc"] = Judged(
        "trading/btc", "trading/main", "BTCUSDT", "holder", Verdict.RESTART, 10_000, "stale"
    )
    blind._last_look_s = time.monotonic()  # what was read counts still, a verdict does not
    blind._failed("silent")
    assert blind.judged(("trading", "btc")) is None
