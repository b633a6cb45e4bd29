"""What can happen to what the workers share: it costs quotes, never a tick, and never a stop."""

import asyncio
import signal

import pytest
from phoenix_coordination.port import EmergencyLevel, LeaseTimes
from phoenix_coordination.redis.client import passwords_of
from phoenix_coordination.state import Reason

USABLE_NS = int((LeaseTimes().ttl_s - LeaseTimes().margin_s) * 1e9)
PASSWORD = "hunter2hunter2"


async def ticks_go_on(arena):
    """The market is followed all the while: the engine waits for nobody."""
    events = (await arena.worker.state()).activity.market_events
    await arena.worker.until(lambda record: record.activity.market_events > events + 100, "it follows the market")


async def test_a_redis_that_hangs_costs_the_quotes_before_the_lease_s_deadline_and_no_tick(arena):
    before, mark = await arena.worker.state(), arena.mark
    stopped_ns = arena.clock.monotonic_ns()
    arena.redis.signal(signal.SIGSTOP)
    await ticks_go_on(arena)
    out = await arena.quotes_out()
    record = await arena.unready(Reason.COORDINATION_UNREACHABLE, Reason.LEASE_NOT_HELD)
    assert record.detail
    late = [item for item in arena.venue.accepted[mark:] if item.at_ns > stopped_ns + USABLE_NS]
    assert late == [], "by the exchange's own clock nothing came after the deadline"
    await ticks_go_on(arena)
    assert arena.opened_since(out) == []
    await arena.worker.until(lambda record: Reason.LEASE_NOT_HELD in record.reasons_not_ready, "its lease has run out")
    arena.redis.signal(signal.SIGCONT)
    after = await arena.quoting(since=out)
    assert after.token > before.token
    assert after.holder == before.holder
    await arena.fill()
    await arena.ends_in_order()


async def test_a_redis_that_hangs_for_a_moment_costs_nothing(arena):
    token = (await arena.worker.state()).token
    arena.redis.signal(signal.SIGSTOP)
    await asyncio.sleep(0.8)  # the fault itself
    arena.redis.signal(signal.SIGCONT)
    mark = arena.mark
    record = await arena.quoting(since=mark)
    assert record.token == token
    await arena.fill()
    await arena.ends_in_order()


async def test_a_redis_that_comes_back_with_its_data_finds_the_same_leader(arena):
    """What was written last may be missing, a stop among it: somebody who knows has to say that there was none. And
    until the ledger is rebuilt, nothing opens.
    """
    before = await arena.worker.state()
    await arena.redis.restart(keep=True)
    out = await arena.quotes_out()
    record = await arena.worker.until(lambda record: record.reason is Reason.EMERGENCY, "an unknown switch is a stop")
    assert "has not been seeded" in record.emergency.reason
    await arena.seed()
    after = await arena.quoting(since=out)
    assert after.token == before.token, "nobody else can have held it"
    await arena.fill()
    await arena.ends_in_order()


async def lose(arena, how):
    if how == "restart":
        await arena.redis.restart(keep=False)
    else:
        await arena.redis.command("FLUSHALL")


@pytest.mark.parametrize("how", ["restart", "flush"])
async def test_a_redis_that_has_lost_everything_starts_again_once_somebody_has_said_that_it_may(arena, how):
    await arena.fill(count=3)
    before = await arena.worker.state()
    await lose(arena, how)
    out = await arena.quotes_out()
    record = await arena.worker.until(lambda record: record.reason is Reason.EMERGENCY, "an unknown switch is a stop")
    assert "has not been seeded" in record.emergency.reason
    await ticks_go_on(arena)
    assert arena.opened_since(out) == []
    await arena.seed()
    after = await arena.quoting(since=out)
    assert after.token > before.token
    await arena.agreed()
    await arena.fill()
    await arena.ends_in_order()


@pytest.mark.parametrize("how", ["restart", "flush"])
async def test_losing_everything_does_not_lose_a_stop(arena, how):
    async with arena.shared() as account:
        stopped = await account.stop(EmergencyLevel.HALT, "looked odd", "anna")
    out = await arena.quotes_out()
    await lose(arena, how)
    await arena.seed()
    async with arena.shared() as account, asyncio.timeout(15):
        while (switch := await account.switch()).level is not EmergencyLevel.HALT:  # noqa: ASYNC110 - Redis is asked
            await asyncio.sleep(0.02)
        assert (switch.epoch, switch.reason) == (stopped.epoch, "looked odd"), "the worker has not forgotten"
        await ticks_go_on(arena)
        assert arena.opened_since(out) == []
        await account.resume(switch.epoch, "anna")
    await arena.quoting(since=out)
    await arena.fill()
    await arena.ends_in_order()


async def test_a_password_that_is_refused_at_a_reconnect_is_named_and_never_shown(arena):
    await arena.redis.demand(PASSWORD)
    out = await arena.quotes_out()
    record = await arena.unready(Reason.COORDINATION_UNREACHABLE)
    assert "refuses the user name or password" in record.detail
    await ticks_go_on(arena)
    assert arena.opened_since(out) == []
    await arena.redis.demand("")
    await arena.quoting(since=out)
    await arena.fill()
    await arena.ends_in_order()


async def test_a_new_password_in_the_url_s_file_needs_no_restart(open_arena, tmp_path):
    arena = await open_arena("ETHUSDT")
    file = tmp_path / "redis-url"

    def write(password):
        url = arena.redis.url.replace("unix://", f"unix://:{password}@")
        assert passwords_of(url) == [password]
        file.write_text(f"{url}\n")

    await arena.redis.demand(PASSWORD)
    write(PASSWORD)
    worker = arena.workers[arena.symbol] = await arena.launch(arena.symbol, redis=f"@{file}")
    before = await arena.quoting()
    await arena.fill()
    await arena.redis.demand(f"{PASSWORD}-rotated")
    out = await arena.quotes_out()
    record = await arena.unready(Reason.COORDINATION_UNREACHABLE)
    assert "refuses the user name or password" in record.detail
    file.unlink()
    await worker.until(lambda record: f"{file} cannot be read" in record.detail, "it names the file")
    write(f"{PASSWORD}-rotated")
    after = await arena.quoting(since=out)
    assert after.holder == before.holder
    await arena.fill()
    await arena.ends_in_order()
    assert worker.said(PASSWORD) == []
