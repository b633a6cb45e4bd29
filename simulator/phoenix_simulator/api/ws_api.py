"""The WebSocket API (`/ws-fapi/v1`): orders and questions as JSON frames, through the same gateway as REST."""

import asyncio
from collections.abc import Mapping
from typing import Final

import orjson
from aiohttp import web

from phoenix_simulator.api import auth
from phoenix_simulator.api.auth import Credentials, Security
from phoenix_simulator.api.connection import Connection
from phoenix_simulator.api.gateway import Answer, Arrival, Call, Gateway, Operation, error_body
from phoenix_simulator.api.hub import Hub
from phoenix_simulator.api.limits import RateLimitedError
from phoenix_simulator.api.outage import sit_out
from phoenix_simulator.api.params import Params
from phoenix_simulator.api.public_keys import Ed25519Key
from phoenix_simulator.clock import Clock
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.faults import Route
from phoenix_simulator.latency import Latency, Part

Json = dict[str, object]

_HANDSHAKE_WEIGHT: Final = 5
_SESSION_WEIGHT: Final = 2
SESSION_METHODS: Final = ("session.logon", "session.status", "session.logout")
"""Methods that belong to their connection; REST has nothing like them."""
_LOGON, _STATUS, _LOGOUT = SESSION_METHODS
_ORDER_METHODS: Final = frozenset({"order.place", "order.modify", "algoOrder.place"})


class WsApiServer:
    def __init__(
        self,
        operations: Mapping[str, Operation],
        gateway: Gateway,
        hub: Hub,
        clock: Clock,
        faults: Faults,
        latency: Latency,
    ) -> None:
        self._operations = operations
        self._gateway = gateway
        self._hub = hub
        self._clock = clock
        self._faults = faults
        self._latency = latency

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if (unanswered := await sit_out(request, self._faults, self._clock)) is not None:
            return unanswered
        if self._faults and self._faults.refuses(Route.WS_API, request.headers.get("User-Agent", "")):
            return web.Response(status=503, text="Service Unavailable.")
        try:
            self._gateway.limits.charge_weight(request.remote or "", _HANDSHAKE_WEIGHT, self._clock.reported_ms())
        except RateLimitedError as error:
            headers = {"Retry-After": str(error.retry_after_s)}
            return web.json_response(error_body(error), status=error.http_status, headers=headers)
        connection = Connection(request, Route.WS_API, self._clock, self._faults, self._latency)
        response = await connection.open()
        self._hub.connections[connection] = None
        session = WsApiSession(self._operations, self._gateway, connection, self._clock, self._faults, self._latency)
        try:
            await session.serve()
        finally:
            self._hub.leave(connection)
            connection.close()
            await connection.wait_closed()
        return response


