"""What is written carries what it was planned for: an object that is another, or has changed, is left alone."""

from typing import Any

import pytest
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import DEPLOYMENTS, MARKET_MAKERS, PODS
from phoenix_operator.names import Finalizer
from phoenix_operator.plan.facts import Meta
from phoenix_operator.plan.observed import meta_of
from phoenix_operator.plan.outcome import Delete, PodPatch, Scale
from phoenix_operator.writer import Writer

OURS = Finalizer.WITHDRAW.value
UID_STANDS = {"op": "test", "path": "/metadata/uid", "value": "marketmakers-btc"}


class Recording:
    """A client that keeps what it is asked for, and answers `refusal` where there is one."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refusal: ClusterFault | None = None

    async def json_patch(self, resource, namespace, name, operations, subresource=""):
        return self._answer("json patch", resource, namespace, name, operations, subresource)

    async def merge_patch(self, resource, namespace, name, change, subresource=""):
        return self._answer("merge patch", resource, namespace, name, change, subresource)

    async def delete(self, resource, namespace, name, uid, policy="Background"):
        self._answer("delete", resource, namespace, name, uid, policy)

    def _answer(self, *asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal
        _, resource, namespace, name, *_ = asked
        meta = {"name": name, "namespace": namespace, "uid": f"{resource.plural}-{name}", "resourceVersion": "99999"}
        return {"metadata": meta}


@pytest.fixture
def client() -> Recording:
    return Recording()


@pytest.fixture
def writer(client, store, census) -> Writer:
    return Writer(client, store, census, lambda _: None)


@pytest.fixture
def maker(store, put_maker):
    """Its metadata, with the finalizers that are there."""

    def make(*finalizers: str) -> Meta:
        put_maker("btc", meta={"finalizers": list(finalizers)} if finalizers else {})
        return meta_of(store.get(MARKET_MAKERS, "trading", "btc"))

    return make


@pytest.mark.parametrize(
    ("there", "operations"),
    [
        pytest.param(
            (),
            [
                UID_STANDS,
                {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
                {"op": "add", "path": "/metadata/finalizers", "value": [OURS]},
            ],
            id="the first, on the version in which there was none",
        ),
        pytest.param(
            ("example.com/x",),
            [
                UID_STANDS,
                {"op": "test", "path": "/metadata/finalizers", "value": ["example.com/x"]},
                {"op": "add", "path": "/metadata/finalizers/-", "value": OURS},
            ],
            id="beside those that were seen",
        ),
    ],
)
async def test_our_finalizer_comes_only_where_all_is_as_it_was_seen(writer, client, maker, there, operations):
    await writer.add_finalizer(MARKET_MAKERS, maker(*there), Finalizer.WITHDRAW)
    assert client.asked == [("json patch", MARKET_MAKERS, "trading", "btc", operations, "")]


async def test_our_finalizer_goes_only_from_where_it_was_seen(writer, client, maker):
    await writer.remove_finalizer(MARKET_MAKERS, maker("example.com/x", OURS), Finalizer.WITHDRAW)
    operations = [
        UID_STANDS,
        {"op": "test", "path": "/metadata/finalizers/1", "value": OURS},
        {"op": "remove", "path": "/metadata/finalizers/1"},
    ]
    assert client.asked == [("json patch", MARKET_MAKERS, "trading", "btc", operations, "")]


@pytest.mark.parametrize("change", ["add", "remove"])
async def test_a_finalizer_that_is_as_wished_is_not_written(writer, client, maker, change):
    meta = maker(*([OURS] if change == "add" else []))
    await getattr(writer, f"{change}_finalizer")(MARKET_MAKERS, meta, Finalizer.WITHDRAW)
    assert client.asked == []


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        pytest.param("the server rejected our request due to an error in our request", Fault.CONFLICT, id="its test"),
        pytest.param("Forbidden: no new finalizers can be added", Fault.CONFLICT, id="it is being deleted"),
        pytest.param("spec.symbol: a symbol is in capitals", Fault.INVALID, id="the object is not valid"),
    ],
)
async def test_a_patch_that_does_not_fit_any_more_is_a_conflict_and_no_other_refusal_is(
    writer, client, maker, said, fault
):
    client.refusal = ClusterFault(Fault.INVALID, said)
    with pytest.raises(ClusterFault) as refused:
        await writer.remove_finalizer(MARKET_MAKERS, maker(OURS), Finalizer.WITHDRAW)
    assert refused.value.fault is fault


async def test_what_is_changed_or_deleted_is_named_by_its_uid(writer, client):
    await writer.scale("trading", Scale("btc", "uid-1", 0))
    await writer.patch_pod("trading", PodPatch("btc-1", "uid-2", {"a": "b"}))
    await writer.delete("trading", Delete("Pod", "btc-1", "uid-3"))
    assert [asked[:5] for asked in client.asked] == [
        ("merge patch", DEPLOYMENTS, "trading", "btc", {"metadata": {"uid": "uid-1"}, "spec": {"replicas": 0}}),
        ("merge patch", PODS, "trading", "btc-1", {"metadata": {"uid": "uid-2", "annotations": {"a": "b"}}}),
        ("delete", PODS, "trading", "btc-1", "uid-3"),
    ]
