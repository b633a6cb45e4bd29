"""What people do to a running worker, and what they may not do: files, switches, rehearsals."""

import random
import signal

import pytest
from arena_worker import RECOVERS_WITHIN_S
from phoenix_cli.local.layout import write_key
from phoenix_coordination.state import Reason
from phoenix_crds import Emergency
from phoenix_crds.maker import Mode
from phoenix_simulator.exchange.orders import Side


def change(arena, **spec):
    """Writes the maker's files anew, as the operator or a person does it."""
    item = arena.fleet[0]
    maker = item.maker.model_copy(update={"spec": item.maker.spec.model_copy(update=spec)})
    return arena.parameters.put(maker, item.account)


def declare(arena, emergency):
    """What the account's resource says, written anew."""
    item = arena.fleet[0]
    spec = item.account.spec.model_copy(update={"emergency": emergency})
    return arena.parameters.put(item.maker, item.account.model_copy(update={"spec": spec}))


def spread(arena):
    """Between our nearest orders, in ticks."""
    prices = {side: [o.price_ticks for o in arena.venue.resting() if o.side is side] for side in Side}
    return min(prices[Side.SELL]) - max(prices[Side.BUY]) if prices[Side.SELL] and prices[Side.BUY] else 0


async def test_a_hot_parameter_is_in_force_without_a_restart(arena):
    before, narrow = await arena.worker.state(), spread(arena)
    change(arena, min_spread_bps=4 * arena.fleet[0].maker.spec.min_spread_bps)
    after = await arena.worker.until(lambda record: record.configuration.generation == 2, "the new file is in force")
    assert after.holder == before.holder
    assert after.token == before.token
    assert after.configuration.hash != before.configuration.hash
    await arena.wait(lambda: spread(arena) > 2 * narrow, "the quotes stand further apart", 15)
    await arena.fill()
    await arena.ends_in_order()


async def test_a_limit_that_is_lowered_binds_at_once(arena):
    spec = arena.fleet[0].maker.spec
    change(arena, net_max=spec.net_max / 5)
    limit = spec.net_max / 5 * spec.worst_case_multiplier
    await arena.venue.declare(
        apiKey=arena.venue.api_key, symbolLimits=[{"symbol": arena.symbol, "maxPosition": str(limit)}], reset=True
    )
    await arena.worker.until(
        lambda record: (
            float(record.position.net_max) == float(spec.net_max / 5)
            and float(record.position.worst_case_long) <= float(limit)
            and float(record.position.worst_case_short) >= -float(limit)
        ),
        "everything that rests fits the new limit",
    )
    await arena.quoting()
    await arena.fill()
    await arena.ends_in_order()


async def test_a_cold_parameter_asks_for_a_restart_and_changes_nothing(arena):
    before = await arena.worker.state()
    change(arena, mode=Mode.DRY_RUN)
    record = await arena.worker.until(lambda record: record.configuration.needs_restart, "it is told")
    assert record.configuration.needs_restart == ["spec.mode"]
    assert record.mode is before.mode
    await arena.fill()
    await arena.ends_in_order()


