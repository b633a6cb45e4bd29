"""kopf watches; nothing is decided here. What it hears is handed over to the operator's own loop, in order.

It runs in a thread with an event loop of its own, for two reasons: it regards every task of its loop as its own and
cancels them when it stops, and a hiccup of one side must not silence the probes of the other. All that kopf would write
is off: finalizers, progress, peering, Events.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import kopf
import structlog
import uvloop

from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.resources import CHILD_KINDS, WATCHED, Json, Resource
from phoenix_operator.names import SELECTOR

_log = structlog.stdlib.get_logger()

SERVER_TIMEOUT_S = 300
"""A watch is ended by the server after so long and begun anew, which also rebalances several API servers."""
_CLIENT_TIMEOUT_S = SERVER_TIMEOUT_S + 30
_LIST_TIMEOUT_S = 60
_CONNECT_TIMEOUT_S = 10.0
_PAGE = 100
_IDLE_S = 0.05
"""kopf keeps a task and the object for so long for each that it tells of: with a second, a thousand makers that start
cost 50 MiB, which the process never gives back."""
_DONE_WITHIN_S = 1.0
_STOPPING_S = 5.0
_AT_ONCE = 500
"""Events that the operator's loop takes in before it lets others have a turn."""

Heard = tuple[Resource, str | None, Json]
"""Kind, type of the event (None: from a list) and the object."""


class Watches:
    """Watches every kind that matters, in `namespaces` or (None) in all. `hear` is called in the loop that made it.

    `ended`: set in that loop when kopf has given up; `problem` says why.
    """

    def __init__(
        self,
        client: ClusterClient,
        namespaces: Sequence[str] | None,
        hear: Callable[[Resource, str | None, Json], None],
    ) -> None:
        self._client = client
        self._namespaces = namespaces
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._heard: deque[Heard] = deque()
        self._awake = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)
        self.ended = asyncio.Event()
        self.problem = ""

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Waits until kopf has let go of its connections, but not for ever."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, _STOPPING_S)

    # -- in the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        problem = "the watches have ended"
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._watch())
        except Exception as error:  # noqa: BLE001 - whatever it is, the watches have ended, and are begun anew
            problem = getattr(error, "message", None) or str(error) or type(error).__name__
        if not self._stop.is_set():
            self._loop.call_soon_threadsafe(self._end, problem)

    async def _watch(self) -> None:
        await kopf.operator(
            registry=self._registry(),
            settings=_settings(),
            standalone=True,
            clusterwide=self._namespaces is None,
            namespaces=self._namespaces or (),
            stop_flag=self._stop,
        )

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, id="login")(self._log_in)
        for resource in WATCHED:
            kopf.on.event(
                group=resource.group,
                version=resource.version,
                plural=resource.plural,
                registry=registry,
                id=resource.plural,
                param=resource,
            )(self._observe)
        return registry

    async def _log_in(self, **_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf's way to call
        """The same server and credentials that the client has; asked again when they are refused."""
        configuration = self._client.configuration
        header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
        scheme, _space, token = header.rpartition(" ")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            proxy_url=configuration.proxy,
        )

    async def _observe(self, event: kopf.RawEvent, param: Any = None, **_: Any) -> None:  # noqa: ANN401 - as above
        self._heard.append((param, event["type"], dict(event["object"])))
        if not self._awake:
            self._awake = True
            self._loop.call_soon_threadsafe(self._deliver)

    # -- in the operator's loop --------------------------------------------------------------------

    def _deliver(self) -> None:
        self._awake = False
        for _ in range(_AT_ONCE):
            if not self._heard:
                return
            self._hear(*self._heard.popleft())
        self._loop.call_soon(self._deliver)

    def _end(self, problem: str) -> None:
        self.problem = problem
        self.ended.set()


class _NoDiffs(kopf.DiffBaseStorage):
    """kopf computes what has changed in an object before it calls anybody; nobody here asks."""

    def build(self, **_: Any) -> Any:  # noqa: ANN401 - kopf's signatures
        return None

    def fetch(self, **_: Any) -> Any:  # noqa: ANN401 - as above
        return None

    def store(self, **_: Any) -> None:  # noqa: ANN401 - as above
        """Nothing is kept on the objects."""


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # no right to list namespaces or CRDs is wanted
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.watching.chunk_size = _PAGE
    settings.watching.server_timeout = SERVER_TIMEOUT_S
    settings.watching.client_timeout = _CLIENT_TIMEOUT_S
    settings.watching.connect_timeout = _CONNECT_TIMEOUT_S
    settings.networking.request_timeout = _LIST_TIMEOUT_S
    settings.networking.connect_timeout = _CONNECT_TIMEOUT_S
    settings.networking.error_backoffs = (0.2, 0.5, 1, 2)
    settings.queueing.idle_timeout = _IDLE_S
    settings.queueing.exit_timeout = _DONE_WITHIN_S
    plurals = _plurals(CHILD_KINDS)
    settings.watching.label_selectors[lambda resource: resource.plural in plurals] = SELECTOR
    return settings


def _plurals(resources: Iterable[Resource]) -> frozenset[str]:
    return frozenset(resource.plural for resource in resources)
