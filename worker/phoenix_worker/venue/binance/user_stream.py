"""The USER connection: what happened to our orders, position and funding, as long as the listen key lives.

Nothing of it may be lost: a frame that cannot be read ends the connection, so that the truth is read anew. The listen
key is the account's: every worker extends it, nobody deletes it. Its end is announced once, to all workers in the same
instant, and then their connections are silent for good; so the key is extended well before, and when it is gone they
come back one after another.
"""

import asyncio
from collections.abc import Callable
from random import Random

import msgspec

from phoenix_worker.core.events import Stream, StreamClosed, StreamOpened
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.venue.binance import own_messages
from phoenix_worker.venue.binance.kept import KeptConnection, backoff_s
from phoenix_worker.venue.binance.messages import DecodeError, Frame
from phoenix_worker.venue.binance.own_messages import (
    AccountUpdate,
    ListenKeyExpired,
    MarginCall,
    OrderTradeUpdate,
    ServerShutdown,
)
from phoenix_worker.venue.binance.rest import Rest, RestError
from phoenix_worker.venue.binance.transport import ConnectError
from phoenix_worker.venue.clock import Clock
from phoenix_worker.venue.port import Sink

EXTEND_EVERY_S = 25 * 60.0
EXTEND_JITTER_S = 120.0
"""A key lives 60 min; the exchange recommends 20 to 30."""
OVERLAP_S = 1.0
"""How long both connections are heard before the old one is replaced."""
COME_BACK_WITHIN_S = 2.0
"""After an expiry: each worker of the account takes a connection and reads the truth, from one address."""
NO_SUCH_KEY = -1125


class _ListenKey(msgspec.Struct):
    key: str = msgspec.field(name="listenKey")


_listen_key = msgspec.json.Decoder(_ListenKey).decode


class UserStream:
    """`on_ignored` hears the names of events that we do not act on."""

    def __init__(
        self,
        base_url: str,
        rest: Rest,
        instrument: Callable[[], Instrument],
        emit: Sink,
        on_bad_frame: Callable[[DecodeError], None],
        on_ignored: Callable[[str], None],
        *,
        user_agent: str,
        clock: Clock,
        random: Random,
    ) -> None:
        self._base_url = base_url
        self._rest = rest
        self._instrument = instrument
        self._emit = emit
        self._on_bad_frame = on_bad_frame
        self._on_ignored = on_ignored
        self._clock = clock
        self._random = random
        self._seen: set[bytes] | None = None
        self._extender: asyncio.Task[None] | None = None
        self.kept = KeptConnection(self, user_agent, clock, random)

    def start(self) -> None:
        self.kept.start()
        self._extender = asyncio.get_running_loop().create_task(self._extend(), name="listen key")

    async def close(self) -> None:
        """Closes our socket; the key stays: it is the account's."""
        if self._extender is not None:
            self._extender.cancel()
            await asyncio.gather(self._extender, return_exceptions=True)
        await self.kept.close()

    # -- listen key --------------------------------------------------------------------------------

    async def url(self) -> str:
        """The query form of the address: the path form is said to have stopped delivering in production."""
        try:
            reply = await self._rest.keep_listen_key("POST")
            key = _listen_key(reply.body).key
        except RestError as error:
            raise ConnectError(f"no listen key: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConnectError(f"no listen key: unreadable reply: {error}") from error
        return f"{self._base_url}/private/ws?listenKey={key}"

    async def _extend(self) -> None:
        failures = 0
        while True:
            if failures:
                await self._clock.sleep(backoff_s(failures, self._random))
            else:
                await self._clock.sleep(EXTEND_EVERY_S + self._random.uniform(-EXTEND_JITTER_S, EXTEND_JITTER_S))
            try:
                await self._rest.keep_listen_key("PUT")
            except RestError as error:
                failures += 1
                if error.code == NO_SUCH_KEY:
                    self.kept.reopen("the listen key is gone", 0.0)
                    failures = 0
            else:
                failures = 0

    # -- frames ------------------------------------------------------------------------------------

    def on_open(self) -> None:
        self._seen = None
        self._emit(StreamOpened(self._clock.monotonic_ns(), Stream.USER))

    def on_closed(self, reason: str) -> None:
        self._emit(StreamClosed(self._clock.monotonic_ns(), Stream.USER, reason))

    def on_batch(self, frames: list[bytearray]) -> None:
        at = self._clock.monotonic_ns()
        for frame in frames:
            if self._seen is not None:
                self._seen.add(bytes(frame))
            try:
                self._on_frame(frame, at)
            except DecodeError as error:
                self._on_bad_frame(error)
                asyncio.get_running_loop().call_soon(self.kept.reopen, "an event could not be read")
                return

    def _on_frame(self, frame: Frame, at: int) -> None:
        message = own_messages.user_message(frame)
        instrument = self._instrument()
        match message:
            case OrderTradeUpdate():
                if message.order.symbol == instrument.symbol:
                    self._emit(own_messages.order_report(message, at, instrument))
            case AccountUpdate():
                for event in own_messages.account_events(message, at, instrument):
                    self._emit(event)
            case ListenKeyExpired():
                delay_s = self._random.uniform(0.0, COME_BACK_WITHIN_S)
                asyncio.get_running_loop().call_soon(self.kept.reopen, "the listen key expired", delay_s)
            case ServerShutdown():
                # The market connections tell the core; here it is a loss that is known in advance.
                asyncio.get_running_loop().call_soon(self.kept.reopen, "the exchange goes down")
            case MarginCall():
                self._on_ignored("MARGIN_CALL")
            case str():
                self._on_ignored(message)

    # -- succession --------------------------------------------------------------------------------

    def on_refused(self) -> None: ...

    def on_successor(self) -> None:
        self._seen = set()

    def merge(self, held: list[bytearray], waited_s: float) -> list[bytearray] | None:
        """Both bring the same events, byte for byte: what the old connection delivered meanwhile is not told twice."""
        if waited_s < OVERLAP_S:
            return None
        seen, self._seen = self._seen or set(), None
        return [frame for frame in held if bytes(frame) not in seen]
