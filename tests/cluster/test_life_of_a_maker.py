"""A maker from `kubectl apply` to `kubectl delete`, as a person and the exchange see it.

Most of it also while the operator is killed at random moments: it has no part in trading, and forgets nothing.
"""

import time

import pytest
from installation import ExchangeInCluster, Makers, Observer, Operators, manifests, words_of
from kubectl import Kubectl, condition_of, says

AIM_HOT_S = 2.0
AIM_ROLL_S = 0.5


def test_what_is_applied_is_ready_and_quotes(kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster, meanwhile):
    with meanwhile.block:
        kubectl.apply(*manifests("configs/cluster/btcusdt.yaml", "configs/cluster/ethusdt.yaml"))
        kubectl("wait", "--for=condition=Ready", "mm/btcusdt", "mm/ethusdt", "--timeout=120s", timeout_s=130)
        for name in ("btcusdt", "ethusdt"):
            makers.quoting(name)
    account = kubectl.read("tradingaccount", "default")
    assert says(account, "Ready"), account["status"]
    assert account["status"]["makers"] == 2
    told = kubectl("get", "mm").splitlines()
    assert told[0].split()[:3] == ["NAME", "SYMBOL", "MODE"]
    assert any(line.split()[:3] == ["btcusdt", "BTCUSDT", "Live"] for line in told)
    assert exchange.audit()["total"] == 0


