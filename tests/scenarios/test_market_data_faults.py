"""What the market's streams can do to a worker: it never quotes on a book that it cannot believe, and comes back."""

from decimal import Decimal

import pytest
from arena import Arena
from phoenix_coordination.state import Reason

BLIND = (Reason.PRICE_STALE, Reason.BOOK_NOT_SYNCED)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "silence", "stream": "depth@*", "symbol": "ETHUSDT"}, id="the diffs of the book"),
        pytest.param({"kind": "silence", "symbol": "ETHUSDT", "route": "public"}, id="the symbol"),
        pytest.param({"kind": "silence", "route": "public"}, id="the connection"),
        pytest.param({"kind": "late", "symbol": "ETHUSDT", "route": "public", "delaySeconds": 4}, id="frames are late"),
    ],
)
async def test_silence_takes_the_quotes_out_until_the_market_speaks_again(arena, fault):
    seen = (await arena.worker.state()).activity
    await arena.venue.fault(**fault)
    out = await arena.quotes_out()
    await arena.unready(*BLIND)
    tried = await arena.worker.metric("mm_reconnects_total")
    await arena.worker.until_metric("mm_reconnects_total", lambda count: count > tried + 1)
    assert arena.opened_since(out) == [], "nothing is quoted blind, however often it reconnects"
    await arena.venue.heal()
    record = await arena.quoting(since=out)
    assert record.activity.stale_episodes > seen.stale_episodes
    assert record.activity.resyncs > seen.resyncs
    await arena.fill()
    await arena.ends_in_order()


async def test_silence_of_the_touch_alone_is_covered_by_the_book(arena):
    await arena.venue.fault("silence", stream="bookTicker", symbol="ETHUSDT")
    before = (await arena.worker.state()).activity
    mark = arena.mark
    await arena.worker.until(
        lambda record: record.activity.market_events > before.market_events + 60, "the book goes on"
    )
    await arena.quoting(since=mark)
    await arena.fill()
    assert (await arena.worker.state()).activity.stale_episodes == before.stale_episodes
    await arena.ends_in_order()


async def test_a_quiet_symbol_whose_touch_still_stands_goes_on_quoting(arena):
    """The market itself rests (nobody trades, no frame leaves): REST confirms the touch, the canary lives."""
    before = (await arena.worker.state()).activity
    arena.rest(resting=True)
    asked = len(arena.venue.asked)
    await arena.wait(
        lambda: any(item.operation in {"depth", "ticker.book"} for item in arena.venue.asked[asked:]),
        "the touch of the quiet symbol is asked over REST",
        15,
    )
    assert (await arena.worker.state()).activity.stale_episodes == before.stale_episodes
    record = await arena.quoting()
    assert record.ages.book is not None
    assert record.ages.book > 2_000
    arena.rest(resting=False)
    await arena.fill()
    await arena.ends_in_order()


async def test_a_lost_diff_takes_the_quotes_out_at_once_and_the_book_is_synchronised_anew(arena):
    resyncs = (await arena.worker.state()).activity.resyncs
    rested = {order.order_id for order in arena.venue.resting()}
    mark = arena.mark
    await arena.venue.fault("gap", symbol="ETHUSDT")
    await arena.wait(
        lambda: rested.isdisjoint(order.order_id for order in arena.venue.resting()),
        "every quote that rested on the broken book is out",
        15,
    )
    record = await arena.quoting(since=mark)
    assert record.activity.resyncs > resyncs
    await arena.fill()
    await arena.ends_in_order()


async def test_gap_after_gap_never_leaves_a_quote_on_a_broken_book(arena):
    mark = arena.mark
    for _ in range(5):
        resyncs = (await arena.worker.state()).activity.resyncs
        await arena.venue.fault("gap", symbol="ETHUSDT", count=2)
        await arena.worker.until(
            lambda record, before=resyncs: record.activity.resyncs > before, "the gap has been seen"
        )
        await arena.quoting(since=mark)
    await arena.quoting(since=mark)
    await arena.fill()
    await arena.ends_in_order()


async def test_duplicated_frames_change_nothing(arena):
    before = (await arena.worker.state()).activity
    await arena.venue.fault("duplicate")
    await arena.fill(count=3)
    await arena.worker.until(
        lambda record: record.activity.market_events > before.market_events + 150, "many frames came twice"
    )
    record = await arena.quoting()
    assert record.activity.stale_episodes == before.stale_episodes
    assert record.activity.resyncs == before.resyncs
    await arena.ends_in_order()


@pytest.mark.parametrize("refused", [False, True], ids=["comes back at once", "is refused for a while"])
async def test_a_cut_market_stream_takes_the_quotes_out_until_it_is_back(arena, refused):
    rested = {order.order_id for order in arena.venue.resting()}
    if refused:
        refuse = await arena.venue.fault("refuse", route="public")
    mark = arena.mark
    await arena.venue.fault("disconnect", route="public")
    await arena.wait(
        lambda: rested.isdisjoint(order.order_id for order in arena.venue.resting()),
        "the quotes are out",
        15,
    )
    if refused:
        out = await arena.quotes_out()
        await arena.unready(*BLIND)
        await arena.acted(refuse, 2)
        assert arena.opened_since(out) == []
        await arena.venue.heal()
    await arena.quoting(since=mark)
    await arena.fill()
    await arena.ends_in_order()


async def test_an_outage_of_the_venue_is_waited_out_and_its_fills_are_found_afterwards(arena):
    rested = {order.order_id for order in arena.venue.resting()}
    fills = arena.venue.fills("ETHUSDT")
    await arena.venue.fault("outage")
    mark = arena.mark
    await arena.unready(Reason.PRICE_STALE)
    await arena.venue.fault("partial-fill", symbol="ETHUSDT")
    await arena.wait(lambda: arena.venue.fills("ETHUSDT") > fills, "a quote is filled that nobody hears of", 5)
    assert arena.opened_since(mark) == []
    await arena.venue.heal()
    await arena.wait(
        lambda: rested.isdisjoint(_untouched(arena, since=mark)),
        "what rested through the outage is out, or has been given a price of after it",
        30,
    )
    await arena.quoting(since=mark)
    await arena.agreed()
    await arena.fill()
    await arena.ends_in_order()


async def test_a_market_that_leaps_during_silence_meets_no_old_quote(arena):
    """The adverse case that staleness exists for: blind, and the price goes away meanwhile."""
    mark = arena.mark
    await arena.venue.fault("silence", symbol="ETHUSDT", route="public")
    # A touch that rested for as long would be asked for, found equal, and rightly be believed.
    await arena.venue.fault("price-jump", symbol="ETHUSDT", bps=5)
    await arena.unready(*BLIND)
    out = await arena.quotes_out()
    fills = arena.venue.fills("ETHUSDT")
    bid = Decimal(arena.venue.touch("ETHUSDT")[0])
    await arena.venue.fault("price-jump", symbol="ETHUSDT", bps=100)
    await arena.wait(lambda: Decimal(arena.venue.touch("ETHUSDT")[0]) > bid * Decimal("1.005"), "the price leaps", 10)
    assert arena.opened_since(out) == []
    assert arena.venue.fills("ETHUSDT") == fills
    await arena.venue.heal()
    await arena.quoting(since=mark)
    await arena.fill()
    await arena.ends_in_order()


def _untouched(arena: Arena, since: int) -> set[int]:
    """The orders that rest as they were: neither placed nor amended since the mark."""
    moved = {item.order.order_id for item in arena.venue.accepted[since:]}
    return {order.order_id for order in arena.venue.resting()} - moved
