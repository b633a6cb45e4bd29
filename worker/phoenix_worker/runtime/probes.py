"""The worker's HTTP: `/livez`, `/readyz`, `/startupz`, `/metrics`, `/state`. Read only, nothing secret."""

from collections.abc import Callable
from typing import Protocol

from aiohttp import web
from phoenix_coordination.state import StateRecord, encode

from phoenix_worker.runtime.metrics import Exposition

SHUTDOWN_SECONDS = 1.0
DEFAULT_ADDRESS = "0.0.0.0:8080"


class Facts(Protocol):
    """What the probes ask of the worker."""

    def record(self) -> StateRecord:
        """The state as of now."""
        ...

    def not_alive(self) -> str:
        """Why the process cannot make progress (its threads, its engine), empty while it can. Never about the world."""
        ...

    def not_started(self) -> str:
        """Why the start is not over, empty once it is, or waits for what is not the worker's own doing."""
        ...


class AddressError(ValueError):
    """`--http` does not name an address to listen at."""


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` (all interfaces) or `[v6]:PORT`; port 0 takes a free one. Raises `AddressError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise AddressError(f"{text!r} is no address to listen at: write HOST:PORT, for example 127.0.0.1:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host or "0.0.0.0", int(port)  # noqa: S104 - probes come from outside the pod


class Probes:
    """Serves until `close`. `port` is the one that was taken."""

    def __init__(self, facts: Facts, exposition: Exposition) -> None:
        self._facts = facts
        self._exposition = exposition
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listens; raises `OSError` where the address cannot be had."""
        application = web.Application()
        application.router.add_get("/livez", self._livez)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/startupz", self._startupz)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/state", self._state)
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        return _verdict(self._facts.not_alive)

    async def _startupz(self, _: web.Request) -> web.Response:
        return _verdict(self._facts.not_started)

    async def _readyz(self, request: web.Request) -> web.Response:
        """The first reason as text; with `?verbose` every one, a line each, and what is ready too."""
        record = self._facts.record()
        status = 200 if record.ready else 503
        first = f"{record.reason.value}{': ' + record.detail if record.detail else ''}"
        if "verbose" not in request.query:
            return web.Response(text=f"{first}\n", status=status)
        lines = [
            first,
            f"role: {record.role.value}",
            f"mode: {record.mode.value}",
            *(f"not ready: {reason.value}" for reason in record.reasons_not_ready),
        ]
        if record.configuration.refused:
            lines.append(f"configuration refused: {record.configuration.refused}")
        if record.configuration.needs_restart:
            lines.append(f"needs a restart: {', '.join(record.configuration.needs_restart)}")
        return web.Response(text="\n".join(lines) + "\n", status=status)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._exposition.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _state(self, _: web.Request) -> web.Response:
        return web.Response(body=encode(self._facts.record()), content_type="application/json")


def _verdict(problem: Callable[[], str]) -> web.Response:
    reason = problem()
    return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)