class WsApiSession:
    """One connection. Requests start in the order of arrival; only one that a fault delays lets others pass."""

    def __init__(
        self,
        operations: Mapping[str, Operation],
        gateway: Gateway,
        connection: Connection,
        clock: Clock,
        faults: Faults,
        latency: Latency,
    ) -> None:
        self._operations = operations
        self._gateway = gateway
        self._connection = connection
        self._clock = clock
        self._faults = faults
        self._report_limits = connection.query.get("returnRateLimits", "true").lower() != "false"
        self._connected_ms = clock.reported_ms()
        self._authorised: Credentials | None = None
        self._authorised_ms: int | None = None
        self._session_operations = {
            _LOGON: Operation(_LOGON, Security.USER_DATA, self._log_on, _SESSION_WEIGHT),
            _STATUS: Operation(_STATUS, Security.NONE, self._session_state, _SESSION_WEIGHT),
            _LOGOUT: Operation(_LOGOUT, Security.NONE, self._log_out, _SESSION_WEIGHT),
        }
        self._delayed: set[asyncio.Task[None]] = set()
        self._arriving = latency.line(Part.ORDER_ENTRY, self._begin)
        """What was sent arrives, even if the connection ends meanwhile."""

    async def serve(self) -> None:
        while (text := await self._connection.receive()) is not None:
            if self._arriving is not None:
                self._arriving.push(text)
            elif self._faults:
                self._begin(text)
            else:
                await self._respond(text)
        for task in self._delayed:
            task.cancel()

    def _begin(self, text: str) -> None:
        task = asyncio.create_task(self._respond(text))
        self._delayed.add(task)
        task.add_done_callback(self._delayed.discard)

    async def _respond(self, text: str) -> None:
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self._reply({"id": None, "status": 400, "error": {"code": -1000, "msg": "Invalid JSON request."}})
            return
        request_id, problem = _request_id(message)
        if problem is not None:
            self._reply({"id": None, "status": 400, "error": error_body(problem)})
            return
        reply = await self._answer(request_id, message)
        if reply is not None:
            self._reply(reply)

    async def _answer(self, request_id: object, message: Json) -> Json | None:
        """The reply, or None where a fault swallows it."""
        method, params = message.get("method"), message.get("params", {})
        if not isinstance(method, str) or not isinstance(params, dict):
            error = VenueError(-1100, "Illegal characters found in parameter 'method' or 'params'.")
            return self._error(request_id, error)
        values: Json = {name: value for name, value in params.items() if name != "returnRateLimits"}
        report = _flag(params.get("returnRateLimits", message.get("returnRateLimits")), self._report_limits)
        operation = self._session_operations.get(method) or self._operations.get(method)
        if operation is None:
            return self._error(request_id, VenueError(-1020, f"This operation is not supported: {method}"))
        arrival = self._arrival(method, values, params)
        answer = await self._gateway.perform(operation, arrival)
        if answer.lost:
            return None
        reply: Json = {"id": request_id, "status": answer.status}
        reply["error" if answer.is_error else "result"] = answer.body
        if answer.retry_after_s is not None:
            retry_ms = self._clock.reported_ms() + answer.retry_after_s * 1_000
            reply["error"] = {**error_dict(answer.body), "data": {"retryAfter": retry_ms}}
        if report:
            reply["rateLimits"] = self._rate_limits(method, answer)
        return reply

    # ---- the session --------------------------------------------------------------------------------------------

    def _arrival(self, method: str, values: Json, signed: Json) -> Arrival:
        """After a logon key and signature may be left out; where a request brings its own key, that one counts."""
        api_key = values.get("apiKey")
        by_session = api_key is None and self._authorised is not None and method != _LOGON
        if by_session and self._authorised is not None:
            api_key = self._authorised.api_key
        vouched = by_session and "signature" not in values

        def verify(credentials: Credentials) -> None:
            if not vouched:
                auth.verify_ws(credentials, signed)

        return Arrival(
            rest_name="",
            params=Params.of_json(values),
            api_key=api_key if isinstance(api_key, str) else None,
            holder=self._connection.holder,
            ip=self._connection.ip,
            verify=verify,
        )

    def _log_on(self, call: Call) -> Json:
        """-4056 for a key that is not Ed25519. A second logon replaces the first."""
        credentials = call.credentials
        if credentials is None or not isinstance(credentials.public_key, Ed25519Key):
            kind = "RSA" if credentials is not None and credentials.public_key is not None else "HMAC_SHA256"
            raise VenueError(-4056, f"{kind} API key is not supported.")
        self._authorised, self._authorised_ms = credentials, self._clock.reported_ms()
        return self._session_state(call)

    def _log_out(self, call: Call) -> Json:
        self._authorised = self._authorised_ms = None
        return self._session_state(call)

    def _session_state(self, _: Call) -> Json:
        return {
            "apiKey": None if self._authorised is None else self._authorised.api_key,
            "authorizedSince": self._authorised_ms,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._report_limits,
            "serverTime": self._clock.reported_ms(),
        }

    # ---- replies ------------------------------------------------------------------------------------------------

    def _rate_limits(self, method: str, answer: Answer) -> list[Json]:
        settings = self._gateway.limits.settings
        if method not in _ORDER_METHODS:
            return [self._weight_limit(answer.weight or 0)]
        # Orders cost no weight, and the venue says so with -1.
        rows: list[Json] = [{**_limit("REQUEST_WEIGHT", "MINUTE", 1, -1), "count": -1}]
        ten_seconds, minute = answer.orders or (0, 0)
        rows.append({**_limit("ORDERS", "SECOND", 10, settings.orders_per_10_seconds), "count": ten_seconds})
        rows.append({**_limit("ORDERS", "MINUTE", 1, settings.orders_per_minute), "count": minute})
        return rows

    def _weight_limit(self, count: int) -> Json:
        limit = self._gateway.limits.settings.weight_per_minute
        return {**_limit("REQUEST_WEIGHT", "MINUTE", 1, limit), "count": count}

    def _error(self, request_id: object, error: VenueError) -> Json:
        return {"id": request_id, "status": error.http_status, "error": error_body(error)}

    def _reply(self, reply: Json) -> None:
        if self._faults and self._faults.in_outage(self._connection.holder):
            return
        self._connection.reply(orjson.dumps(reply))


def error_dict(body: object) -> Json:
    return dict(body) if isinstance(body, Mapping) else {}


def _request_id(message: Json) -> tuple[object, VenueError | None]:
    """Strings, integers and null are echoed; anything else is refused."""
    request_id = message.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, int | str | None):
        return None, VenueError(
            -1100, "Illegal characters found in parameter 'id'; legal range is a string or integer."
        )
    return request_id, None


def _flag(value: object, default: bool) -> bool:
    match value:
        case bool():
            return value
        case str():
            return value.lower() != "false"
        case _:
            return default


def _limit(kind: str, interval: str, number: int, limit: int) -> Json:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
