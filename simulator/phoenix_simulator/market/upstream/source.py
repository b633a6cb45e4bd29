"""One symbol of an upstream, kept as a careful client keeps it, and passed on as a market of kind REPLAY.

The public here hears what the upstream said, with its ids; accounts' orders are matched against its trades and book as
in a replay (`replay.py` says how, and what that cannot know), and are seen by nobody else.

* The book follows the venue's rule: frames are held while the snapshot is read, then each must continue the one before.
  Where one does not, the market is *blind* (see `LiveMarket`) until a new snapshot has joined its frames.
* A line that ends is opened again, with growing, jittered pauses. Before the venue ends it (24 hours, or announced by
  `serverShutdown`) a second one is opened beside it and takes over without losing or repeating an event.
* Silence is not trusted: a book that says nothing for two seconds is compared with the upstream's last update id, and
  marks have to come every second.
* Ids only grow. Where they are lower on a new line, and stay so, the upstream has begun a new life (a simulator was
  started again): what rests here is of the old one, and the exchange ends.

Every loss and its end are logged.

What traded while the market was blind is not known: orders are not filled for it but where the new book proves it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

import aiohttp
import msgspec

from phoenix_simulator.exchange.symbols import SymbolSpec
from phoenix_simulator.market.capture import DepthRecord, MessageParser, Record, SnapshotRecord
from phoenix_simulator.market.local_book import BrokenBookError, LocalBook
from phoenix_simulator.market.source import (
    DepthUpdate,
    LiveMarket,
    LiveReport,
    MarketKind,
    MarketStart,
    MarkUpdate,
    PrintUpdate,
    TouchUpdate,
)
from phoenix_simulator.market.upstream.line import Line
from phoenix_simulator.market.upstream.questions import (
    Endpoints,
    Marks,
    Questions,
    UpstreamError,
    UpstreamRestartedError,
)

_log = logging.getLogger(__name__)

_HELD_FRAMES: Final = 10_000
"""More than this between snapshot and frames, and something else is wrong."""


class Patience(msgspec.Struct, frozen=True):
    """Seconds of life; a live market knows no other clock."""

    life_s: float = 23 * 3_600.0
    """The venue ends every connection after 24 hours."""
    book_silence_s: float = 2.0
    """Without a frame of the book for so long one asks whether that can be, and waits as long for the answer: until
    then orders meet a book that may stand still. (The venue's frames come every 100 ms where anything changes; asking
    of a book at rest costs 48 of the 2400 weight a minute.)
    """
    silence_s: float = 10.0
    """Without a mark for so long the line is not what it seems; with ids that are behind for so long, the upstream."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    handover_s: float = 30.0
    """How long a second line has to join the first."""


