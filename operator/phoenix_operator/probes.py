"""The operator's HTTP: `/livez`, `/readyz`, `/startupz`, `/metrics`, `/state`. Read only, nothing secret.

/livez     the process can make progress: its watches show what they must. Never about the world
/readyz    it could act, or act next: a standby is ready, too
"""

from collections.abc import Callable
from typing import Protocol

import orjson
from aiohttp import web

from phoenix_operator.metrics import Metrics

SHUTDOWN_SECONDS = 1.0


class Facts(Protocol):
    """What the probes ask of the process."""

    def not_alive(self) -> str:
        """Why it cannot make progress, "" while it can."""
        ...

    def not_ready(self) -> str:
        """Why it could not act, "" while it could."""
        ...

    def state(self) -> dict[str, object]:
        """For people: who leads, what waits, what is wrong."""
        ...


class Probes:
    """Serves until `close`. `port` is the one that was taken."""

    def __init__(self, facts: Facts, metrics: Metrics) -> None:
        self._facts = facts
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listens; raises `OSError` where the address cannot be had."""
        application = web.Application()
        application.router.add_get("/livez", self._livez)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/startupz", self._startupz)
        application.router.add_get("/metrics", self._exposition)
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
        """It answers, so it has started: what the world still owes is `/readyz`'s."""
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        if "verbose" not in request.query:
            return _verdict(self._facts.not_ready)
        reason = self._facts.not_ready()
        lines = [reason or "ok", *(f"{name}: {value}" for name, value in self._facts.state().items())]
        return web.Response(text="\n".join(lines) + "\n", status=503 if reason else 200)

    async def _exposition(self, request: web.Request) -> web.Response:
        body, content_type = self._metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _state(self, _: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(self._facts.state()), content_type="application/json")


def _verdict(problem: Callable[[], str]) -> web.Response:
    reason = problem()
    return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)
