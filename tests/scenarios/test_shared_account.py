"""Several makers of one account: what one may do depends on all, and what stops one may stop all."""

import asyncio
import signal

import pytest
from arena_redis import redis_server
from phoenix_coordination import order_id
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import AccountError, account_tools
from phoenix_coordination.state import Reason

FOUR = ("BTCUSDT", "ETHUSDT", "ETHUSDC", "SOLUSDT")
FULL_NET, FULL_GROSS = 2_000, 3_000
"""Less than the four would rest together, of each of which some has to find room."""
PRICES_MOVE = 1.01
"""No further than the ledger's price buffer, after which an entry is reserved anew."""


async def start(arena, *symbols):
    """All of them quote."""
    for symbol in symbols:
        await arena.start(symbol)
    for symbol in symbols:
        await arena.quoting(symbol=symbol)


async def test_a_stop_takes_every_maker_s_quotes_out_and_only_its_epoch_brings_them_back(open_arena, figure):
    arena = await open_arena(*FOUR)
    await start(arena, *FOUR)
    for symbol in FOUR:
        await arena.fill(symbol)
    async with arena.shared() as account:
        stopped_ns = arena.clock.monotonic_ns()
        stopped = await account.stop(EmergencyLevel.HALT, "looked odd", "anna")
        await arena.wait(lambda: not arena.venue.resting(), "nothing rests", 15)
        last_ns = max(at_ns for at_ns, _ in arena.venue.cancelled)
        figure(f"stop: the last of four makers' quotes was out after {(last_ns - stopped_ns) / 1e6:.0f} ms")
        await arena.venue.declare(apiKey=arena.venue.api_key, stop={})
        out = arena.mark
        for symbol in FOUR:
            record = await arena.workers[symbol].until(lambda record: record.reason is Reason.EMERGENCY, "it is told")
            assert (record.emergency.level, record.emergency.epoch) == ("Halt", stopped.epoch)
            assert record.emergency.reason == "looked odd"
            assert record.ready, "a stop is no defect of the worker"

        arena.workers["BTCUSDT"].signal(signal.SIGTERM)
        assert await arena.workers["BTCUSDT"].ended() == 0
        await (await arena.start("BTCUSDT")).until(lambda record: record.reason is Reason.EMERGENCY, "so is the next")
        with pytest.raises(AccountError, match=f"--epoch {stopped.epoch}"):
            await account.resume(stopped.epoch - 1, "anna")
        assert all(not arena.opened_since(out, symbol) for symbol in FOUR)

        await arena.venue.declare(apiKey=arena.venue.api_key, stop={"lift": True})
        await account.resume(stopped.epoch, "anna")
    for symbol in FOUR:
        await arena.quoting(since=out, symbol=symbol)
        await arena.fill(symbol)
    await arena.ends_in_order()


async def test_what_the_resource_declares_stops_makers_that_no_file_has_told(open_arena):
    """As long as it says so: nobody resumes it, and nothing of it sticks."""
    arena = await open_arena("ETHUSDT", "SOLUSDT")
    await start(arena, "ETHUSDT", "SOLUSDT")
    async with arena.shared() as account:
        await account.declare(EmergencyLevel.HALT)
        await arena.wait(lambda: not arena.venue.resting(), "nothing rests", 15)
        out = arena.mark
        for worker in arena.workers.values():
            record = await worker.until(lambda record: record.reason is Reason.EMERGENCY, "it is told")
            assert (record.emergency.level, record.ready) == ("Halt", True)
            assert "spec.emergency" in record.emergency.reason
        arena.workers["SOLUSDT"].signal(signal.SIGTERM)
        assert await arena.workers["SOLUSDT"].ended() == 0
        await (await arena.start("SOLUSDT")).until(lambda record: record.reason is Reason.EMERGENCY, "so is the next")
        assert all(not arena.opened_since(out, symbol) for symbol in arena.workers)
        await account.declare(EmergencyLevel.NONE)
    for symbol in arena.workers:
        await arena.quoting(since=out, symbol=symbol)
        await arena.fill(symbol)
    await arena.ends_in_order()


async def test_what_one_worker_raises_stops_all(open_arena):
    """A key that the exchange denies to one is denied to all."""
    arena = await open_arena("ETHUSDT", "SOLUSDT")
    await start(arena, "ETHUSDT", "SOLUSDT")
    await arena.venue.control("POST", "/sim/market", {"symbol": "ETHUSDT", "regime": "jump"})
    fault = await arena.venue.fault("reject", endpoint="order.*", symbol="ETHUSDT", code=-2015, count=1)
    await arena.spend(fault, gaps=False)
    await arena.wait(lambda: not arena.venue.resting(), "nothing rests", 15)
    out = arena.mark
    for worker in arena.workers.values():
        await worker.until(lambda record: record.emergency.level == "Halt", "it is told")
    async with arena.shared() as account:
        switch = await account.switch()
        assert (await arena.worker.state()).holder == switch.source
        assert all(not arena.opened_since(out, symbol) for symbol in arena.workers)
        await account.resume(switch.epoch, "anna")
    for symbol in arena.workers:
        await arena.quoting(since=out, symbol=symbol)
        await arena.fill(symbol)
    await arena.ends_in_order()


