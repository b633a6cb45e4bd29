"""Resources of a cluster that is only a store."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from api_server import ROOT
from manual_clock import ManualClock
from phoenix_operator.census import Census
from phoenix_operator.cluster.resources import MARKET_MAKERS, TRADING_ACCOUNTS, Resource
from phoenix_operator.cluster.store import Store
from phoenix_operator.queue import Key
from redis_process import redis_client

Put = Callable[..., set[Key]]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """Of a real server, which each test empties for itself."""
    with redis_client() as client:
        yield f"unix://{client.connection_pool.connection_kwargs['path']}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def census(store: Store) -> Census:
    return Census(store)


@pytest.fixture
def put(store: Store, census: Census) -> Put:
    """`put(resource, name, spec={…}, status={…}, meta={…})`: as a watch tells it; gives whom it concerns."""
    versions = iter(range(1, 10_000))

    def told(resource: Resource, name: str, **parts: dict[str, Any]) -> set[Key]:
        file = "account.yaml" if resource == TRADING_ACCOUNTS else "btcusdt.yaml"
        manifest = yaml.safe_load((ROOT / "configs" / "cluster" / file).read_text())
        manifest["spec"] |= parts.get("spec", {})
        manifest["status"] = parts.get("status", {})
        meta = {
            "name": name,
            "namespace": "trading",
            "uid": f"{resource.plural}-{name}",
            "resourceVersion": str(next(versions)),
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        manifest["metadata"] = meta | parts.get("meta", {})
        change = store.observe(resource, manifest)
        assert change is not None
        return census.observe(change)

    return told


@pytest.fixture
def put_maker(put: Put) -> Put:
    return lambda name, **parts: put(MARKET_MAKERS, name, **parts)


@pytest.fixture
def put_account(put: Put) -> Put:
    return lambda name, **parts: put(TRADING_ACCOUNTS, name, **parts)
