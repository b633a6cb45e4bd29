"""The market data connections: BOOK (depth, touch, trades, canary) and MARKET (mark price, contract changes).

BOOK conflates what came in one read of the socket before it decodes anything: of several bookTickers only the newest is
worth an event, depth diffs and trades all are. So a burst costs little and never queues up. The stream of a frame is
told from its first bytes; a frame that is laid out otherwise is told by its parsed envelope.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random

from phoenix_worker.core.events import (
    Canary,
    Mark,
    SocketSilent,
    Stream,
    StreamClosed,
    StreamOpened,
    VenueMaintenance,
)
from phoenix_worker.venue.binance import messages
from phoenix_worker.venue.binance.kept import KeptConnection
from phoenix_worker.venue.binance.messages import ContractInfo, DecodeError, Frame
from phoenix_worker.venue.clock import Clock, Timer
from phoenix_worker.venue.port import Sink

CANARY_STREAM = "btcusdt@depth5@500ms"
"""A stream that never rests: while it delivers, the connection lives, whatever our symbol does."""
SILENT_AFTER_S = 3.0
"""A fresh connection that has brought nothing by then (the canary sends twice a second) has its cause upstream."""
REFUSED_TIMES = 2
"""So many attempts in a row that open no connection are no accident of one."""
SHUTDOWN_RETURN_S = (5.0, 30.0)
"""After the exchange said that it goes down, everybody comes back at another moment."""

_PREFIX = b'{"stream":"'


class MarketConnection(ABC):
    """What BOOK and MARKET share: opened and closed once each, bad frames counted, maintenance heard."""

    stream: Stream

    def __init__(
        self,
        url: str,
        symbol: str,
        emit: Sink,
        on_bad_frame: Callable[[DecodeError], None],
        *,
        user_agent: str,
        clock: Clock,
        random: Random,
    ) -> None:
        self._url = url
        self._symbol = symbol
        self._emit = emit
        self._on_bad_frame = on_bad_frame
        self._clock = clock
        self._random = random
        self._down = False
        self.kept = KeptConnection(self, user_agent, clock, random)
        self.frames = 0
        self.ignored = 0
        self.opened_ns = 0

    def start(self) -> None:
        self.kept.start()

    async def close(self) -> None:
        await self.kept.close()

    async def url(self) -> str:
        return self._url

    def on_open(self) -> None:
        self.opened_ns = self._clock.monotonic_ns()
        if self._down:
            self._down = False
            self._emit(VenueMaintenance(self.opened_ns, down=False))
        self._emit(StreamOpened(self.opened_ns, self.stream))

    def on_closed(self, reason: str) -> None:
        self._emit(StreamClosed(self._clock.monotonic_ns(), self.stream, reason))

    @abstractmethod
    def on_batch(self, frames: list[bytearray]) -> None:
        """The frames of one read of the socket, in order."""

    def on_refused(self) -> None:  # noqa: B027 - one of the two that lose the same exchange says it
        """Another attempt to open a connection has failed."""

    def on_successor(self) -> None:  # noqa: B027 - most streams have nothing to do when a successor takes over
        """A new connection has taken the place of the old one."""

    def merge(self, held: list[bytearray], waited_s: float) -> list[bytearray] | None:  # noqa: ARG002
        return held

    def _other(self, frame: Frame, at: int) -> None:
        """A frame of no stream that we asked for: the exchange goes down, a control reply, or something new."""
        kind = messages.kind_of(frame)
        if kind == "serverShutdown":
            if not self._down:
                self._down = True
                self._emit(VenueMaintenance(at, down=True))
                delay_s = self._random.uniform(*SHUTDOWN_RETURN_S)
                asyncio.get_running_loop().call_soon(self.kept.reopen, "the exchange goes down", delay_s)
        elif kind is None and messages.stream_of(frame) is None and not messages.is_control_reply(frame):
            self._on_bad_frame(DecodeError(f"{self.stream} stream", "neither an event nor a reply", frame))
        else:
            self.ignored += 1


class BookStream(MarketConnection):
    """`speed` is the diff depth's (`100ms`; a replayed recording has `0ms`)."""

    stream = Stream.BOOK

    def __init__(
        self,
        base_url: str,
        symbol: str,
        speed: str,
        emit: Sink,
        on_bad_frame: Callable[[DecodeError], None],
        *,
        user_agent: str,
        clock: Clock,
        random: Random,
    ) -> None:
        name = symbol.lower()
        names = (f"{name}@depth@{speed}", f"{name}@bookTicker", f"{name}@trade", CANARY_STREAM)
        url = f"{base_url}/public/stream?streams={messages.percent_encoded('/'.join(names))}"
        super().__init__(url, symbol, emit, on_bad_frame, user_agent=user_agent, clock=clock, random=random)
        handlers = (self._on_depth, self._on_ticker, self._on_trade, self._on_canary)
        self._by_name = dict(zip(names, handlers, strict=True))
        self._depth, self._ticker, self._trade, self._canary = (_PREFIX + n.encode() + b'"' for n in names)
        self._silence: Timer | None = None
        self._silent = False
        self._heard = False
        self._refusals = 0
        self._last_depth_id = 0
        self._last_trade_id = 0
        self.conflated = 0
        self.batch_max = 0
        self.batch_last = 0

    # -- frames ------------------------------------------------------------------------------------

    def on_batch(self, frames: list[bytearray]) -> None:
        at = self._clock.monotonic_ns()
        count = len(frames)
        self.frames += count
        self.batch_last = count
        self.batch_max = max(self.batch_max, count)
        if not self._heard:
            self._first_frame(at)
        ticker = self._ticker
        newest = -1
        if count > 1:
            for index in range(count - 1, -1, -1):
                if frames[index].startswith(ticker):
                    newest = index
                    break
        for index, frame in enumerate(frames):
            if index < newest and frame.startswith(ticker):
                self.conflated += 1
                continue
            try:
                self._on_frame(frame, at)
            except DecodeError as error:
                self._on_bad_frame(error)

    def _on_frame(self, frame: Frame, at: int) -> None:
        """One frame to one event; raises `DecodeError`."""
        if frame.startswith(self._ticker):
            self._on_ticker(frame, at)
        elif frame.startswith(self._depth):
            self._on_depth(frame, at)
        elif frame.startswith(self._trade):
            self._on_trade(frame, at)
        elif frame.startswith(self._canary):
            self._on_canary(frame, at)
        else:  # laid out in another way than the exchange does today, or none of our streams
            self._by_name.get(messages.stream_of(frame) or "", self._other)(frame, at)

    def _on_ticker(self, frame: Frame, at: int) -> None:
        touch = messages.touch(frame, at, self._symbol)
        if touch is not None:
            self._emit(touch)

    def _on_depth(self, frame: Frame, at: int) -> None:
        depth = messages.depth(frame, at, self._symbol)
        if depth is not None:
            self._last_depth_id = depth.last_id
            self._emit(depth)

    def _on_trade(self, frame: Frame, at: int) -> None:
        trade = messages.trade(frame, at, self._symbol)
        if trade is not None:
            self._last_trade_id = trade.trade_id
            self._emit(trade)

    def _on_canary(self, _: Frame, at: int) -> None:
        self._emit(Canary(at))

    # -- connection --------------------------------------------------------------------------------

    def on_open(self) -> None:
        self._heard = False
        if self._refusals >= REFUSED_TIMES:
            self._emit(SocketSilent(self._clock.monotonic_ns(), silent=self._silent))
        self._refusals = 0
        self._silence = self._clock.call_later(SILENT_AFTER_S, self._nothing_came)
        super().on_open()

    def on_refused(self) -> None:
        self._refusals += 1
        if self._refusals == REFUSED_TIMES:
            self._emit(SocketSilent(self._clock.monotonic_ns(), silent=self._silent, refused=True))

    def on_closed(self, reason: str) -> None:
        self._stop_waiting()
        super().on_closed(reason)

    async def close(self) -> None:
        self._stop_waiting()
        await super().close()

    def _first_frame(self, at: int) -> None:
        self._heard = True
        self._stop_waiting()
        if self._silent:
            self._silent = False
            self._emit(SocketSilent(at, silent=False))

    def _nothing_came(self) -> None:
        if not self._silent:
            self._silent = True
            self._emit(SocketSilent(self._clock.monotonic_ns(), silent=True))

    def _stop_waiting(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    # -- succession --------------------------------------------------------------------------------

    def merge(self, held: list[bytearray], waited_s: float) -> list[bytearray] | None:  # noqa: ARG002
        """The successor has caught up once it has the diff that the old connection delivered last, or the one that
        follows on it; what comes after that one is new, but for trades that were delivered already.
        """
        for index, frame in enumerate(held):
            if not frame.startswith(self._depth):
                continue
            try:
                depth = messages.depth(frame, 0, self._symbol)
            except DecodeError as error:
                self._on_bad_frame(error)
                continue
            if depth is None:
                continue
            if depth.last_id == self._last_depth_id:
                return self._new_trades(held[:index]) + self._without_known_trades(held[index + 1 :])
            if depth.prev_id == self._last_depth_id:
                return self._new_trades(held[:index]) + self._without_known_trades(held[index:])
        return None

    def _new_trades(self, frames: list[bytearray]) -> list[bytearray]:
        return [f for f in frames if f.startswith(self._trade) and self._is_new_trade(f)]

    def _without_known_trades(self, frames: list[bytearray]) -> list[bytearray]:
        return [f for f in frames if not f.startswith(self._trade) or self._is_new_trade(f)]

    def _is_new_trade(self, frame: Frame) -> bool:
        try:
            trade = messages.trade(frame, 0, self._symbol)
        except DecodeError as error:
            self._on_bad_frame(error)
            return False
        return trade is not None and trade.trade_id > self._last_trade_id


class MarketStream(MarketConnection):
    """Mark price every second, and changes of the contract."""

    stream = Stream.MARKET

    def __init__(
        self,
        base_url: str,
        symbol: str,
        emit: Sink,
        on_bad_frame: Callable[[DecodeError], None],
        on_contract: Callable[[ContractInfo], None],
        *,
        user_agent: str,
        clock: Clock,
        random: Random,
    ) -> None:
        names = messages.percent_encoded(f"{symbol.lower()}@markPrice@1s/!contractInfo")
        url = f"{base_url}/market/stream?streams={names}"
        super().__init__(url, symbol, emit, on_bad_frame, user_agent=user_agent, clock=clock, random=random)
        self._on_contract = on_contract

    def on_batch(self, frames: list[bytearray]) -> None:
        at = self._clock.monotonic_ns()
        self.frames += len(frames)
        for frame in frames:
            try:
                event = messages.market(frame, at, self._symbol)
            except DecodeError as error:
                self._on_bad_frame(error)
                continue
            match event:
                case Mark():
                    self._emit(event)
                case ContractInfo():
                    self._on_contract(event)
                case None:
                    self._other(frame, at)
