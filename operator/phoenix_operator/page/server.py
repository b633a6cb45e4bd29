"""HTTP of the page: read only, nothing secret, nothing from anywhere else.

    /                the page; /page.css, /page.js
    /api/fleet       what it shows, once, as JSON
    /api/events      the same again and again (Server-Sent Events); ?maker=NAMESPACE/NAME adds one maker's details

Whoever reaches it may look: it asks nobody's name. So it answers only to names that nobody else can point at it, which
keeps a foreign page in the same browser from reading it (DNS rebinding), and lets no other origin in.
"""

import asyncio
import ipaddress
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from phoenix_operator.page.watch import Watch, WatchEndedError

MOST_VIEWERS = 32
SHUTDOWN_S = 1.0
_SEND_S = 10.0
"""Who takes nothing for so long is gone; nobody waits for him meanwhile."""
_FIRST_LOOKS = 3
"""Only then it is known who still tells something: whoever asks once waits for it."""
_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OWN_NAMES = (".localhost", ".svc", ".cluster.local")
"""Ends of names that are never a foreign page's."""


class PageServer:
    """Serves until `close`. `port` is the one that was taken."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listens; raises `OSError` where the address cannot be had."""
        application = web.Application(middlewares=[_only_by_own_names])
        application.on_response_prepare.append(_with_headers)
        for path, (file, content_type) in _FILES.items():
            application.router.add_get(path, _serving((_STATIC / file).read_bytes(), content_type))
        application.router.add_get("/api/fleet", self._fleet)
        application.router.add_get("/api/events", self._events, allow_head=False)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self.port = runner, runner.addresses[0][1]

    async def close(self) -> None:
        await self._watch.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def viewers(self) -> int:
        return self._watch.viewers

    async def _fleet(self, _: web.Request) -> web.Response:
        self._refuse_too_many()
        async with self._watch.looking():
            try:
                shown = await self._watch.next(0)
                while shown.looks < _FIRST_LOOKS:
                    shown = await self._watch.next(shown.number)
            except WatchEndedError:
                raise web.HTTPServiceUnavailable(text="it is ending\n") from None
        return web.Response(body=shown.fleet, content_type="application/json")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._refuse_too_many()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        async with self._watch.looking():
            await response.prepare(request)
            try:
                await self._send(response, request.query.get("maker", ""))
            except (WatchEndedError, ConnectionError):
                pass  # the watch is over, or the viewer has left
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
        return response

    async def _send(self, response: web.StreamResponse, maker: str) -> None:
        """The newest picture whenever there is one: who is slow misses some, and keeps none of them waiting."""
        number = 0
        await response.write(b"retry: 1000\n\n")
        while True:
            shown = await self._watch.next(number)
            number = shown.number
            body = b"event: fleet\ndata: " + shown.fleet + b"\n\n"
            detail = shown.picture.detail(maker) if maker else None
            if detail is not None:
                body += b"event: maker\ndata: " + msgspec.json.encode(detail) + b"\n\n"
            async with asyncio.timeout(_SEND_S):
                await response.write(body)

    def _refuse_too_many(self) -> None:
        if self._watch.viewers >= MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_VIEWERS} are looking already: close another page\n")


def is_own_name(host: str) -> bool:
    """Whether a `Host` header is an address, `localhost`, or a name within the cluster."""
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(_OWN_NAMES))
    return True


@web.middleware
async def _only_by_own_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not is_own_name(request.host):
        raise web.HTTPMisdirectedRequest(
            text="ask for localhost, an address or a name of the cluster: any other could be a foreign page's\n"
        )
    return await handler(request)


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _serving(body: bytes, content_type: str) -> Handler:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return serve
