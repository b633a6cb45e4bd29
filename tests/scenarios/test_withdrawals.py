"""A maker leaves for good, as its deletion does it: its worker is told to go, and what it leaves is taken out."""

import signal

import pytest
from phoenix_coordination import order_id


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["told to go", "killed"])
async def test_a_maker_leaves_flat_and_its_leases_keeper_was_never_two(arena, end):
    """The job begins while the worker still quotes: it waits for its lease, however that ends."""
    worker = arena.worker
    token = (await worker.state()).token
    withdrawing = await arena.withdrawing(arena.symbol, "--flatten")
    await arena.wait(lambda: withdrawing.said("holds its lease, and lives"), "it waits for the leader", 60)
    assert arena.venue.resting(), "nobody has touched them"
    worker.signal(end)
    await worker.ended()
    assert await withdrawing.ended() == 0, withdrawing.tail()
    assert arena.venue.resting() == []
    holdings = arena.venue.server.exchange.account(arena.venue.account).holdings
    assert not any(holding.position.steps for holding in holdings.values())
    later = [item.order for item in arena.venue.accepted if order_id.parse(item.order.client_order_id).token > token]
    assert all(order.reduce_only for order in later)
    async with arena.shared() as account:
        assert (await account.ledger()).entries == ()
        (lease,) = [lease for lease in await account.leases() if lease.symbol == arena.symbol]
    assert lease.released
    assert lease.token > token
    audit = await arena.venue.audit()
    assert audit.total == 0, audit.examples
