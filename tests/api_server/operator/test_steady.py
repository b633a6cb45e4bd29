"""A maker that is applied comes into force, and then nothing is written any more."""

import time

import pytest
from api_server import ApiServer
from operator_process import until

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


def test_a_maker_comes_into_force_and_everybody_who_waits_for_ready_hears_it(place, api_server: ApiServer):
    place.apply_account()
    place.apply_maker()
    place.until_ready()

    api_server.kubectl("wait", "-n", place.namespace, "--for=condition=Ready", "--timeout=10s", "mm/btcusdt")
    maker = place.get("maker", "btcusdt")
    deployment = place.get("deployment", "btcusdt")
    status = maker["status"]
    assert maker["metadata"]["finalizers"] == ["phoenix.trading/withdraw"]
    assert status["appliedGeneration"] == maker["metadata"]["generation"]
    assert deployment["spec"]["replicas"] == 1
    assert deployment["metadata"]["ownerReferences"][0]["uid"] == maker["metadata"]["uid"]
    config_map = place.get("configmap", f"btcusdt-{status['templateHash']}")
    assert set(config_map["data"]) == {"maker.yaml", "account.yaml"}
    assert place.condition("maker", "btcusdt", "Quoting")["status"] == "True"
    assert place.events("btcusdt", "Created")
    row = api_server.kubectl("get", "mm", "btcusdt", "-n", place.namespace).stdout.splitlines()[1].split()
    assert row[:5] == ["btcusdt", "BTCUSDT", "Live", "True", "Quoting"]


def test_an_account_is_identified_by_its_workers_and_its_switch_seeded(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()

    told = place.until_condition("account", "default", "Ready", "Identified", "True")
    assert place.cluster.identity in told["message"]
    account = place.get("account", "default")
    assert account["status"]["identity"] == place.cluster.identity
    assert account["status"]["makers"] == 1
    assert account["metadata"]["finalizers"] == ["phoenix.trading/in-use"]
    until("the switch is seeded", lambda: place.events("default", "SwitchSeeded"))


def test_in_steady_state_nothing_is_written(place):
    place.apply_account()
    place.apply_maker()
    place.apply_maker("ethusdt")
    place.until_ready()
    place.until_ready("ethusdt")
    time.sleep(3)  # Events are posted behind the plan, and the second pass over everything is through

    before = place.writes()
    time.sleep(5)

    assert place.writes() == before


def test_applying_the_same_again_writes_nothing(place):
    """GitOps re-applies for ever."""
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    time.sleep(3)
    before = place.writes()

    place.apply_account()
    place.apply_maker()
    time.sleep(2)

    assert place.writes() == before
