"""A real API server with many makers in it, the operator as a process, and what the server's audit log tells of both.

Nobody plays controllers or kubelets here: Deployments make no pods. Every time is the API server's own, so nothing that
measures stands between.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from api_server import ApiServer, find_programs
from operator_process import OperatorProcess, grant
from phoenix_coordination.redis.server import find_server
from phoenix_operator.cluster.client import ClusterClient, connect
from phoenix_operator.cluster.resources import MARKET_MAKERS, TRADING_ACCOUNTS, Json
from phoenix_operator.names import CANARY
from phoenix_operator.settings import Settings
from redis_process import RedisProcess

MAKERS_AN_ACCOUNT = 20
CANARY_PERIOD = "30s"  # as in an installation; the tests' own is shorter
LOOK_S = 0.5
"""No figure depends on it, and who is asked works on the machine that is measured."""
_AT_ONCE = 16
_QUIET_S = 3.0
_A_PICTURE = 1_000
"""Bytes: of any fleet it is more, and what is no picture is less."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_WRITES = frozenset({"create", "update", "patch", "delete"})
Item = TypeVar("Item")


def missing() -> str:
    """What this machine lacks for it, in words; "" where nothing."""
    programs = find_programs()
    if isinstance(programs, str):
        return programs
    return "" if find_server() is not None else "no redis-server here"


@dataclass(frozen=True, slots=True)
class Write:
    """One change that was carried out, as the server has logged it. Wall time in seconds; `resource` with its sub."""

    user: str
    resource: str
    namespace: str
    name: str
    received_s: float
    done_s: float


class Cluster:
    """`client` may do everything; the operators are the user `operator` with the rights that deploy/ grants."""

    def __init__(self, server: ApiServer, client: ClusterClient, redis_url: str, directory: Path) -> None:
        self.server = server
        self.client = client
        self.namespace = ""
        self._redis_url = redis_url
        self._directory = directory

    async def fill(self, makers: int) -> list[Json]:
        """A namespace of its own with so many makers, twenty an account: accounts first, as the server has them."""
        self.namespace = self.server.namespace("bench")
        grant(self.server, "operator", [self.namespace])
        accounts = range((makers + MAKERS_AN_ACCOUNT - 1) // MAKERS_AN_ACCOUNT)
        made = [await self.client.create(TRADING_ACCOUNTS, self.namespace, _account(each)) for each in accounts]

        async def make(number: int) -> None:
            made.append(await self.client.create(MARKET_MAKERS, self.namespace, _maker(number)))

        await in_turn(range(makers), make, _AT_ONCE)
        return made

    @contextmanager
    def operator(self, lease: str = "") -> Iterator[OperatorProcess]:
        """Started in this moment, on the namespace that was filled last, with its page, as an installation has it."""
        process = OperatorProcess(
            self.server,
            self._directory,
            [self.namespace],
            self._redis_url,
            lease=lease,
            page="127.0.0.1:0",
            canaryPeriod=CANARY_PERIOD,
        )
        with process:
            yield process.start()

    def writes(self, user: str = "operator") -> list[Write]:
        """Of that user, in the namespace that was filled last and for the Lease, oldest first."""
        found = (_write(entry) for entry in self.server.audit())
        return [each for each in found if each is not None and each.user == user and each.namespace in self._places]

    @property
    def _places(self) -> tuple[str, str]:
        return self.namespace, self.client.namespace


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    """Ours are served, nothing is in it. Everything has ended after the block."""
    redis = RedisProcess()
    redis.start()
    try:
        with tempfile.TemporaryDirectory(prefix="px-bench-") as place, ApiServer.started() as server:
            server.install_crds()
            async with connect(str(server.admin_kubeconfig), field_manager="kubectl") as client:
                yield Cluster(server, client, redis.url, Path(place))
    finally:
        redis.close()


def settings() -> Settings:
    """As the operators here have them, in what children are made of."""
    return Settings(image="phoenix:dev")


async def in_turn(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], at_once: int) -> None:
    """All of them, by so many workers."""
    left = iter(items)

    async def take() -> None:
        for item in left:
            await work(item)

    await asyncio.gather(*(take() for _ in range(at_once)))


