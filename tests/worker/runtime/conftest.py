"""What the runtime's tests share: manifests, an instrument, an engine, a market, and an exchange that only listens."""

import asyncio
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from phoenix_worker.core import events as ev
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.instrument import Grid, Instrument
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.logs import open_log
from phoenix_worker.runtime.redaction import Redactor
from phoenix_worker.runtime.resolve import resolve
from phoenix_worker.runtime.resolved import parameters
from phoenix_worker.venue.port import Preflight
from worker_world import launcher, open_world

MAKER = """\
apiVersion: phoenix.trading/v1alpha1
kind: MarketMaker
metadata:
  name: btcusdt
spec:
  symbol: BTCUSDT
  accountRef: default
  mode: Live
  netMax: "0.10"
  baseSize: "0.004"
  minSpreadBps: 5
  nearLayers: 3
  nearStepBps: "1.5"
  farLayers: 2
  risk:
    capital: 2000
"""
ACCOUNT = """\
apiVersion: phoenix.trading/v1alpha1
kind: TradingAccount
metadata:
  name: default
spec:
  venue: BinanceUSDM
  environment: Simulator
  endpoints:
    baseUrl: http://127.0.0.1:8700
  limits:
    netNotional: 25000
    grossNotional: 50000
    dailyLoss: 500
    makerNetMax:
      BTCUSDT: "0.20"
      ETHUSDT: "2"
  settings:
    leverage: 10
    marginType: Cross
    apply: true
  emergency: None
"""


@pytest.fixture(scope="session")
def instrument():
    return Instrument(
        symbol="BTCUSDT",
        base_asset="BTC",
        quote_asset="USDT",
        price=Grid.of(Decimal("0.1")),
        quantity=Grid.of(Decimal("0.001")),
        min_price_ticks=1,
        max_price_ticks=10_000_000,
        min_qty_steps=1,
        max_qty_steps=1_000_000,
        market_min_steps=1,
        market_max_steps=100_000,
        min_notional=100 * 100_000_000,
        band_up=1.05,
        band_down=0.95,
        max_open_orders=200,
    )


def pytest_collection_modifyitems(items):
    """What starts processes and waits for them takes seconds, and on a busy machine minutes."""
    for item in items:
        if item.get_closest_marker("scenario") and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(180))


class Files:
    """A resolved maker and account in a directory, as people and kubelets change them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.maker = directory / "maker.yaml"
        self.account = directory / "account.yaml"
        self.maker.write_text(MAKER)
        self.account.write_text(ACCOUNT)

    def edit(self, path: Path, before: str, after: str) -> None:
        """Replaces the file by one with the text changed: another inode, as editors and kubelets do it."""
        text = path.read_text()
        assert before in text
        fresh = path.with_suffix(".new")
        fresh.write_text(text.replace(before, after))
        fresh.replace(path)

    def resolve(self):
        return resolve(self.maker, self.account)


@pytest.fixture
def files(tmp_path):
    directory = tmp_path / "resolved"
    directory.mkdir()
    return Files(directory)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(files, instrument, clock):
    ready = parameters(files.resolve().quoting, instrument)
    return Engine.new(ready, instrument, at=clock.monotonic_ns(), dry_run=False, revision="r1")


@pytest.fixture
def market():
    """Events of a quiet market from `at` on: touches and ticks that differ from one another."""

    def make(count, at=1_000_000_000):
        for number in range(count):
            at += 10_000_000
            bid = 60_000.0 + number % 7 / 10
            yield ev.Touch(at, 1_700_000_000_000 + number * 10, 1000 + number, bid, 1.5, bid + 0.1, 2.5)
            if number % 5 == 0:
                yield ev.Tick(at)

    return make


class LoggedLines:
    """A log whose lines can be read back."""

    def __init__(self, clock: Clock, redact: Redactor) -> None:
        self._stream = io.StringIO()
        self.log, self.writer = open_log(clock, redact, self._stream, symbol="BTCUSDT")

    def read(self) -> list[dict]:
        self.writer.close()
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    @property
    def text(self) -> str:
        self.writer.close()
        return self._stream.getvalue()


@pytest.fixture
def redact():
    return Redactor()


@pytest.fixture
def logged(clock, redact):
    lines = LoggedLines(clock, redact)
    yield lines
    lines.writer.close()


class ListeningVenue:
    """A venue that does what it is told and writes it down; its sink lets a test be the exchange."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.performed: list = []
        self.sink = None
        self.closed = False
        self.busy = False
        self.react = None

    async def prepare(self) -> Preflight:
        return Preflight(self.instrument, 2.0, 5.0, "binance:simulator:x", 0, 0, [], [])

    async def start(self, sink) -> None:
        self.sink = sink

    def perform(self, action) -> None:
        self.performed.append(action)
        if self.react is not None:
            self.react(action)

    @property
    def quiescent(self) -> bool:
        return not self.busy

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def venue(instrument):
    return ListeningVenue(instrument)


@pytest.fixture
def eventually():
    """Waits for a condition that another task, thread or process brings about."""

    async def wait(condition):
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - the other side is a thread or a process
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
async def processes():
    """Starts programs of ours, and ends what is left of them."""
    async with launcher() as start:
        yield start


@pytest.fixture
async def world(processes, files, tmp_path):
    """A simulated exchange with an account, its Redis, and the way to start workers on them."""
    async with open_world(processes, files, tmp_path) as world:
        yield world
