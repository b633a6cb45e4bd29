"""A client of the documented API and nothing else, for the conformance suite: it knows no exchange of ours."""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from yarl import URL

PATIENCE_S = 15.0
"""Real seconds that a test waits for something that must come."""

Parameters = Mapping[str, object]


@dataclass(frozen=True)
class Address:
    """Where a venue is: three base URLs, which are one at an exchange of ours."""

    rest: str
    streams: str
    ws_api: str


def is_production(url: str) -> bool:
    """Whether an order sent there costs real money: any host of the venue's that is not one of its demo hosts."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return host == "binance.com" or (host.endswith(".binance.com") and not host.startswith("demo-"))


@dataclass(frozen=True)
class Keys:
    """`sign` makes the signature of a text; the secret itself is nowhere in the suite's output."""

    api_key: str
    sign: Callable[[str], str]

    def __repr__(self) -> str:
        return "Keys(…)"


def hmac_keys(api_key: str, secret: str) -> Keys:
    return Keys(api_key, lambda text: hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest())


@dataclass(frozen=True)
class Rules:
    """The filters of a symbol, as exchangeInfo states them."""

    symbol: str
    tick: Decimal
    step: Decimal
    min_notional: Decimal
    max_price: Decimal
    min_price: Decimal
    max_quantity: Decimal
    price_precision: int
    quantity_precision: int
    multiplier_up: Decimal
    multiplier_down: Decimal

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "Rules":
        filters = {row["filterType"]: row for row in entry["filters"]}
        return cls(
            entry["symbol"],
            Decimal(filters["PRICE_FILTER"]["tickSize"]),
            Decimal(filters["LOT_SIZE"]["stepSize"]),
            Decimal(filters["MIN_NOTIONAL"]["notional"]),
            Decimal(filters["PRICE_FILTER"]["maxPrice"]),
            Decimal(filters["PRICE_FILTER"]["minPrice"]),
            Decimal(filters["LOT_SIZE"]["maxQty"]),
            entry["pricePrecision"],
            entry["quantityPrecision"],
            Decimal(filters["PERCENT_PRICE"]["multiplierUp"]),
            Decimal(filters["PERCENT_PRICE"]["multiplierDown"]),
        )

    def price(self, wanted: Decimal) -> Decimal:
        """The nearest price on the grid that is not higher."""
        return (wanted / self.tick).to_integral_value(ROUND_DOWN) * self.tick

    def quantity(self, price: Decimal, notionals: int = 2) -> Decimal:
        """The smallest quantity that is worth so many times the least notional at that price."""
        return (notionals * self.min_notional / price / self.step).to_integral_value(ROUND_UP) * self.step


def wire(params: Parameters) -> dict[str, object]:
    """Decimals without an exponent: the venue reads none."""
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in params.items()}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> tuple[int, int]:
        """(HTTP status, the venue's code)."""
        return self.status, self.body["code"]


