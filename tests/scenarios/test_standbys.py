"""Two workers of one symbol: one trades, the other is warm, and takes over when it should and never before."""

import asyncio
import signal

import pytest
from phoenix_coordination import order_id
from phoenix_coordination.state import Reason, Role
from phoenix_crds import read_resolved, write_resolved
from phoenix_simulator.exchange.orders import Side


def token_of(item):
    parsed = order_id.parse(item.order.client_order_id)
    assert parsed is not None
    return parsed.token


def tokens_never_go_back(arena):
    tokens = [token_of(item) for item in arena.venue.accepted if item.order.symbol == arena.symbol]
    return tokens == sorted(tokens)


@pytest.fixture
async def pair(arena):
    """The leader, and a standby that is warm."""
    return arena.worker, await arena.standby()


async def test_a_standby_is_ready_and_says_that_it_does_not_lead(arena, pair):
    leader, standby = pair
    status, text = await standby.get("/readyz?verbose")
    assert status == 200
    assert text.startswith("Standby")
    assert "role: standby" in text
    async with asyncio.timeout(30):
        while await standby.metric("mm_standby_warm") != 1:  # noqa: ASYNC110 - another process says it
            await asyncio.sleep(0.1)
    assert await standby.metric("mm_lease_held") == 0
    assert await leader.metric("mm_lease_held") == 1
    standby.signal(signal.SIGTERM)
    assert await standby.ended() == 0
    assert arena.venue.resting(), "a standby that leaves takes nothing with it"
    await arena.quoting(since=arena.mark)
    await arena.ends_in_order()


async def test_a_roll_over_hands_the_symbol_to_the_standby_at_once(arena, pair, figure):
    leader, standby = pair
    old = (await leader.state()).token
    mark = arena.mark
    leader.signal(signal.SIGTERM)
    arena.workers[arena.symbol] = standby
    record = await arena.quoting(since=mark)
    assert await leader.ended() == 0
    assert record.token > old
    assert record.holder == (await standby.state()).holder
    first = next(item for item in arena.venue.accepted[mark:] if token_of(item) > old)
    last_ns = max(at_ns for at_ns, _ in arena.venue.cancelled if at_ns < first.at_ns)
    figure(
        f"roll-over: {(first.at_ns - last_ns) / 1e6:.0f} ms between the old leader's last quote and the new one's first"
    )
    assert tokens_never_go_back(arena)
    await arena.agreed()
    await arena.fill()
    await arena.ends_in_order()


async def test_a_roll_to_other_parameters_has_those_in_force_from_the_new_pod_s_first_quote(arena, tmp_path, figure):
    """As a cold change rolls: the new pod has files of its own, and the old one's never change."""
    leader = arena.worker
    before = await leader.state()
    maker, account = read_resolved(arena.files() / "maker.yaml", arena.files() / "account.yaml")
    spec = maker.spec.model_copy(update={"near_layers": 1, "far_layers": 0})
    wanted = write_resolved(tmp_path / "rolled", maker.model_copy(update={"spec": spec}), account)
    standby = await arena.launch(arena.symbol, files=tmp_path / "rolled")
    warm = await standby.until(lambda record: record.role is Role.STANDBY and record.ready, "it stands by, warm")
    assert warm.configuration.hash == wanted != before.configuration.hash
    assert (await leader.state()).configuration == before.configuration
    mark = arena.mark
    leader.signal(signal.SIGTERM)
    arena.workers[arena.symbol] = standby
    record = await arena.quoting(since=mark)
    assert await leader.ended() == 0
    assert record.configuration.hash == wanted
    after = [item for item in arena.venue.accepted[mark:] if token_of(item) > before.token]
    last_ns = max(at_ns for at_ns, _ in arena.venue.cancelled if at_ns < after[0].at_ns)
    figure(f"roll to other parameters: {(after[0].at_ns - last_ns) / 1e6:.0f} ms without quotes")
    assert len(arena.venue.resting()) <= 2, "one layer a side"
    assert tokens_never_go_back(arena)
    await arena.agreed()
    await arena.fill()
    await arena.ends_in_order()


async def test_a_leader_that_is_killed_is_followed_by_its_standby(arena, pair, figure):
    leader, standby = pair
    await arena.fill(count=2)
    killed_at_ns = arena.clock.monotonic_ns()
    old = (await leader.state()).token
    leader.signal(signal.SIGKILL)
    await leader.ended()
    left = {order.order_id for order in arena.venue.resting()}
    assert left, "a killed worker leaves its quotes"
    mark = arena.mark
    arena.workers[arena.symbol] = standby
    record = await arena.quoting(since=mark)
    assert record.token > old
    assert left.isdisjoint(order.order_id for order in arena.venue.resting())
    figure(f"fail-over: first order {(arena.venue.accepted[mark].at_ns - killed_at_ns) / 1e9:.2f} s after the kill")
    assert tokens_never_go_back(arena)
    await arena.agreed()
    await arena.fill()
    await arena.ends_in_order()


async def test_a_leader_that_cannot_quote_hands_over_and_stands_by_once_it_can_again(arena, pair):
    leader, standby = pair
    before = await leader.state()
    mark = arena.mark
    await arena.venue.fault("silence", route="public", holder=f"phoenix/{before.holder}")
    arena.workers[arena.symbol] = standby
    after = await arena.quoting(since=mark)
    assert after.token > before.token
    await leader.until(lambda record: record.role is not Role.LEADING, "it leads no more")
    await arena.venue.heal()
    await leader.until(lambda record: record.role is Role.STANDBY and record.ready, "it stands by, warm")
    assert tokens_never_go_back(arena)
    assert (await standby.state()).token == after.token, "it has not gone back"
    leader.signal(signal.SIGTERM)
    assert await leader.ended() == 0
    await arena.agreed()
    await arena.fill()
    await arena.ends_in_order()


async def test_a_leader_that_cannot_quote_keeps_the_symbol_where_nobody_could_do_better(arena, pair):
    leader, standby = pair
    token = (await leader.state()).token
    mark = arena.mark
    await arena.venue.fault("silence", route="public")
    await arena.quotes_out()
    for worker in pair:
        await worker.until(lambda record: Reason.PRICE_STALE in record.reasons_not_ready, "it is blind")
    handed_over = "a warm standby may lead"
    await leader.until(lambda _: len(leader.said(handed_over)) > 1, "it would hand over")
    assert (await leader.state()).token == token
    await arena.venue.heal()
    record = await arena.quoting(since=mark)
    assert record.token == token
    standby.signal(signal.SIGTERM)
    assert await standby.ended() == 0
    await arena.fill()
    await arena.ends_in_order()


async def test_fills_profit_and_fees_outlive_their_leaders(arena, pair):
    """Roll-over after roll-over, with fills in between, the books stay the exchange's to the last digit."""
    leader, standby = pair
    for _ in range(2):
        await arena.fill(count=2)
        mark = arena.mark
        leader.signal(signal.SIGTERM)
        assert await leader.ended() == 0
        arena.workers[arena.symbol] = leader = standby
        await arena.quoting(since=mark)
        assert {order.side for order in arena.venue.resting()} == {Side.BUY, Side.SELL}
        standby = await arena.standby()
        await arena.agreed()
    standby.signal(signal.SIGTERM)
    assert await standby.ended() == 0
    await arena.fill()
    await arena.ends_in_order()
