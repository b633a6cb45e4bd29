import json
from typing import Any

import pytest
from phoenix_worker.core.events import FundingPaid, OrderReport, PositionReport, Stream, StreamClosed, StreamOpened
from phoenix_worker.venue.binance import user_stream
from phoenix_worker.venue.binance.kept import KeptConnection

PRIVATE = "/private/ws"


def opened(running) -> int:
    return len([e for e in running.of(StreamOpened) if e.stream is Stream.USER])


def closed(running) -> list[str]:
    return [e.reason for e in running.of(StreamClosed) if e.stream is Stream.USER]


@pytest.fixture
def order(frames) -> Any:
    return frames("orders")[1]["frame"]


async def test_the_listen_key_goes_into_the_query_and_is_asked_for_without_a_signature(run_venue, exchange):
    await run_venue()
    assert (await exchange.socket(PRIVATE)).query == "listenKey=" + "k" * 64
    assert [r.signed for r in exchange.asked("POST", "/fapi/v1/listenKey")] == [False]


async def test_our_orders_position_and_funding_are_told(run_venue, exchange, frames, order):
    running = await run_venue()
    account = {row["name"]: row["frame"] for row in frames("account")}
    socket = await exchange.socket(PRIVATE)
    await socket.send(order, account["fill"], account["funding, cross, named"], {"e": "TRADE_LITE", "E": 1})
    await running.until(lambda: running.of(FundingPaid))
    assert [e.order.client_id for e in running.of(OrderReport)] == ["pxtest00-00000001-q1"]
    assert [e.position_steps for e in running.of(PositionReport)] == [10]
    await running.until(lambda: running.venue.statistics().ignored_events == {"TRADE_LITE": 1})


async def test_orders_of_another_symbol_are_not_ours(run_venue, exchange, order):
    running = await run_venue()
    socket = await exchange.socket(PRIVATE)
    await socket.send({**order, "o": {**order["o"], "s": "BTCUSDC", "p": "0.12345"}}, order)
    await running.until(lambda: running.of(OrderReport))
    assert len(running.of(OrderReport)) == 1
    assert running.venue.statistics().decode_errors == 0


@pytest.mark.parametrize(
    "frame",
    [
        '{"e":"ORDER_TRADE_UPDATE","E":1}',
        "garbage",
        '{"e":"ACCOUNT_UPDATE","E":1,"T":1,"a":{"m":"ORDER","P":[{"s":"ETHUSDC","pa":"0.0001","ep":"1"}]}}',
    ],
    ids=["order without order", "no JSON", "position off the step"],
)
async def test_an_event_that_cannot_be_read_ends_the_connection_so_that_the_truth_is_read_anew(
    run_venue, exchange, frame
):
    running = await run_venue(rate=10)
    await (await exchange.socket(PRIVATE)).send(frame)
    await running.until(lambda: opened(running) == 2)
    assert closed(running) == ["an event could not be read"]
    assert running.venue.statistics().decode_errors == 1


async def test_orders_of_an_odd_symbol_are_nobody_elses_trouble(run_venue, exchange, order):
    """Another symbol's grid, states and sides are not looked at, whatever they are."""
    running = await run_venue()
    odd = {
        "s": "1000SATSUSDC",
        "p": "0.00000012345678901",
        "q": "1e3",
        "X": "NEW_KIND",
        "x": "??",
        "ps": "LONG",
        "S": "?",
    }
    await (await exchange.socket(PRIVATE)).send({**order, "o": {**order["o"], **odd}}, order)
    await running.until(lambda: running.of(OrderReport))
    assert len(running.of(OrderReport)) == 1
    assert running.venue.statistics().decode_errors == 0
    assert opened(running) == 1


async def test_of_an_account_update_with_several_positions_only_ours_is_told(run_venue, exchange):
    running = await run_venue()
    rows = [
        {"s": "BTCUSDT", "pa": "-0.0000001", "ep": "60000.123456789", "ps": "SHORT"},
        {"s": "ETHUSDC", "pa": "0.025", "ep": "2500.5", "ps": "BOTH"},
        {"s": "SOLUSDC", "pa": "7", "ep": "150", "ps": "BOTH"},
    ]
    update = {"e": "ACCOUNT_UPDATE", "E": 5, "T": 4, "a": {"m": "ORDER", "B": [], "P": rows}}
    others = {"e": "ACCOUNT_UPDATE", "E": 6, "T": 5, "a": {"m": "ORDER", "B": [], "P": rows[:1]}}
    await (await exchange.socket(PRIVATE)).send(others, update)
    await running.until(lambda: running.of(PositionReport))
    assert [(e.position_steps, e.entry_price, e.event_ms) for e in running.of(PositionReport)] == [(25, 2500.5, 5)]
    assert running.venue.statistics().decode_errors == 0