class UpstreamSource:
    """Made by `connect`, which has seen that the upstream can be used; `run` keeps it in step.

    `start` is the market as it was then, from `snapshot` and `marks`.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        endpoints: Endpoints,
        spec: SymbolSpec,
        patience: Patience,
        snapshot: SnapshotRecord,
        marks: Marks,
    ) -> None:
        self.spec = spec
        self.start = MarketStart(
            MarketKind.REPLAY,
            snapshot.bids,
            snapshot.asks,
            marks.mark_e8,
            marks.index_e8,
            marks.funding_rate_e8,
            snapshot.last_id,
            0,
        )
        self._http = http
        self._endpoints = endpoints
        self._questions = Questions(http, endpoints.rest)
        self._patience = patience
        self._parser = MessageParser({spec.symbol: spec}, spec.symbol)
        self._random = Random()  # noqa: S311 - jitter, not a secret
        self._market: LiveMarket | None = None
        self._book = LocalBook(snapshot)
        """As told to the public, also while it is out of step."""
        self._in_step = False
        self._held: list[DepthRecord] = []
        """Frames since the snapshot was asked for."""
        self._line: Line | None = None
        self._next: Line | None = None
        self._since_next: list[Record] = []
        """What the next line has said until it takes over."""
        self._joined = asyncio.Event()
        self._resynchronising: asyncio.Task[None] | None = None
        self._touch_id = self._trade_id = 0
        self._heard_s = self._marked_s = 0.0
        self._behind_since_s: float | None = None
        """Since when the upstream's ids have been lower than on the line before; None where they are not."""
        self._has_new_line = True
        """Since the book was last in step."""
        self._trouble = "not connected yet"
        self._logged = ""
        """The trouble that was logged and is not over."""
        self._lines = self._resynchronised = 0
        self._failures = 0
        """Lines lost since a frame last continued the book: a snapshot that joins nothing proves no line."""

    @property
    def symbol(self) -> str:
        return self.spec.symbol

    def report(self) -> LiveReport:
        return LiveReport(self.symbol, self._in_step, self._trouble, self._lines, self._resynchronised)

    # ---- lines --------------------------------------------------------------------------------------------------

    async def run(self, market: LiveMarket) -> None:
        """Until cancelled. What the upstream does is survived but for a new life (UpstreamRestartedError); what the
        market itself raises is not.
        """
        self._market = market
        market.blind(True)
        try:
            while True:
                try:
                    self._line = await self._open()
                    self._resynchronise()
                    await self._watch()
                except UpstreamRestartedError:
                    raise
                except UpstreamError as error:
                    self._failures += 1
                    self._lose(str(error))
                    await asyncio.sleep(self._pause_s(self._failures, error))
                finally:
                    await self._hang_up()
        finally:
            market.blind(True)

    async def _open(self) -> Line:
        line = Line(self._parser, self._hear)
        self._lines += 1
        try:
            await line.open(self._http, self._endpoints.streams, self.symbol)
        except BaseException:
            await line.close()
            raise
        return line

    async def _hang_up(self) -> None:
        lines = [line for line in (self._line, self._next) if line is not None]
        self._line = self._next = None
        if self._resynchronising is not None:
            self._resynchronising.cancel()
            await asyncio.gather(self._resynchronising, return_exceptions=True)
            self._resynchronising = None
        for line in lines:
            await line.close()

    async def _watch(self) -> None:
        """Looks after the line until it is over, which raises why."""
        loop = asyncio.get_running_loop()
        self._heard_s = self._marked_s = loop.time()
        ends_s = loop.time() + self._patience.life_s
        look_s = self._patience.book_silence_s / 4
        while self._line is not None:
            line = self._line
            await asyncio.wait({line.over}, timeout=look_s)
            if line.over.done():
                line.over.result()
            self._check_resynchronising()
            if line.retiring.is_set():
                ends_s = min(ends_s, loop.time())
                line.retiring.clear()
            if loop.time() >= ends_s:
                is_replaced = await self._replace(line)
                ends_s = loop.time() + (self._patience.life_s if is_replaced else self._patience.longest_pause_s)
            if loop.time() - self._marked_s > self._patience.silence_s:
                raise UpstreamError("marks have stopped coming")
            if self._in_step and loop.time() - self._heard_s > self._patience.book_silence_s:
                await self._compare()

    def _check_resynchronising(self) -> None:
        task = self._resynchronising
        if task is not None and task.done():
            self._resynchronising = None
            task.result()

    async def _compare(self) -> None:
        """Silence of the book is true where the upstream's has not moved either. A late answer is none."""
        patience_s = self._patience.book_silence_s
        try:
            async with asyncio.timeout(patience_s):
                theirs = await self._questions.last_update_id(self.symbol)
        except TimeoutError:
            raise UpstreamError("the book's stream is silent, and asked for it the upstream is, too") from None
        await asyncio.sleep(patience_s / 4)
        if self._in_step and theirs > self._book.last_id:
            raise UpstreamError("the book's stream is silent, but the book moves")
        self._heard_s = asyncio.get_running_loop().time()

    async def _replace(self, line: Line) -> bool:
        """A second line takes over as soon as the first has told what the second began with. False where it could not:
        the first goes on as long as it lives.
        """
        self._joined.clear()
        self._since_next.clear()
        try:
            fresh = self._next = await self._open()
        except UpstreamError as error:
            self._trouble = str(error)
            return False
        joined = asyncio.create_task(self._joined.wait())
        awaited: set[asyncio.Future[Any]] = {joined, line.over, fresh.over}
        try:
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait(awaited, timeout=self._patience.handover_s, return_when=first)
        finally:
            joined.cancel()
        is_replaced = self._joined.is_set()
        if not is_replaced:
            self._next = None
        await (line if is_replaced else fresh).close()
        return is_replaced

    def _take_over(self) -> None:
        held = self._since_next
        self._line, self._next, self._since_next = self._next, None, []
        self._joined.set()
        for record in held:
            self._apply(record)

    # ---- records ------------------------------------------------------------------------------------------------

    def _hear(self, line: Line, record: Record) -> None:
        if line is self._line:
            self._apply(record)
        elif line is self._next:
            self._since_next.append(record)
        if self._next is not None and self._in_step:
            first = next((held for held in self._since_next if isinstance(held, DepthRecord)), None)
            if first is not None and first.update.last_id <= self._book.last_id:
                self._take_over()

    def _apply(self, record: Record) -> None:
        market = self._market
        if market is None:
            return
        match record:
            case DepthRecord():
                self._heard_s = asyncio.get_running_loop().time()
                self._depth(record, market)
            case TouchUpdate() if record.update_id > self._touch_id:
                self._touch_id = record.update_id
                market.apply(record)
            case PrintUpdate() if record.trade_id > self._trade_id:
                self._trade_id = record.trade_id
                market.apply(record)
            case MarkUpdate():
                self._marked_s = asyncio.get_running_loop().time()
                market.apply(record)
            case _:
                pass

    def _depth(self, frame: DepthRecord, market: LiveMarket) -> None:
        book = self._book
        if not self._in_step:
            self._held.append(frame)
            if len(self._held) > _HELD_FRAMES:
                del self._held[0]
        elif frame.update.last_id > book.last_id:
            try:
                book.apply(frame)
            except BrokenBookError as error:
                if book.last_id == frame.update.last_id:
                    # It does continue the book, and crosses it: that is what the upstream said.
                    market.apply(frame.update)
                self._say(str(error))
                self._resynchronise()
                self._held.append(frame)
                return
            self._failures = 0
            market.apply(frame.update)

    # ---- in and out of step -------------------------------------------------------------------------------------

    def _say(self, trouble: str) -> None:
        self._trouble = trouble
        if trouble != self._logged:
            self._logged = trouble
            _log.warning("%s: the upstream's book is not known, orders are refused: %s", self.symbol, trouble)

    def _lose(self, reason: str) -> None:
        self._say(reason)
        self._go_blind()
        # Ids of a new line begin where they begin.
        self._touch_id = self._trade_id = 0
        self._has_new_line = True

    def _go_blind(self) -> None:
        self._in_step = False
        self._held.clear()
        if self._market is not None:
            self._market.blind(True)

    def _resynchronise(self) -> None:
        self._go_blind()
        if self._resynchronising is None or self._resynchronising.done():
            self._resynchronising = asyncio.create_task(self._read_book())

    async def _read_book(self) -> None:
        """Until a snapshot has joined the frames. What else is wrong with the line is for `_watch` to see."""
        attempts = 0
        while not self._in_step:
            if attempts:
                await asyncio.sleep(self._pause_s(attempts))
            attempts += 1
            try:
                snapshot = await self._questions.book(self.symbol, self._parser)
            except UpstreamError as error:
                self._say(str(error))
                await asyncio.sleep(error.retry_after_s)
                continue
            book = LocalBook(snapshot)
            try:
                joined = [frame for frame in self._held if not book.is_older(frame)]
                for frame in joined:
                    book.apply(frame)
            except BrokenBookError as error:
                self._say(str(error))
                del self._held[: len(self._held) - len(joined)]
                continue
            self._join(book)

    def _join(self, fresh: LocalBook) -> None:
        """Tells the public what has changed since it was last told anything, as one frame."""
        told, market = self._book, self._market
        if market is None:
            return
        if fresh.last_id < told.last_id:
            self._fall_behind(
                f"the upstream's book is at {fresh.last_id}, behind the {told.last_id} that it was at before"
            )
            return
        bids, asks = told.bids.changes_to(fresh.bids), told.asks.changes_to(fresh.asks)
        self._book, self._in_step = fresh, True
        self._held.clear()
        self._resynchronised += 1
        self._heard_s = asyncio.get_running_loop().time()
        self._behind_since_s, self._has_new_line = None, False
        if self._logged:
            self._logged = ""
            _log.info("%s: in step with the upstream again", self.symbol)
        if fresh.last_id > told.last_id:
            market.apply(DepthUpdate(0, bids, asks, told.last_id + 1, fresh.last_id))
        market.blind(False)

    def _fall_behind(self, trouble: str) -> None:
        """A snapshot may be older than the frames before it; on a new line, and for long, it is of another life."""
        now_s = asyncio.get_running_loop().time()
        since_s = self._behind_since_s = self._behind_since_s or now_s
        if self._has_new_line and now_s - since_s > self._patience.silence_s:
            raise UpstreamRestartedError(
                f"{self._endpoints.rest} has begun a new life: {trouble}. What rests and is held here is of the "
                "old one; start the exchange again"
            )
        self._say(trouble)

    def _pause_s(self, failures: int, error: UpstreamError | None = None) -> float:
        pause_s = min(self._patience.first_pause_s * 2.0 ** max(0, failures - 1), self._patience.longest_pause_s)
        pause_s *= 0.75 + 0.5 * self._random.random()
        return max(pause_s, error.retry_after_s if error is not None else 0.0)


async def connect(
    http: aiohttp.ClientSession, url: str, symbols: Sequence[str], patience: Patience | None = None
) -> Mapping[str, UpstreamSource]:
    """Sources of these symbols; UpstreamError where the upstream cannot be reached or does not list them."""
    endpoints = Endpoints.of(url)
    questions = Questions(http, endpoints.rest)
    sources: dict[str, UpstreamSource] = {}
    for symbol, spec in (await questions.specs(symbols)).items():
        snapshot = await questions.book(symbol, MessageParser({symbol: spec}, symbol))
        marks = await questions.marks(symbol)
        sources[symbol] = UpstreamSource(http, endpoints, spec, patience or Patience(), snapshot, marks)
    return sources