async def until(what: str, look: Callable[[], bool], within_s: float, pause_s: float = LOOK_S) -> None:
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(look):
        if time.monotonic() > deadline:
            raise SystemExit(f"in {within_s:.0f} s never: {what}")
        await asyncio.sleep(pause_s)


def works_on_nothing(operator: OperatorProcess, makers: int) -> bool:
    state = operator.state()
    return state.get("leading") is True and (state["makers"], state["waiting"], state["working"]) == (makers, 0, 0)


async def until_silent(operator: OperatorProcess, within_s: float) -> None:
    """Until nothing has been written for some seconds, Events either, which are posted behind the rounds."""
    deadline = time.monotonic() + within_s
    before, since_s = -1, time.monotonic()
    while time.monotonic() - since_s < _QUIET_S:
        now = await asyncio.to_thread(_written, operator)
        if now != before:
            before, since_s = now, time.monotonic()
        if time.monotonic() > deadline:
            raise SystemExit(f"the operator still writes after {within_s:.0f} s")
        await asyncio.sleep(LOOK_S)


async def look_at_page(operator: OperatorProcess, for_s: float) -> None:
    """As a browser does, for so long. What the last look takes is kept for some seconds after it."""
    (port,) = (each["port"] for each in operator.said() if each["event"] == "page")
    came = 0
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(for_s),
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/api/events") as told,
        ):
            async for chunk in told.content.iter_any():
                came += len(chunk)
    if came < _A_PICTURE:
        raise SystemExit(f"in {for_s:.0f} s the page has shown nothing")


def is_routine(write: Write) -> bool:
    """What a leader writes whether there is anything to do or not: its Lease, and the canary of its watches."""
    return write.resource == "leases" or write.name == CANARY


def rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _written(operator: OperatorProcess) -> int:
    """By its own count, but for the Lease."""
    _, text = operator.get("/metrics")
    lines = (line for line in text.splitlines() if line.startswith("phoenix_operator_api_requests_total{"))
    counted = [line for line in lines if "leases" not in line and any(f'verb="{verb}"' in line for verb in _WRITES)]
    return int(sum(float(line.rpartition(" ")[2]) for line in counted))


def _write(entry: dict[str, Any]) -> Write | None:
    what, code = entry.get("objectRef") or {}, entry.get("responseStatus", {}).get("code", 0)
    if entry["verb"] not in _WRITES or not 200 <= code < 300:
        return None
    sub = f"/{what['subresource']}" if "subresource" in what else ""
    return Write(
        entry["user"]["username"],
        f"{what['resource']}{sub}",
        what.get("namespace", ""),
        what.get("name", ""),
        _seconds(entry["requestReceivedTimestamp"]),
        _seconds(entry["stageTimestamp"]),
    )


def _seconds(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()


def _account(number: int) -> Json:
    symbols = [_symbol(each) for each in range(MAKERS_AN_ACCOUNT)]
    limits = {
        "netNotional": 1_000_000,
        "grossNotional": 1_000_000,
        "dailyLoss": 10_000,
        "makerNetMax": dict.fromkeys(symbols, "100"),
    }
    spec = {
        "environment": "Simulator",
        "endpoints": {"baseUrl": "http://exchange:9000"},
        "credentialsSecretRef": {"name": "simulator-key"},
        "limits": limits,
    }
    return _document("TradingAccount", _account_name(number), spec)


def _maker(number: int) -> Json:
    account, symbol = divmod(number, MAKERS_AN_ACCOUNT)
    spec = {
        "symbol": _symbol(symbol),
        "accountRef": _account_name(account),
        "mode": "Live",
        "netMax": "10",
        "baseSize": "1",
        "minSpreadBps": 5,
        "risk": {"capital": 10_000},
    }
    return _document("MarketMaker", f"maker-{number:05d}", spec)


def _account_name(number: int) -> str:
    return f"account-{number:03d}"


def _symbol(number: int) -> str:
    return f"BENCH{number:02d}USDT"


def _document(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": MARKET_MAKERS.api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def names_of(found: Sequence[Json]) -> list[str]:
    return sorted(each["metadata"]["name"] for each in found)