async def test_a_symbol_s_halt_outlives_its_worker_and_leaves_the_others_alone(open_arena):
    arena = await open_arena("ETHUSDT", "SOLUSDT")
    await start(arena, "ETHUSDT", "SOLUSDT")
    await arena.venue.control("POST", "/sim/market", {"symbol": "ETHUSDT", "regime": "jump"})
    fault = await arena.venue.fault("reject", endpoint="order.place", symbol="ETHUSDT", code=-1111)
    halted = asyncio.ensure_future(
        arena.worker.until(lambda record: record.reason is Reason.RISK_HALTED, "its orders fail too often")
    )
    while not halted.done():
        await arena.venue.fault("partial-fill", symbol="ETHUSDT")
        await asyncio.sleep(0.2)
    assert (await halted).ready
    await arena.venue.control("DELETE", f"/sim/fault?id={fault}")
    await arena.quoting(since=arena.mark, symbol="SOLUSDT")
    arena.worker.signal(signal.SIGTERM)
    assert await arena.worker.ended() == 0
    out = arena.mark
    await (await arena.start()).until(lambda record: record.reason is Reason.RISK_HALTED, "so is the next worker")
    async with arena.shared() as account:
        (halt,) = await account.halts()
        assert (halt.symbol, halt.switch.level) == ("ETHUSDT", EmergencyLevel.HALT)
        assert arena.opened_since(out) == []
        with pytest.raises(AccountError):
            await account.resume_symbol("ETHUSDT", halt.switch.epoch + 1, "anna")
        await account.resume_symbol("ETHUSDT", halt.switch.epoch, "anna")
    await arena.quoting(since=out)
    await arena.fill()
    await arena.fill("SOLUSDT")
    await arena.ends_in_order()


async def test_four_makers_together_never_hold_more_than_the_account_may(open_arena):
    """The exchange's audit adds up, at every order, what all of them could come to hold."""
    arena = await open_arena(*FOUR, net_and_gross=(FULL_NET, FULL_GROSS))
    for symbol in FOUR:
        await arena.start(symbol)
    await arena.wait(lambda: len(arena.venue.accepted) > 20, "there is room for some", 45)
    for _ in range(12):
        symbol = max(FOUR, key=lambda symbol: len(arena.venue.resting(symbol)))
        if arena.venue.resting(symbol):
            await arena.fill(symbol)
        await asyncio.sleep(0.2)
    async with arena.shared() as account:
        ledger = await account.ledger()
    # Prices may carry what is held past a limit, orders may not: of that the audit is the judge, to the last digit.
    assert max(ledger.long_micro, ledger.short_micro) <= FULL_NET * PRICES_MOVE * 10**6
    assert ledger.gross_micro <= FULL_GROSS * PRICES_MOVE * 10**6
    assert ledger.gross_micro > FULL_GROSS * 10**6 / 2, "what there is is used"
    assert {order.symbol for order in arena.venue.resting()} > {arena.symbol}, "and shared"
    await arena.ends_in_order(fills=False)


async def test_another_installation_finds_the_first_and_never_sends_an_order(open_arena, tmp_path):
    """It has another Redis, where nobody can know of the lease."""
    arena = await open_arena("ETHUSDT")
    await start(arena, "ETHUSDT")
    await arena.fill()
    async with redis_server() as elsewhere:
        async with account_tools(elsewhere.url) as tools:
            await tools.account(arena.identity).seed(EmergencyLevel.NONE, 0, "", "the test")
        other = await arena.launch("ETHUSDT", redis=elsewhere.url, state=tmp_path / "elsewhere")
        record = await other.until(lambda record: record.reason is Reason.EMERGENCY, "it is halted")
        assert record.emergency.level == "Halt"
        assert "second writer of ETHUSDT" in record.emergency.reason
        installations = {order_id.parse(item.order.client_order_id).installation for item in arena.venue.accepted}
        assert installations == {(await arena.worker.state()).installation}
        other.signal(signal.SIGTERM)
        assert await other.ended() == 0
    await arena.quoting(since=arena.mark)
    await arena.fill()
    await arena.ends_in_order()
