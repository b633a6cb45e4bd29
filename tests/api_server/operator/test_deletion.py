"""What a deleted maker has at the exchange is withdrawn before it goes, or an Event says what may be left."""

import time

import pytest
from operator_process import until

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


def test_pods_end_first_then_a_job_withdraws_then_the_maker_goes(place):
    place.apply_account()
    place.apply_maker(onDelete="Flatten")
    place.until_ready()
    place.cluster.job_succeeds = None

    place.delete("maker", "btcusdt")

    job = until("the withdraw Job", lambda: place.get("job", "btcusdt-withdraw"))
    assert not place.pods()
    assert place.get("deployment", "btcusdt")["spec"]["replicas"] == 0
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][-2:] == ["--withdraw", "--flatten"]
    time.sleep(1)
    assert place.get("maker", "btcusdt")["metadata"]["finalizers"] == ["phoenix.trading/withdraw"]

    place.cluster.job_succeeds = True

    until("the maker is gone", lambda: not place.get("maker", "btcusdt"))
    until("an Event says so", lambda: place.events("btcusdt", "Withdrawn"))


def test_a_job_that_fails_keeps_no_resource_for_ever(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    place.cluster.job_succeeds = False

    place.delete("maker", "btcusdt")

    until("the maker is gone", lambda: not place.get("maker", "btcusdt"))
    until("an Event says what may be left", lambda: place.events("btcusdt", "NotWithdrawn"))


def test_a_maker_that_never_ran_goes_at_once(place):
    place.apply_maker()  # without an account
    place.until_condition("maker", "btcusdt", "Ready", "AccountNotFound")

    place.delete("maker", "btcusdt")

    until("it is gone", lambda: not place.get("maker", "btcusdt"), 5)


def test_an_account_stays_while_a_maker_needs_its_key(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    place.cluster.job_succeeds = None

    place.delete("account", "default")
    place.delete("maker", "btcusdt")
    until("the withdraw Job", lambda: place.get("job", "btcusdt-withdraw"))
    assert place.get("account", "default")["metadata"]["finalizers"] == ["phoenix.trading/in-use"]

    place.cluster.job_succeeds = True

    until("both are gone", lambda: not place.get("maker", "btcusdt") and not place.get("account", "default"))


def test_in_a_namespace_that_is_being_deleted_nothing_is_waited_for_that_cannot_be(own_place, operator):
    place = own_place
    operator([place.namespace]).start().until_leading()
    place.apply_account()
    place.apply_maker()
    place.until_ready()

    place.server.admin.delete(f"/api/v1/namespaces/{place.namespace}").expect()
    place.delete("maker", "btcusdt")  # as the namespace's controller would, which does not run here
    place.delete("account", "default")

    until("the maker is gone", lambda: not place.get("maker", "btcusdt"))
    until("the account is gone", lambda: not place.get("account", "default"))
    assert not place.pods()
    assert not place.get("job", "btcusdt-withdraw")