def test_its_pod_is_nobody_and_reads_no_api(kubectl: Kubectl, makers: Makers):
    makers.apply("plain")
    makers.quoting("plain")
    pod = makers.pod("plain")
    name = pod["metadata"]["name"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "no such file" in kubectl.fails("exec", name, "--", "ls", "/var/run/secrets/kubernetes.io").lower()
    assert "read-only" in kubectl.fails("exec", name, "--", "touch", "/opt/phoenix/x").lower()
    assert kubectl("exec", name, "--", "id", "-u").strip() != "0"
    limits = pod["spec"]["containers"][0]["resources"]
    assert limits["limits"]["memory"] == limits["requests"]["memory"]


def test_a_pod_whose_price_stays_stale_is_replaced_and_trades_again(
    makers: Makers, exchange: ExchangeInCluster, figures, meanwhile
):
    makers.apply("stale", symbol="ETHUSDT", netMax="1.0", baseSize="0.04", restartAfter="10s")
    makers.quoting("stale")
    before = makers.pod("stale")
    with meanwhile.block:
        began = time.monotonic()
        # This worker alone is deaf to its symbol; the connection lives, so that it is not the venue's outage.
        exchange.fault(kind="silence", symbol="ETHUSDT", route="public", holder=f"*{before['metadata']['uid']}*")
        stale = makers.saying("stale", "PriceFresh", "False")
        assert says(stale, "Ready"), "a market state fails no deploy"
        becomes_unready(makers, before)
        after = makers.replaced("stale", before)
        makers.quoting("stale")
    figures.append(
        f"stale price: replaced and quoting again {time.monotonic() - began:.1f} s after it fell silent{meanwhile.note}"
    )
    counted = makers.status("stale")["restarts"]["total"]
    told = [event["reason"] for event in makers.events("stale")].count("Restarted")
    if meanwhile.operator_lives:
        assert (counted, told) == (1, 1), words_of(makers.events("stale"))
    else:  # counted before it is done, and told after: killed in between it is done again, or never told
        assert 1 <= counted <= 2
        assert told <= counted
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


def becomes_unready(makers: Makers, pod) -> None:
    makers.kubectl.until(
        lambda: (
            (found := makers.kubectl.find("pod", pod["metadata"]["name"])) is None
            or condition_of(found, "Ready").get("status") == "False"
        ),
        "the pod is not ready",
    )


def test_an_outage_of_the_venue_restarts_nobody_and_fails_no_deploy(
    makers: Makers, exchange: ExchangeInCluster, meanwhile
):
    makers.apply("first", restartAfter="10s")
    makers.apply("second", symbol="ETHUSDT", netMax="1.0", baseSize="0.04", restartAfter="10s")
    pods = {name: (makers.quoting(name), makers.pod(name)["metadata"]["uid"])[1] for name in ("first", "second")}
    with meanwhile.block:
        exchange.fault(kind="silence", route="public")
        for name in pods:
            assert says(makers.saying(name, "VenueOutage"), "Ready")
        time.sleep(30)  # three times as long as a stale price alone may last
        assert {name: makers.pod(name)["metadata"]["uid"] for name in pods} == pods
        exchange.heal()
        for name in pods:
            makers.quoting(name)
            makers.saying(name, "VenueOutage", "False")
    assert {name: makers.pod(name)["metadata"]["uid"] for name in pods} == pods
    assert all(makers.status(name).get("restarts", {}).get("total", 0) == 0 for name in pods)


def test_a_hot_parameter_is_in_force_at_once_and_restarts_nothing(kubectl: Kubectl, makers: Makers, figures, meanwhile):
    makers.apply("hot")
    makers.quoting("hot")
    before = makers.pod("hot")
    with meanwhile.block:
        began = time.monotonic()
        kubectl.patch("marketmaker", "hot", {"spec": {"nearStepBps": 5}})
        kubectl("wait", "--for=jsonpath={.status.appliedGeneration}=2", "mm/hot", "--timeout=120s", timeout_s=130)
        took = time.monotonic() - began
        makers.saying("hot", "Ready")
    figures.append(f"hot parameter by kubectl patch in force after {took:.2f} s (aim < {AIM_HOT_S:g}){meanwhile.note}")
    after = makers.pod("hot")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_cold_change_rolls_with_one_writer_at_a_time(
    makers: Makers, exchange: ExchangeInCluster, observer: Observer, account, figures, meanwhile
):
    makers.apply("cold")
    makers.quoting("cold")
    before = makers.pod("cold")
    with meanwhile.block:
        began = observer.now()
        account(budgets={"requestWeightShare": "0.7"})
        after = makers.replaced("cold", before)
        makers.quoting("cold")
        ended = observer.now()
    gaps = observer.gaps("BTCUSDT", began, ended)
    longest = max((gap.seconds for gap in gaps), default=0.0)
    total = sum(gap.seconds for gap in gaps)
    figures.append(
        f"cold change: nothing rested for {total:.2f} s in {len(gaps)} gaps, longest {longest:.2f} s"
        f" (aim < {AIM_ROLL_S:g}){meanwhile.note}"
    )
    assert (
        after["metadata"]["labels"]["phoenix.trading/template"]
        != before["metadata"]["labels"]["phoenix.trading/template"]
    )
    assert exchange.audit()["violations"]["twoWriters"] == 0
    assert exchange.audit()["ordersSeen"] > 0


def test_a_standby_is_warm_and_takes_over_from_a_leader_that_is_taken_away(
    kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster, observer: Observer, figures
):
    makers.apply("pair", standby=True)
    makers.quoting("pair")
    kubectl.until(lambda: sum(says_ready(pod) for pod in makers.pods("pair")) == 2, "both pods are ready", 60)
    leader = makers.status("pair")["pod"]
    began = observer.now()
    kubectl("delete", "pod", leader, "--grace-period=0", "--force", "--wait=false")
    kubectl.until(lambda: makers.status("pair")["pod"] not in {leader, ""}, "the other leads", 60)
    makers.quoting("pair")
    gaps = observer.gaps("BTCUSDT", began, observer.now())
    figures.append(
        f"standby: nothing rested for {sum(gap.seconds for gap in gaps):.2f} s after the leader was taken away"
    )
    assert exchange.audit()["violations"]["twoWriters"] == 0


def says_ready(pod) -> bool:
    return condition_of(pod, "Ready").get("status") == "True"


def test_what_others_change_in_a_child_is_corrected_and_what_is_theirs_stays(
    kubectl: Kubectl, makers: Makers, meanwhile
):
    makers.apply("drift")
    makers.quoting("drift")
    with meanwhile.block:
        kubectl("annotate", "deployment", "drift", "example.com/theirs=yes")
        kubectl("scale", "deployment", "drift", "--replicas=0")
        kubectl.until(lambda: kubectl.read("deployment", "drift")["spec"]["replicas"] == 1, "the scale is corrected")
        makers.quoting("drift")
        kubectl("delete", "deployment", "drift", "--cascade=foreground")
        kubectl.until(lambda: kubectl.find("deployment", "drift"), "it is made again")
        makers.quoting("drift")
    assert makers.status("drift")["conditions"]


def test_foreign_annotations_of_a_child_stay(kubectl: Kubectl, makers: Makers):
    makers.apply("theirs")
    makers.quoting("theirs")
    kubectl("annotate", "deployment", "theirs", "example.com/theirs=yes")
    kubectl.patch("marketmaker", "theirs", {"spec": {"nearStepBps": 6}})
    makers.saying("theirs", "Ready")
    assert kubectl.read("deployment", "theirs")["metadata"]["annotations"]["example.com/theirs"] == "yes"


def test_a_paused_maker_withdraws_and_keeps_its_pod(kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster):
    makers.apply("paused")
    makers.quoting("paused")
    before = makers.pod("paused")["metadata"]["uid"]
    kubectl.patch("marketmaker", "paused", {"spec": {"paused": True}})
    makers.saying("paused", "Quoting", "False", "Paused")
    assert exchange.orders("BTCUSDT") == []
    kubectl.patch("marketmaker", "paused", {"spec": {"paused": False}})
    makers.quoting("paused")
    assert makers.pod("paused")["metadata"]["uid"] == before


@pytest.mark.parametrize("on_delete", ["Withdraw", "Flatten"])
def test_a_deleted_maker_leaves_no_order(
    kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster, on_delete, meanwhile
):
    makers.apply("ending", onDelete=on_delete)
    makers.quoting("ending")
    with meanwhile.block:
        kubectl("delete", "marketmaker", "ending", "--wait=false")
        makers.gone("ending")
        assert exchange.orders("BTCUSDT") == []
    if on_delete == "Flatten":
        assert exchange.position("BTCUSDT", makers.api_key()) == 0.0
    kubectl.until(lambda: not makers.pods("ending"), "its pods are gone")
    kubectl.until(lambda: kubectl.find("deployment", "ending") is None, "the garbage collector has its Deployment")
    assert exchange.audit()["total"] == 0


def test_the_policies_are_understood_by_the_server(kubectl: Kubectl):
    """The server types every expression against the definitions, and says what it does not understand."""
    for name in (
        "phoenix-live-needs-trade",
        "phoenix-secret-needs-get",
        "phoenix-limits-need-limit",
        "phoenix-account-needs-trade",
    ):
        policy = kubectl.until(
            lambda name=name: (
                found
                if (found := kubectl.read("validatingadmissionpolicy", name))
                .get("status", {})
                .get("observedGeneration")
                else None
            ),
            f"{name} is looked at",
        )
        assert policy["status"].get("typeChecking", {}).get("expressionWarnings", []) == []


def test_two_operators_are_there_and_one_acts(kubectl: Kubectl, operators: Operators):
    kubectl.until(lambda: len(operators.pods()) == 2, "two operators")
    kubectl.until(operators.leader, "one of them holds the Lease")
