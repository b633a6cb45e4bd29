"""What people and clusters get wrong: a condition and an Event say what to do; nothing is deleted, others go on."""

import json
import time

import pytest
from installation import SYSTEM, ExchangeInCluster, Makers, Operators, manifests, words_of
from kubectl import Kubectl, KubectlError, condition_of, says
from private_keys import ed25519_pair


@pytest.fixture
def other(makers: Makers):
    """Another maker, which has nothing to do with it all: it quotes before, and in the same pod after."""
    makers.apply("other", symbol="SOLUSDT", netMax="20", baseSize="2")
    makers.quoting("other")
    before = makers.pod("other")["metadata"]["uid"]
    yield
    makers.quoting("other")
    assert makers.pod("other")["metadata"]["uid"] == before


def account_named(name: str, **spec) -> dict:
    account = manifests("configs/cluster/account.yaml")[0]
    account["metadata"]["name"] = name
    account["spec"] |= spec
    return account


def secret_named(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


@pytest.mark.usefixtures("other")
def test_an_account_that_is_not_there_is_named(makers: Makers):
    makers.apply("orphan", symbol="ETHUSDT", netMax="1.0", baseSize="0.04", accountRef="absent")
    told = condition_of(makers.saying("orphan", "Ready", "False", "AccountNotFound"), "Ready")
    assert "absent" in told["message"]
    assert any("absent" in event["message"] for event in makers.events("orphan")), words_of(makers.events("orphan"))
    assert makers.pods("orphan") == []


@pytest.mark.usefixtures("other")
def test_a_secret_that_is_not_there_is_named_and_its_coming_heals(
    kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster
):
    """A second account with a key of its own cannot trade until its Secret is there; then it needs no help."""
    kubectl.apply(account_named("late", credentialsSecretRef={"name": "late-key"}))
    try:
        makers.apply("late", symbol="ETHUSDT", netMax="1.0", baseSize="0.04", accountRef="late")
        kubectl.until(lambda: makers.pods("late"), "its pod is there")
        told = makers.saying("late", "Quoting", "False", "CredentialsMissing", within_s=120)
        assert "apiKey" in condition_of(told, "Quoting")["message"]
        pod = makers.pod("late")["metadata"]["uid"]
        kubectl.apply(secret_named("late-key", apiKeys="a mistake"))
        # Within a minute or two; at once where somebody touches the pod.
        kubectl("annotate", "pod", makers.pod("late")["metadata"]["name"], "example.com/look=again")
        kubectl.until(
            lambda: "there are apiKeys" in condition_of(kubectl.read("marketmaker", "late"), "Quoting")["message"],
            "what the Secret has instead is named",
            180,
        )
        private, public = ed25519_pair()
        key = exchange.open_account(publicKey=public)
        kubectl.apply(secret_named("late-key", apiKey=key["apiKey"], privateKey=private))
        makers.quoting("late", within_s=180)
        assert makers.pod("late")["metadata"]["uid"] == pod, "the kubelet brings the key to the pod that waits for it"
    finally:
        kubectl("delete", "marketmaker", "late", "--timeout=150s", timeout_s=160)
        kubectl("delete", "tradingaccount", "late", "--timeout=60s")
        kubectl("delete", "secret", "late-key", "--ignore-not-found")


def test_of_two_makers_of_one_symbol_the_older_trades(kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster):
    makers.apply("older")
    makers.quoting("older")
    time.sleep(1.1)  # creation is told in seconds
    makers.apply("younger")
    told = makers.saying("younger", "SymbolConflict")
    assert "older" in condition_of(told, "SymbolConflict")["message"]
    assert makers.pods("younger") == []
    makers.quoting("older")
    kubectl("delete", "marketmaker", "older", "--wait=false")
    makers.gone("older")
    makers.quoting("younger")
    assert exchange.audit()["violations"]["twoWriters"] == 0


def test_two_accounts_of_one_identity_are_told_and_who_traded_goes_on(kubectl: Kubectl, makers: Makers):
    makers.apply("first")
    makers.quoting("first")
    kubectl.apply(account_named("twin"))
    try:
        # Until that is known the twin trades: a symbol that nobody else has traded, or the audit sees a second writer.
        makers.apply("second", symbol="ETHUSDC", netMax="0.2", baseSize="0.01", accountRef="twin")
        kubectl.until(lambda: says(kubectl.read("tradingaccount", "twin"), "AccountConflict"), "the twin is told", 120)
        makers.quoting("first")
    finally:
        kubectl("delete", "marketmaker", "second", "--timeout=150s", timeout_s=160)
        kubectl("delete", "tradingaccount", "twin", "--timeout=60s")


@pytest.mark.usefixtures("other")
def test_an_image_that_cannot_be_pulled_is_told_and_working_pods_stay(makers: Makers, operators: Operators):
    with operators.configured(image="phoenix:absent"):
        makers.apply("imageless", symbol="ETHUSDT", netMax="1.0", baseSize="0.04")
        told = makers.saying("imageless", "Ready", "False", "ImageNotPulled", within_s=180)
        assert "phoenix:absent" in condition_of(told, "Ready")["message"]
    makers.quoting("imageless", within_s=180)


def test_a_bad_value_is_refused_by_the_server_with_what_to_do(kubectl: Kubectl, makers: Makers):
    refusal = kubectl.fails("apply", "-f", "-", stdin=json.dumps(makers.manifest("bad", mode="Live", risk={})))
    assert "risk.capital" in refusal
    with pytest.raises(KubectlError, match=r"netMax"):
        kubectl.apply(makers.manifest("bad", netMax="-1"))


def test_a_redis_that_is_gone_stops_quoting_fails_no_deploy_and_heals(
    kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster
):
    makers.apply("shared")
    makers.quoting("shared")
    before = makers.pod("shared")["metadata"]["uid"]
    system = kubectl.within(SYSTEM)
    system("scale", "statefulset", "phoenix-redis", "--replicas=0")
    try:
        kubectl.until(lambda: exchange.orders("BTCUSDT") == [], "nothing rests without what is shared", 60)
        told = makers.saying("shared", "Quoting", "Unknown", "RecordsUnknown")
        assert "Redis" in condition_of(told, "Quoting")["message"]
        assert condition_of(told, "Ready")["status"] != "False", "kstatus: in progress, not failed"
        assert condition_of(told, "Stalled") == {}
        told = makers.events("default", "tradingaccount")
        unready = [event["message"] for event in told if event["reason"] == "NotReady"]
        assert any("Redis" in message for message in unready), "the account tells it for all of them"
    finally:
        system("scale", "statefulset", "phoenix-redis", "--replicas=1")
    system("rollout", "status", "statefulset/phoenix-redis", "--timeout=60s")
    makers.quoting("shared", within_s=120)
    assert makers.pod("shared")["metadata"]["uid"] == before
