"""What is written is written to the very object that was meant: another one of its name, or a later version, stays."""

from collections.abc import AsyncIterator

import pytest
from phoenix_operator.census import Census
from phoenix_operator.cluster.client import ClusterClient, connect
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import CONFIG_MAPS, MARKET_MAKERS
from phoenix_operator.cluster.store import Store
from phoenix_operator.names import Finalizer
from phoenix_operator.plan.observed import meta_of
from phoenix_operator.plan.outcome import Delete
from phoenix_operator.writer import Writer

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server

THEIRS, OURS = "example.com/theirs", Finalizer.WITHDRAW.value


@pytest.fixture
async def client(api_server) -> AsyncIterator[ClusterClient]:
    async with connect(str(api_server.kubeconfig_for("writer", "system:masters"))) as client:
        yield client


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def writer(client, store) -> Writer:
    return Writer(client, store, Census(store), lambda _: None)


@pytest.fixture
def own(own_place):
    """A maker of a namespace that no operator watches, whose finalizers a test sets."""
    own_place.apply_maker()

    def finalizers(*names: str) -> dict:
        own_place.patch("maker", "btcusdt", {"metadata": {"finalizers": list(names)}}).expect()
        return own_place.get("maker", "btcusdt")

    yield finalizers
    finalizers()


async def test_an_object_that_was_made_anew_under_its_name_is_not_deleted(writer, client, own_place):
    path = own_place.path("configmap")
    made = own_place.server.admin.create(path, {"metadata": {"name": "btcusdt-a"}}).expect()
    await writer.delete(own_place.namespace, Delete("ConfigMap", "btcusdt-a", "11111111-1111-4111-8111-111111111111"))
    assert await client.get(CONFIG_MAPS, own_place.namespace, "btcusdt-a") is not None
    await writer.delete(own_place.namespace, Delete("ConfigMap", "btcusdt-a", made["metadata"]["uid"]))
    assert await client.get(CONFIG_MAPS, own_place.namespace, "btcusdt-a") is None


async def test_our_finalizer_is_taken_away_where_it_is_and_nobody_elses(writer, store, own):
    store.observe(MARKET_MAKERS, own(OURS, THEIRS))
    there = own(THEIRS, OURS)  # not told yet
    with pytest.raises(ClusterFault) as refused:
        await writer.remove_finalizer(MARKET_MAKERS, meta_of(there), Finalizer.WITHDRAW)
    assert refused.value.fault is Fault.CONFLICT
    store.observe(MARKET_MAKERS, there)
    await writer.remove_finalizer(MARKET_MAKERS, meta_of(there), Finalizer.WITHDRAW)
    assert store.get(MARKET_MAKERS, there["metadata"]["namespace"], "btcusdt")["metadata"]["finalizers"] == [THEIRS]


@pytest.mark.parametrize("known", [(), (THEIRS,)], ids=["none known", "another known"])
async def test_a_finalizer_that_came_meanwhile_is_not_lost(writer, store, own, known):
    before = own(*known)
    store.observe(MARKET_MAKERS, before)
    there = own(*known, "example.com/newer")
    with pytest.raises(ClusterFault) as refused:
        await writer.add_finalizer(MARKET_MAKERS, meta_of(before), Finalizer.WITHDRAW)
    assert refused.value.fault is Fault.CONFLICT
    store.observe(MARKET_MAKERS, there)
    await writer.add_finalizer(MARKET_MAKERS, meta_of(there), Finalizer.WITHDRAW)
    held = store.get(MARKET_MAKERS, there["metadata"]["namespace"], "btcusdt")["metadata"]["finalizers"]
    assert held == [*known, "example.com/newer", OURS]
