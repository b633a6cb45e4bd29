"""The steward at work: a simulated exchange, a real Redis, leaders that live and leaders that have died."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
from account_world import PATIENT_S, Leader, World, dead_maker, open_world, ours
from phoenix_coordination import order_id
from phoenix_coordination.port import LeaseGranted, Reservation
from phoenix_coordination.redis import steward as office_module
from phoenix_coordination.redis.keys import OFFICE, AccountKeys
from phoenix_coordination.state import Mode, Pnl
from phoenix_worker.core.day import DAY_MS, start_of_day
from phoenix_worker.core.events import EmergencyLevel
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.runtime import steward as steward_module
from phoenix_worker.venue.binance import rest as rest_module
from state_records import leading_record

pytestmark = pytest.mark.scenario


@pytest.fixture
async def world(monkeypatch) -> AsyncIterator[World]:
    monkeypatch.setattr(office_module, "LEISURE", 1)  # nobody has died whose office would have to be watched
    monkeypatch.setattr(rest_module, "CONNECT_TIMEOUT_S", PATIENT_S)
    async with open_world() as world:
        yield world


# -- who it is ---------------------------------------------------------------------------------------


async def test_one_worker_holds_the_office_and_another_takes_it_when_that_one_leaves(world):
    first = await world.steward("steward-1")
    await world.in_office(first)
    second = await world.steward("steward-2")
    await world.looks(first, 3)
    assert second.report is None
    await first.stop()
    await world.in_office(second)
    assert (await world.report()).holder == "steward-2"


async def test_what_it_saw_is_published(world):
    await world.buy("ETHUSDT", "2")
    leader = await world.leader("ETHUSDT")
    steward = await world.steward()
    await world.in_office(steward)
    await world.looks(steward, 3)
    report = await world.report()
    assert (report.margin_asset, report.problem) == ("USDT", "")
    assert 99_000 < report.margin_balance < 101_000
    assert report.margin_ratio == pytest.approx(report.maintenance / report.margin_balance)
    (row,) = report.symbols
    assert (row.symbol, row.qty, row.led, row.ours) == ("ETHUSDT", 2.0, True, True)
    await leader.die()


# -- margin ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("balance_of_maintenance", "in_force", "raised"),
    [
        pytest.param(4.0, EmergencyLevel.NONE, None, id="enough is left"),
        pytest.param(1.7, EmergencyLevel.NONE, EmergencyLevel.HALT, id="more than half is needed"),
        pytest.param(1.3, EmergencyLevel.NONE, EmergencyLevel.FLATTEN, id="nearly all is needed"),
        pytest.param(1.3, EmergencyLevel.HALT, EmergencyLevel.FLATTEN, id="it grows worse"),
        pytest.param(1.3, EmergencyLevel.FLATTEN, None, id="in force already"),
    ],
)
async def test_margin_that_runs_short_raises_the_emergency(world, balance_of_maintenance, in_force, raised):
    await world.buy("ETHUSDT", "20")
    world.lose_all_but(balance_of_maintenance)
    world.level = in_force
    steward = await world.steward()
    await world.in_office(steward)
    await world.looks(steward, 2)
    assert {level for level, _ in world.raised} == ({raised} if raised else set())
    assert all(reason.startswith("margin of USDT: maintenance is ") for _, reason in world.raised)


async def test_margin_is_judged_though_the_positions_cannot_be_read(world):
    await world.buy("ETHUSDT", "20")
    world.lose_all_but(1.3)
    fault = {"kind": "unavailable", "outcome": "internal", "endpoint": "positionRisk", "holder": "phoenix/steward-1"}
    await world.steward("steward-1", fault=fault)
    await world.until(lambda: world.raised)
    assert world.raised[0][0] is EmergencyLevel.FLATTEN


# -- the day -----------------------------------------------------------------------------------------


def tells(world: World, leader: Leader, day: float, *, mode: Mode = Mode.LIVE, days_ago: int = 0) -> None:
    """A leader's record, with what its UTC day has come to."""
    start_ms = start_of_day(world.server.clock.now_ms()) - days_ago * DAY_MS
    token = max(leader.tokens)
    leader.coordinator.publish(
        leading_record(
            symbol=leader.symbol,
            holder=f"{leader.symbol}/{token}",
            account="local/account",
            token=token,
            mode=mode,
            pnl=Pnl(day=str(day), day_start_ms=start_ms),
        )
    )


