"""A maker that is gone, with nobody to follow it: what it left is looked after by another worker of the account."""

import asyncio
import signal

import pytest
from phoenix_coordination import order_id
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.steward import BORROWER

STAYS, GOES = "ETHUSDT", "SOLUSDT"
SPEED = 2.0


@pytest.fixture
async def two(open_arena):
    """Two makers that quote; the one that stays is the account's steward."""
    arena = await open_arena(STAYS, GOES, speed=SPEED)
    steward = await arena.start(STAYS)
    await arena.quoting(symbol=STAYS)
    async with arena.shared() as account, asyncio.timeout(60):
        while (report := await account.steward()) is None:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.05)
    assert report.holder == (await steward.state()).holder
    await arena.start(GOES)
    await arena.quoting(symbol=GOES)
    await arena.fill(GOES)
    return arena


async def kill(arena):
    """The worker of the symbol dies as on a node that is gone; its quotes rest, and its token is known."""
    token = (await arena.workers[GOES].state()).token
    arena.workers[GOES].signal(signal.SIGKILL)
    await arena.workers[GOES].ended()
    assert arena.venue.resting(GOES)
    return token


async def leave_a_position(arena):
    """The worker dies and its quotes are gone, its position not (those quotes may have closed it: then once more)."""
    while True:
        token = await kill(arena)
        await arena.wait(lambda: not arena.venue.resting(GOES), "the dead maker's quotes are out", 60)
        if float((await arena.venue.books())[GOES].position):
            return token
        mark = arena.mark
        await arena.start(GOES)
        await arena.quoting(since=mark, symbol=GOES)
        await arena.fill(GOES)


async def lease_of(arena, symbol):
    async with arena.shared() as account:
        return next(lease for lease in await account.leases() if lease.symbol == symbol)


async def entry_of(arena, symbol):
    async with arena.shared() as account:
        return next((entry for entry in (await account.ledger()).entries if entry.symbol == symbol), None)


async def until_settled(arena, token):
    """The symbol's entry was read from the exchange after its maker had died."""
    async with asyncio.timeout(60):
        while (entry := await entry_of(arena, GOES)) is not None and entry.token <= token:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    return entry


async def test_a_dead_maker_s_quotes_are_withdrawn_and_its_position_still_counts(two, figure):
    arena = two
    killed_ns = arena.clock.monotonic_ns()
    token = await kill(arena)
    await arena.wait(lambda: not arena.venue.resting(GOES), "the dead maker's quotes are out", 60)
    figure(f"a dead maker's quotes were out {(arena.clock.monotonic_ns() - killed_ns) / 1e9:.1f} s after it was killed")
    entry = await until_settled(arena, token)
    lease = await lease_of(arena, GOES)
    assert lease.holder.endswith(BORROWER), "the steward did it, not the exchange's timer"
    assert lease.token > token
    held = (await arena.venue.books())[GOES].position
    assert (entry is not None) == bool(held)
    assert entry is None or entry.buys_micro == entry.sells_micro == 0

    mark = arena.mark
    await arena.start(GOES)
    record = await arena.quoting(since=mark, symbol=GOES)
    assert record.token > lease.token
    await arena.fill(GOES)
    await arena.quoting(symbol=STAYS)
    await arena.ends_in_order()


async def test_a_flatten_closes_what_has_no_maker_any_more(two):
    arena = two
    token = await leave_a_position(arena)
    async with arena.shared() as account:
        stopped = await account.stop(EmergencyLevel.FLATTEN, "everything out", "anna")

        def flat() -> bool:
            holdings = arena.venue.server.exchange.account(arena.venue.account).holdings
            return not arena.venue.resting() and not any(holding.position.steps for holding in holdings.values())

        await arena.wait(flat, "the account is flat", 60)
        closing = [
            item.order
            for item in arena.venue.accepted
            if item.order.symbol == GOES and order_id.parse(item.order.client_order_id).token > token
        ]
        assert closing, "the steward closed it"
        assert all(order.reduce_only for order in closing)
        # Its entry had been settled before, with the position; this visit's end is after the last order.
        async with asyncio.timeout(60):
            while await entry_of(arena, GOES) is not None:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.05)
        await account.resume(stopped.epoch, "anna")
    mark = arena.mark
    await arena.start(GOES)
    await arena.quoting(since=mark, symbol=GOES)
    await arena.ends_in_order()
