"""A venue over real sockets whose market stands still unless a test moves it, and a client of the documented API."""

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from decimal import Decimal
from urllib.parse import quote, urlencode

import aiohttp
import pytest
import pytest_asyncio
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.source import DepthUpdate, MarketKind, MarketStart, MarkUpdate, TakerUpdate
from phoenix_simulator.scenario import Scenario
from phoenix_simulator.server import ServerConfig, run_server
from yarl import URL

LEVELS = 25
PATIENCE_S = 30.0
"""Real seconds that a test waits for something that must come."""


class JumpingClock(Clock):
    """A clock that a test can push forward."""

    def __init__(self):
        super().__init__()
        self._jumped_ns = 0

    def elapsed_ns(self):
        return super().elapsed_ns() + self._jumped_ns

    def jump(self, seconds):
        self._jumped_ns += int(seconds * 1e9)


class StillSource:
    """One BTC (or ten of anything else) a level, one tick apart, and nothing ever happens."""

    def __init__(self, symbol, bid):
        self.spec = BUILT_IN[symbol]
        self.bid_ticks = self.spec.ticks_of(Decimal(bid))

    @property
    def symbol(self):
        return self.spec.symbol

    def start(self):
        bid = self.bid_ticks
        steps = 1000
        bids = tuple((bid - i, steps) for i in range(LEVELS))
        asks = tuple((bid + 1 + i, steps) for i in range(LEVELS))
        mark = bid * self.spec.tick_e8
        return MarketStart(MarketKind.SYNTHETIC, bids, asks, mark, mark, 10_000)

    def updates(self, _background):
        return iter(())


class Account:
    """An API key and how to sign with it: `sign` makes a signature of a text."""

    def __init__(self, venue, api_key, sign, holder):
        self.venue = venue
        self.api_key = api_key
        self.sign = sign
        self.holder = holder

    def query(self, params):
        text = urlencode({"timestamp": self.venue.server.clock.reported_ms(), **params})
        return f"{text}&signature={quote(self.sign(text), safe='')}"

    async def ask(self, method, path, **params):
        """(status, body) of a signed request with everything in the query."""
        answer = await self.request(method, path, **params)
        return answer.status, answer.body

    async def request(self, method, path, **params):
        headers = {"X-MBX-APIKEY": self.api_key, "User-Agent": self.holder}
        return await self.venue.raw(method, f"{path}?{self.query(params)}", headers=headers)

    async def keyed(self, method, path, **params):
        """Key, but no signature."""
        headers = {"X-MBX-APIKEY": self.api_key, "User-Agent": self.holder}
        answer = await self.venue.raw(method, f"{path}?{urlencode(params)}" if params else path, headers=headers)
        return answer.status, answer.body

    async def place(self, side="BUY", price="61000", quantity="0.010", symbol="BTCUSDT", tif="GTX", **more):
        return await self.ask(
            "POST",
            "/fapi/v1/order",
            symbol=symbol,
            side=side,
            type="LIMIT",
            timeInForce=tif,
            price=price,
            quantity=quantity,
            **more,
        )

    async def market(self, side="BUY", quantity="0.010", symbol="BTCUSDT", **more):
        return await self.ask(
            "POST", "/fapi/v1/order", symbol=symbol, side=side, type="MARKET", quantity=quantity, **more
        )

    async def books(self):
        return (await self.venue.control("GET", f"/sim/account/{self.api_key}"))[1]

    async def user_stream(self, query=""):
        _, body = await self.keyed("POST", "/fapi/v1/listenKey")
        return await self.venue.stream(f"/private/ws?listenKey={body['listenKey']}{query}", holder=self.holder)


def hmac_signer(secret):
    return lambda text: hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Answer:
    def __init__(self, status, headers, content):
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def body(self):
        return json.loads(self.content)


class Stream:
    """A WebSocket of a test."""

    def __init__(self, socket):
        self.socket = socket

    async def next(self):
        message = await self.socket.receive(timeout=PATIENCE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, f"{message.type.name} {message.data} {message.extra}"
        return json.loads(message.data)

    async def until(self, wanted):
        """The first message for which `wanted` holds."""
        while not wanted(message := await self.next()):
            pass
        return message

    async def event(self, name, **order):
        """The next user data event of this name, with these fields of `o`."""
        return await self.until(
            lambda event: event.get("e") == name and all(event["o"][field] == value for field, value in order.items())
        )

    async def send(self, message):
        await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def ask(self, method, params=None, request_id=1):
        """The reply to a control request, skipping frames."""
        await self.send({"method": method, "params": params, "id": request_id})
        return await self.until(lambda message: "id" in message or "error" in message)

    async def silent(self, seconds=0.15):
        """True if nothing comes for a while."""
        try:
            await self.socket.receive(timeout=seconds)
        except TimeoutError:
            return True
        return False

    async def drain(self, seconds=0.05):
        """Everything that is there now."""
        messages = []
        while True:
            try:
                message = await self.socket.receive(timeout=seconds)
            except TimeoutError:
                return messages
            if message.type is not aiohttp.WSMsgType.TEXT:
                return messages
            messages.append(json.loads(message.data))

    async def ended(self):
        """The close code, after whatever still came."""
        while True:
            message = await self.socket.receive(timeout=PATIENCE_S)
            if message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}:
                return self.socket.close_code


