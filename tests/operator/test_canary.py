"""A watch that does not show the canary in time is dead; by a clock that a test moves."""

import pytest
from phoenix_operator.canary import PERIODS, Canary

PERIOD_S = 10.0


class PlayedServer:
    def __init__(self) -> None:
        self.version = 0

    async def apply(self, _resource, namespace, wished) -> dict:
        self.version += 1
        return self._told(namespace, wished["metadata"]["name"])

    async def get(self, _resource, namespace, name) -> dict:
        return self._told(namespace, name)

    def _told(self, namespace: str, name: str) -> dict:
        return {"metadata": {"namespace": namespace, "name": name, "resourceVersion": str(self.version)}}


@pytest.fixture
def server() -> PlayedServer:
    return PlayedServer()


@pytest.fixture
def canary(server, clock) -> Canary:
    canary = Canary(server, "us", PERIOD_S, clock)
    canary.watched(["trading"])
    return canary


def _shown(server: PlayedServer, name: str = "phoenix-operator-canary", version: int | None = None) -> dict:
    shown = server.version if version is None else version
    return {"metadata": {"namespace": "trading", "name": name, "resourceVersion": str(shown)}}


async def test_what_comes_round_is_alive(canary, server, clock):
    await canary.touch("trading", 1)
    canary.seen(_shown(server))
    clock.now += 10 * PERIOD_S
    assert canary.overdue() == ""


async def test_what_does_not_come_round_is_dead_after_some_periods(canary, clock):
    await canary.touch("trading", 1)
    clock.now += PERIODS * PERIOD_S
    assert canary.overdue() == ""
    clock.now += 0.1
    assert "namespace trading" in canary.overdue()


async def test_later_touches_do_not_excuse_the_first_that_did_not_come_round(canary, clock):
    for _ in range(2 * PERIODS):
        await canary.touch("trading", 1)
        clock.now += PERIOD_S
    assert canary.overdue()


async def test_a_later_version_shows_the_earlier_one_too(canary, server, clock):
    await canary.touch("trading", 1)
    canary.seen(_shown(server, version=99))
    clock.now += 10 * PERIOD_S
    assert canary.overdue() == ""


async def test_other_objects_are_no_sign_of_life(canary, server, clock):
    await canary.touch("trading", 1)
    canary.seen(_shown(server, name="btcusdt-0123456789", version=99))
    clock.now += 10 * PERIOD_S
    assert canary.overdue()


async def test_a_standby_asks_for_what_the_leader_has_touched(canary, server, clock):
    server.version = 7
    await canary.look("trading")
    clock.now += PERIODS * PERIOD_S + 1
    assert canary.overdue()
    canary.seen(_shown(server))
    assert canary.overdue() == ""


async def test_what_is_not_watched_any_more_is_not_waited_for(canary, clock):
    await canary.touch("trading", 1)
    canary.watched([])
    clock.now += 10 * PERIOD_S
    assert canary.overdue() == ""
