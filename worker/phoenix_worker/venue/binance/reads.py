"""Market data over HTTP: the book to start from, the touch of a quiet symbol, the minutes of the last day.

Each read is one attempt or a few, bounded in time; who asked asks again where nothing came. One that is still
running is not started twice.
"""

from collections.abc import Callable, Coroutine

from phoenix_worker.core.events import TouchAnswer
from phoenix_worker.venue.binance import messages
from phoenix_worker.venue.binance.asking import when_granted
from phoenix_worker.venue.binance.clock_sync import ExchangeTime
from phoenix_worker.venue.binance.limits import Urgency
from phoenix_worker.venue.binance.messages import DecodeError
from phoenix_worker.venue.binance.rest import Parameters, Rest, RestError
from phoenix_worker.venue.port import Sink

SNAPSHOT_LEVELS = 1000
SNAPSHOT_WEIGHT = 20
MINUTES = 1440
MINUTES_WEIGHT = 10
TOUCH_TIMEOUT_S = 0.8


class Reads:
    def __init__(
        self,
        symbol: str,
        rest: Rest,
        time: ExchangeTime,
        emit: Sink,
        on_bad_reply: Callable[[DecodeError], None],
        spawn: Callable[[Coroutine[object, object, None], str], object],
    ) -> None:
        self._symbol = symbol
        self._rest = rest
        self._time = time
        self._emit = emit
        self._on_bad_reply = on_bad_reply
        self._spawn = spawn
        self._running: set[str] = set()

    def snapshot(self) -> None:
        self._once("snapshot", self._snapshot)

    def minutes(self) -> None:
        self._once("minutes", self._minutes)

    def touch(self) -> None:
        self._spawn(self._touch(), "touch")

    def _once(self, name: str, read: Callable[[], Coroutine[object, object, None]]) -> None:
        if name not in self._running:
            self._running.add(name)
            self._spawn(self._run(name, read), name)

    async def _run(self, name: str, read: Callable[[], Coroutine[object, object, None]]) -> None:
        try:
            await read()
        except RestError:
            pass  # counted by code where it happened; the engine asks again
        except DecodeError as error:
            self._on_bad_reply(error)
        finally:
            self._running.discard(name)

    async def _snapshot(self) -> None:
        parameters: Parameters = [("symbol", self._symbol), ("limit", SNAPSHOT_LEVELS)]
        reply = await self._rest.get("/fapi/v1/depth", parameters, weight=SNAPSHOT_WEIGHT, urgency=Urgency.REDUCE)
        self._emit(messages.snapshot(reply.body, reply.received_ns))

    async def _minutes(self) -> None:
        parameters: Parameters = [("symbol", self._symbol), ("interval", "1m"), ("limit", MINUTES)]
        reply = await when_granted(
            lambda: self._rest.get("/fapi/v1/klines", parameters, weight=MINUTES_WEIGHT), self._time.clock
        )
        self._emit(messages.minutes(reply.body, reply.received_ns, self._time.now_ms()))

    async def _touch(self) -> None:
        """The ticker, twice, then the other endpoint; one answer in any case."""
        sent_ns = self._time.clock.monotonic_ns()
        parameters: Parameters = [("symbol", self._symbol)]
        attempts = (
            ("/fapi/v1/ticker/bookTicker", parameters, messages.touch_of_ticker),
            ("/fapi/v1/ticker/bookTicker", parameters, messages.touch_of_ticker),
            ("/fapi/v1/depth", [*parameters, ("limit", 5)], messages.touch_of_book),
        )
        for path, asked, read in attempts:
            try:
                reply = await self._rest.get(path, asked, weight=2, urgency=Urgency.REDUCE, timeout_s=TOUCH_TIMEOUT_S)
                answer = read(reply.body, reply.received_ns, sent_ns)
            except RestError:
                continue  # counted by code where it happened
            except DecodeError as error:
                self._on_bad_reply(error)
                continue
            self._emit(answer)
            return
        self._emit(TouchAnswer(self._time.clock.monotonic_ns(), sent_ns, None, None))
