"""REST over HTTP: finds the operation, reads the parameters, writes status, headers and JSON."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

from phoenix_simulator.api import auth
from phoenix_simulator.api.auth import Credentials
from phoenix_simulator.api.gateway import Answer, Arrival, Gateway, Operation
from phoenix_simulator.api.outage import hang_up, sit_out
from phoenix_simulator.api.params import Params
from phoenix_simulator.clock import Clock
from phoenix_simulator.fault_schedule import Faults
from phoenix_simulator.latency import Latency

_KEY_HEADER: Final = "X-MBX-APIKEY"
_LARGEST_BODY: Final = 1024 * 1024


class RestServer:
    """One handler for every path: the venue's own table decides, and what is not in it is 404."""

    def __init__(
        self,
        operations: Mapping[tuple[str, str], Operation],
        gateway: Gateway,
        clock: Clock,
        faults: Faults,
        latency: Latency,
    ) -> None:
        self._operations = operations
        self._gateway = gateway
        self._clock = clock
        self._faults = faults
        self._latency = latency

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if (unanswered := await sit_out(request, self._faults, self._clock)) is not None:
            return unanswered
        raw_path, _, raw_query = request.raw_path.partition("?")
        operation = self._operations.get((request.method, raw_path))
        if operation is None:
            message = f"Path {raw_path}, Method {request.method} is invalid"
            return _json(404, {"code": -5000, "msg": message})
        try:
            raw_body = await _read_body(request)
        except web.RequestPayloadError:
            raw_body = None
        if raw_body is None:
            return _json(400, {"code": -1130, "msg": "Data sent for parameter 'body' is not valid."})
        if request.method == "GET":
            raw_body = ""  # the venue reads a GET's query string alone
        params = Params.of_request(raw_query, raw_body)

        def verify(credentials: Credentials) -> None:
            auth.verify_rest(credentials, raw_query, raw_body, params)

        arrival = Arrival(
            rest_name=f"{request.method} {raw_path}",
            params=params,
            api_key=request.headers.get(_KEY_HEADER),
            holder=request.headers.get("User-Agent", ""),
            ip=request.remote or "",
            verify=verify,
        )
        answer = await self._latency.enter(lambda: self._gateway.perform(operation, arrival))
        if answer.lost:
            return hang_up(request)
        await self._latency.leave()
        if answer.is_page:
            return _page(answer.status)
        return _json(answer.status, answer.body, _headers(answer))


async def _read_body(request: web.Request) -> str | None:
    """The body as it was sent (undecodable bytes survive); None where it is too large."""
    if not request.can_read_body:
        return ""
    parts = bytearray()
    async for part in request.content.iter_chunked(65_536):
        parts += part
        if len(parts) > _LARGEST_BODY:
            return None
    return parts.decode("utf-8", "surrogateescape")


def _headers(answer: Answer) -> dict[str, str]:
    headers: dict[str, str] = {}
    if answer.weight is not None:
        headers["X-MBX-USED-WEIGHT-1M"] = str(answer.weight)
    if answer.orders is not None:
        headers["X-MBX-ORDER-COUNT-10S"] = str(answer.orders[0])
        headers["X-MBX-ORDER-COUNT-1M"] = str(answer.orders[1])
    if answer.retry_after_s is not None:
        headers["Retry-After"] = str(answer.retry_after_s)
    return headers


def _page(status: int) -> web.Response:
    title = f"{status} {HTTPStatus(status).phrase}"
    text = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center></body>\r\n</html>"
    return web.Response(status=status, text=text, content_type="text/html")


def _json(status: int, body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=_encode(body), content_type="application/json", headers=headers, charset="utf-8"
    )


def _encode(body: object) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:
        # Text that came in as undecodable bytes cannot go out as JSON: say it with escapes.
        return orjson.dumps(_printable(body))


def _printable(body: object) -> object:
    match body:
        case str():
            return body.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _printable(value) for key, value in body.items()}
        case _:
            return body
