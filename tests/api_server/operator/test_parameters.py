"""Hot values reach a running pod, cold ones another pod, one after the other."""

import time

import pytest
import yaml
from operator_process import until

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


def _in_file(place, maker: str, template: str) -> dict:
    return yaml.safe_load(place.get("configmap", f"{maker}-{template}")["data"]["maker.yaml"])


def test_a_hot_value_is_written_and_the_pod_nudged_until_its_worker_reports_it(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    pods = place.pods()
    template = place.get("maker", "btcusdt")["status"]["templateHash"]
    place.cluster.deaf.add("btcusdt")

    place.patch("maker", "btcusdt", {"spec": {"minSpreadBps": 9}}).expect()

    until("the file says so", lambda: str(_in_file(place, "btcusdt", template)["spec"]["minSpreadBps"]) == "9")
    until("nudged more than once", lambda: len([each for each in place.cluster.nudges if each[0] == "btcusdt"]) > 1)
    assert place.condition("maker", "btcusdt", "Ready")["status"] == "False"
    place.cluster.deaf.clear()
    place.until_ready()
    maker = place.get("maker", "btcusdt")
    assert maker["status"]["appliedGeneration"] == maker["metadata"]["generation"] == 2
    assert maker["status"]["templateHash"] == template
    assert place.pods() == pods
    time.sleep(2)
    nudged = len(place.cluster.nudges)
    time.sleep(3)
    assert len(place.cluster.nudges) == nudged


def test_the_switch_of_the_resource_reaches_the_workers_file(place):
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    template = place.get("maker", "btcusdt")["status"]["templateHash"]

    place.patch("account", "default", {"spec": {"emergency": "Halt"}}).expect()

    def told() -> bool:
        data = place.get("configmap", f"btcusdt-{template}")["data"]
        return yaml.safe_load(data["account.yaml"])["spec"]["emergency"] == "Halt"

    until("account.yaml says Halt", told)
    place.until_condition("account", "default", "Emergency", "Declared", "True")


def test_a_cold_value_replaces_pods_one_maker_at_a_time(place):
    place.apply_account()
    for maker in ("btcusdt", "ethusdt"):
        place.apply_maker(maker)
    for maker in ("btcusdt", "ethusdt"):
        place.until_ready(maker)
    before = {maker: place.get("maker", maker)["status"]["templateHash"] for maker in ("btcusdt", "ethusdt")}

    def rolled() -> set[str]:
        return {
            maker
            for maker in before
            if place.get("deployment", maker)["spec"]["template"]["metadata"]["labels"]["phoenix.trading/template"]
            != before[maker]
        }

    place.cluster.ready = False  # no new pod becomes ready: a roll stays on its way
    place.patch("account", "default", {"spec": {"budgets": {"orderShare": "0.7"}}}).expect()

    until("one of them rolls", rolled)
    time.sleep(2)
    assert len(rolled()) == 1
    (first,) = rolled()
    (second,) = set(before) - {first}
    place.until_condition("maker", second, "Ready", "RollWaits")
    place.cluster.ready = True
    for pod in place.pods(first):
        place.cluster.set_ready(pod, ready=True)
    until("both have rolled", lambda: rolled() == set(before), 90)
    for maker in before:
        place.until_ready(maker)


def test_a_file_that_does_not_validate_is_no_file(place):
    """What the account does not admit changes nothing that runs, and says what to do."""
    place.apply_account()
    place.apply_maker()
    place.until_ready()
    pods = place.pods()

    place.patch("maker", "btcusdt", {"spec": {"netMax": "5"}}).expect()

    told = place.until_condition("maker", "btcusdt", "Ready", "NotAdmitted", "False")
    assert "netMax" in told["message"]
    assert place.pods() == pods
