"""Orders over the WebSocket API: written in the call stack of the decision, answered by id.

Every request that was written ends in exactly one answer: the exchange's, or UNKNOWN when its time has passed or its
connection is lost. What could not be written is the caller's to send another way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random

import msgspec
from msgspec import Struct, field

from phoenix_worker.venue.binance.kept import KeptConnection
from phoenix_worker.venue.binance.messages import DecodeError, Frame
from phoenix_worker.venue.binance.own_messages import OrderReply
from phoenix_worker.venue.binance.rest import Parameters
from phoenix_worker.venue.binance.signing import Credentials
from phoenix_worker.venue.clock import NS_PER_S, Clock

REQUEST_TIMEOUT_S = 3.0
"""The exchange answers within milliseconds; later than this the order counts as unknown and is looked up."""
SWEEP_EVERY_S = 0.25


class RateLimit(Struct, gc=False):
    """A row of `rateLimits`; a limit that a method does not use is reported as -1."""

    kind: str = field(name="rateLimitType")
    interval: str
    interval_num: int = field(name="intervalNum")
    limit: int
    count: int = -1

    @property
    def seconds(self) -> int:
        return self.interval_num * {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400}.get(self.interval, 0)


class _ErrorData(Struct, gc=False):
    retry_after_ms: int | None = field(name="retryAfter", default=None)
    """When the exchange will listen again, by its clock."""


class _ApiError(Struct, gc=False):
    code: int = 0
    message: str = field(name="msg", default="")
    data: _ErrorData | None = None


class Response(Struct, gc=False):
    """One reply; exactly one of `result` and `error` is there."""

    id: str | int | None
    status: int
    result: OrderReply | None = None
    error: _ApiError | None = None
    limits: list[RateLimit] = field(name="rateLimits", default_factory=list)


class _OnlyId(Struct, gc=False):
    id: str | int | None


_response = msgspec.json.Decoder(Response).decode
_only_id = msgspec.json.Decoder(_OnlyId).decode


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why a written request has no answer."""

    reason: str


class Query(Struct, frozen=True, gc=False):
    """Parameters as a query, in three parts between which `recvWindow` and `timestamp` sort by name, as the signature
    wants them. `middle` and `end` are empty or begin with `&`; no value holds a `&`, a `=` or a quote (ids, decimals,
    symbols and words of the exchange do not).
    """

    front: str
    middle: str
    end: str = ""

    def parameters(self) -> Parameters:
        """The same for a request over HTTP."""
        pairs = (part.split("=", 1) for part in f"{self.front}{self.middle}{self.end}".split("&"))
        return [(name, value) for name, value in pairs]


def _fields(query: str) -> str:
    """The inside of a JSON object of strings is its query with other separators."""
    return query.replace("&", '","').replace("=", '":"')


class Sent(Enum):
    """What became of a request that should be written."""

    WRITTEN = "written"
    NOT_CONNECTED = "not connected"
    TOO_LATE = "too late"


OnReply = Callable[[Response | Unanswered, int], None]
"""Told once per written request: its end, and when its bytes left."""


class WsApi:
    """Sends and hears. Replies of a replaced connection are still heard for a while."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        user_agent: str,
        clock: Clock,
        random: Random,
        on_bad_frame: Callable[[DecodeError], None],
    ) -> None:
        self._url = url
        self._clock = clock
        self.use(credentials)
        self._on_bad_frame = on_bad_frame
        self.kept = KeptConnection(self, user_agent, clock, random, linger_s=REQUEST_TIMEOUT_S)
        self._pending: dict[str, tuple[int, OnReply]] = {}
        self._next_id = 0
        self._closed = False
        self.late_replies = 0

    # -- sending -----------------------------------------------------------------------------------

    def use(self, credentials: Credentials) -> None:
        """Requests from now on are signed with these: each carries its key, the connection has none."""
        self._signer = credentials.signer.bound(f"apiKey={credentials.api_key}&".encode())
        self._head = f'"params":{{"apiKey":"{credentials.api_key}",'

    def start(self) -> None:
        self.kept.start()
        self._clock.call_later(SWEEP_EVERY_S, self._sweep)

    @property
    def ready(self) -> bool:
        connection = self.kept.connection
        return connection is not None and connection.can_send

    @property
    def pending(self) -> int:
        return len(self._pending)

    def send(
        self, method: str, query: Query, timestamp_ms: int, window_ms: int, before_ns: int | None, on_reply: OnReply
    ) -> Sent:
        """Signs and writes one request.

        With `before_ns` the last act before the write is to look at the clock: nothing leaves from then on.
        """
        connection = self.kept.connection
        if connection is None or not connection.can_send:
            return Sent.NOT_CONNECTED
        front = f"{query.front}&recvWindow={window_ms}{query.middle}"
        signature = self._signer.sign(f"{front}&timestamp={timestamp_ms}{query.end}".encode())
        self._next_id += 1
        request_id = str(self._next_id)
        frame = (
            f'{{"id":"{request_id}","method":"{method}",{self._head}"{_fields(front)}","timestamp":{timestamp_ms},'
            f'"signature":"{signature}{_fields(query.end)}"}}}}'
        ).encode()
        now_ns = self._clock.monotonic_ns()
        if before_ns is not None and now_ns >= before_ns:
            return Sent.TOO_LATE
        connection.send(frame)
        self._pending[request_id] = (now_ns, on_reply)
        return Sent.WRITTEN

    async def close(self) -> None:
        self._closed = True
        await self.kept.close()
        self._fail_all("closing")

    # -- receiving ---------------------------------------------------------------------------------

    async def url(self) -> str:
        return self._url

    def on_open(self) -> None: ...

    def on_batch(self, frames: list[bytearray]) -> None:
        for frame in frames:
            self._on_frame(frame)

    def on_closed(self, reason: str) -> None:
        self._fail_all(reason)

    def on_refused(self) -> None: ...

    def on_successor(self) -> None: ...

    def merge(self, held: list[bytearray], waited_s: float) -> list[bytearray] | None:  # noqa: ARG002
        """A fresh connection can be written on at once; what was asked on the old one is answered there."""
        return held

    def _on_frame(self, frame: Frame) -> None:
        try:
            response = _response(frame)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._on_bad_frame(DecodeError("order reply", error, frame))
            self._unreadable(frame)
            return
        pending = self._pending.pop(str(response.id), None)
        if pending is None:
            self.late_replies += 1
        else:
            sent_ns, on_reply = pending
            on_reply(response, sent_ns)

    def _unreadable(self, frame: Frame) -> None:
        try:
            request_id = str(_only_id(frame).id)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        pending = self._pending.pop(request_id, None)
        if pending is not None:
            sent_ns, on_reply = pending
            on_reply(Unanswered("the reply cannot be read"), sent_ns)

    def _fail_all(self, reason: str) -> None:
        """Each was written, so each may have been executed."""
        pending, self._pending = self._pending, {}
        for sent_ns, on_reply in pending.values():
            on_reply(Unanswered(reason), sent_ns)

    def _sweep(self) -> None:
        """Requests are kept in the order in which they were written: only the oldest need a look."""
        if self._closed:
            return
        horizon_ns = self._clock.monotonic_ns() - int(REQUEST_TIMEOUT_S * NS_PER_S)
        while self._pending:
            request_id, (sent_ns, on_reply) = next(iter(self._pending.items()))
            if sent_ns > horizon_ns:
                break
            del self._pending[request_id]
            on_reply(Unanswered(f"no answer within {REQUEST_TIMEOUT_S:g} s"), sent_ns)
        self._clock.call_later(SWEEP_EVERY_S, self._sweep)
