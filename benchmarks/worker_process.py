"""A real `phoenix worker` against the simulated exchange: memory that it holds, and the share of a core that it takes.

The market is the recording, at its own rate, where it is there, else the seeded one. Both processes are looked at from
outside (`/proc`), once the worker quotes; the probes are asked twice a second meanwhile, as a local run does.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import local_redis
from capture import SYMBOL
from phoenix_cli.local.exchange import Control
from phoenix_cli.local.fleet import Assignment, at_endpoint, load_fleet, of_symbols
from phoenix_cli.local.layout import StateDirectory, write_key
from phoenix_cli.local.maker import free_port
from phoenix_cli.local.parameters import Parameters

ROOT = Path(__file__).resolve().parent.parent
PROBE_SECONDS = 0.5
READY_SECONDS = 60.0
SETTLE_SECONDS = 5.0
"""After the first quotes: what a start costs is not what a worker costs."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """`*_core`: CPU time per second of life, 1.0 is a whole core."""

    rss_mib: float
    worker_core: float
    exchange_core: float
    seconds: float
    market_events: int
    orders: int


async def measure(capture: Path | None, seconds: float) -> Usage:
    """Runs both for `seconds` after the worker has settled."""
    with tempfile.TemporaryDirectory(prefix="phoenix-bench-") as place:
        directory = StateDirectory(Path(place))
        [assignment] = of_symbols(load_fleet([ROOT / "configs/accounts", ROOT / "configs/makers"]), [SYMBOL])
        async with (
            _exchange(capture) as (exchange, url),
            aiohttp.ClientSession() as http,
            local_redis.shared(directory, assignment.account) as redis,
        ):
            argv, port = await _prepare(directory, assignment, url, redis, http)
            async with _process(argv) as worker:
                await _until_it_quotes(worker, http, port)
                await asyncio.sleep(SETTLE_SECONDS)
                return await _watch(worker.pid, exchange.pid, http, port, seconds)


async def _watch(worker: int, exchange: int, http: aiohttp.ClientSession, port: int, seconds: float) -> Usage:
    before, began = await _state(http, port), time.monotonic()
    worker_s, exchange_s = _cpu_seconds(worker), _cpu_seconds(exchange)
    while (elapsed := time.monotonic() - began) < seconds:
        await asyncio.sleep(min(PROBE_SECONDS, seconds - elapsed))
        after = await _state(http, port)
    worker_s, exchange_s = _cpu_seconds(worker) - worker_s, _cpu_seconds(exchange) - exchange_s
    was, now = before["activity"], after["activity"]
    return Usage(
        rss_mib=_rss_mib(worker),
        worker_core=worker_s / elapsed,
        exchange_core=exchange_s / elapsed,
        seconds=elapsed,
        market_events=now["marketEvents"] - was["marketEvents"],
        orders=now["ordersSent"] - was["ordersSent"],
    )


@asynccontextmanager
async def _exchange(capture: Path | None) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    market = ["--replay", str(capture)] if capture else ["--symbols", SYMBOL]
    async with _process([sys.executable, "-m", "phoenix_simulator", "--port", "0", *market]) as process:
        assert process.stdout is not None, "stdout is a pipe"
        yield process, json.loads(await process.stdout.readline())["url"]


async def _prepare(
    directory: StateDirectory, assignment: Assignment, url: str, redis: str, http: aiohttp.ClientSession
) -> tuple[list[str], int]:
    """An account at the exchange, the maker resolved for it, and the command line of its worker."""
    key = await Control(url, http).make_account("bench", {"USDT": "100000"})
    credentials = directory.credentials("bench")
    write_key(credentials, key.api_key, key.api_secret)
    resolved = Parameters(directory).put(assignment.maker, at_endpoint(assignment.account, url))
    port = free_port()
    options = {
        "--maker": resolved / "maker.yaml",
        "--account": resolved / "account.yaml",
        "--credentials": credentials,
        "--redis": redis,
        "--state-dir": directory.state,
        "--http": f"127.0.0.1:{port}",
    }
    return [sys.executable, "-m", "phoenix_worker", *(str(part) for pair in options.items() for part in pair)], port


async def _until_it_quotes(worker: asyncio.subprocess.Process, http: aiohttp.ClientSession, port: int) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and worker.returncode is None:
        try:
            if (await _state(http, port))["activity"]["ordersSent"]:
                return
        except aiohttp.ClientConnectionError:
            pass  # not listening yet
        await asyncio.sleep(0.1)
    raise SystemExit(f"the worker did not quote within {READY_SECONDS:.0f} s")


async def _state(http: aiohttp.ClientSession, port: int) -> Mapping[str, Any]:
    async with http.get(f"http://127.0.0.1:{port}/state") as answer:
        state: Mapping[str, Any] = await answer.json()
        return state


@asynccontextmanager
async def _process(argv: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, limit=1 << 20, start_new_session=True
    )
    assert process.stdout is not None, "stdout is a pipe"
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
