"""Twenty makers, as real as they get: a simulated exchange in this process, and `phoenix up` with a worker for each."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import yaml
from phoenix_cli.local.layout import StateDirectory
from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.scenario import Scenario, VenueChoices
from phoenix_simulator.server import Server, ServerConfig, run_server, spare_the_collector

_ROOMY = 10_000_000
"""Requests and orders a minute: what is measured is the work, not how many makers fit behind one address."""
_API_VERSION = "phoenix.trading/v1alpha1"


@asynccontextmanager
async def many_makers(makers: int) -> AsyncIterator[tuple[Server, Path]]:
    """So many markets with a maker each: the exchange, and the run file of `phoenix up`."""
    symbols = _symbols(makers)
    limits = LimitSettings(_ROOMY, _ROOMY, _ROOMY, ban_after=_ROOMY)
    config = ServerConfig(symbols=symbols, scenario=Scenario(venue=VenueChoices(limits=limits)))
    with tempfile.TemporaryDirectory(prefix="px-makers-") as place:
        async with run_server(config) as (url, server):
            spare_the_collector()
            (Path(place) / "makers.yaml").write_text(yaml.safe_dump_all(_manifests(symbols, url)), encoding="utf-8")
            async with _running(Path(place)) as run_file:
                yield server, run_file


def resting(server: Server) -> set[str]:
    """Symbols of which an order rests."""
    exchange = server.exchange
    return {order.symbol for account in exchange.accounts for order in exchange.open_orders(account)}


async def all_quote(server: Server, makers: int, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while len(resting(server)) < makers:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {len(resting(server))} of {makers} makers quote after {within_s:.0f} s")
        await asyncio.sleep(0.05)


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
