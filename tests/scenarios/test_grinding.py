"""A position stuck near its limit in a flat market: what grinding costs and saves is what the exchange says."""

import asyncio
import json
import signal
import time
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from fixed_metrics import oddities
from phoenix_coordination import order_id
from phoenix_crds import Grinding, Guards
from phoenix_simulator.exchange.errors import margin_insufficient
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side, TimeInForce

SPEED = 4.0
GRINDS_WITHIN_S = 90.0
TAKER, REENTRY = "g", "r"
STANCES = frozenset({"pin", "grind"})
# Pinned and ground from far below the limit, with one small quote: those that are filled do not end it.
STUCK = {
    "base_size": Decimal("0.006"),
    "near_layers": 1,
    "far_layers": 0,
    "guards": Guards.model_validate({"pinRatio": "0.2", "hysteresis": "0.02"}),
    "grinding": Grinding.model_validate({"ratio": "0.3", "deviation": "0.1", "interval": "30s", "offsetBps": "0.5"}),
}


def purpose_of(order):
    """Empty for an order that is not of a worker."""
    ident = order_id.parse(order.client_order_id or "")
    return "" if ident is None else ident.purpose


def told(arena):
    """(grinds, saved in 1e-8 quote, fills of re-entries) by the exchange's own list of fills."""
    holding = arena.venue.server.exchange.account(arena.venue.account).holdings[arena.symbol]
    purposes = {item.order.order_id: purpose_of(item.order) for item in arena.venue.accepted}
    runs, fees = {}, 0
    for fill in holding.fills:
        purpose = purposes[fill.order_id]
        if purpose not in (TAKER, REENTRY):
            continue
        if purpose == TAKER:
            runs.setdefault(fill.order_id, ([], []))[0].append(fill)
        else:
            runs[next(reversed(runs))][1].append(fill)
        assert fill.commission_asset == "USDT"
        fees += fill.commission_e8
    earned = 0
    for taken, returned in runs.values():
        average = Fraction(sum(fill.quote_e8 for fill in taken), sum(fill.qty_steps for fill in taken))
        sold = 1 if taken[0].side is Side.SELL else -1
        earned += (sold * sum(average * fill.qty_steps - fill.quote_e8 for fill in returned)).__floor__()
    return len(runs), earned - fees, sum(len(returned) for _, returned in runs.values())


def reentries(arena):
    return [order for order in arena.venue.resting() if purpose_of(order) == REENTRY]


async def sweep(arena, number):
    """Somebody sells down to our re-entry, and a part of it."""
    body = {"label": f"sweeper {number}", "balances": {"USDT": "100000000"}}
    made = json.loads(await arena.venue.control("POST", "/sim/account", body))
    price = Decimal(
        arena.venue.server.exchange.listing(arena.symbol).spec.format_price(reentries(arena)[0].price_ticks)
    )
    before = told(arena)[2]
    while told(arena)[2] == before and reentries(arena):
        order = NewOrder(
            symbol=arena.symbol,
            side=Side.SELL,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC,
            price=price,
            quantity=Decimal(20),
        )
        arena.venue.server.exchange.place(made["account"], order, arena.clock.now_ms())
        await asyncio.sleep(0)