async def test_funding_of_another_symbol_is_not_booked(run_venue, exchange):
    running = await run_venue()
    paid = [{"a": "USDC", "wb": "1", "cw": "1", "bc": "-3.5"}]
    for account in (
        {"m": "FUNDING_FEE", "B": paid, "P": [], "S": "SOLUSDC"},
        {"m": "FUNDING_FEE", "B": paid, "P": [{"s": "SOLUSDC", "pa": "7", "ep": "150", "ps": "BOTH"}]},
        {"m": "FUNDING_FEE", "B": paid, "P": [], "S": "ETHUSDC"},
    ):
        await (await exchange.socket(PRIVATE)).send({"e": "ACCOUNT_UPDATE", "E": 5, "T": 4, "a": account})
    await running.until(lambda: running.of(FundingPaid))
    assert len(running.of(FundingPaid)) == 1


async def test_an_expired_listen_key_is_replaced_after_a_pause_that_is_each_workers_own(
    run_venue, exchange, monkeypatch
):
    pauses = []

    def reopen(kept: KeptConnection, reason: str, delay_s: float) -> None:
        pauses.append(delay_s)
        really(kept, reason, 0.0)

    really = KeptConnection.reopen
    monkeypatch.setattr(KeptConnection, "reopen", reopen)
    workers = [await run_venue() for _ in range(4)]
    exchange.answers["POST", "/fapi/v1/listenKey"] = lambda *_: {"listenKey": "n" * 64}
    asked = len(exchange.asked("POST", "/fapi/v1/listenKey"))
    for socket in exchange.open_sockets(PRIVATE):
        await socket.send({"e": "listenKeyExpired", "E": 1, "listenKey": "k" * 64})
    for running in workers:
        await running.until(lambda running=running: opened(running) == 2)
    assert len(set(pauses)) == len(workers)
    assert all(0 <= pause <= user_stream.COME_BACK_WITHIN_S for pause in pauses)
    assert len(exchange.asked("POST", "/fapi/v1/listenKey")) == asked + len(workers)


async def test_an_expired_listen_key_is_replaced(run_venue, exchange):
    running = await run_venue(rate=4)
    exchange.answers["POST", "/fapi/v1/listenKey"] = lambda *_: {"listenKey": "n" * 64}
    await (await exchange.socket(PRIVATE)).send({"e": "listenKeyExpired", "E": 1, "listenKey": "k" * 64})
    await running.until(lambda: opened(running) == 2)
    assert closed(running) == ["the listen key expired"]
    assert (await exchange.socket(PRIVATE, count=2)).query == "listenKey=" + "n" * 64


async def test_a_listen_key_that_is_gone_when_it_is_extended_is_replaced(run_venue, exchange, refusal, monkeypatch):
    monkeypatch.setattr(user_stream, "EXTEND_EVERY_S", 0.05)
    monkeypatch.setattr(user_stream, "EXTEND_JITTER_S", 0.01)
    exchange.answers["PUT", "/fapi/v1/listenKey"] = lambda *_: refusal(400, -1125, "This listenKey does not exist.")
    running = await run_venue()
    await running.until(lambda: opened(running) >= 2)
    assert set(closed(running)) == {"the listen key is gone"}


async def test_the_key_is_extended_and_never_deleted(run_venue, exchange, monkeypatch):
    monkeypatch.setattr(user_stream, "EXTEND_EVERY_S", 0.05)
    monkeypatch.setattr(user_stream, "EXTEND_JITTER_S", 0.01)
    running = await run_venue()
    await exchange.until(lambda: len(exchange.asked("PUT", "/fapi/v1/listenKey")) >= 3)
    assert opened(running) == 1
    await running.venue.close()
    assert not exchange.asked("DELETE", "/fapi/v1/listenKey")


async def test_no_listen_key_is_no_connection_until_there_is_one(run_venue, exchange, refusal):
    answers = iter([refusal(503, 0, "Service Unavailable."), refusal(500, -1000, "?"), {"nothing": 1}])
    exchange.answers["POST", "/fapi/v1/listenKey"] = lambda *_: next(answers, {"listenKey": "k" * 64})
    running = await run_venue(rate=20)
    assert opened(running) == 1
    assert len(exchange.asked("POST", "/fapi/v1/listenKey")) == 4


async def test_the_successor_tells_what_the_old_one_has_not_and_nothing_twice(run_venue, exchange, order):
    running = await run_venue(rate=4)
    first = await exchange.socket(PRIVATE)
    running.venue._parts.user.kept.succeed()
    second = await exchange.socket(PRIVATE, count=2)
    await running.until(lambda: running.venue._parts.user._seen is not None)
    both, late = order, {**order, "E": order["E"] + 1}
    await first.send(both)
    await second.send(json.dumps(both, separators=(",", ":")), late)
    await running.until(lambda: len(running.of(OrderReport)) == 2)
    assert [e.event_ms - order["E"] for e in running.of(OrderReport)] == [0, 1]
    assert not closed(running)
    await second.send({**order, "E": order["E"] + 2})
    await running.until(lambda: len(running.of(OrderReport)) == 3)
