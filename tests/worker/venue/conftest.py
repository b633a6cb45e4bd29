"""A scripted exchange over real sockets, written from its documentation; clocks; orders that a gate approved."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from aiohttp import WSMsgType, web
from phoenix_worker.core.actions import ApprovedOrder, Purpose, TimeInForce, WantedOrder
from phoenix_worker.core.events import AnyEvent, Request, Side
from phoenix_worker.core.instrument import Grid, Instrument
from phoenix_worker.venue.binance.endpoints import Endpoints
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.settings import MarginType, Settings
from phoenix_worker.venue.binance.signing import Credentials, HmacSigner

E = TypeVar("E")
KEY, SECRET = "test-key", "test-secret-that-nobody-may-see"
Reply = web.StreamResponse | dict[str, object] | list[object]
Handler = Callable[[web.Request, dict[str, str]], Reply | Awaitable[Reply]]


async def eventually(true: Callable[[], object]) -> None:
    """Waits until it is true; half a minute later it never will be."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for is anything, and knows nothing of us
            await asyncio.sleep(0.002)


class MachineClock:
    """The machine's own clock, perhaps faster: what the runtime's clock does."""

    def __init__(self, rate: float = 1.0) -> None:
        self.rate = rate
        self.paused_ns = 0
        self._origin = time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return self._origin + self.paused_ns + int((time.monotonic_ns() - self._origin) * self.rate)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.rate)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds / self.rate, callback)


@dataclass
class _Due:
    at_ns: int
    callback: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class HandClock:
    """Time that only moves when the test says so. `sleeps` are the durations that were asked for."""

    rate = 1.0

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000_000
        self.sleeps: list[float] = []
        self._due: list[_Due] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        woken = asyncio.get_running_loop().create_future()
        self.call_later(seconds, lambda: woken.done() or woken.set_result(None))
        await woken

    def call_later(self, seconds: float, callback: Callable[[], object]) -> _Due:
        due = _Due(self.now_ns + int(seconds * 1e9), callback)
        self._due.append(due)
        return due

    def advance(self, seconds: float) -> None:
        end_ns = self.now_ns + int(seconds * 1e9)
        while ready := [due for due in self._due if due.at_ns <= end_ns]:
            first = min(ready, key=lambda due: due.at_ns)
            self._due.remove(first)
            self.now_ns = max(self.now_ns, first.at_ns)
            if not first.cancelled:
                first.callback()
        self.now_ns = end_ns


@dataclass
class Seen:
    """One request as the exchange got it."""

    method: str
    path: str
    parameters: dict[str, str]
    user_agent: str
    signed: bool


@dataclass
class Socket:
    """One connection as the exchange sees it."""

    path: str
    query: str
    ws: web.WebSocketResponse
    user_agent: str
    received: list[dict[str, object]] = field(default_factory=list)

    async def send(self, *frames: object) -> None:
        for frame in frames:
            await self.ws.send_str(frame if isinstance(frame, str) else json.dumps(frame, separators=(",", ":")))

    def drop(self) -> None:
        """The line is cut: no closing handshake."""
        transport = self.ws._req.transport
        assert transport is not None
        transport.abort()