@pytest.fixture
async def stuck(open_arena):
    """One whose position is nine tenths of its limit, in a market that rests."""
    arena = await open_arena("ETHUSDT", speed=SPEED, **STUCK)
    await arena.start()
    await arena.quoting()
    arena.worker.signal(signal.SIGTERM)
    assert await arena.worker.ended() == 0
    position = NewOrder(symbol=arena.symbol, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.9"))
    arena.venue.server.exchange.place(arena.venue.account, position, arena.clock.now_ms())
    worker = await arena.start()
    await arena.resumed()
    await worker.until(lambda record: record.guard in STANCES and record.ready, "it is pinned")
    arena.rest(resting=True)
    return arena


async def ground(arena, times):
    """Until so many takers have traded and the re-entry of the last one rests."""
    await arena.wait(lambda: told(arena)[0] >= times and reentries(arena), f"ground {times} times", GRINDS_WITHIN_S)


async def agreed(arena):
    """Until the worker tells the exchange's own figures, which have come to rest; returns them."""
    worker, deadline, before = arena.worker, time.monotonic() + GRINDS_WITHIN_S, None
    while before != told(arena) or await worker.metric("mm_grind_count_total") != before[0]:
        assert time.monotonic() < deadline, f"{told(arena)} at the exchange\n{worker.tail()}"
        before = told(arena)
        saved = await worker.metric("mm_grind_cost_saved")
        if round(saved * 1e8) != before[1]:
            before = None
            await asyncio.sleep(0.1)
    return before


async def test_costs_and_savings_of_grinding_agree_with_the_exchange_to_the_last_digit(stuck, figure):
    arena = stuck
    for grinds in (1, 2):
        await ground(arena, grinds)
        await sweep(arena, grinds)
    grinds, saved, returned = await agreed(arena)
    assert list(oddities((await arena.worker.get("/metrics"))[1])) == []
    figure(f"{grinds} grinds, {saved / 1e8:.4f} USDT saved, {returned} fills of re-entries")
    await arena.ends_in_order()


async def test_a_process_that_is_killed_in_the_middle_of_a_grind_is_followed_by_one_that_ends_it(stuck):
    """Its re-entry, its count and what it has cost are the next one's; what the first one left is cancelled."""
    arena = stuck
    await ground(arena, 1)
    await agreed(arena)
    (left,) = reentries(arena)
    (price, quantity) = (left.price_ticks, left.leaves_steps)
    arena.worker.signal(signal.SIGKILL)
    await arena.worker.ended()
    worker = await arena.start()
    await worker.until(lambda record: record.guard in STANCES and record.ready, "it is pinned again")
    await arena.wait(lambda: reentries(arena), "the re-entry rests again", 30)
    (again,) = reentries(arena)
    assert again.order_id != left.order_id, "of an older token nothing rests"
    assert (told(arena)[0], again.price_ticks, again.leaves_steps) == (1, price, quantity), "no other taker was sent"
    await sweep(arena, 1)
    await agreed(arena)
    await arena.ends_in_order()


def met_by(arena, monkeypatch, meets):
    """`meets` sees each taker of a grind at the exchange, before that does; those that it has met are listed."""
    exchange, met = arena.venue.server.exchange, []
    place = exchange.place

    def placed(account, order, now_ms):
        if account == arena.venue.account and purpose_of(order) == TAKER:
            met.append(order)
            meets(order)
        return place(account, order, now_ms)

    monkeypatch.setattr(exchange, "place", placed)
    return met


async def test_a_taker_that_fails_is_followed_by_no_re_entry(stuck, monkeypatch):
    """Nothing was sold, so there is nothing to buy back (a history of losses begins so)."""
    arena = stuck

    def refuses(_order):
        raise margin_insufficient()

    met = met_by(arena, monkeypatch, refuses)
    mark, before = arena.mark, told(arena)[0]
    await arena.wait(lambda: len(met) >= 2, "two takers were refused", GRINDS_WITHIN_S)
    assert told(arena)[0] == before
    assert not [item for item in arena.venue.accepted[mark:] if purpose_of(item.order) == REENTRY]
    assert await arena.worker.metric("mm_grind_count_total") == before
    await arena.ends_in_order()


async def test_a_taker_that_is_filled_in_part_is_followed_by_a_re_entry_for_that_part(stuck, monkeypatch):
    """Somebody was quicker: within its reach half of what it wants is left."""
    arena = stuck
    body = {"label": "quicker", "balances": {"USDT": "100000000"}}
    quicker = json.loads(await arena.venue.control("POST", "/sim/account", body))["account"]
    place, listing = arena.venue.server.exchange.place, arena.venue.server.exchange.listing(arena.symbol)

    def leaves_half(order):
        lowest = listing.spec.ticks_of(order.price)
        there = sum(steps for ticks, steps in listing.depth(10**6).bids if ticks >= lowest)
        taken = there - listing.spec.steps_of(order.quantity) // 2
        if taken > 0:
            quantity = listing.spec.quantity_to_decimal(taken)
            first = msgspec.structs.replace(order, client_order_id=None, reduce_only=False, quantity=quantity)
            place(quicker, first, arena.clock.now_ms())

    met = met_by(arena, monkeypatch, leaves_half)
    await ground(arena, 1)
    (taker,) = {item.order.order_id for item in arena.venue.accepted if purpose_of(item.order) == TAKER}
    holding = arena.venue.server.exchange.account(arena.venue.account).holdings[arena.symbol]
    taken = sum(fill.qty_steps for fill in holding.fills if fill.order_id == taker)
    assert 0 < taken < listing.spec.steps_of(met[0].quantity)
    spec = arena.fleet[0].maker.spec
    room = listing.spec.steps_of(spec.net_max * spec.guards.block_ratio) - holding.net_steps
    (reentry,) = reentries(arena)
    assert reentry.leaves_steps == min(room, int(spec.grinding.reentry * taken))
    await sweep(arena, 1)
    await agreed(arena)
    await arena.ends_in_order()
