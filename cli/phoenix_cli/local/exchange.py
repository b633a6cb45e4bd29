"""The simulated exchange of a run: its process, and its control interface (`/sim/…`), which no worker ever sees."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.process import EXCHANGE_RANK, Guardian, Process
from phoenix_cli.refusal import Refused

EXCHANGE = (sys.executable, "-m", "phoenix_simulator")
NAME = "exchange"
QUEUE_MODELS = ("pessimistic", "proportional", "optimistic")
"""Where in a queue others cancel: behind us, evenly, ahead of us."""
FEE_ASSET = "BNB"
"""In which the exchange takes fees of accounts that want it so, beside the quote asset."""
_START_S = 60.0
"""Reading a recording takes seconds on a busy machine; more than this is a hang."""
_STOP_S = 10.0
_OWN_DELAY_S = 0.5
"""What a client's own work may take on a busy machine, in life's time: a faster clock makes it longer."""


class Books(msgspec.Struct, frozen=True, rename="camel"):
    """What the exchange's own books say about one symbol of an account."""

    position: Decimal = Decimal(0)
    fills: int = 0
    filled: Decimal = Decimal(0)
    """Base units, both sides."""
    fees: Decimal = Decimal(0)
    """Commission paid, in the quote asset."""
    fees_in_bnb: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)
    """Received, less what was paid."""
    open_orders: int = 0


class Key(msgspec.Struct, frozen=True, rename="camel"):
    """An API key of the exchange. Its repr hides what must not be seen."""

    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return "Key(…)"


class Audit(msgspec.Struct, frozen=True):
    """Violations by kind, all kinds, and examples as the exchange tells them."""

    violations: dict[str, int]
    examples: list[dict[str, Any]] = []

    @property
    def total(self) -> int:
        return sum(self.violations.values())


class Verdict(msgspec.Struct, frozen=True):
    """What a scenario says must hold, in a few words, and whether it did: `held`, `broken`, or `open` (not seen)."""

    text: str
    state: str
    reason: str

    @property
    def held(self) -> bool:
        return self.state == "held"


class ControlError(Refused):
    """The exchange refused or did not answer a control request."""


class Control:
    """The control interface at one base URL."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self._http = http

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        try:
            async with self._http.request(method, f"{self.url}{path}", json=body) as response:
                answer = await response.read()
                if response.status >= 300:
                    text = answer.decode(errors="replace")
                    raise ControlError(f"the exchange at {self.url} refused {method} {path}: {text}")
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ControlError(
                f"the exchange at {self.url} does not answer {method} {path}: {error or type(error).__name__};"
                " is it `phoenix exchange` that listens there?"
            ) from error

    async def make_account(self, label: str, balances: Mapping[str, str]) -> Key:
        answer = await self._ask("POST", "/sim/account", {"label": label, "balances": dict(balances)})
        return msgspec.json.decode(answer, type=Key)

    async def schedule_fault(self, fault: Mapping[str, Any]) -> None:
        await self._ask("POST", "/sim/fault", fault)

    async def set_queue_model(self, symbol: str, model: str) -> None:
        """Where in a queue others cancel from now on."""
        await self._ask("POST", "/sim/market", {"symbol": symbol, "queueModel": model})

    async def declare(self, declaration: Mapping[str, Any]) -> None:
        """What the clients promise: `symbolLimits`, `pattern`, `stop`, `end`, `graces` (see the simulator's audit)."""
        await self._ask("POST", "/sim/audit", declaration)

    async def audit(self) -> Audit:
        return msgspec.json.decode(await self._ask("GET", "/sim/audit"), type=Audit)

    async def verdicts(self) -> list[Verdict]:
        """Of the scenario's expectations; empty where it has none."""
        return msgspec.json.decode(await self._ask("GET", "/sim/scenario"), type=list[Verdict])

    async def ended_markets(self) -> list[str]:
        """Symbols whose market holds still, because their recording is over."""
        return msgspec.json.decode(await self._ask("GET", "/sim/market"), type=_Market).ended

    async def books(self, api_key: str) -> dict[str, Books]:
        """By symbol."""
        answer = await self._ask("GET", f"/sim/account/{api_key}")
        return msgspec.json.decode(answer, type=_AccountBooks, strict=False).symbols


class _Market(msgspec.Struct, frozen=True):
    ended: list[str]


class _AccountBooks(msgspec.Struct, frozen=True):
    symbols: dict[str, Books]


def graces(speed: float) -> dict[str, float]:
    """How long after a break of its book a worker may still be sending: its own rule plus what the machine takes.

    The rules are in simulated seconds (2 s until silence is stale, 10 s where REST confirmed the touch), the machine's
    delay is in life's.
    """
    own = _OWN_DELAY_S * speed
    return {
        "silentSeconds": 2.0 + own,
        "confirmedSeconds": 9.5 + own,
        "gapSeconds": own,
        "disconnectedSeconds": own,
        "rateLimitSeconds": own / 2,
        "stopSeconds": own / 2,
    }


async def start_exchange(
    program: Sequence[str],
    options: Sequence[str],
    directory: StateDirectory,
    guardian: Guardian,
    env: Mapping[str, str],
) -> tuple[Process, str]:
    """Starts the exchange on a free port; returns it and its base URL. Raises `Refused` with its own words."""
    process = await Process.start(
        NAME,
        [*program, "--port", "0", *options],
        log=directory.log(NAME),
        guardian=guardian,
        rank=EXCHANGE_RANK,
        env=env,
        announces=True,
    )
    try:
        line = await asyncio.wait_for(process.announcement(), _START_S)
        return process, str(json.loads(line)["url"])
    except (TimeoutError, ValueError, KeyError, TypeError):
        await process.stop(_STOP_S)
        said = process.last_words() or f"see {directory.log(NAME)}"
        raise Refused(f"the simulated exchange did not start: {said}") from None


async def stop_exchange(process: Process) -> bool:
    return await process.stop(_STOP_S)
