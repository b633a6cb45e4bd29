"""How long a stop takes over N makers: from the switch that is written to the last cancel that is sent, and to the last
order that the exchange has taken out.

    python benchmarks/stop_account.py [--makers 20] [--stops 5]

The exchange runs in this process, which stops the account as `phoenix stop` does and hears each cancel; the makers are
real workers below `phoenix up`, one process each, with a Redis of their own. Every stop is resumed by its epoch. When a
cancel was sent is what its signature says (ms); what this one Python process then needs to take all orders out and to
tell each of N user streams of each is the simulator's time, not the makers'.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.runfile import RunFile, read_run_file
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import Account, account_tools
from phoenix_simulator.api.gateway import Answer, Arrival, Operation
from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.exchange.events import ExchangeEvent, OrderUpdated
from phoenix_simulator.exchange.orders import ExecutionType
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.scenario import Scenario, VenueChoices
from phoenix_simulator.server import Server, ServerConfig, run_server

MAKERS, STOPS = 20, 5
_ROOMY = 10_000_000
"""Requests and orders a minute: what is measured is the stop, not how many makers fit behind one address."""
_BEGINS_S = 120.0
_EMPTIES_S = 30.0
_BETWEEN_S = 3.0
_API_VERSION = "phoenix.trading/v1alpha1"


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds from the moment before the switch was written."""

    sent_ms: float
    empty_ms: float


async def measure(makers: int = MAKERS, stops: int = STOPS) -> list[Took]:
    symbols = _symbols(makers)
    limits = LimitSettings(_ROOMY, _ROOMY, _ROOMY, ban_after=_ROOMY)
    config = ServerConfig(symbols=symbols, scenario=Scenario(venue=VenueChoices(limits=limits)))
    with tempfile.TemporaryDirectory(prefix="px-stop-") as place:
        async with run_server(config) as (url, server):
            (Path(place) / "makers.yaml").write_text(yaml.safe_dump_all(_manifests(symbols, url)), encoding="utf-8")
            async with _running(Path(place)) as run_file:
                return await _stop_again_and_again(server, run_file, makers, stops)


async def _stop_again_and_again(server: Server, run_file: Path, makers: int, stops: int) -> list[Took]:
    cancels = Cancels(server)
    took = []
    async with account_tools((await _begun(run_file)).redis) as tools:
        await _all_quote(server, makers, _BEGINS_S)
        account = await tools.open("bench")
        for _ in range(stops):
            await asyncio.sleep(_BETWEEN_S)
            await _all_quote(server, makers, _BEGINS_S)
            took.append(await _stop(server, account, cancels))
    return took


class Cancels:
    """What the exchange hears of cancels: when they were signed, and when the orders were out (wall time, ms)."""

    def __init__(self, server: Server) -> None:
        self.sent_ms: list[float] = []
        self.out_ms: list[float] = []
        self._perform = server.gateway.perform
        server.gateway.perform = self._heard  # type: ignore[method-assign] # the one door of both transports
        server.exchange.listeners.append(self._saw)

    async def _heard(self, operation: Operation, arrival: Arrival) -> Answer:
        if "cancel" in operation.name:
            self.sent_ms.append(float(arrival.params.peek("timestamp")))
        return await self._perform(operation, arrival)

    def _saw(self, event: ExchangeEvent) -> None:
        if isinstance(event, OrderUpdated) and event.execution is ExecutionType.CANCELED:
            self.out_ms.append(time.time_ns() / 1e6)


async def _stop(server: Server, account: Account, cancels: Cancels) -> Took:
    cancels.sent_ms.clear()
    cancels.out_ms.clear()
    began_ms = time.time_ns() / 1e6
    switch = await account.stop(EmergencyLevel.HALT, "benchmark", "benchmark")
    deadline = time.monotonic() + _EMPTIES_S
    while _resting(server):
        if time.monotonic() > deadline:
            raise SystemExit(f"{_resting(server)} still rest {_EMPTIES_S:.0f} s after the stop")
        await asyncio.sleep(0.01)
    took = Took(max(cancels.sent_ms) - began_ms, max(cancels.out_ms) - began_ms)
    await account.resume(switch.epoch, "benchmark")
    return took


def _resting(server: Server) -> set[str]:
    """Symbols of which an order rests."""
    exchange = server.exchange
    return {order.symbol for account in exchange.accounts for order in exchange.open_orders(account)}


async def _all_quote(server: Server, makers: int, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while len(_resting(server)) < makers:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {len(_resting(server))} of {makers} makers quote after {within_s:.0f} s")
        await asyncio.sleep(0.05)


async def _begun(run_file: Path) -> RunFile:
    deadline = time.monotonic() + _BEGINS_S
    while (found := read_run_file(run_file)) is None:
        if time.monotonic() > deadline:
            raise SystemExit("`phoenix up` has not begun")
        await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def _running(place: Path) -> AsyncIterator[Path]:
    """`phoenix up` on these manifests; ended in order after the block."""
    directory = StateDirectory(place / "s")
    command = (sys.executable, "-m", "phoenix_cli", "up", "--plain")
    arguments = ("-f", str(place / "makers.yaml"), "--state-dir", str(directory.root))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (place / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, *arguments, stdout=log, stderr=log, env=env)
        try:
            yield directory.run_file
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            if await process.wait():
                sys.stderr.write("\n".join((place / "up.log").read_text(encoding="utf-8").splitlines()[-5:]) + "\n")


def _symbols(makers: int) -> tuple[str, ...]:
    """Contracts like ETHUSDT, so that one maker's parameters suit all."""
    symbols = tuple(f"BENCH{number:02d}USDT" for number in range(makers))
    for symbol in symbols:
        spec = msgspec.structs.replace(BUILT_IN["ETHUSDT"], symbol=symbol, base_asset=symbol.removesuffix("USDT"))
        BUILT_IN[symbol] = spec
    return symbols


def _manifests(symbols: Sequence[str], url: str) -> list[dict[str, object]]:
    limits = {
        "netNotional": 10_000_000,
        "grossNotional": 10_000_000,
        "dailyLoss": 100_000,
        "makerNetMax": dict.fromkeys(symbols, "100"),
    }
    settings = {"leverage": 10, "marginType": "Cross", "apply": True}
    account = {"environment": "Simulator", "endpoints": {"baseUrl": url}, "limits": limits, "settings": settings}
    documents: list[dict[str, object]] = [_document("TradingAccount", "bench", account)]
    for symbol in symbols:
        sizes = {"netMax": "10", "baseSize": "1", "risk": {"capital": 10_000}}
        spec = {"symbol": symbol, "accountRef": "bench", "mode": "Live", **sizes}
        documents.append(_document("MarketMaker", symbol.lower(), spec))
    return documents


def _document(kind: str, name: str, spec: dict[str, object]) -> dict[str, object]:
    return {"apiVersion": _API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--makers", type=int, default=MAKERS, help="default %(default)s")
    parser.add_argument("--stops", type=int, default=STOPS, help="default %(default)s")
    options = parser.parse_args(argv)
    took = asyncio.run(measure(options.makers, options.stops))
    for what, all_ms in (("sent", [each.sent_ms for each in took]), ("executed", [each.empty_ms for each in took])):
        told = ", ".join(f"{ms:.0f}" for ms in all_ms)
        print(f"{options.makers} makers, last cancel {what}: {told} ms; median {statistics.median(all_ms):.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
