"""Each mistake is a condition that says what to do; nothing is deleted, and other makers go on."""

import time

import pytest
from operator_process import until

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server

A_SECOND = 1.1
"""An API server writes no finer when something was made; of two that are as old the uid decides."""


def test_an_unknown_account_is_named_and_then_found(place):
    place.apply_maker()
    told = place.until_condition("maker", "btcusdt", "Ready", "AccountNotFound", "False")
    assert "TradingAccount default" in told["message"]
    assert not place.get("deployment", "btcusdt")

    place.apply_account()

    place.until_ready()


def test_of_two_makers_of_one_symbol_the_older_trades(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    time.sleep(A_SECOND)

    place.apply_maker("btcusdt-again")

    told = place.until_condition("maker", "btcusdt-again", "SymbolConflict", "SymbolConflict", "True")
    assert "btcusdt is older" in told["message"]
    assert not place.get("deployment", "btcusdt-again")
    assert place.condition("maker", "btcusdt", "Ready")["status"] == "True"

    place.delete("maker", "btcusdt")

    place.until_ready("btcusdt-again")


def test_of_two_accounts_with_one_identity_the_younger_withdraws(place):
    place.apply_account()
    time.sleep(A_SECOND)
    place.apply_account("second")
    place.apply_maker()
    place.apply_maker("ethusdt", accountRef="second")
    place.until_ready()

    told = place.until_condition("account", "second", "Ready", "AccountConflict", "False")

    assert f"{place.namespace}/default" in told["message"]

    def is_paused() -> bool:
        template = place.get("maker", "ethusdt")["status"]["templateHash"]
        return "paused: true" in place.get("configmap", f"ethusdt-{template}")["data"]["maker.yaml"]

    until("the younger account's maker withdraws its quotes", is_paused)
    assert place.get("deployment", "ethusdt")["spec"]["replicas"] == 1
    assert place.condition("account", "default", "Ready")["status"] == "True"

    place.apply_maker("btcusdt-again", accountRef="second")
    told = place.until_condition("maker", "btcusdt-again", "SymbolConflict", "SymbolConflict", "True")
    assert f"{place.namespace}/btcusdt trades BTCUSDT" in told["message"]
    assert not place.get("deployment", "btcusdt-again")


def test_an_image_that_cannot_be_pulled_is_named(place):
    place.cluster.ready = False
    place.apply_account()
    place.apply_maker()
    (pod,) = until("a pod", place.pods)
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image phoenix:dev"}
    container = {
        "name": "worker",
        "ready": False,
        "restartCount": 0,
        "image": "phoenix:dev",
        "imageID": "",
        "state": {"waiting": waiting},
    }
    status = {"phase": "Pending", "containerStatuses": [container]}
    place.server.admin.merge(f"{place.path('pod', pod)}/status", {"status": status}).expect()

    told = place.until_condition("maker", "btcusdt", "Ready", "ImageNotPulled", "False")

    assert "phoenix:dev" in told["message"]


def test_an_invalid_maker_that_the_server_admitted_leaves_its_pods_alone(place):
    """A rule that only the operator's build knows: the resource says it, the pods go on."""
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    deployment = place.get("deployment", "btcusdt")

    # The server checks each item, but not the sum over two resources.
    place.patch("account", "default", {"spec": {"limits": {"makerNetMax": {"BTCUSDT": None}}}}).expect()

    told = place.until_condition("maker", "btcusdt", "Ready", "NotAdmitted", "False")
    assert "makerNetMax" in told["message"]
    assert place.get("deployment", "btcusdt")["metadata"]["uid"] == deployment["metadata"]["uid"]
    assert place.get("deployment", "btcusdt")["spec"]["replicas"] == 1