async def telling(true: Callable[[], object], *told: Callable[[], None]) -> None:
    """Again and again, as leaders do: a record lives for two of life's seconds here."""
    async with asyncio.timeout(60):
        while not true():
            for tell in told:
                tell()
            await asyncio.sleep(0.1)


async def test_what_the_makers_lose_together_halts_the_account_and_the_next_steward_knows(world):
    eth, sol = await world.leader("ETHUSDT"), await world.leader("SOLUSDT")
    first = await world.steward("steward-1")
    await world.in_office(first)
    begun = partial(tells, world, eth, -30.5)
    rehearsed = partial(tells, world, sol, -200.0, mode=Mode.DRY_RUN)
    await telling(lambda: first.report is not None and first.report.days, begun, rehearsed)
    yesterday = partial(tells, world, sol, -200.0, days_ago=1)
    for _ in range(2):
        seen = first.report
        await telling(lambda seen=seen: first.report is not seen, begun, yesterday)
    assert world.raised == [], "neither a rehearsal's loss nor yesterday's is of this day"
    await telling(lambda: world.raised, begun, partial(tells, world, sol, -20.0))
    level, reason = world.raised[0]
    assert level is EmergencyLevel.HALT
    assert reason.startswith("the account has lost 50.50 since 00:00 UTC, more than limits.dailyLoss of 50.00")

    await eth.die()
    await world.redis.command("DEL", "none", *await world.redis.command("KEYS", "*record:*"))  # 15 s are over
    await first.stop()
    world.raised.clear()
    second = await world.steward("steward-2")
    await world.in_office(second)
    await world.until(lambda: world.raised)
    assert {day.symbol: day.result for day in (await world.report()).days}["ETHUSDT"] == -30.5 * MONEY
    world.daily_loss = 60 * MONEY
    world.raised.clear()
    await world.looks(second, 2)
    assert world.raised == [], "a limit that was raised is judged anew"


# -- symbols without a leader --------------------------------------------------------------------------


async def test_what_a_dead_maker_left_is_withdrawn_and_a_persons_order_stays(world):
    token = await dead_maker(world)
    await world.steward()
    await world.until(lambda: world.ids("ETHUSDT") == ["web_person"])
    await world.until(lambda: any(event == "steward: symbol in order" for event, _ in world.log.said))
    lease = await world.lease("ETHUSDT")
    assert int(lease["token"]) > token
    assert lease["released"]


async def test_the_next_leader_comes_at_once_under_a_higher_token(world):
    await dead_maker(world)
    await world.steward()
    await world.until(lambda: any(event == "steward: symbol in order" for event, _ in world.log.said))
    borrowed = int((await world.lease("ETHUSDT"))["token"])
    leader = await world.leader("ETHUSDT", "next")
    assert (await leader.hears(LeaseGranted)).token > borrowed


@pytest.mark.parametrize("level", list(EmergencyLevel))
async def test_a_symbol_whose_leader_lives_is_never_touched(world, level):
    world.level = level
    leader = await world.leader("ETHUSDT")
    token = (await leader.hears(LeaseGranted)).token
    await world.order("ETHUSDT", ours(token, 1), "0.5")
    await world.buy("ETHUSDT", "1")
    steward = await world.steward()
    await world.in_office(steward)
    await world.long_enough_to_act()
    assert world.ids("ETHUSDT") == [ours(token, 1)]
    assert world.position("ETHUSDT") > 0
    assert int((await world.lease("ETHUSDT"))["token"]) in leader.tokens


