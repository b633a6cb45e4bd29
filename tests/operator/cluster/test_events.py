"""Events tell once, count repetitions, and never flood; by a clock that a test moves."""

import asyncio
from typing import Any

import pytest
from phoenix_operator.calm import Calm
from phoenix_operator.cluster.events import BURST, PATIENCE_S, REFILL_S, SERIES_S, EventPoster, Regarding, Told
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import MARKET_MAKERS
from phoenix_operator.names import EventAction, EventReason, EventType

BTC = Regarding(MARKET_MAKERS, "trading", "btc", "uid-btc")
ETH = Regarding(MARKET_MAKERS, "trading", "eth", "uid-eth")


def told(note: str = "made", type_: EventType = EventType.NORMAL) -> Told:
    return Told(type_, EventReason.CREATED, EventAction.APPLY, note)


class PlayedServer:
    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.forgets = False
        self.posted = asyncio.Event()

    async def create(self, _resource, namespace, wished) -> dict:
        assert namespace == wished["metadata"]["namespace"]
        self.created.append(wished)
        self.posted.set()
        return wished

    async def merge_patch(self, _resource, _namespace, name, change) -> dict:
        if self.forgets:
            raise ClusterFault(Fault.NOT_FOUND, "gone", 404)
        self.patched.append((name, change))
        return {}


@pytest.fixture
def server() -> PlayedServer:
    return PlayedServer()


@pytest.fixture
def calm() -> Calm:
    return Calm()


@pytest.fixture
async def poster(server, clock, calm):
    poster = EventPoster(server, "us", clock, calm)
    task = asyncio.create_task(poster.run())
    yield poster
    task.cancel()
    await asyncio.wait({task})


async def test_an_event_says_what_happened_to_whom_and_by_whom(poster, server):
    poster.tell(BTC, told())
    await poster.drain(5)
    (event,) = server.created
    assert event["regarding"] == {
        "apiVersion": "phoenix.trading/v1alpha1",
        "kind": "MarketMaker",
        "namespace": "trading",
        "name": "btc",
        "uid": "uid-btc",
    }
    assert (event["reason"], event["action"], event["type"], event["note"]) == ("Created", "Apply", "Normal", "made")
    assert (event["reportingController"], event["reportingInstance"]) == ("phoenix.trading/operator", "us")


async def test_the_same_again_within_minutes_is_a_series(poster, server, clock):
    for _ in range(3):
        poster.tell(BTC, told())
        await poster.drain(5)
        clock.now += SERIES_S - 1
    assert len(server.created) == 1
    name = server.created[0]["metadata"]["name"]
    assert [(of, change["series"]["count"]) for of, change in server.patched] == [(name, 2), (name, 3)]


async def test_the_same_much_later_is_another_event(poster, server, clock):
    poster.tell(BTC, told())
    await poster.drain(5)
    clock.now += SERIES_S
    poster.tell(BTC, told())
    await poster.drain(5)
    assert (len(server.created), server.patched) == (2, [])


async def test_another_word_or_another_object_is_another_event(poster, server):
    for regarding, note in ((BTC, "one"), (BTC, "two"), (ETH, "one")):
        poster.tell(regarding, told(note))
    await poster.drain(5)
    assert len(server.created) == 3


async def test_an_event_that_the_server_has_forgotten_is_made_anew(poster, server):
    poster.tell(BTC, told())
    await poster.drain(5)
    server.forgets = True
    poster.tell(BTC, told())
    await poster.drain(5)
    assert len(server.created) == 2


async def test_an_object_with_too_much_to_say_is_cut_short_and_others_are_not(poster, server, clock):
    for number in range(BURST + 10):
        poster.tell(BTC, told(f"{number}"))
    poster.tell(ETH, told())
    await poster.drain(5)
    assert len(server.created) == BURST + 1
    assert poster.dropped == 10
    clock.now += REFILL_S
    poster.tell(BTC, told("later"))
    await poster.drain(5)
    assert len(server.created) == BURST + 2


async def test_what_must_not_be_posted_is_only_logged(poster, server):
    poster.tell(BTC, told(), post=False)
    await poster.drain(5)
    assert server.created == []


async def test_a_note_keeps_to_the_servers_limit_in_bytes(poster, server):
    poster.tell(BTC, told("ü" * 1000))
    await poster.drain(5)
    assert len(server.created[0]["note"].encode()) <= 1024


async def test_work_that_waits_comes_before_an_event(poster, server, calm):
    calm.ends()
    poster.tell(BTC, told())
    for _ in range(10):
        await asyncio.sleep(0)
    assert server.created == []

    calm.begins()
    await server.posted.wait()


@pytest.mark.parametrize("type_", EventType)
async def test_an_event_is_not_kept_for_ever_by_work(poster, server, calm, clock, type_):
    calm.ends()
    poster.tell(BTC, told(type_=type_))
    clock.now += PATIENCE_S[type_]
    await server.posted.wait()


async def test_a_warning_waits_behind_no_makers_that_were_made(poster, server, calm, clock):
    calm.ends()
    for number in range(5):
        poster.tell(ETH, told(f"made {number}"))
    poster.tell(BTC, told("stale", EventType.WARNING))
    clock.now += PATIENCE_S[EventType.WARNING]
    await server.posted.wait()
    assert [event["note"] for event in server.created] == ["stale"]


async def test_what_is_left_at_the_end_waits_for_nothing(poster, server, calm):
    calm.ends()
    poster.tell(BTC, told())
    await poster.drain(5)
    assert len(server.created) == 1