class Venue:
    def __init__(self, url, server, http):
        self.url = url
        self.server = server
        self.http = http
        self._streams = []

    # ---- talking to it ------------------------------------------------------------------------------------------

    async def raw(self, method, target, **options):
        """A request exactly as written: nothing is encoded again."""
        async with self.http.request(method, URL(self.url + target, encoded=True), **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path, holder="test", **params):
        """(status, body) of a public request."""
        target = f"{path}?{urlencode(params)}" if params else path
        answer = await self.raw("GET", target, headers={"User-Agent": holder})
        return answer.status, answer.body

    async def control(self, method, path, body=None):
        answer = await self.raw(method, path, data=None if body is None else json.dumps(body))
        return answer.status, answer.body

    async def fault(self, **fault):
        status, body = await self.control("POST", "/sim/fault", fault)
        assert status == 200, body
        return body["id"]

    async def account(self, holder="maker-a", **options):
        options.setdefault("balances", {"USDT": "100000", "USDC": "100000"})
        status, body = await self.control("POST", "/sim/account", options)
        assert status == 200, body
        return Account(self, body["apiKey"], hmac_signer(body["apiSecret"]), holder)

    async def account_of(self, keys, holder="maker-a", **options):
        """An account whose requests are signed by a pair of keys: `keys.pem` and `keys.sign`."""
        status, body = await self.control("POST", "/sim/account", {**options, "publicKey": keys.pem})
        assert status == 200, body
        assert "apiSecret" not in body
        return Account(self, body["apiKey"], keys.sign, holder)

    async def stream(self, target, holder="maker-a", **options):
        options.setdefault("headers", {"User-Agent": holder})
        socket = await self.http.ws_connect(self.url + target, **options)
        self._streams.append(socket)
        return Stream(socket)

    async def audit(self):
        return (await self.control("GET", "/sim/audit"))[1]

    async def violations(self):
        report = await self.audit()
        return {kind: count for kind, count in report["violations"].items() if count}

    async def close(self):
        for socket in self._streams:
            await socket.close()

    # ---- moving the market --------------------------------------------------------------------------------------

    def _apply(self, symbol, update):
        self.server.exchange.apply(symbol, update, self.server.clock.now_ms())

    def level(self, side, price, quantity, symbol="BTCUSDT"):
        """State a background level."""
        spec = BUILT_IN[symbol]
        levels = ((spec.ticks_of(Decimal(price)), spec.steps_of(Decimal(quantity))),)
        bids, asks = (levels, ()) if side == "BUY" else ((), levels)
        self._apply(symbol, DepthUpdate(0, bids, asks))

    def taker(self, side, quantity, limit=None, symbol="BTCUSDT"):
        """A background order sweeps the book."""
        spec = BUILT_IN[symbol]
        limit_ticks = None if limit is None else spec.ticks_of(Decimal(limit))
        self._apply(symbol, TakerUpdate(0, side == "BUY", spec.steps_of(Decimal(quantity)), limit_ticks))

    def mark(self, price, symbol="BTCUSDT"):
        mark_e8 = int(Decimal(price) * E8)
        self._apply(symbol, MarkUpdate(0, mark_e8, mark_e8, 10_000))


@asynccontextmanager
async def open_venue(scenario=None, symbols=("BTCUSDT", "ETHUSDC"), clock=None, sources=None):
    prices = {"BTCUSDT": "61800.0", "ETHUSDC": "2500.00", "BTCUSDC": "61800.0"}
    sources = sources or {symbol: StillSource(symbol, prices[symbol]) for symbol in symbols}
    config = ServerConfig(scenario=scenario or Scenario())
    async with (
        run_server(config, clock or JumpingClock(), sources) as (url, server),
        # No connection is used twice: aiohttp would repeat a GET by itself where a kept one is cut.
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S), connector=aiohttp.TCPConnector(force_close=True)
        ) as http,
    ):
        venue = Venue(url, server, http)
        try:
            yield venue
        finally:
            await venue.close()


@pytest.fixture
def venues():
    """Opens venues of a test's own making: `async with venues(scenario=…) as venue`."""
    return open_venue


@pytest.fixture(scope="module")
def venues_of_module():
    """The same for a venue that many tests share."""
    return open_venue


@pytest_asyncio.fixture
async def venue():
    async with open_venue() as opened:
        yield opened


@pytest_asyncio.fixture
async def maker(venue):
    return await venue.account()


@pytest.fixture
def eventually():
    """Waits until something holds: the other side of a socket needs a moment."""

    async def wait(holds):
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of events
                await asyncio.sleep(0.005)

    return wait