@pytest.mark.parametrize("level", list(EmergencyLevel))
async def test_a_persons_symbol_is_never_touched(world, level):
    world.level = level
    await world.order("SOLUSDT", "web_person", "1")
    await world.buy("SOLUSDT", "1")
    steward = await world.steward()
    await world.in_office(steward)
    await world.long_enough_to_act()
    assert world.ids("SOLUSDT") == ["web_person"]
    assert world.position("SOLUSDT") > 0
    (row,) = steward.report.symbols
    assert (row.led, row.ours) == (False, False)


async def test_under_a_halt_nothing_rests_where_nobody_leads_and_the_position_stays(world):
    await dead_maker(world)
    await world.buy("ETHUSDT", "1")
    held = world.position("ETHUSDT")
    world.level = EmergencyLevel.HALT
    await world.steward()
    await world.until(lambda: world.ids("ETHUSDT") == [])
    assert world.position("ETHUSDT") == held


async def test_under_a_halt_a_persons_stop_that_gets_out_stays_and_one_that_opens_goes(world):
    leader = await world.leader("ETHUSDT")
    await world.buy("ETHUSDT", "1")
    await world.stop_at("ETHUSDT", "web_out", reduce_only=True)
    await world.stop_at("ETHUSDT", "web_opens", reduce_only=False)
    await leader.die()
    world.level = EmergencyLevel.HALT
    await world.steward()
    async with asyncio.timeout(60):
        while "web_opens" in await world.stops("ETHUSDT"):  # noqa: ASYNC110 - as `until`
            await asyncio.sleep(0.1)
    assert await world.stops("ETHUSDT") == ["web_out"]
    assert world.position("ETHUSDT") > 0


async def test_conditional_orders_that_cannot_be_read_hold_up_no_symbol(world):
    """Two symbols: the first, whose visit begins and is not over, does not hide the second."""
    await dead_maker(world)
    await dead_maker(world, "SOLUSDT")
    await world.buy("ETHUSDT", "1.5")
    world.level = EmergencyLevel.FLATTEN
    fault = {"kind": "unavailable", "outcome": "internal", "endpoint": "openAlgoOrders", "holder": "phoenix/steward-1"}
    await world.steward("steward-1", fault=fault)
    await world.until(lambda: world.position("ETHUSDT") == 0)
    await world.until(lambda: not world.ids("ETHUSDT") and not world.ids("SOLUSDT"))
    told = "steward: conditional orders may wait"
    await world.until(
        lambda: {"ETHUSDT", "SOLUSDT"} <= {more["symbol"] for said, more in world.log.said if said == told}
    )
    assert not any(event == "steward: symbol in order" for event, _ in world.log.said)


async def test_under_a_flatten_what_has_no_leader_is_closed(world):
    await dead_maker(world)
    await world.buy("ETHUSDT", "1.5")
    world.level = EmergencyLevel.FLATTEN
    await world.steward()
    await world.until(lambda: world.position("ETHUSDT") == 0)
    assert world.ids("ETHUSDT") == []
    lease = await world.lease("ETHUSDT")
    closed_by = {
        parsed.token for order in world.orders("ETHUSDT") if (parsed := order_id.parse(order)) and parsed.purpose == "l"
    }
    assert closed_by == {int(lease["token"])}


async def test_a_flatten_closes_it_also_where_redis_has_forgotten_who_led_it(world):
    leader = await world.leader("ETHUSDT")
    token = (await leader.hears(LeaseGranted)).token
    await world.order("ETHUSDT", ours(token, 1), "1.5", type="MARKET", price="", timeInForce="")
    await leader.die()
    await world.redis.command("FLUSHALL")
    world.level = EmergencyLevel.FLATTEN
    await world.steward()
    await world.until(lambda: world.position("ETHUSDT") == 0)


async def test_a_symbol_is_left_to_the_leader_that_came_while_its_lease_was_watched(world):
    await dead_maker(world)
    steward = await world.steward()
    await world.in_office(steward)
    leader = await world.leader("ETHUSDT", "next")
    token = (await leader.hears(LeaseGranted)).token
    await world.order("ETHUSDT", ours(token, 9), "0.5")
    await world.long_enough_to_act()
    assert ours(token, 9) in world.ids("ETHUSDT")
    assert int((await world.lease("ETHUSDT"))["token"]) in leader.tokens


