"""The exchange of a scenario: the real simulator in this process, seen from inside, controlled over its socket."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import aiohttp
import msgspec
from phoenix_cli.local.exchange import Audit, Books
from phoenix_simulator.api.auth import Security
from phoenix_simulator.api.gateway import Answer, Arrival, Operation
from phoenix_simulator.exchange.events import DepthChanged, ExchangeEvent, OrderUpdated
from phoenix_simulator.exchange.orders import ExecutionType, Order
from phoenix_simulator.market.source import BackgroundView, MarketUpdate, MarkUpdate
from phoenix_simulator.market.synthetic import SyntheticSource
from phoenix_simulator.server import Server

_MARK_NS = 100_000_000
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """An order, or an amend of one, that the exchange took. `at_ns` is the exchange's monotonic clock."""

    at_ns: int
    execution: ExecutionType
    order: Order


class FaultLine(msgspec.Struct, frozen=True):
    """A scheduled fault, and how often it has acted."""

    id: int
    acted: int


class PausableMarket(SyntheticSource):
    """A synthetic market that can rest: then nobody trades and no frame of the book leaves; only the mark goes on. The
    mark is told at `mark_factor` of what it would be.
    """

    resting = False
    mark_factor = 1.0

    def updates(self, background: BackgroundView) -> Iterator[MarketUpdate]:
        rested_ns = 0
        mark = MarkUpdate(0, self.start().mark_e8, self.start().index_e8, 0)
        for update in super().updates(background):
            at_ns = update.time_ns + rested_ns
            while self.resting:
                at_ns += _MARK_NS
                rested_ns += _MARK_NS
                yield msgspec.structs.replace(self._moved(mark), time_ns=at_ns)
            if isinstance(update, MarkUpdate):
                mark = update
            shown = self._moved(update) if isinstance(update, MarkUpdate) else update
            yield msgspec.structs.replace(shown, time_ns=at_ns)

    def _moved(self, mark: MarkUpdate) -> MarkUpdate:
        return msgspec.structs.replace(mark, mark_e8=int(mark.mark_e8 * self.mark_factor))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it reached the exchange, whichever transport brought it, and how it was answered."""

    at_ns: int
    operation: str
    changes: bool
    """Whether it asks for something to be changed: orders, settings, listen keys."""
    status: int


class Venue:
    """The exchange of a run, seen from inside, and its control interface, used over its socket."""

    def __init__(self, server: Server, url: str, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.url = url
        self._http = http
        self.api_key = self.api_secret = self.account = ""
        self.accepted: list[Accepted] = []
        self.cancelled: list[tuple[int, Order]] = []
        """With the exchange's monotonic clock, ns."""
        self.asked: list[Asked] = []
        self._diffs: dict[str, list[DepthChanged]] = {}
        self._first_books = {
            symbol: (dict(listing.depth(_ALL).bids), dict(listing.depth(_ALL).asks))
            for symbol, listing in server.exchange.listings.items()
        }
        server.exchange.listeners.append(self._hear)
        self._perform = server.gateway.perform
        server.gateway.perform = self._watched  # type: ignore[method-assign] # the one door of both transports

    async def _watched(self, operation: Operation, arrival: Arrival) -> Answer:
        at_ns = self.server.clock.monotonic_ns()
        answer = await self._perform(operation, arrival)
        changes = operation.security in {Security.TRADE, Security.USER_STREAM}
        self.asked.append(Asked(at_ns, operation.name, changes, answer.status))
        return answer

    def _hear(self, event: ExchangeEvent) -> None:
        if isinstance(event, OrderUpdated) and event.execution in {ExecutionType.NEW, ExecutionType.AMENDMENT}:
            self.accepted.append(Accepted(self.server.clock.monotonic_ns(), event.execution, event.order))
        elif isinstance(event, OrderUpdated) and event.execution is ExecutionType.CANCELED:
            self.cancelled.append((self.server.clock.monotonic_ns(), event.order))
        elif isinstance(event, DepthChanged):
            self._diffs.setdefault(event.symbol, []).append(event)

    # -- control, over its socket ------------------------------------------------------------------

    async def control(self, method: str, path: str, body: object = None) -> bytes:
        async with self._http.request(method, f"{self.url}{path}", json=body) as response:
            answer = await response.read()
            assert response.status == 200, f"{method} {path}: {answer.decode()}"
            return answer

    async def fault(self, kind: str, **fields: object) -> int:
        """Schedules a fault; returns its id."""
        return int(json.loads(await self.control("POST", "/sim/fault", {"kind": kind, **fields}))["id"])

    async def heal(self) -> None:
        """Ends every fault."""
        await self.control("DELETE", "/sim/fault")

    async def declare(self, **declaration: object) -> None:
        await self.control("POST", "/sim/audit", declaration)

    async def audit(self) -> Audit:
        return msgspec.json.decode(await self.control("GET", "/sim/audit"), type=Audit)

    async def books(self) -> dict[str, Books]:
        answer = await self.control("GET", f"/sim/account/{self.api_key}")
        return msgspec.json.decode(answer, type=_AccountBooks, strict=False).symbols

    async def faults(self) -> dict[int, FaultLine]:
        """What is scheduled, by id; a fault that has acted as often as it was to is not."""
        listed = msgspec.json.decode(await self.control("GET", "/sim/fault"), type=list[FaultLine])
        return {line.id: line for line in listed}

    # -- what the exchange holds -------------------------------------------------------------------

    def resting(self, symbol: str | None = None) -> list[Order]:
        """The account's open orders."""
        return self.server.exchange.open_orders(self.account, symbol)

    def touch(self, symbol: str) -> tuple[str, str]:
        """Best bid and ask, as the exchange writes them."""
        listing = self.server.exchange.listing(symbol)
        text = listing.spec.format_price
        return text(listing.touch.bid_ticks), text(listing.touch.ask_ticks)

    def fills(self, symbol: str) -> int:
        holding = self.server.exchange.account(self.account).holdings.get(symbol)
        return len(holding.fills) if holding is not None else 0

    def held(self, symbol: str) -> Decimal:
        """The account's position, signed, in base units."""
        holding = self.server.exchange.account(self.account).holdings.get(symbol)
        return holding.spec.quantity_to_decimal(holding.net_steps) if holding is not None else Decimal(0)

    def book_at(self, symbol: str, update_id: int) -> tuple[dict[int, int], dict[int, int]]:
        """The public book as it was at an update id: price in ticks → quantity in steps, bids and asks."""
        bids, asks = (dict(side) for side in self._first_books[symbol])
        for diff in self._diffs.get(symbol, []):
            if diff.last_id > update_id:
                break
            for side, levels in ((bids, diff.bids), (asks, diff.asks)):
                side.update(levels)
                for ticks in [ticks for ticks, steps in levels if not steps]:
                    side.pop(ticks, None)
        return bids, asks


class _AccountBooks(msgspec.Struct, frozen=True):
    symbols: dict[str, Books]
