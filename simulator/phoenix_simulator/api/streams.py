"""WebSocket doors of the streams: `/{public|market|private}/{ws|stream}…` and the unrouted `/ws`, `/stream`.

Any trailing path element is accepted, `?streams=` and `?listenKey=…&events=…` as well; every SUBSCRIBE is acknowledged,
whether it will ever deliver or not. That is how the venue behaves, and why a client must watch for silence.
"""

from typing import Final
from urllib.parse import unquote

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler

from phoenix_simulator.api.connection import Connection
from phoenix_simulator.api.control_protocol import Command, ControlError, Method, parse, reply
from phoenix_simulator.api.hub import Hub
from phoenix_simulator.api.market_streams import MarketStreams
from phoenix_simulator.api.outage import sit_out
from phoenix_simulator.api.stream_names import delivers, parse_stream_name
from phoenix_simulator.api.user_stream import UserStreams
from phoenix_simulator.clock import Clock
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.faults import Route
from phoenix_simulator.latency import Latency

STREAMS_PER_CONNECTION: Final = 1_024


class StreamServer:
    def __init__(
        self, hub: Hub, market: MarketStreams, users: UserStreams, clock: Clock, faults: Faults, latency: Latency
    ) -> None:
        self._hub = hub
        self._market = market
        self._users = users
        self._clock = clock
        self._faults = faults
        self._latency = latency

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for route in (Route.PUBLIC, Route.MARKET, Route.PRIVATE):
            for form in ("ws", "stream"):
                router.add_get(f"/{route.value}/{form}{{tail:(/.*)?}}", self._handler(route, combined=form == "stream"))
        for form in ("ws", "stream"):
            router.add_get(f"/{form}{{tail:(/.*)?}}", self._handler(Route.UNROUTED, combined=form == "stream"))

    def _handler(self, route: Route, *, combined: bool) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, route, combined=combined)

        return handle

    async def _serve(self, request: web.Request, route: Route, *, combined: bool) -> web.StreamResponse:
        if (unanswered := await sit_out(request, self._faults, self._clock)) is not None:
            return unanswered
        if self._faults and self._faults.refuses(route, request.headers.get("User-Agent", "")):
            return web.Response(status=503, text="Service Unavailable.")
        connection = Connection(request, route, self._clock, self._faults, self._latency)
        connection.combined = combined
        self._hub.connections[connection] = None
        session = Session(self._hub, self._market, self._users, connection)
        try:
            # Subscribed before the handshake ends: a client that has its answer misses nothing from then on.
            session.subscribe(_names_of(request, combined=combined))
            if route is Route.PRIVATE:
                session.listen(_listen_keys_of(request))
            response = await connection.open()
            while (text := await connection.receive()) is not None:
                session.control(text)
        finally:
            self._hub.leave(connection)
            self._users.leave(connection)
            connection.close()
            await connection.wait_closed()
        return response


class Session:
    """What one connection has subscribed to."""

    def __init__(self, hub: Hub, market: MarketStreams, users: UserStreams, connection: Connection) -> None:
        self._hub = hub
        self._market = market
        self._users = users
        self._connection = connection
        self._names: dict[str, None] = {}

    def control(self, text: str) -> None:
        """Answers one message of the client."""
        try:
            command = parse(text)
            self._connection.reply(self._execute(command))
        except ControlError as error:
            self._connection.reply(error.reply())
            if error.fatal:
                self._connection.close(WSCloseCode.POLICY_VIOLATION, error.msg.encode()[:120])

    def subscribe(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name in self._names:
                continue
            self._names[name] = None
            if self._connection.route is Route.PRIVATE:
                self._hub.subscribe(self._connection, name, None)
                continue
            stream = parse_stream_name(name)
            if stream is not None and delivers(self._connection.route, stream):
                self._market.follow(stream)
                self._hub.subscribe(self._connection, name, stream)

    def listen(self, keys: list[tuple[str, frozenset[str]]]) -> None:
        for key, events in keys:
            self.subscribe((key,))
            self._users.want(self._connection, key, events)

    def _execute(self, command: Command) -> bytes:
        result: object = None
        match command.method:
            case Method.SUBSCRIBE:
                if len({*self._names, *command.names}) > STREAMS_PER_CONNECTION:
                    raise ControlError(4, "Too many streams", command.request_id, fatal=True)
                self.subscribe(command.names)
            case Method.UNSUBSCRIBE:
                for name in command.names:
                    self._names.pop(name, None)
                    self._hub.unsubscribe(self._connection, name)
            case Method.LIST_SUBSCRIPTIONS:
                result = list(self._names)
            case Method.SET_PROPERTY:
                self._connection.combined = command.combined
            case Method.GET_PROPERTY:
                result = self._connection.combined
        return reply(command.request_id, result)


def _names_of(request: web.Request, *, combined: bool) -> tuple[str, ...]:
    """Streams named by the URL. A path element that is no stream (some clients number their sockets) is ignored."""
    if combined:
        names = [name for value in request.rel_url.query.getall("streams", []) for name in value.split("/")]
    else:
        names = [unquote(name) for name in request.match_info["tail"].split("/")]
    private = request.path.startswith(f"/{Route.PRIVATE.value}/")
    return tuple(
        name for name in names[:STREAMS_PER_CONNECTION] if name and (private or parse_stream_name(name) is not None)
    )


def _listen_keys_of(request: web.Request) -> list[tuple[str, frozenset[str]]]:
    """`listenKey=…` pairs of the query in order, each with the `events=` that follows it."""
    keys: list[tuple[str, frozenset[str]]] = []
    for name, value in request.rel_url.query.items():
        if name == "listenKey" and value:
            keys.append((value, frozenset()))
        elif name == "events" and keys:
            keys[-1] = (keys[-1][0], frozenset(filter(None, value.split("/"))))
    return keys[:STREAMS_PER_CONNECTION]
