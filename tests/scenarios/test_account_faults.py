"""What can happen to the account's own stream, key and clock: half-blind is blind."""

import pytest
from phoenix_coordination.state import Reason
from phoenix_crds.maker import UserStream
from phoenix_crds.values import Duration


async def test_a_cut_user_stream_takes_the_quotes_out_and_fills_meanwhile_are_found(arena):
    rested = {order.order_id for order in arena.venue.resting()}
    mark = arena.mark
    refuse = await arena.venue.fault("refuse", route="private")
    await arena.venue.fault("disconnect", route="private")
    await arena.venue.fault("partial-fill", symbol="ETHUSDT")
    out = await arena.quotes_out()
    await arena.unready(Reason.USER_STREAM_OUT_OF_SYNC)
    await arena.acted(refuse, 2)
    assert arena.opened_since(out) == []
    await arena.venue.heal()
    await arena.quoting(since=mark)
    assert rested.isdisjoint(order.order_id for order in arena.venue.resting())
    await arena.fill()
    await arena.ends_in_order()


async def test_a_cut_user_stream_that_comes_back_at_once(arena):
    mark = arena.mark
    await arena.venue.fault("disconnect", route="private")
    await arena.worker.until_metric("mm_reconnects_total", lambda count: count > 0)
    await arena.quoting(since=mark)
    await arena.fill()
    await arena.ends_in_order()


async def test_a_silent_user_stream_is_noticed_by_what_it_does_not_tell(lively):
    arena = lively
    await arena.venue.fault("silence", stream="user")
    out = await arena.quotes_out()
    await arena.unready(Reason.USER_STREAM_OUT_OF_SYNC, Reason.NOT_RECONCILED)
    await arena.venue.heal()
    await arena.quoting(since=out)
    await arena.fill()
    await arena.ends_in_order()


async def test_an_expired_listen_key_is_replaced(arena):
    mark = arena.mark
    await arena.venue.fault("listen-key-expiry")
    await arena.worker.until_metric("mm_reconnects_total", lambda count: count > 0)
    await arena.quoting(since=mark)
    await arena.fill()
    await arena.ends_in_order()


async def test_a_user_stream_that_stays_away_ends_the_worker_with_nothing_left(open_arena):
    arena = await open_arena("ETHUSDT", user_stream=UserStream(giveUpAfter=Duration.parse("5s")))
    worker = await arena.start()
    await arena.quoting()
    await arena.fill()
    await arena.venue.fault("refuse", route="private")
    await arena.venue.fault("disconnect", route="private")
    assert await worker.ended() == 1
    assert arena.venue.resting() == []
    assert worker.said("never half-blind")
    assert (await arena.venue.audit()).total == 0


async def test_events_out_of_order_and_in_part_lead_to_the_same_books(arena):
    await arena.venue.fault("reorder", stream="user", count=40)
    await arena.fill(count=6)
    await arena.venue.heal()
    await arena.quoting()
    await arena.fill()
    await arena.ends_in_order()


async def test_many_partial_fills_are_all_counted(arena):
    mark = arena.mark
    await arena.fill(count=12)
    await arena.quoting(since=mark)
    await arena.ends_in_order()


@pytest.mark.parametrize("skew_ms", [30_000, -30_000], ids=["ahead", "behind"])
async def test_a_clock_that_jumps_is_measured_again(arena, skew_ms):
    fault = await arena.venue.fault("clock-skew", skewMs=skew_ms)
    mark = arena.mark
    await arena.quoting(since=mark)
    await arena.venue.control("DELETE", f"/sim/fault?id={fault}")
    mark = arena.mark
    await arena.quoting(since=mark)
    await arena.fill()
    await arena.ends_in_order()
