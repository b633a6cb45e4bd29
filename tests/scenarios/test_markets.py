"""What a market does to its makers: it runs away from them into their limit, or knows something."""

from decimal import Decimal

from phoenix_coordination.state import Reason
from phoenix_crds import Guards
from phoenix_simulator.exchange.orders import Side

SPEED = 8.0
TREND = {
    "base_size": Decimal("0.05"),
    "net_max": Decimal("0.4"),
    "inventory_skew_bps": Decimal(0),
    "guards": Guards.model_validate({"hysteresis": "0.5"}),
}
"""A few fills on one side are the limit, nothing leans against them, and a few on the other do not end the pin."""
PINNED = frozenset({"pin", "grind", "block", "flatten", "liquidate"})


async def test_a_trend_into_the_limit_ends_at_the_guards_and_nothing_that_increases_follows(open_arena, figure):
    """Up, step by step: who sells sells again and again, until the position is pinned; then only the other side is
    quoted, however far the trend goes on. That all orders together could not pass the limit is audited.
    """
    arena = await open_arena("ETHUSDT", speed=SPEED, **TREND)
    await arena.venue.control("POST", "/sim/market", {"symbol": arena.symbol, "regime": "quiet"})
    worker = await arena.start()
    await arena.quoting()
    trend = await arena.venue.fault("price-jump", symbol=arena.symbol, bps=10, everySeconds=4, times=60)
    record = await worker.until(lambda record: record.guard in PINNED, "it is pinned", within_s=90)
    position = Decimal(record.position.qty)
    figure(f"a trend: {record.guard} at {position} of {TREND['net_max']}, {arena.venue.fills(arena.symbol)} fills")
    assert abs(position) >= Decimal("0.7") * TREND["net_max"]
    assert position < 0
    await arena.wait(lambda: {order.side for order in arena.venue.resting(arena.symbol)} == {Side.BUY}, "one side", 5)
    mark, before = arena.mark, arena.venue.held(arena.symbol)
    acted = (await arena.venue.faults())[trend].acted
    await arena.acted(trend, acted + 5)
    assert (await worker.state()).guard in PINNED
    assert {item.order.side for item in arena.venue.accepted[mark:]} == {Side.BUY}
    assert before <= arena.venue.held(arena.symbol) <= 0, "it has only become less"
    await arena.venue.heal()
    await arena.agreed()
    await arena.ends_in_order()


async def test_who_is_run_over_again_and_again_withdraws_until_the_flow_has_two_sides(open_arena):
    """Buyers sweep the book upwards every three seconds, at many times the usual volume."""
    arena = await open_arena("ETHUSDC", speed=SPEED, traded_before="100")
    await arena.start()
    await arena.quoting()
    settings = arena.fleet[0].maker.spec.vpin
    await arena.worker.until_metric("mm_vpin", lambda vpin: vpin < settings.halt)
    sweeps = await arena.venue.fault("price-jump", symbol=arena.symbol, bps=12, everySeconds=3, times=20)
    await arena.worker.until(lambda record: record.reason is Reason.TOXIC_FLOW, "it is toxic")
    mark = await arena.quotes_out()
    assert await arena.worker.metric("mm_vpin") > settings.resume
    acted = (await arena.venue.faults())[sweeps].acted
    await arena.acted(sweeps, acted + 3)
    assert (await arena.worker.state()).reason is Reason.TOXIC_FLOW
    assert arena.opened_since(mark) == [], "while they sweep nothing is there to be swept"
    await arena.agreed()
    await arena.ends_in_order(fills=False)