class Stream:
    """A WebSocket of a test."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._ids = itertools.count(1)

    async def next(self) -> Any:
        message = await self.socket.receive(timeout=PATIENCE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, f"{message.type.name} {message.data} {message.extra}"
        return json.loads(message.data)

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The first message for which `wanted` holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not wanted(message := await self.next()):
                pass
            return message

    async def order(self, client_order_id: str, execution: str) -> Any:
        """`o` of the next ORDER_TRADE_UPDATE of this order with this `x`."""
        event = await self.until(
            lambda event: (
                event.get("e") == "ORDER_TRADE_UPDATE"
                and (event["o"]["c"], event["o"]["x"]) == (client_order_id, execution)
            )
        )
        return event["o"]

    async def ask(self, method: str, params: object = None, **more: object) -> Any:
        """The reply to a request, skipping what else comes."""
        request_id = next(self._ids)
        request = {"method": method, "id": request_id, **more}
        await self.socket.send_json(request if params is None else {**request, "params": params})
        return await self.until(lambda message: isinstance(message, dict) and message.get("id") == request_id)

    async def silent(self, seconds: float) -> bool:
        """True if nothing comes for a while."""
        try:
            await self.socket.receive(timeout=seconds)
        except TimeoutError:
            return True
        return False


class Client:
    """One account at one venue. Parameters go into the query string, in the order given."""

    def __init__(self, address: Address, keys: Keys, rules: Rules, http: aiohttp.ClientSession, offset_ms: int) -> None:
        self.address = address
        self.keys = keys
        self.rules = rules
        self.http = http
        self._offset_ms = offset_ms
        self._numbers = itertools.count(1)
        self.has_traded = False
        """Whether there may be something to clear."""

    def with_keys(self, keys: Keys) -> "Client":
        return Client(self.address, keys, self.rules, self.http, self._offset_ms)

    @property
    def symbol(self) -> str:
        return self.rules.symbol

    def now_ms(self) -> int:
        """The venue's time."""
        return time.time_ns() // 1_000_000 + self._offset_ms

    def new_id(self) -> str:
        """A client order id that nobody had before."""
        return f"conf-{time.time_ns()}-{next(self._numbers)}"

    # ---- REST ---------------------------------------------------------------------------------------------------

    async def public(self, path: str, **params: object) -> Answer:
        return await self.send("GET", path, urlencode(params), {})

    async def keyed(self, method: str, path: str, **params: object) -> Answer:
        """Key, but no signature."""
        return await self.send(method, path, urlencode(params), {"X-MBX-APIKEY": self.keys.api_key})

    async def signed(self, method: str, path: str, params: Parameters | None = None) -> Answer:
        text = urlencode({"timestamp": self.now_ms(), **wire(params or {})})
        return await self.send(method, path, self.with_signature(text), {"X-MBX-APIKEY": self.keys.api_key})

    def with_signature(self, text: str) -> str:
        return f"{text}&signature={quote(self.keys.sign(text), safe='')}"

    async def send(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: str | None = None
    ) -> Answer:
        """Exactly as written."""
        url = URL(f"{self.address.rest}{path}?{query}" if query else f"{self.address.rest}{path}", encoded=True)
        form = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        async with self.http.request(method, url, headers={**headers, **form}, data=body) as response:
            return Answer(response.status, response.headers, await response.json())

    # ---- sockets ------------------------------------------------------------------------------------------------

    async def stream(self, target: str) -> Stream:
        return Stream(await self.http.ws_connect(f"{self.address.streams}{target}"))

    async def user_stream(self) -> Stream:
        listen_key = (await self.keyed("POST", "/fapi/v1/listenKey")).body["listenKey"]
        return await self.stream(f"/private/ws?listenKey={listen_key}")

    async def ws_api(self) -> Stream:
        return Stream(await self.http.ws_connect(self.address.ws_api))

    def ws_signed(self, params: Parameters | None = None) -> dict[str, object]:
        values: dict[str, object] = {"apiKey": self.keys.api_key, "timestamp": self.now_ms(), **wire(params or {})}
        text = "&".join(f"{name}={value}" for name, value in sorted(values.items()))
        return {**values, "signature": self.keys.sign(text)}

    # ---- trading ------------------------------------------------------------------------------------------------

    async def touch(self) -> tuple[Decimal, Decimal]:
        """(bid, ask)."""
        best = (await self.public("/fapi/v1/ticker/bookTicker", symbol=self.symbol)).body
        return Decimal(best["bidPrice"]), Decimal(best["askPrice"])

    async def quote(self, **changes: object) -> dict[str, object]:
        """A post-only bid that nobody reaches, 1 % below the market, with these changes; None takes a field away."""
        bid, _ = await self.touch()
        price = self.rules.price(bid * Decimal("0.99"))
        order: dict[str, object] = {
            "symbol": self.symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTX",
            "quantity": self.rules.quantity(price),
            "price": price,
            "newClientOrderId": self.new_id(),
            **changes,
        }
        return {name: value for name, value in order.items() if value is not None}

    async def place(self, **changes: object) -> dict[str, Any]:
        """The acknowledgement of `quote` with these changes."""
        answer = await self.signed("POST", "/fapi/v1/order", await self.quote(**changes))
        assert answer.status == 200, answer.body
        self.has_traded = True
        placed: dict[str, Any] = answer.body
        return placed

    async def buy(self, **changes: object) -> dict[str, Any]:
        """A market order, and its final state."""
        market = {"type": "MARKET", "timeInForce": None, "price": None, "newOrderRespType": "RESULT"}
        return await self.place(**market, **changes)

    async def order(self, order_id: int) -> Any:
        return (await self.signed("GET", "/fapi/v1/order", {"symbol": self.symbol, "orderId": order_id})).body

    async def position(self) -> Decimal:
        rows = (await self.signed("GET", "/fapi/v3/positionRisk", {"symbol": self.symbol})).body
        return sum((Decimal(row["positionAmt"]) for row in rows), Decimal(0))

    async def clear(self) -> None:
        """No open orders, no position."""
        answer = await self.signed("DELETE", "/fapi/v1/allOpenOrders", {"symbol": self.symbol})
        assert answer.status == 200, answer.body
        held = await self.position()
        if held:
            side = "SELL" if held > 0 else "BUY"
            await self.buy(side=side, quantity=abs(held), reduceOnly="true")
