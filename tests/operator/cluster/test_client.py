"""What a request to the API server looks like on the wire, and which way it goes."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from phoenix_operator.cluster.client import connect
from phoenix_operator.cluster.resources import CONFIG_MAPS

WISHED = {"metadata": {"name": "btcusdt", "namespace": "trading"}, "data": {"maker.yaml": "ä: 1\n"}}
UNRESOLVABLE = "http://api.invalid"


class Server:
    """Answers everything with an empty object, and keeps what it was asked."""

    def __init__(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self.http = TestServer(application)
        self.asked: list[web.BaseRequest] = []
        self.bodies: list[object] = []

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        self.bodies.append(await request.json() if request.can_read_body else None)
        return web.json_response({"kind": "ConfigMap", "metadata": {}})

    @property
    def url(self) -> str:
        return str(self.http.make_url("")).rstrip("/")


@pytest.fixture(autouse=True)
def no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    async with served.http:
        yield served


def kubeconfig(place: Path, **cluster: str) -> str:
    """With a token for the only user."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "me", "user": {"token": "s3cret"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "here",
    }
    path = place / "config"
    path.write_text(yaml.safe_dump(config))
    return str(path)


async def test_an_apply_is_json_with_our_field_manager_and_the_users_token(server: Server, tmp_path: Path):
    async with connect(kubeconfig(tmp_path, server=server.url), field_manager="phoenix-operator") as client:
        await client.apply(CONFIG_MAPS, "trading", WISHED)

    (asked,) = server.asked
    assert (asked.method, asked.path) == ("PATCH", "/api/v1/namespaces/trading/configmaps/btcusdt")
    assert dict(asked.query) == {"fieldManager": "phoenix-operator", "force": "true"}
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert asked.headers["Authorization"] == "Bearer s3cret"
    assert server.bodies == [WISHED]


async def test_a_proxy_of_the_kubeconfig_is_used(server: Server, tmp_path: Path):
    config = {"server": UNRESOLVABLE, "proxy-url": server.url}
    async with connect(kubeconfig(tmp_path, **config)) as client:
        await client.get(CONFIG_MAPS, "trading", "btcusdt")

    assert server.asked[0].headers["Host"] == "api.invalid"


async def test_a_proxy_of_the_environment_is_used(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    async with connect(kubeconfig(tmp_path, server=UNRESOLVABLE)) as client:
        await client.get(CONFIG_MAPS, "trading", "btcusdt")

    assert server.asked[0].headers["Host"] == "api.invalid"


async def test_a_server_that_no_proxy_names_is_asked_directly(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with connect(kubeconfig(tmp_path, server=server.url)) as client:
        await client.get(CONFIG_MAPS, "trading", "btcusdt")

    assert len(server.asked) == 1
