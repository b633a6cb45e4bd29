"""What is known of namespaces that come one after the other, from a client that answers at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from phoenix_operator import observation as module
from phoenix_operator.calm import Calm
from phoenix_operator.canary import Canary
from phoenix_operator.cluster.client import Page
from phoenix_operator.cluster.resources import DEPLOYMENTS, NAMESPACES
from phoenix_operator.cluster.store import Store
from phoenix_operator.observation import Observation


class Answering:
    """A cluster of which `allowed` namespaces may be seen; `gate` holds the list of Deployments of `late` up."""

    namespace = "phoenix-system"

    def __init__(self) -> None:
        self.allowed = {"early"}
        self.serving = True
        self.gate = asyncio.Event()
        self.asked_for_late = asyncio.Event()

    async def serves(self, *_):
        return self.serving

    async def create(self, _resource, _namespace, review):
        where = review["spec"]["resourceAttributes"]["namespace"]
        return {"status": {"allowed": where in self.allowed}}

    async def get(self, resource, _namespace, name):
        return {"metadata": {"name": name}} if resource == NAMESPACES else None

    async def pages(self, resource, namespace, *_):
        if (resource, namespace) == (DEPLOYMENTS, "late"):
            self.asked_for_late.set()
            await self.gate.wait()
        yield Page((), "1")


class SilentWatches:
    """kopf, of which nothing is heard: `running` counts it."""

    problem = ""
    begun = 0
    running = 0

    def __init__(self, *_: object) -> None:
        self.ended = asyncio.Event()

    def start(self) -> None:
        SilentWatches.begun += 1
        SilentWatches.running += 1

    async def stop(self) -> None:
        SilentWatches.running -= 1


@pytest.fixture
def cluster() -> Answering:
    return Answering()


@pytest.fixture
def first_lists() -> list[tuple[str | None, ...]]:
    return []


@pytest.fixture
def calm() -> Calm:
    return Calm()


@pytest.fixture
async def observed(cluster, first_lists, calm, monkeypatch) -> AsyncIterator[Observation]:
    monkeypatch.setattr(module, "Watches", SilentWatches)
    for name in ("RIGHTS_AGAIN_S", "ASK_AGAIN_S", "SETTLED_S"):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(module, "_REWATCH_S", (0.01, 0.01))
    observation = Observation(
        cluster,
        Store(),
        Canary(cluster, "us", 60.0, lambda: 0.0),
        ("early", "late"),
        lambda _: None,
        first_lists.append,
        0.05,
        calm,
    )
    task = asyncio.create_task(observation.run())
    yield observation
    task.cancel()
    await asyncio.wait({task})


async def until(look) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110 - what is waited for is a state
            await asyncio.sleep(0.005)


async def test_a_namespace_is_known_once_all_of_it_has_been_told_whenever_it_comes(observed, cluster, first_lists):
    await until(observed.synced.is_set)
    assert first_lists[0] == ("early",)
    assert observed.knows("early")
    assert not observed.knows("late")

    cluster.allowed.add("late")
    async with asyncio.timeout(10):
        await cluster.asked_for_late.wait()
    assert not observed.knows("late"), "half of it is no knowledge"
    assert observed.knows("early"), "nobody waits for another namespace"

    cluster.gate.set()
    await until(lambda: observed.knows("late"))
    assert [each for each in first_lists if each] == [("early",), ("late",)], "each has one first list"


async def test_a_namespace_that_was_out_of_sight_is_listed_before_it_is_known_again(observed, cluster):
    cluster.gate.set()
    cluster.allowed.add("late")
    await until(lambda: observed.knows("late"))
    cluster.allowed.discard("late")
    observed._canary.problem = "the Role has gone"
    await until(lambda: not observed.knows("late"))
    assert "namespace late" in observed.problem
    observed._canary.problem = ""
    cluster.allowed.add("late")
    await until(lambda: observed.knows("late"))
    await until(lambda: observed.problem == "")


async def test_who_watches_kinds_that_are_served_no_more_begins_anew_once_they_are(observed, cluster):
    """kopf would not hear of them again: the definitions were taken away and applied again."""
    await until(observed.synced.is_set)
    begun = SilentWatches.begun
    cluster.serving = False
    await until(lambda: SilentWatches.running == 0)
    await until(lambda: "kubectl apply -f crds/" in observed.problem)
    assert SilentWatches.begun == begun

    cluster.serving = True
    await until(lambda: SilentWatches.begun > begun)
    await until(lambda: "crds/" not in observed.problem)


async def test_makers_that_wait_come_before_a_list_that_only_makes_sure(observed, calm, first_lists):
    await until(observed.synced.is_set)
    calm.ends()
    await asyncio.sleep(0.1)  # one may have been under way
    before = len(first_lists)
    await asyncio.sleep(0.3)  # the time of six
    assert len(first_lists) == before
    calm.begins()
    await until(lambda: len(first_lists) > before)