def broken(text, dice):
    """A file that somebody or something has spoilt, in one of the ways in which files are."""
    lines = text.splitlines(keepends=True)
    spoilt = [
        text[: len(text) // 2],
        "",
        text.replace("netMax:", "netMaximum:"),
        text.replace("symbol: ETHUSDT", "symbol: SOLUSDT"),
        text.replace("baseSize:", "baseSize: -"),
        text + "\n---\n" + text,
        "\x00" + text,
        text.replace("worstCaseMultiplier:", "worstCaseMultiplier: .nan #"),
    ]
    garbled = list(text)
    for _ in range(40):
        garbled[dice.randrange(len(garbled))] = chr(dice.randrange(33, 0x2FF))
    return [*spoilt, "".join(garbled), "".join(dice.sample(lines, len(lines)))]


async def test_a_spoilt_file_is_refused_whole_and_the_old_one_stays_in_force(arena):
    before = await arena.worker.state()
    file = arena.files() / "maker.yaml"
    good = file.read_text()
    refusals = 0.0
    for text in broken(good, random.Random(5)):  # noqa: S311 - it spoils files
        file.write_text(text)
        await arena.worker.until_metric("mm_parameters_refusals_total", lambda count, had=refusals: count > had)
        refusals = await arena.worker.metric("mm_parameters_refusals_total")
        record = await arena.worker.state()
        assert record.configuration.refused
        assert "Traceback" not in record.configuration.refused
        assert record.configuration.hash == before.configuration.hash
        assert record.configuration.generation == before.configuration.generation
    await arena.quoting(since=arena.mark)
    file.write_text(good)
    await arena.worker.until(lambda record: not record.configuration.refused, "the good file is taken back")
    assert arena.worker.said("Traceback") == []
    await arena.fill()
    await arena.ends_in_order()


async def test_the_switch_takes_every_quote_out_and_only_a_person_brings_them_back(arena):
    declare(arena, Emergency.HALT)
    await arena.worker.until(lambda record: record.reason is Reason.EMERGENCY, "it knows the switch")
    out = await arena.quotes_out()
    await arena.venue.declare(apiKey=arena.venue.api_key, stop={})
    events = (await arena.worker.state()).activity.market_events
    await arena.worker.until(lambda record: record.activity.market_events > events + 100, "the market goes on")
    assert arena.opened_since(out) == []
    await arena.venue.declare(apiKey=arena.venue.api_key, stop={"lift": True})
    declare(arena, Emergency.NONE)
    await arena.quoting(since=out)
    await arena.fill()
    await arena.ends_in_order()


async def test_flatten_closes_the_position_with_orders_that_only_reduce(arena):
    mark = arena.mark
    declare(arena, Emergency.FLATTEN)
    holding = arena.venue.server.exchange.account(arena.venue.account).holdings[arena.symbol]
    assert holding.position.steps
    await arena.wait(lambda: not holding.position.steps, "the position is closed", 30)
    out = await arena.quotes_out()
    await arena.worker.until(lambda record: record.emergency.level == "Flatten", "it knows the switch")
    closing = [item for item in arena.venue.accepted[mark:] if item.order.client_order_id.split("-")[2][0] != "q"]
    assert closing
    assert all(item.order.reduce_only for item in closing)
    await arena.agreed()
    assert arena.opened_since(out) == []
    await arena.ends_in_order()


async def test_a_key_that_the_exchange_denies_halts_the_account_until_a_person_has_looked(lively):
    arena = lively
    fault = await arena.venue.fault("reject", endpoint="order.*", code=-2015, count=1)
    await arena.spend(fault, gaps=False)
    await arena.worker.until(lambda record: record.emergency.level == "Halt", "it raises the emergency")
    out = await arena.quotes_out()
    arena.worker.signal(signal.SIGTERM)
    assert await arena.worker.ended() == 0
    await arena.start()
    record = await arena.worker.until(lambda record: record.reason is Reason.EMERGENCY, "the next worker knows it")
    assert "denies the account" in record.emergency.reason
    assert arena.opened_since(out) == []
    assert arena.venue.resting() == []
    async with arena.shared() as account:
        await account.resume(record.emergency.epoch, "anna")
    await arena.quoting(since=out)
    await arena.fill()
    await arena.ends_in_order()


async def test_a_key_is_replaced_under_a_quoting_worker_and_the_old_one_revoked(arena):
    """As a Secret is rotated: no quote is withdrawn for it, and nothing is sent with the old key any more."""
    worker, venue = arena.worker, arena.venue
    token = (await worker.state()).token
    cancelled = len(venue.cancelled)
    arena.rest(resting=True)
    fresh = venue.server.keys.issue(venue.account, "rotated", venue.server.clock.now_ms())
    write_key(arena.directory.credentials("arena"), fresh.api_key, fresh.secret)
    await arena.wait(lambda: worker.said("key replaced"), "the new key is used", RECOVERS_WITHIN_S)
    assert venue.resting()
    assert len(venue.cancelled) == cancelled, "its quotes rest as before"
    del venue.server.keys._by_key[venue.api_key]
    venue.api_key = fresh.api_key
    arena.rest(resting=False)
    mark = arena.mark
    await arena.fill(count=2)
    record = await arena.quoting(since=mark)
    assert (record.token, record.emergency.level) == (token, "None")
    assert not worker.said(fresh.secret)
    await arena.ends_in_order()


async def test_a_rehearsal_quotes_on_paper_and_changes_nothing_but_its_listen_key(open_arena):
    arena = await open_arena("ETHUSDT", mode=Mode.DRY_RUN)
    await arena.start()
    record = await arena.worker.until(
        lambda record: record.reason is Reason.QUOTING and record.quotes.bids and record.quotes.asks,
        "it quotes on paper",
    )
    assert record.ready
    decided = record.activity.decisions
    await arena.worker.until(lambda record: record.activity.decisions > decided + 40, "it goes on deciding")
    await arena.ends_in_order(fills=False)
    assert arena.venue.accepted == []
    assert {item.operation for item in arena.venue.asked if item.changes} <= {"listenKey.start", "listenKey.keep"}
    assert any(item.changes for item in arena.venue.asked), "the list sees what changes something"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        pytest.param(
            "baseUrl: http", "baseUrl: https://fapi.binance.com # http", "the real exchange's", id="its address"
        ),
        pytest.param("environment: Simulator", "environment: Production", "endpoints", id="its name, our address"),
    ],
)
async def test_live_reaches_the_real_exchange_only_where_the_account_says_so(open_arena, before, after, says):
    arena = await open_arena("ETHUSDT")
    file = arena.files() / "account.yaml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    with pytest.raises(AssertionError, match="the worker ended") as ended:
        await arena.start()
    assert says in str(ended.value)
    assert "Traceback" not in str(ended.value)
    assert await arena.worker.ended() == 1
    assert arena.venue.asked == []


async def test_four_symbols_of_one_account_trade_side_by_side(open_arena):
    symbols = ("BTCUSDT", "ETHUSDT", "ETHUSDC", "SOLUSDT")
    arena = await open_arena(*symbols)
    for symbol in symbols:
        await arena.start(symbol)
    for symbol in symbols:
        await arena.quoting(symbol=symbol)
        await arena.fill(symbol)
    mark = arena.mark
    await arena.venue.fault("silence", symbol="ETHUSDT", route="public")
    await arena.quotes_out("ETHUSDT")
    for symbol in symbols:
        if symbol != "ETHUSDT":
            await arena.fill(symbol)  # or a calm market leaves the quotes as they are, for minutes
            await arena.quoting(since=mark, symbol=symbol)
    await arena.venue.heal()
    for symbol in symbols:
        await arena.quoting(symbol=symbol)
        await arena.agreed(symbol)
    await arena.ends_in_order()
