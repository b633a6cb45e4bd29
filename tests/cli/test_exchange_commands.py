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
import pytest
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
    def run(self, title: str = "demo"):
        """A run of that kind that is going on."""
        with self.directory.locked():
            view = RunView(title=title, elapsed_s=1)
            write_run_file(self.directory, RunFile(os.getpid(), view, "unix:///nowhere", {}, (self.files,)))
            yield

    async def place(self, **fields: str) -> None:
        query = urlencode({**fields, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(self.key.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        headers = {"X-MBX-APIKEY": self.key.api_key}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/fapi/v1/order?{query}&signature={signature}", headers=headers) as response,
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
