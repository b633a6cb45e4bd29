"""The operator against a real API server and a real Redis; controllers, kubelets and workers are played."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from api_server import ApiServer
from operator_place import Place
from operator_process import OperatorProcess, grant, until
from redis_process import RedisProcess


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    process = RedisProcess()
    process.start()
    yield process.url
    process.close()


@pytest.fixture(scope="session")
def shared_namespace(api_server: ApiServer) -> str:
    namespace = api_server.namespace("shared")
    grant(api_server, "operator", [namespace])
    return namespace


@pytest.fixture(scope="session")
def shared_operator(
    api_server: ApiServer, shared_namespace: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(api_server, tmp_path_factory.mktemp("operator"), [shared_namespace], redis_url)
    operator.start().until_leading()
    yield operator
    assert operator.end() == 0
    assert not [line for line in operator.said() if line["event"] == "defect"]


@pytest.fixture
def place(
    api_server: ApiServer, shared_namespace: str, shared_operator: OperatorProcess, redis_url: str
) -> Iterator[Place]:
    """The namespace that the shared operator watches, empty."""
    place = Place(api_server, shared_namespace, shared_operator.user, redis_url)
    place.cluster.start()
    yield place
    place.cluster.close()
    place.clear()
    until("nothing is left", lambda: _left(shared_operator) == (0, 0))
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    client.close()


def _left(operator: OperatorProcess) -> tuple[object, object]:
    state = operator.state()
    return state.get("makers"), state.get("accounts")


@pytest.fixture
def own_place(api_server: ApiServer, redis_url: str) -> Iterator[Place]:
    """A namespace that nobody watches yet; the operator's user has its rights there."""
    namespace = api_server.namespace("own")
    grant(api_server, "operator", [namespace])
    place = Place(api_server, namespace, "operator", redis_url)
    place.cluster.start()
    yield place
    place.cluster.close()


@pytest.fixture
def operator(api_server: ApiServer, tmp_path: Path, redis_url: str) -> Iterator[Any]:
    """Makes operators of the test's own: `operator(namespaces, **settings)`; they end with it."""
    made: list[OperatorProcess] = []

    def make(namespaces: list[str], redis: str | None = None, **more: Any) -> OperatorProcess:
        url = redis_url if redis is None else redis
        made.append(OperatorProcess(api_server, tmp_path, namespaces, url, **more))
        return made[-1]

    yield make
    for each in made:
        each.kill()
