"""Requests to the API server: JSON in, JSON out, each bounded in time, each counted.

It rests on the `kubernetes` package for what is hard to get right (kubeconfig with its plug-ins, rotating tokens, TLS)
and leaves its generated models and its way to send a request alone: an object goes through here unread, so fields that
we do not know survive, a thousand makers cost no thousand models, and a request a third of the CPU.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
import orjson
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.aio.config.kube_config import refresh_token

from phoenix_operator.cluster.faults import ClusterFault, Fault, fault_of, unreachable
from phoenix_operator.cluster.resources import Json, Resource

TIMEOUT_S = 10.0
_PAGE = 100
"""Objects that are there as Python dictionaries at once: ten times their text."""
_DEFAULT_KUBECONFIG = "~/.kube/config"
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
# The library leaves these untyped.
_load_incluster: Callable[..., None] = load_incluster_config
_load_kubeconfig: Callable[..., Awaitable[Any]] = load_kube_config
_refresh: Callable[..., Coroutine[Any, Any, None]] = refresh_token
_close: Callable[[ApiClient], Awaitable[None]] = ApiClient.close
_JSON_PATCH = "application/json-patch+json"


class Page(msgspec.Struct, frozen=True):
    """A part of a list. `version`: of the whole list, the same in each part."""

    items: Sequence[Json]
    version: str


class ClusterClient:
    """One API server. Every method raises `ClusterFault`.

    `calls` counts (RBAC verb, resource with its subresource, outcome): outcome is a status code or `none`.
    """

    def __init__(
        self,
        api: ApiClient,
        session: aiohttp.ClientSession,
        place: str,
        namespace: str,
        timeout_s: float,
        field_manager: str,
        grantee: str,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self.place = place
        self.namespace = namespace
        self.timeout_s = timeout_s
        self.field_manager = field_manager
        self.grantee = grantee
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self._api = api
        self._session = session
        self._route = _route(self.configuration)
        self._may_write = may_write

    def fenced(self, may_write: Callable[[], bool]) -> "ClusterClient":
        """The same server and counts; `may_write` is asked as the last thing before a request that changes something
        is sent, which is refused where it says no.
        """
        fenced = ClusterClient(
            self._api,
            self._session,
            self.place,
            self.namespace,
            self.timeout_s,
            self.field_manager,
            self.grantee,
            may_write,
        )
        fenced.calls = self.calls
        return fenced

    @property
    def configuration(self) -> Configuration:
        """How the server is reached, for whoever watches it."""
        return cast("Configuration", self._api.configuration)

    # -- reading -----------------------------------------------------------------------------------

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        """The object; None where it is not there."""
        try:
            return await self._request("get", "GET", resource, namespace, name)
        except ClusterFault as refused:
            if refused.fault is Fault.NOT_FOUND:
                return None
            raise

    async def list(
        self, resource: Resource, namespace: str | None, label_selector: str = "", field_selector: str = ""
    ) -> list[Json]:
        """Every object. Items of a list carry neither `kind` nor `apiVersion`."""
        pages = self.pages(resource, namespace, label_selector, field_selector)
        return [item async for page in pages for item in page.items]

    async def pages(
        self, resource: Resource, namespace: str | None, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[Page]:
        """Likewise, for those who keep none of it: never all of them are in memory."""
        query = {"limit": str(_PAGE)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        while True:
            told = await self._request("list", "GET", resource, namespace, query=query)
            yield Page(told.get("items") or (), told["metadata"]["resourceVersion"])
            following = told["metadata"].get("continue")
            if not following:
                return
            query["continue"] = following

    async def serves(self, resource: Resource) -> bool:
        """Whether the server knows the kind. Everybody who is authenticated may ask."""
        group = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        try:
            told = await self._send("get", "GET", group, resource, f"look for {resource.told}")
        except ClusterFault as refused:
            if refused.fault is Fault.NOT_FOUND:
                return False
            raise
        return any(each["name"] == resource.plural for each in told.get("resources", ()))

    # -- writing -----------------------------------------------------------------------------------

    async def apply(
        self, resource: Resource, namespace: str, wished: Json, subresource: str = "", *, force: bool = True
    ) -> Json:
        """Server-side apply with our field manager: what we name is ours, every other field is left.

        Without `force`, a field that somebody else owns and wants otherwise is a conflict.
        """
        name = wished["metadata"]["name"]
        query = {"fieldManager": self.field_manager, "force": "true" if force else "false"}
        return await self._request("patch", "PATCH", resource, namespace, name, subresource, query, wished, _APPLY)

    async def create(self, resource: Resource, namespace: str | None, wished: Json) -> Json:
        query = {"fieldManager": self.field_manager}
        return await self._request("create", "POST", resource, namespace, query=query, body=wished)

    async def replace(self, resource: Resource, namespace: str, wished: Json) -> Json:
        """Only over the very version that `wished` names in its metadata."""
        query = {"fieldManager": self.field_manager}
        name = wished["metadata"]["name"]
        return await self._request("update", "PUT", resource, namespace, name, query=query, body=wished)

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, change: Json, subresource: str = ""
    ) -> Json:
        query = {"fieldManager": self.field_manager}
        return await self._request("patch", "PATCH", resource, namespace, name, subresource, query, change, _MERGE)

    async def json_patch(
        self, resource: Resource, namespace: str, name: str, operations: Sequence[Json], subresource: str = ""
    ) -> Json:
        """All of the operations or none: a `test` that fails refuses them."""
        query = {"fieldManager": self.field_manager}
        return await self._request(
            "patch", "PATCH", resource, namespace, name, subresource, query, [*operations], _JSON_PATCH
        )

    async def delete(
        self, resource: Resource, namespace: str, name: str, uid: str, policy: str = "Background"
    ) -> Json | None:
        """Deletes this very object: one that has been made anew since is left alone, as a conflict.

        The object as it is while it goes; None where it is gone. One that was gone already is `Fault.NOT_FOUND`.
        """
        options = {"preconditions": {"uid": uid}, "propagationPolicy": policy}
        told = await self._request("delete", "DELETE", resource, namespace, name, body=options)
        return told if told.get("kind") == resource.kind else None

    # -- helpers -----------------------------------------------------------------------------------

    async def _request(
        self,
        verb: str,
        method: str,
        resource: Resource,
        namespace: str | None,
        name: str = "",
        subresource: str = "",
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Json:
        path = resource.path(namespace, name, subresource)
        if query:
            path = f"{path}?{urlencode(query)}"
        about = f"{verb} {resource.told}{'/' + subresource if subresource else ''}"
        what = f"{about}{f' {name}' if name else ''}{f' in namespace {namespace}' if namespace else ''}"
        return await self._send(verb, method, path, resource, what, subresource, body, content_type)

    async def _send(
        self,
        verb: str,
        method: str,
        path: str,
        resource: Resource,
        what: str,
        subresource: str = "",
        body: object = None,
        content_type: str = "application/json",
    ) -> Json:
        counted = f"{resource.told}/{subresource}" if subresource else resource.told
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": self.field_manager}
        sent = None if body is None else msgspec.json.encode(body)
        try:
            # All of it is bounded, what a plug-in does for a token before the request is sent, too.
            async with asyncio.timeout(self.timeout_s):
                await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
                if method != "GET" and not self._may_write():
                    raise ClusterFault(Fault.NOT_LEADING, f"did not {what}: another operator may be acting now")
                url = self.configuration.host + path
                async with self._session.request(method, url, headers=headers, data=sent, **self._route) as answer:
                    content = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError, ConfigException) as error:
            self.calls[verb, counted, "none"] += 1
            raise unreachable(self.place, error, self.timeout_s) from None
        self.calls[verb, counted, str(answer.status)] += 1
        if not 200 <= answer.status < 300:
            raise fault_of(resource, what, self.grantee, answer.status, content)
        try:
            return cast("Json", orjson.loads(content))
        except orjson.JSONDecodeError:
            raise ClusterFault(
                Fault.OTHER, f"what answers at {self.place} is no API server: it says no JSON", answer.status
            ) from None


@contextlib.asynccontextmanager
async def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    timeout_s: float = TIMEOUT_S,
    field_manager: str = "phoenix",
    grantee: str = "yourself",
) -> AsyncIterator[ClusterClient]:
    """`kubeconfig` (a path, or several as in KUBECONFIG), else KUBECONFIG, else in-cluster, else ~/.kube/config.

    `grantee`: to whom a missing verb is to be granted, for people.
    Raises `ClusterFault` where none of them names a server; the server itself is not asked yet.
    """
    configuration = Configuration()
    refreshing: asyncio.Task[None] | None = None
    paths = kubeconfig or os.environ.get("KUBECONFIG") or ""
    if not paths and "KUBERNETES_SERVICE_HOST" in os.environ:
        place, namespace = _in_cluster(configuration)
    else:
        loader, place, namespace = await _from_kubeconfig(configuration, paths or _DEFAULT_KUBECONFIG, context)
        # The library refreshes what a plug-in gave (gcp, exec) only where somebody asks it to.
        refreshing = asyncio.create_task(_refresh(loader, configuration), name="token of the kubeconfig")
    # Newer Pythons are stricter than kubectl: they refuse authorities whose certificate names no key usage.
    configuration.disable_strict_ssl_verification = True
    configuration.proxy = configuration.proxy or _proxy_of_environment(configuration.host)
    try:
        api = ApiClient(configuration)
    except (OSError, ValueError) as error:  # certificates that are none
        raise ClusterFault(Fault.UNREACHABLE, f"the TLS settings of {place} cannot be used: {error}") from None
    try:
        async with _session(api) as session:
            yield ClusterClient(api, session, place, namespace, timeout_s, field_manager, grantee)
    finally:
        if refreshing is not None:
            refreshing.cancel()
            await asyncio.wait({refreshing})
        await _close(api)


def _session(api: ApiClient) -> aiohttp.ClientSession:
    """Without what no API server wants and each request would pay for: cookies, and a look at the environment and the
    .netrc in threads of their own. What bounds a request is `_send`'s.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=api.rest_client.ssl_context),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
    )


