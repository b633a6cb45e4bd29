"""Four makers of one account in `phoenix demo`, and a person at another terminal: each part is a process of its own."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from phoenix_cli.local.exchange import Control
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.runfile import RunFile, read_run_file
from phoenix_coordination.redis.client import connect

FOUR = ("BTCUSDT", "ETHUSDT", "ETHUSDC", "SOLUSDT")
WITHIN_S = 60.0
SETTLES_S = 2.5
"""Longer than a worker needs to quote again, were it to."""


@dataclass(slots=True)
class Terminal:
    """A person beside a run: types commands, and looks at the exchange's own books."""

    directory: StateDirectory
    http: aiohttp.ClientSession

    @property
    def run(self) -> RunFile | None:
        return read_run_file(self.directory.run_file)

    async def start(self, *arguments: str) -> Process:
        command = (sys.executable, "-m", "phoenix_cli", *arguments, "--state-dir", str(self.directory.root))
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=env)

    async def phoenix(self, *arguments: str) -> tuple[int | None, str, str]:
        """(exit status, standard output, standard error) of a command about this run."""
        process = await self.start(*arguments)
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def json(self, *arguments: str):
        status, out, err = await self.phoenix(*arguments, "-o", "json")
        assert (status, err) == (0, "")
        return json.loads(out)

    async def books(self) -> dict[str, object]:
        """What the exchange's own books say, by symbol."""
        assert self.run is not None
        key = (Path(self.run.accounts[0].credentials) / "apiKey").read_text()
        return await Control(f"http://{self.run.view.exchange}", self.http).books(key)

    async def resting(self) -> set[str]:
        """The symbols of which an order rests at the exchange."""
        return {symbol for symbol, book in (await self.books()).items() if book.open_orders}

    async def until(self, holds: Callable[[RunFile], bool], what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while self.run is None or not holds(self.run):
            assert time.monotonic() < deadline, f"not within {WITHIN_S} s: {what}: {self.run}"
            await asyncio.sleep(0.1)

    async def all_quote(self) -> None:
        await self.until(lambda run: [maker.health for maker in run.view.makers] == ["Quoting"] * 4, "all four quote")
        deadline = time.monotonic() + WITHIN_S
        while await self.resting() != set(FOUR):
            assert time.monotonic() < deadline, await self.resting()
            await asyncio.sleep(0.05)

    async def emptied_ms(self) -> float:
        """The wall time in ms at which nothing of ours rested at the exchange any more."""
        deadline = time.monotonic() + WITHIN_S
        while await self.resting():
            assert time.monotonic() < deadline, await self.resting()
        return time.time_ns() / 1e6

    async def stays_stopped(self, epoch: int) -> None:
        """The workers say so, and for a while the exchange accepts nothing that rests."""
        level = {"Halt"}
        await self.until(
            lambda run: (
                {account.level for account in run.view.accounts} == level
                and all(maker.health.startswith("Emergency") for maker in run.view.makers)
            ),
            "everybody is stopped",
        )
        until = time.monotonic() + SETTLES_S
        while time.monotonic() < until:
            assert await self.resting() == set()
            await asyncio.sleep(0.02)
        assert self.run is not None
        assert [account.epoch for account in self.run.view.accounts] == [epoch]


@pytest.fixture
def demo(tmp_path):
    """A demo with four makers, who quote; after the body it ends in order, with a report that is a good one."""

    @asynccontextmanager
    async def going_on():
        report = tmp_path / "report.json"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
            terminal = Terminal(StateDirectory(tmp_path / "s"), http)
            process = await terminal.start("demo", "--symbols", ",".join(FOUR), "--plain", "--report", str(report))
            heard = asyncio.create_task(process.communicate())
            try:
                await terminal.all_quote()
                yield terminal, report
            finally:
                process.send_signal(signal.SIGINT)
                out, err = await asyncio.wait_for(heard, WITHIN_S)
            assert (process.returncode, err.decode()) == (0, ""), out.decode()[-4000:]

    return going_on


async def test_nothing_but_resume_with_the_epoch_starts_a_stopped_account_again(demo, figure):
    async with demo() as (terminal, report):
        assert terminal.run is not None
        redis = connect(terminal.run.redis, 5.0)

        # What the four share is on the screen, and what a person asks of the exchange is what its books say.
        (account,) = terminal.run.view.accounts
        assert (account.level, account.trouble) == ("None", "")
        assert set(account.symbols) == set(FOUR)
        assert account.exposure is not None
        assert 0 < account.exposure.gross <= account.gross_limit
        assert {order["symbol"] for order in await terminal.json("orders")} == set(FOUR)
        assert all(order["token"] for order in await terminal.json("orders", "default"))

        emptied = asyncio.create_task(terminal.emptied_ms())
        stopped = await terminal.json("stop", "default", "--reason", "spreads look wrong")
        assert (stopped["level"], stopped["epoch"], stopped["left"]) == ("Halt", 1, 0)
        (status,) = await terminal.json("status")
        at_ms = int(await redis.execute_command("HGET", f"mm:{{{status['identity']}}}:emergency", "at_ms"))
        figure(
            f"phoenix stop: the exchange's book was empty {await emptied - at_ms:.0f} ms after the switch was written"
        )
        await terminal.stays_stopped(1)
        held = {row["symbol"]: str(row["quantity"]) for row in await terminal.json("positions")}
        books = {symbol: book.position for symbol, book in (await terminal.books()).items() if book.position}
        assert {symbol: float(quantity) for symbol, quantity in held.items()} == {
            symbol: float(position) for symbol, position in books.items()
        }

        # Neither a new worker …
        (maker,) = [maker for maker in terminal.run.view.makers if maker.symbol == "BTCUSDT"]
        os.kill(maker.pid, signal.SIGKILL)
        await terminal.until(lambda run: any(each.restarts == 1 for each in run.view.makers), "another worker")
        await terminal.stays_stopped(1)
        # … nor a Redis that has forgotten everything …
        await redis.execute_command("FLUSHALL")
        await terminal.stays_stopped(1)
        # … nor one that was started anew …
        server = int((await redis.execute_command("INFO", "server"))["process_id"])
        os.kill(server, signal.SIGKILL)
        await terminal.until(lambda run: any("redis-server answers again" in each.text for each in run.view.events), "")
        await terminal.stays_stopped(1)
        # … nor another epoch.
        status, _, err = await terminal.phoenix("resume", "default", "--epoch", "2")
        assert (status, "stopped under epoch 1, not 2" in err) == (1, True)
        await terminal.stays_stopped(1)
        _, out, _ = await terminal.phoenix("status", "solusdt")
        assert "does not quote: Emergency: spreads look wrong" in out
        assert "phoenix resume default --epoch 1" in out

        assert (await terminal.json("resume", "default", "--epoch", "1"))["epoch"] == 2
        await terminal.all_quote()
        await redis.aclose()
    told = json.loads(report.read_text())
    assert told["agreement"]
    assert set(told["exchange"]["audit"].values()) == {0}
    assert (told["account"]["emergency"]["level"], told["account"]["emergency"]["epoch"]) == ("None", 2)
    assert 0 < told["account"]["gross"] <= told["account"]["limits"]["gross"]
    assert told["symbols"]["BTCUSDT"]["restarts"] == 1