# -- the ledger ----------------------------------------------------------------------------------------


async def test_what_a_dead_maker_reserved_is_free_again_once_its_symbol_is_in_order(world):
    leader = await world.leader("ETHUSDT")
    async with asyncio.timeout(30):
        for sequence in itertools.count(1):  # asked anew, as a maker does, until the ledger is there
            leader.coordinator.reserve(Reservation(sequence, 0, 100, 100, step_value=3.0))
            await asyncio.sleep(0.1)
            if (await world.ledger()).gross_micro > 0:
                break
    await leader.die()
    await world.steward()
    await world.ledger_until(lambda ledger: not ledger.entries)


async def test_a_position_without_a_maker_counts_at_its_value(world):
    await dead_maker(world)
    await world.buy("ETHUSDT", "2")
    mark = world.server.exchange.listing("ETHUSDT").mark_e8 / 1e8
    await world.steward()
    await world.until(lambda: any(event == "steward: symbol in order" for event, _ in world.log.said))
    assert world.ids("ETHUSDT") == ["web_person"]
    (entry,) = (await world.ledger_until(lambda ledger: ledger.entries)).entries
    assert entry.symbol == "ETHUSDT"
    # The position and the person's order, both with the ledger's buffer.
    assert entry.gross_micro / 1e6 == pytest.approx((2 + 0.5) * mark * 1.01, rel=0.02)


# -- what goes wrong -----------------------------------------------------------------------------------


async def test_a_steward_that_cannot_read_the_account_leaves_the_office_to_another(world, monkeypatch):
    monkeypatch.setattr(steward_module, "UNREADABLE_S", 12.0)
    first = await world.steward("steward-1")
    await world.in_office(first)
    second = await world.steward("steward-2")
    fault = {"kind": "unavailable", "outcome": "internal", "endpoint": "account", "holder": "phoenix/steward-1"}
    await world.fault(fault)
    await world.until(lambda: second.unseen_ns > 8 * 10**9)  # the office is held, and nobody looks
    await world.in_office(second)
    assert any(event == "steward: leaves the office" for event, _ in world.log.said)
    await world.until(lambda: first.report is None and first.unseen_ns < 6 * 10**9)


async def test_without_redis_nothing_is_touched_and_work_goes_on_when_it_is_back(world):
    steward = await world.steward()
    await world.in_office(steward)
    await world.redis.kill()
    await world.until(lambda: steward.report is None)
    await world.redis.start()
    await dead_maker(world)
    await world.until(lambda: world.ids("ETHUSDT") == ["web_person"])


async def test_an_office_that_nobody_can_hold_is_said(world, monkeypatch):
    """Else nobody would watch the margin, and nobody would know."""
    monkeypatch.setattr(steward_module, "UNSEEN_S", 3.0)
    lease = AccountKeys(world.identity).lease(OFFICE)
    await world.redis.command("SET", lease, "somebody else's")
    steward = await world.steward()
    await world.until(lambda: [fields["text"] for event, fields in world.log.said if event == "steward: nobody can be"])
    assert any(lease in fields["text"] for _, fields in world.log.said)
    await world.until(lambda: any(event == "steward: nobody has looked" for event, _ in world.log.said))
    unseen_ns = steward.unseen_ns
    assert unseen_ns >= 3 * 10**9
    await world.redis.command("DEL", lease)
    await world.in_office(steward)
    assert steward.unseen_ns < unseen_ns


async def test_a_rehearsal_looks_and_touches_nothing(world):
    await dead_maker(world)
    await world.buy("ETHUSDT", "20")
    world.lose_all_but(1.3)
    world.level = EmergencyLevel.HALT
    left = world.ids("ETHUSDT")
    steward = await world.steward(acts=False)
    await world.in_office(steward)
    await world.long_enough_to_act()
    assert world.ids("ETHUSDT") == left
    assert world.position("ETHUSDT") > 0
    assert world.raised == []
    assert await world.report() is None
    assert (await world.report(dry_run=True)).margin_asset == "USDT"