def _route(configuration: Configuration) -> dict[str, Any]:
    """What of the kubeconfig each request is sent with, as aiohttp calls it."""
    route = {
        "proxy": configuration.proxy,
        "proxy_headers": configuration.proxy_headers,
        "server_hostname": configuration.tls_server_name,
    }
    return {name: value for name, value in route.items() if value}


def _proxy_of_environment(url: str) -> str | None:
    """By HTTPS_PROXY, HTTP_PROXY and NO_PROXY, as everybody reads them."""
    server = urlsplit(url)
    return None if proxy_bypass(server.netloc) else getproxies().get(server.scheme)


def _in_cluster(configuration: Configuration) -> tuple[str, str]:
    try:
        _load_incluster(client_configuration=configuration)
        namespace = _OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except (ConfigException, OSError) as error:
        raise ClusterFault(
            Fault.UNREACHABLE,
            f"this pod has no service account to speak to the API server with ({error}): set"
            " automountServiceAccountToken, or name a --kubeconfig",
        ) from None
    return f"{configuration.host}, in the cluster", namespace


async def _from_kubeconfig(configuration: Configuration, paths: str, context: str | None) -> tuple[Any, str, str]:
    found = _files(paths)
    if not found:
        raise ClusterFault(Fault.UNREACHABLE, f"no kubeconfig at {paths}: name one with --kubeconfig, or KUBECONFIG")
    try:
        loader = await _load_kubeconfig(
            config_file=os.pathsep.join(found),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
        current = loader.current_context
    except (ConfigException, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        # The last three are what the library raises for YAML that is no kubeconfig.
        raise ClusterFault(Fault.UNREACHABLE, f"the kubeconfig {paths} cannot be used: {error}") from None
    namespace = (current.get("context") or {}).get("namespace") or "default"
    return loader, str(current.get("name") or configuration.host), str(namespace)


def _files(paths: str) -> list[str]:
    return [path for path in map(os.path.expanduser, paths.split(os.pathsep)) if path and Path(path).is_file()]
