import gzip
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from phoenix_simulator.exchange.events import ExchangeEvent
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.market.source import MarketSource, MarketUpdate

SECOND_NS = 1_000_000_000
RECORDING = Path(
    os.environ.get("PHOENIX_CAPTURE")
    or Path(__file__).resolve().parents[4] / "shared/data/binance-usdm/btcusdt_20240808.gz"
)


@pytest.fixture(scope="session")
def recording() -> Path:
    if not RECORDING.exists():
        pytest.skip(f"the recording {RECORDING.name} is not here (PHOENIX_CAPTURE names another place)")
    return RECORDING


@pytest.fixture
def random() -> Random:
    return Random(1)  # noqa: S311 - a market, not a secret


class CaptureWriter:
    """Builds a small capture of BTCUSDT line by line; each line comes a millisecond after the one before."""

    def __init__(self, folder: Path, time_ns: int = 1_700_000_000_000_000_000, symbol: str = "BTCUSDT") -> None:
        self._folder = folder
        self.symbol = symbol
        self.time_ns = time_ns
        self.lines: list[str] = []

    def raw(self, text: str) -> "CaptureWriter":
        self.lines.append(text)
        return self

    def message(self, payload: object) -> "CaptureWriter":
        self.time_ns += 1_000_000
        return self.raw(f"{self.time_ns} {json.dumps(payload)}")

    def stream(self, kind: str, **data: object) -> "CaptureWriter":
        name = f"{self.symbol.lower()}@{kind}"
        return self.message({"stream": name, "data": {"s": self.symbol, "E": 1, "T": 1, **data}})

    def depth(self, first: int, last: int, previous: int, bids=(), asks=(), kind="depth@0ms") -> "CaptureWriter":
        return self.stream(kind, e="depthUpdate", U=first, u=last, pu=previous, b=list(bids), a=list(asks))

    def touch(self, update_id: int, bid=("100.00", "1.000"), ask=("100.10", "2.000")) -> "CaptureWriter":
        return self.stream("bookTicker", e="bookTicker", u=update_id, b=bid[0], B=bid[1], a=ask[0], A=ask[1])

    def trade(self, trade_id: int, price="100.10", qty="0.010", *, sell=False) -> "CaptureWriter":
        return self.stream("trade", e="trade", t=trade_id, p=price, q=qty, X="MARKET", m=sell)

    def mark(self, mark="100.05000000", index="100.01000000", rate="-0.00010000") -> "CaptureWriter":
        return self.stream("markPrice@1s", e="markPriceUpdate", p=mark, i=index, r=rate, P=mark)

    def snapshot(self, last_id: int, bids=(("100.00", "1.000"),), asks=(("100.10", "2.000"),)) -> "CaptureWriter":
        return self.message({"lastUpdateId": last_id, "E": 1, "T": 1, "bids": list(bids), "asks": list(asks)})

    def opening(self) -> "CaptureWriter":
        """Five lines: an old frame, a touch, the frame that spans the snapshot, the snapshot, the next frame."""
        return (
            self.depth(101, 105, 100, bids=[("99.00", "9.000")])
            .touch(108)
            .depth(106, 110, 105, bids=[("99.90", "0.500")])
            .snapshot(108, bids=[("100.00", "1.000"), ("99.80", "3.000")])
            .depth(112, 115, 110, asks=[("100.20", "4.000")])
        )

    def write(self, name: str = "capture", *, compress: bool = False) -> Path:
        path = self._folder / name
        data = ("\n".join(self.lines) + "\n").encode() if self.lines else b""
        path.write_bytes(gzip.compress(data) if compress else data)
        return path


@pytest.fixture
def capture(tmp_path) -> Callable[..., CaptureWriter]:
    def new(**options: object) -> CaptureWriter:
        return CaptureWriter(tmp_path, **options)

    return new


class Stage:
    """An exchange with one source, played by hand; `events` is what the public heard."""

    def __init__(self, source: MarketSource) -> None:
        self.events: list[ExchangeEvent] = []
        self.exchange = Exchange()
        self.start = source.start()
        self.symbol = source.symbol
        self.exchange.list_symbol(BUILT_IN[source.symbol], self.start, 0)
        self.exchange.listeners.append(self.events.append)
        self.background = self.exchange.background(source.symbol)
        self._updates = source.updates(self.background)

    def play(self, updates: int | None = None, until_s: float = float("inf")) -> Iterator[MarketUpdate]:
        """Each update after it was applied."""
        for update in islice(self._updates, updates):
            self.exchange.apply(self.symbol, update, update.time_ns // 1_000_000)
            yield update
            if update.time_ns > until_s * SECOND_NS:
                return

    def run(self, updates: int | None = None, until_s: float = float("inf")) -> list[MarketUpdate]:
        return list(self.play(updates, until_s))


@pytest.fixture(scope="session")
def stage() -> Callable[[MarketSource], Stage]:
    return Stage
