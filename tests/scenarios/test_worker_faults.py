"""What can happen to the worker itself: killed, frozen, told to stop at the worst moment."""

import asyncio
import signal

import pytest
from phoenix_coordination import order_id
from phoenix_coordination.port import LeaseTimes
from phoenix_coordination.state import Reason

LEASE_S = LeaseTimes().ttl_s


def token_of(client_id):
    parsed = order_id.parse(client_id)
    assert parsed is not None
    return parsed.token


async def kill(arena):
    arena.worker.signal(signal.SIGKILL)
    await arena.worker.ended()


async def test_after_a_kill_the_next_worker_withdraws_what_was_left_and_counts_what_was_filled(arena):
    await arena.fill(count=3)
    killed = (await arena.worker.state()).token
    await kill(arena)
    left = {order.order_id for order in arena.venue.resting()}
    assert left, "a killed worker leaves its quotes"
    fills = arena.venue.fills(arena.symbol)
    await arena.venue.fault("partial-fill", symbol=arena.symbol)
    await arena.wait(lambda: arena.venue.fills(arena.symbol) > fills, "a quote of nobody is filled", 5)
    mark = arena.mark
    await arena.start()
    record = await arena.quoting(since=mark)
    assert left.isdisjoint(order.order_id for order in arena.venue.resting())
    assert record.token > killed
    assert all(token_of(item.order.client_order_id) == record.token for item in arena.venue.accepted[mark:])
    await arena.agreed()
    await arena.fill()
    await arena.ends_in_order()


async def test_kill_after_kill_loses_no_fill_and_no_fee(arena):
    for _ in range(3):
        await arena.fill()
        await kill(arena)
        mark = arena.mark
        await arena.start()
        await arena.quoting(since=mark)
    await arena.fill()
    await arena.ends_in_order()


async def test_a_worker_frozen_for_longer_than_its_lease_wakes_up_as_one_that_may_not_trade(arena):
    frozen = (await arena.worker.state()).token
    arena.worker.signal(signal.SIGSTOP)
    mark = arena.mark
    await arena.venue.fault("partial-fill", symbol=arena.symbol)
    await asyncio.sleep(LEASE_S + 1)  # the fault itself
    arena.worker.signal(signal.SIGCONT)
    await arena.worker.until(lambda record: record.token > frozen, "it trades under a new token")
    await arena.quoting(since=mark)
    assert all(token_of(item.order.client_order_id) > frozen for item in arena.venue.accepted[mark:])
    await arena.agreed()
    await arena.fill()
    await arena.ends_in_order()


async def test_a_worker_frozen_for_a_moment_goes_on_under_its_token(arena):
    token = (await arena.worker.state()).token
    arena.worker.signal(signal.SIGSTOP)
    await arena.venue.fault("partial-fill", symbol=arena.symbol)
    await asyncio.sleep(1.0)  # the fault itself
    arena.worker.signal(signal.SIGCONT)
    await arena.agreed()
    record = await arena.quoting()
    assert record.token == token
    await arena.fill()
    await arena.ends_in_order()


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([{"kind": "silence", "route": "public"}], id="blind"),
        pytest.param([{"kind": "refuse", "route": "private"}, {"kind": "disconnect", "route": "private"}], id="deaf"),
        pytest.param(
            [{"kind": "answer-lost", "endpoint": "order.cancel", "executed": False, "count": 5}], id="cancels are lost"
        ),
        pytest.param(
            [{"kind": "answer-lost", "endpoint": "order.cancel", "executed": True}],
            id="no cancel is answered",
        ),
        pytest.param(
            [{"kind": "refuse", "route": "ws-api"}, {"kind": "disconnect", "route": "ws-api"}], id="over REST"
        ),
        pytest.param(
            [{"kind": "reject", "endpoint": "order.cancel", "code": -1001, "count": 8}], id="cancels are refused"
        ),
    ],
)
async def test_a_stop_at_the_worst_moment_leaves_nothing(arena, faults):
    for fault in faults:
        await arena.venue.fault(**fault)
    await arena.ends_in_order()


async def test_a_stop_before_it_could_quote_leaves_nothing(open_arena):
    arena = await open_arena("ETHUSDT")
    await arena.venue.fault("silence", route="public")
    await arena.start()
    await arena.worker.until(lambda record: record.reason is not Reason.STARTING, "it is on its way up")
    await arena.ends_in_order(fills=False)


async def test_a_stop_while_the_venue_is_out_ends_with_a_failure_that_is_told(arena):
    """Nobody answers, so nobody can say that nothing is left: it says so, and the exchange's countdown withdraws."""
    await arena.venue.fault("outage")
    arena.worker.signal(signal.SIGTERM)
    assert await arena.worker.ended() == 1
    assert arena.worker.said("orders may rest until the exchange's timer")
    assert any(item.operation == "countdown" and item.status == 200 for item in arena.venue.asked)
    await arena.venue.heal()
    mark = arena.mark
    await arena.start()
    await arena.quoting(since=mark)
    await arena.ends_in_order()