class ScriptedExchange:
    """Answers as the documentation says unless a test replaces an answer: `answers[("GET", "/fapi/v1/time")] = …`."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Seen] = []
        self.sockets: list[Socket] = []
        self.answers: dict[tuple[str, str], Handler] = {}
        self.order_reply: Callable[[dict[str, object]], dict[str, object] | None] = self.acknowledge
        self.clock_ahead_ms = 0
        self.refuse_sockets = False
        self.next_order_id = 1000
        self.changed = asyncio.Event()
        self.headers: dict[str, str] = {"X-MBX-USED-WEIGHT-1M": "7"}

    # -- asking ------------------------------------------------------------------------------------

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints.at(self.url)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.clock_ahead_ms

    def open_sockets(self, path: str) -> list[Socket]:
        return [s for s in self.sockets if s.path == path and not s.ws.closed]

    async def socket(self, path: str, count: int = 1) -> Socket:
        """The newest open connection of this path, once there were `count` in all."""
        await self.until(lambda: len([s for s in self.sockets if s.path == path]) >= count and self.open_sockets(path))
        return self.open_sockets(path)[-1]

    def asked(self, method: str, path: str) -> list[Seen]:
        return [r for r in self.requests if (r.method, r.path) == (method, path)]

    async def until(self, true: Callable[[], object]) -> None:
        await eventually(true)

    # -- answering ---------------------------------------------------------------------------------

    def acknowledge(self, request: dict[str, object]) -> dict[str, object] | None:
        parameters = request["params"]
        assert isinstance(parameters, dict)
        state = "CANCELED" if request["method"] == "order.cancel" else "NEW"
        return {
            "id": request["id"],
            "status": 200,
            "result": order_body({k: str(v) for k, v in parameters.items()}, state, self.order_id()),
            "rateLimits": [
                {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300, "count": 3},
                {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200, "count": 9},
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": -1, "count": -1},
            ],
        }

    def order_id(self) -> int:
        self.next_order_id += 1
        return self.next_order_id

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        raw_query, raw_body = request.rel_url.raw_query_string, (await request.read()).decode()
        parameters = dict(part.split("=", 1) for part in f"{raw_query}&{raw_body}".split("&") if "=" in part)
        signed = "signature" in parameters
        if signed:
            payload = (raw_query + raw_body).replace(f"&signature={parameters['signature']}", "")
            wanted = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
            assert parameters["signature"] == wanted, "bad signature"
            assert request.headers["X-MBX-APIKEY"] == KEY
        seen = Seen(request.method, request.path, parameters, request.headers.get("User-Agent", ""), signed)
        self.requests.append(seen)
        handler = self.answers.get((request.method, request.path)) or DEFAULTS.get((request.method, request.path))
        if handler is None:
            return web.json_response({"code": -5000, "msg": f"no such path {request.path}"}, status=404)
        reply = handler(request, {**parameters, "_now": str(self.now_ms()), "_id": str(self.order_id())})
        if isinstance(reply, Awaitable):
            reply = await reply
        if isinstance(reply, web.StreamResponse):
            return reply
        return web.json_response(reply, headers=self.headers)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_sockets:
            return web.json_response({"code": -1, "msg": "down"}, status=503)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        agent = request.headers.get("User-Agent", "")
        socket = Socket(request.path, request.rel_url.query_string, ws, agent)
        self.sockets.append(socket)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                body = json.loads(message.data)
                socket.received.append(body)
                if request.path == "/ws-fapi/v1":
                    self._verify(body)
                    reply = self.order_reply(body)
                    if reply is not None:
                        await socket.send(reply)
        return ws

    @staticmethod
    def _verify(body: dict[str, object]) -> None:
        parameters = dict(body["params"])  # type: ignore[call-overload]
        signature = parameters.pop("signature")
        payload = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
        assert signature == hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest(), "bad signature"
        assert parameters["apiKey"] == KEY


def order_body(parameters: dict[str, str], state: str = "NEW", order_id: int = 1, **more: object) -> dict[str, object]:
    """An acknowledgement as the exchange pads it."""
    return {
        "orderId": int(parameters.get("orderId", order_id)),
        "symbol": parameters["symbol"],
        "status": state,
        "clientOrderId": parameters.get("newClientOrderId") or parameters.get("origClientOrderId") or "web_x",
        "price": parameters.get("price", "0.00"),
        "origQty": parameters.get("quantity", "0.010"),
        "executedQty": "0.000",
        "timeInForce": "GTX",
        "type": "LIMIT",
        "reduceOnly": parameters.get("reduceOnly") == "true",
        "side": parameters.get("side", "BUY"),
        "positionSide": "BOTH",
        "updateTime": 1760000000123,
        **more,
    }


def error(status: int, code: int, text: str, **headers: str) -> web.Response:
    return web.json_response({"code": code, "msg": text}, status=status, headers=headers)


EXCHANGE_INFO = {
    "timezone": "UTC",
    "rateLimits": [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ],
    "symbols": [
        {"symbol": "ODDUSDT", "status": 7, "filters": "what is this"},
        {
            "symbol": "ETHUSDC",
            "pair": "ETHUSDC",
            "contractType": "PERPETUAL",
            "status": "TRADING",
            "baseAsset": "ETH",
            "quoteAsset": "USDC",
            "marginAsset": "USDC",
            "pricePrecision": 2,
            "quantityPrecision": 3,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "100000", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "8000", "stepSize": "0.001"},
                {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "700", "stepSize": "0.001"},
                {"filterType": "MAX_NUM_ORDERS", "limit": 200},
                {"filterType": "MIN_NOTIONAL", "notional": "20"},
                {
                    "filterType": "PERCENT_PRICE",
                    "multiplierUp": "1.0500",
                    "multiplierDown": "0.9500",
                    "multiplierDecimal": "4",
                },
                {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
            ],
        },
    ],
}

DEFAULTS: dict[tuple[str, str], Handler] = {
    ("GET", "/fapi/v1/time"): lambda _, p: {"serverTime": int(p["_now"])},
    ("GET", "/fapi/v1/exchangeInfo"): lambda *_: EXCHANGE_INFO,
    ("GET", "/fapi/v1/accountConfig"): lambda *_: {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": False,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    },
    ("GET", "/fapi/v1/symbolConfig"): lambda *_: [
        {"symbol": "ETHUSDC", "marginType": "CROSSED", "isAutoAddMargin": "false", "leverage": 10}
    ],
    ("GET", "/fapi/v1/leverageBracket"): lambda *_: [
        {
            "symbol": "ETHUSDC",
            "brackets": [
                {"bracket": 1, "initialLeverage": 75, "notionalCap": 5000, "notionalFloor": 0},
                {"bracket": 2, "initialLeverage": 20, "notionalCap": 100000, "notionalFloor": 5000},
                {"bracket": 3, "initialLeverage": 5, "notionalCap": 900000, "notionalFloor": 100000},
            ],
        }
    ],
    ("GET", "/fapi/v1/premiumIndex"): lambda *_: {"symbol": "ETHUSDC", "markPrice": "2512.31000000"},
    ("GET", "/fapi/v1/commissionRate"): lambda *_: {
        "symbol": "ETHUSDC",
        "makerCommissionRate": "0.000200",
        "takerCommissionRate": "0.000400",
    },
    ("GET", "/fapi/v3/balance"): lambda *_: [{"accountAlias": "SgsR", "asset": "USDC", "balance": "1000.0"}],
    ("GET", "/fapi/v3/positionRisk"): lambda *_: [],
    ("GET", "/fapi/v1/openOrders"): lambda *_: [],
    ("GET", "/fapi/v1/openAlgoOrders"): lambda *_: [],
    ("GET", "/fapi/v1/userTrades"): lambda *_: [],
    ("GET", "/fapi/v1/order"): lambda *_: error(400, -2013, "Order does not exist."),
    ("POST", "/fapi/v1/listenKey"): lambda *_: {"listenKey": "k" * 64},
    ("PUT", "/fapi/v1/listenKey"): lambda *_: {"listenKey": "k" * 64},
    ("POST", "/fapi/v1/order"): lambda _, p: order_body(p, "NEW", int(p["_id"])),
    ("PUT", "/fapi/v1/order"): lambda _, p: order_body(p, "NEW", int(p["_id"])),
    ("DELETE", "/fapi/v1/order"): lambda _, p: order_body(p, "CANCELED", int(p["_id"])),
    ("DELETE", "/fapi/v1/allOpenOrders"): lambda *_: {
        "code": 200,
        "msg": "The operation of cancel all open order is done.",
    },
    ("POST", "/fapi/v1/countdownCancelAll"): lambda _, p: {"symbol": p["symbol"], "countdownTime": p["countdownTime"]},
    ("POST", "/fapi/v1/leverage"): lambda _, p: {"leverage": int(p["leverage"]), "symbol": p["symbol"]},
    ("POST", "/fapi/v1/marginType"): lambda *_: {"code": 200, "msg": "success"},
    ("GET", "/fapi/v1/depth"): lambda *_: {
        "lastUpdateId": 7000000100,
        "E": 1760000000001,
        "T": 1760000000000,
        "bids": [["2512.34", "12.480"]],
        "asks": [["2512.35", "3.002"]],
    },
    ("GET", "/fapi/v1/ticker/bookTicker"): lambda *_: {
        "symbol": "ETHUSDC",
        "bidPrice": "2512.34",
        "bidQty": "12.480",
        "askPrice": "2512.35",
        "askQty": "3.002",
        "time": 1760000000000,
    },
}


@pytest.fixture
def frames() -> Callable[[str], list[dict[str, object]]]:
    """Composed frames of the documented shapes, by file name."""

    def read(name: str) -> list[dict[str, object]]:
        rows = json.loads((Path(__file__).parent / "frames" / f"{name}.json").read_text())
        assert isinstance(rows, list)
        return rows

    return read


@pytest.fixture
async def exchange() -> AsyncIterator[ScriptedExchange]:
    scripted = ScriptedExchange()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", scripted.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield scripted
    for socket in scripted.sockets:
        if not socket.ws.closed:
            socket.drop()
    await runner.cleanup()


@pytest.fixture
def machine_clock() -> type[MachineClock]:
    return MachineClock


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    return eventually


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def refusal() -> Callable[..., web.Response]:
    return error


@pytest.fixture
def body_of() -> Callable[..., dict[str, object]]:
    return order_body


@pytest.fixture
def dice() -> Random:
    return Random(7)  # noqa: S311 - jitter, not a secret


@pytest.fixture
def credentials() -> Credentials:
    return Credentials(KEY, HmacSigner(SECRET))


@pytest.fixture
def settings() -> Settings:
    return Settings(net_max=Decimal("0.2"), leverage=10, margin_type=MarginType.CROSSED)


@pytest.fixture
def instrument() -> Instrument:
    return Instrument(
        symbol="ETHUSDC",
        base_asset="ETH",
        quote_asset="USDC",
        price=Grid.of(Decimal("0.01")),
        quantity=Grid.of(Decimal("0.001")),
        min_price_ticks=1,
        max_price_ticks=10_000_000,
        min_qty_steps=1,
        max_qty_steps=8_000_000,
        market_min_steps=1,
        market_max_steps=700_000,
        min_notional=20 * 10**8,
        band_up=1.05,
        band_down=0.95,
        max_open_orders=200,
    )


@pytest.fixture
def approve() -> Callable[..., ApprovedOrder]:
    """What the gate would have approved: there is no other way to make one."""

    def make(
        client_id: str = "pxtest00-00000001-q1",
        *,
        deadline_ns: int,
        request: Request = Request.PLACE,
        side: Side = Side.BUY,
        price_ticks: int = 251_234,
        qty_steps: int = 40,
        reduce_only: bool = False,
        time_in_force: TimeInForce = TimeInForce.POST_ONLY,
        venue_id: int = 0,
    ) -> ApprovedOrder:
        order = WantedOrder(
            request=request,
            client_id=client_id,
            side=side,
            price_ticks=price_ticks,
            qty_steps=qty_steps,
            reduce_only=reduce_only,
            purpose=Purpose.QUOTE,
            layer=0,
            time_in_force=time_in_force,
            venue_id=venue_id,
        )
        approved = object.__new__(ApprovedOrder)
        for name, value in (("order", order), ("deadline_ns", deadline_ns), ("trigger_ns", 0)):
            object.__setattr__(approved, name, value)
        return approved

    return make


class Running:
    """A venue at work: what its sink heard, and waiting for it."""

    def __init__(self, venue: BinanceVenue, clock: MachineClock) -> None:
        self.venue = venue
        self.clock = clock
        self.events: list[AnyEvent] = []

    def sink(self, event: AnyEvent) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, true: Callable[[], object]) -> None:
        await eventually(true)

    def in_seconds(self, seconds: int) -> int:
        return self.clock.monotonic_ns() + seconds * 1_000_000_000

    def in_one_second(self) -> int:
        return self.in_seconds(1)


@pytest.fixture
async def run_venue(
    exchange: ScriptedExchange, credentials: Credentials, settings: Settings, dice: Random
) -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Prepares and starts a venue against the scripted exchange; closes it after the test."""
    started: list[Running] = []

    async def run(*, rate: float = 1.0, dry_run: bool = False, connected: bool = True) -> Running:
        clock = MachineClock(rate)
        venue = BinanceVenue(
            exchange.endpoints,
            credentials,
            "ETHUSDC",
            settings,
            clock=clock,
            random=dice,
            user_agent="phoenix/test holder",
            dry_run=dry_run,
        )
        running = Running(venue, clock)
        started.append(running)
        preflight = await venue.prepare()
        assert not preflight.refused
        await venue.start(running.sink)
        if connected:
            await running.until(
                lambda: all(venue.statistics().connected.values()) and (dry_run or venue.statistics().orders_connected)
            )
        return running

    yield run
    for running in started:
        await running.venue.close()
