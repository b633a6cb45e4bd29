"""`phoenix orders` and `phoenix positions`: signed reads of a simulated exchange, with the key of a run."""

import asyncio
import hashlib
import hmac
import json
import os
import re
import time
from contextlib import contextmanager
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest
from phoenix_cli import aftermath
from phoenix_cli.__main__ import main
from phoenix_cli.demo import find_configs
from phoenix_cli.local.exchange import EXCHANGE, Control, start_exchange
from phoenix_cli.local.fleet import at_endpoint, load_fleet
from phoenix_cli.local.layout import StateDirectory, write_key
from phoenix_cli.local.parameters import Parameters
from phoenix_cli.local.process import Guardian, Process
from phoenix_cli.local.runfile import AccountFiles, RunFile, write_run_file
from phoenix_cli.local.view import RunView
from phoenix_coordination import order_id
from phoenix_coordination.redis.keys import AccountKeys, identity_of

OURS = order_id.format("abcdef", 17, "q", 3)


class Exchange:
    """A simulated exchange with an account, and a run whose makers trade there."""

    def __init__(self, process: Process, directory: StateDirectory, url: str, key) -> None:
        self.process = process
        configs = find_configs()
        assignment = load_fleet([configs / "accounts", configs / "makers" / "btcusdt.yaml"])[0]
        self.directory = directory
        self.url = url
        self.key = key
        self.credentials = directory.credentials("default")
        write_key(self.credentials, key.api_key, key.api_secret)
        place = Parameters(directory).put(assignment.maker, at_endpoint(assignment.account, url))
        self.files = AccountFiles("default", str(place), str(self.credentials))

    @contextmanager
    def run(self, title: str = "demo", redis: str = "unix:///nowhere", **known: str):
        """A run of that kind that is going on; `known` is what its workers have told of the account."""
        with self.directory.locked():
            view, files = RunView(title=title, elapsed_s=1), msgspec.structs.replace(self.files, **known)
            write_run_file(self.directory, RunFile(os.getpid(), view, redis, {}, (files,)))
            yield

    async def place(self, path: str = "order", **fields: str) -> None:
        await self._send("POST", path, **fields)

    async def cancel(self, **fields: str) -> None:
        await self._send("DELETE", "order", **fields)

    async def fault(self, **fault: object) -> None:
        async with aiohttp.ClientSession() as http, http.post(f"{self.url}/sim/fault", json=fault) as response:
            assert response.status == 200, await response.text()

    async def _send(self, method: str, path: str, **fields: str) -> None:
        """Signed by the account itself, as a maker of it would."""
        query = urlencode({**fields, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(self.key.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        headers = {"X-MBX-APIKEY": self.key.api_key}
        async with (
            aiohttp.ClientSession() as http,
            http.request(
                method, f"{self.url}/fapi/v1/{path}?{query}&signature={signature}", headers=headers
            ) as response,
        ):
            assert response.status == 200, await response.text()


@pytest.fixture
async def exchange(tmp_path):
    directory = StateDirectory(tmp_path / "s")
    async with Guardian() as guardian, aiohttp.ClientSession() as http:
        process, url = await start_exchange(EXCHANGE, ["--symbols", "BTCUSDT"], directory, guardian, {})
        try:
            yield Exchange(process, directory, url, await Control(url, http).make_account("a", {"USDT": "100000"}))
        finally:
            await process.stop(10)


@pytest.fixture
def phoenix(exchange, capsys):
    """Types a command about the run: (status, standard output, standard error)."""

    async def typed(*arguments: str) -> tuple[int, str, str]:
        # A thread of its own, as commands run a loop of their own.
        status = await asyncio.to_thread(main, [*arguments, "--state-dir", str(exchange.directory.root)])
        return status, *capsys.readouterr()

    return typed


RESTS = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}


async def test_open_orders_are_those_of_the_exchange_and_ours_are_known_by_their_mark(exchange, phoenix):
    await exchange.place(**RESTS, price="50000", newClientOrderId=OURS)
    await exchange.place(**RESTS, price="50100", newClientOrderId="somebody-else")
    with exchange.run():
        status, out, _ = await phoenix("orders")
        told = json.loads((await phoenix("orders", "default", "-o", "json"))[1])
    assert status == 0
    header, foreign, ours = out.splitlines()
    assert header.split() == ["ACCOUNT", "SYMBOL", "SIDE", "PRICE", "QUANTITY", "FILLED", "AGE", "CLIENT", "ID"]
    assert foreign.endswith("not ours"), "the best price comes first"
    assert ours.split()[:4] == ["default", "BTCUSDT", "BUY", "50000.00"]
    assert ours.endswith(OURS)
    assert [(order["token"], order["price"], order["quantity"]) for order in told] == [
        (None, 50100, 0.01),
        (17, 50000, 0.01),
    ]
    assert all(0 <= order["age_s"] < 60 for order in told)


async def test_the_orders_of_another_installation_are_not_ours(exchange, phoenix):
    await exchange.place(**RESTS, price="50000", newClientOrderId=OURS)
    for installation, token in (("abcdef", 17), ("another", None)):
        with exchange.run(installation=installation):
            (told,) = json.loads((await phoenix("orders", "-o", "json"))[1])
        assert told["token"] == token


async def test_a_stop_that_somebody_has_set_by_hand_is_shown_among_the_orders(exchange, phoenix):
    stop = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": "40000", "quantity": "0.010"}
    await exchange.place("algoOrder", symbol="BTCUSDT", side="SELL", **stop)
    with exchange.run():
        status, out, _ = await phoenix("orders")
        (told,) = json.loads((await phoenix("orders", "-o", "json"))[1])
    assert status == 0
    assert out.splitlines()[1].endswith("stop-market at 40000.00 not ours")
    assert (told["kind"], told["trigger"], told["token"]) == ("STOP_MARKET", 40000, None)


@pytest.mark.parametrize("rests", [True, False], ids=["an order rests", "nothing rests"])
async def test_conditional_orders_that_cannot_be_read_hide_no_order_and_are_said_in_one_line(exchange, phoenix, rests):
    if rests:
        await exchange.place(**RESTS, price="50000", newClientOrderId=OURS)
    await exchange.fault(kind="unavailable", outcome="internal", endpoint="openAlgoOrders")
    with exchange.run():
        status, out, err = await phoenix("orders")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith(
        "phoenix orders: account default: not all conditional orders could be read: /fapi/v1/openAlgo"
    )
    assert [line.split()[-1] for line in out.splitlines()[1:]] == ([OURS] if rests else [])
    assert "no open orders" not in out


async def test_positions_are_those_of_the_exchange(exchange, phoenix):
    with exchange.run():
        assert (await phoenix("positions"))[:2] == (0, "no positions\n")
        assert (await phoenix("orders"))[:2] == (0, "no open orders\n")
        await exchange.place(symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.010")
        status, out, _ = await phoenix("positions")
        (told,) = json.loads((await phoenix("positions", "-o", "json"))[1])
    assert status == 0
    assert out.splitlines()[1].split()[:3] == ["default", "BTCUSDT", "-0.010"]
    assert (told["symbol"], told["quantity"], told["margin_asset"]) == ("BTCUSDT", -0.01, "USDT")
    assert told["entry_price"] > 0
    assert told["liquidation_price"] > told["entry_price"], "a short one is liquidated above"


async def test_the_accounts_of_an_up_that_has_ended_can_still_be_asked_those_of_a_demo_cannot(exchange, phoenix):
    with exchange.run("up"):
        pass
    assert (await phoenix("orders"))[0] == 0
    with exchange.run("demo"):
        pass
    status, _, err = await phoenix("orders")
    assert (status, "no run is going on" in err) == (1, True)


async def test_an_exchange_that_does_not_answer_is_said_in_one_line(exchange, phoenix):
    await exchange.process.stop(10)
    with exchange.run():
        status, out, err = await phoenix("orders")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "account default: the exchange's clock: " in err


async def test_another_account_is_refused_with_those_that_there_are(exchange, phoenix):
    with exchange.run():
        status, _, err = await phoenix("orders", "other")
    assert (status, err) == (1, "phoenix orders: account other is not of this run; there are: default\n")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        pytest.param("apiSecret", "not-the-secret", "account default: .*-1022", id="wrong-secret"),
        pytest.param("apiSecret", "", "account default: .*apiSecret .*missing or empty", id="no-secret"),
    ],
)
async def test_a_key_that_does_not_open_the_account_is_said_in_one_line(exchange, phoenix, file, text, said):
    (exchange.credentials / file).write_text(text)
    with exchange.run():
        status, out, err = await phoenix("positions")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert re.search(said, err), err
    assert exchange.key.api_secret not in err


# -- what a stop leaves --------------------------------------------------------------------------------


KEYS = AccountKeys("binance-usdm:simulator:abc")
MARKET = {"symbol": "BTCUSDT", "type": "MARKET", "quantity": "0.010"}


@pytest.fixture
def led(shared_redis):
    """A maker of ours has led BTCUSDT."""
    shared_redis.set(identity_of("local/default"), KEYS.account)
    lease = {"holder": "pod/1", "token": 5, "beat": 0, "released": ""}
    shared_redis.hset(KEYS.lease("BTCUSDT"), mapping=lease)
    return shared_redis


@pytest.fixture
def stopping(exchange, phoenix, redis_url):
    """Types a stop of the run's account: (status, the answer)."""

    async def typed(*arguments: str) -> tuple[int, dict]:
        with exchange.run(redis=redis_url, identity=KEYS.account):
            status, out, _ = await phoenix("stop", "default", "--reason", "x", *arguments, "-o", "json")
        return status, json.loads(out)

    return typed


async def test_a_stop_that_flattens_ends_when_the_exchange_has_nothing_left(led, exchange, stopping):
    await exchange.place(**MARKET, side="SELL")
    stop = asyncio.create_task(stopping("--flatten"))
    async with asyncio.timeout(20):
        while not led.hget(KEYS.emergency, "level"):  # noqa: ASYNC110 - another thread writes it
            await asyncio.sleep(0.02)
    assert not stop.done(), "it is still open"
    await exchange.place(**MARKET, side="BUY", reduceOnly="true")
    status, told = await stop
    assert (status, told["asked"], told["left"], told["open"], told["apart"]) == (0, "exchange", 0, [], [])
    assert told["open_ms"] >= told["looked_ms"] >= 0


@pytest.mark.usefixtures("led")
async def test_a_position_that_stays_open_is_named_and_makes_the_stop_fail(exchange, stopping, monkeypatch):
    monkeypatch.setattr(aftermath, "_CLOSE_WITHIN_S", 0.5)
    await exchange.place(**MARKET, side="SELL")
    await exchange.place(**RESTS, price="50000", newClientOrderId=OURS, reduceOnly="true")
    status, told = await stopping("--flatten")
    assert (status, told["left"]) == (1, 0), "what closes may rest"
    assert told["open"] == [{"symbol": "BTCUSDT", "quantity": -0.01}]


@pytest.mark.usefixtures("led")
async def test_what_rests_longer_than_the_first_looks_is_looked_at_until_the_stop_has_closed_all(
    exchange, stopping, monkeypatch
):
    monkeypatch.setattr(aftermath, "_LOOKS_S", (0.0, 0.05))
    await exchange.place(**RESTS, price="50000", newClientOrderId=OURS)
    await exchange.place(**MARKET, side="SELL")
    looks = []
    resting_there = aftermath._resting_there

    async def looked(reader, *, closing):
        looks.append(await resting_there(reader, closing=closing))
        if len(looks) == 4:
            await exchange.cancel(symbol="BTCUSDT", origClientOrderId=OURS)
            await exchange.place(**MARKET, side="BUY", reduceOnly="true")
        return looks[-1]

    monkeypatch.setattr(aftermath, "_resting_there", looked)
    status, told = await stopping("--flatten")
    assert (status, told["left"], told["open"]) == (0, 0, [])
    assert looks == [1, 1, 1, 1, 0]


async def test_a_position_that_none_of_ours_ever_led_is_a_persons_and_only_told(led, exchange, stopping):
    led.delete(KEYS.lease("BTCUSDT"))
    await exchange.place(**MARKET, side="SELL")
    status, told = await stopping("--flatten")
    assert (status, told["open"], told["apart"]) == (0, [], [{"symbol": "BTCUSDT", "quantity": -0.01}])


@pytest.mark.usefixtures("led")
async def test_an_order_of_ours_that_rests_makes_a_stop_fail(exchange, stopping, monkeypatch):
    monkeypatch.setattr(aftermath, "_LOOKS_S", (0.0, 0.1))
    await exchange.place(**RESTS, price="50000", newClientOrderId=OURS)
    status, told = await stopping()
    assert (status, told["asked"], told["left"], told["open"]) == (1, "exchange", 1, None)


@pytest.mark.usefixtures("led")
async def test_the_key_of_a_run_says_nothing_about_what_only_has_the_name_of_its_account(exchange, phoenix, redis_url):
    """Its own workers have not been admitted: the name is that of whoever trades, and so is what may rest."""
    with exchange.run(redis=redis_url):
        _, out, _ = await phoenix("stop", "default", "--reason", "x", "-o", "json")
    assert json.loads(out)["asked"] == "makers"
