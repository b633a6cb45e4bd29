"""The account's emergency switch both ways: from Redis to the status, from the status to Redis, and what people ask."""

import asyncio
from datetime import UTC, datetime

import pytest
import redis
from operator_process import until
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import SwitchState, account_tools
from phoenix_coordination.state import EmergencyState

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


def _switch(url: str, identity: str) -> SwitchState:
    async def read() -> SwitchState:
        async with account_tools(url) as tools:
            return await tools.account(identity).switch()

    return asyncio.run(read())


def _stop(url: str, identity: str, reason: str) -> SwitchState:
    async def stop() -> SwitchState:
        async with account_tools(url) as tools:
            return await tools.account(identity).stop(EmergencyLevel.HALT, reason, "worker")

    return asyncio.run(stop())


def _emergency(place) -> dict:
    return (place.get("account", "default").get("status") or {}).get("emergency") or {}


@pytest.fixture
def stopped_by_nobody(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    until("the switch is in the status", lambda: _emergency(place).get("level") == "None")
    return place


def test_a_stop_in_redis_is_in_the_status_and_survives_a_redis_that_forgets(stopped_by_nobody, redis_url):
    place = stopped_by_nobody
    epoch = _stop(redis_url, place.cluster.identity, "drawdown").epoch
    until("the status says Halt", lambda: _emergency(place).get("level") == "Halt")
    place.until_condition("account", "default", "Emergency", "Sticky", "True")
    assert _emergency(place)["reason"] == "drawdown"

    client = redis.Redis.from_url(redis_url)
    client.flushall()
    client.close()

    def is_back() -> bool:
        switch = _switch(redis_url, place.cluster.identity)
        return switch.seeded and switch.level is EmergencyLevel.HALT and switch.epoch >= epoch

    until("Redis has been told again", is_back)
    assert place.condition("maker", "btcusdt", "Ready")["status"] == "True"


def test_what_the_resource_declares_is_told_to_redis_also_for_a_maker_that_is_left_alone(stopped_by_nobody, redis_url):
    place = stopped_by_nobody
    place.patch("maker", "btcusdt", {"metadata": {"annotations": {"phoenix.trading/reconcile": "disabled"}}}).expect()
    place.until_condition("maker", "btcusdt", "Ready", "ReconcileDisabled")
    place.patch("account", "default", {"spec": {"emergency": "Flatten"}}).expect()

    def declares(level: EmergencyLevel) -> bool:
        switch = _switch(redis_url, place.cluster.identity)
        return (switch.declared, switch.level, switch.seeded) == (level, EmergencyLevel.NONE, True)

    until("Redis tells what is declared", lambda: declares(EmergencyLevel.FLATTEN))
    until(
        "who has not heard it is named",
        lambda: _declared(place) == "spec.emergency is Flatten; not heard yet by btcusdt",
    )
    place.cluster.told["btcusdt"] = {"emergency": EmergencyState("Flatten")}
    until("everybody has heard it", lambda: _declared(place) == "spec.emergency is Flatten")

    client = redis.Redis.from_url(redis_url)
    client.flushall()
    client.close()
    until("a Redis that forgets is told again", lambda: declares(EmergencyLevel.FLATTEN))
    place.patch("account", "default", {"spec": {"emergency": "None"}}).expect()
    until("it is taken back", lambda: declares(EmergencyLevel.NONE))


def _declared(place) -> str:
    told = place.condition("account", "default", "Emergency")
    return told["message"] if told["reason"] == "Declared" else ""


def _ask(place, request: dict) -> dict:
    """As `phoenix stop` does: appends to the status; the answer that comes."""
    path = f"{place.path('account', 'default')}/status"
    status = place.get("account", "default").get("status") or {}
    operations = [] if "requests" in status else [{"op": "add", "path": "/status/requests", "value": []}]
    operations.append({"op": "add", "path": "/status/requests/-", "value": request})
    place.server.admin.request("PATCH", path, operations, "application/json-patch+json").expect()

    def answer() -> dict:
        answers = place.get("account", "default")["status"].get("answers", [])
        return next((each for each in answers if each["id"] == request["id"]), {})

    found = until("an answer", answer)
    until("the request is gone", lambda: not place.get("account", "default")["status"].get("requests"))
    return found


def _ask_at_once(place, *requests: dict) -> None:
    path = f"{place.path('account', 'default')}/status"
    operations = [{"op": "add", "path": "/status/requests", "value": list(requests)}]
    place.server.admin.request("PATCH", path, operations, "application/json-patch+json").expect()
    until("all requests are gone", lambda: not place.get("account", "default")["status"].get("requests"))


def test_a_burst_of_requests_is_carried_out_once_each_and_answered(stopped_by_nobody, redis_url):
    place = stopped_by_nobody
    before = _switch(redis_url, place.cluster.identity).epoch
    stops = [{"id": f"r{number}", "action": "Stop", "level": "Halt", "reason": f"{number}"} for number in range(14)]
    _ask_at_once(place, *stops)
    assert _switch(redis_url, place.cluster.identity).epoch == before + 14
    answers = place.get("account", "default")["status"]["answers"]
    assert [each["id"] for each in answers if each["ok"]] == [each["id"] for each in stops]


def test_a_request_that_cannot_be_read_hides_no_stop(stopped_by_nobody, redis_url):
    place = stopped_by_nobody
    epoch = _stop(redis_url, place.cluster.identity, "drawdown").epoch
    until("the status says Halt", lambda: _emergency(place).get("level") == "Halt")
    no_time = "2026-01-31T08:00:00.123456789012345678901234567890Z"
    _ask_at_once(place, {"id": "odd", "action": "Resume", "epoch": epoch, "at": no_time})
    (answer,) = place.get("account", "default")["status"]["answers"]
    assert (answer["id"], answer["ok"]) == ("odd", False)
    assert "cannot be read" in answer["message"]
    assert (_emergency(place)["level"], _emergency(place)["epoch"]) == ("Halt", epoch)


def test_what_people_ask_is_carried_out_once_answered_and_removed(stopped_by_nobody, redis_url):
    place = stopped_by_nobody

    told = _ask(place, {"id": "one", "action": "Stop", "level": "Halt", "reason": "odd", "source": "anna"})
    switch = _switch(redis_url, place.cluster.identity)
    assert told["ok"]
    assert (told["level"], told["epoch"]) == ("Halt", switch.epoch)
    assert (switch.level, switch.reason, switch.source) == (EmergencyLevel.HALT, "odd", "anna")
    until("the status follows", lambda: _emergency(place).get("epoch") == switch.epoch)

    undated = _ask(place, {"id": "undated", "action": "Resume", "epoch": switch.epoch, "source": "anna"})
    assert not undated["ok"]
    assert "when it was asked" in undated["message"]

    wrong = {"id": "two", "action": "Resume", "epoch": switch.epoch + 7, "source": "anna"}
    refused = _ask(place, wrong | {"at": datetime.now(UTC).isoformat()})
    assert not refused["ok"]
    assert f"under epoch {switch.epoch}" in refused["message"]

    right = {"id": "three", "action": "Resume", "epoch": switch.epoch, "source": "anna"}
    resumed = _ask(place, right | {"at": datetime.now(UTC).isoformat()})
    assert resumed["ok"]
    assert _switch(redis_url, place.cluster.identity).level is EmergencyLevel.NONE
    until("the status follows", lambda: _emergency(place).get("level") == "None")
    until("Events tell of all three", lambda: len(place.events("default", "RequestCarriedOut")) == 2)
    until("and of the refusals", lambda: len(place.events("default", "RequestRefused")) == 2)
