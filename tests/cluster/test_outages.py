"""What may be away without a quote less: the operator, the API server. And what ends: the namespace."""

import os
import shlex
import subprocess
import time
from collections.abc import Callable

import pytest
from installation import (
    ENDING,
    EXCHANGE_URL,
    SYSTEM,
    ExchangeInCluster,
    Makers,
    Observer,
    Operators,
    install_ending,
    manifests,
)
from kubectl import Kubectl, KubectlError

AWAY_S = 60.0
WATCHES_END_S = 30.0
"""After so long an operator has noticed that a namespace is gone, and gone on without it."""


def test_without_an_operator_trading_goes_on_and_can_be_stopped(
    kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster, observer: Observer
):
    makers.apply("alone")
    makers.quoting("alone")
    system = kubectl.within(SYSTEM)
    system("scale", "deployment", "phoenix-operator", "--replicas=0")
    try:
        began, seen = observer.now(), exchange.audit()["ordersSeen"]
        time.sleep(20)
        assert observer.gaps("BTCUSDT", began, observer.now()) == []
        assert exchange.audit()["ordersSeen"] > seen, "it quotes the market as it moves"
        # What a person is told to do who must stop an account now.
        kubectl("scale", "deployment", "--selector=phoenix.trading/account=default", "--replicas=0")
        kubectl.until(lambda: exchange.orders("BTCUSDT") == [], "nothing rests")
        kubectl.until(lambda: not makers.pods("alone"), "its worker ends")
    finally:
        system("scale", "deployment", "phoenix-operator", "--replicas=2")
    kubectl.until(lambda: kubectl.read("deployment", "alone")["spec"]["replicas"] == 1, "an operator wants it", 120)
    makers.quoting("alone")


def test_without_an_api_server_trading_goes_on(
    kubectl: Kubectl, makers: Makers, exchange: ExchangeInCluster, observer: Observer, figures
):
    stop, start = os.environ.get("API_SERVER_STOP"), os.environ.get("API_SERVER_START")
    if not stop or not start:
        pytest.skip("API_SERVER_STOP and API_SERVER_START do not say how the API server is taken away here")
    makers.apply("lonely")
    makers.quoting("lonely")
    pod, seen, began = makers.pod("lonely"), exchange.audit()["ordersSeen"], observer.now()
    subprocess.run(shlex.split(stop), check=True)
    try:
        time.sleep(AWAY_S)
    finally:
        subprocess.run(shlex.split(start), check=True)
    kubectl.until(
        lambda: answers(lambda: kubectl("get", "--raw=/readyz", timeout_s=10)), "the API server answers again", 120
    )
    # No node was heard for so long: until each is again, no Service leads to anything.
    kubectl.until(lambda: answers(exchange.audit), "its nodes are heard again", 120)
    gaps = observer.gaps("BTCUSDT", began, observer.now())
    figures.append(f"API server away for {AWAY_S:g} s: nothing rested for {sum(gap.seconds for gap in gaps):.2f} s")
    assert gaps == []
    assert exchange.audit()["ordersSeen"] > seen + 10, "it quotes the market as it moves"
    makers.quoting("lonely")
    after = makers.pod("lonely")
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    began_s = time.monotonic()
    kubectl.patch("marketmaker", "lonely", {"spec": {"nearStepBps": 6}})
    makers.saying("lonely", "Ready", within_s=120)
    figures.append(f"operator acts again {time.monotonic() - began_s:.1f} s after the API server came back")


def answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (KubectlError, subprocess.TimeoutExpired):
        return False
    return True


def test_a_namespace_that_is_deleted_ends_and_leaves_no_order(
    cluster: Kubectl, exchange: ExchangeInCluster, makers: Makers, operators: Operators, figures, meanwhile
):
    """Another namespace with an account of its own; the exchange stays and says what rests at the end."""
    install_ending(cluster)
    ending = cluster.within(ENDING)
    key = exchange.open_account()
    account = manifests("configs/cluster/account.yaml")[0]
    account["metadata"]["namespace"] = ENDING
    account["spec"]["endpoints"]["baseUrl"] = EXCHANGE_URL
    secret = {"apiKey": key["apiKey"], "apiSecret": key["apiSecret"]}
    maker = makers.manifest("ending", onDelete="Flatten")
    maker["metadata"]["namespace"] = ENDING
    ending.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "simulator-key"}, "stringData": secret},
        account,
        maker,
    )
    Makers(ending, exchange).quoting("ending")
    restarts = operators.restarts()
    with meanwhile.block:
        began = time.monotonic()
        cluster("delete", "namespace", ENDING, "--timeout=180s", timeout_s=200)
        took = time.monotonic() - began
    figures.append(f"namespace with a maker that quotes: gone after {took:.1f} s{meanwhile.note}")
    # Jobs are forbidden where a namespace ends: the stopped worker withdraws, the exchange's timer clears the rest.
    ending.until(lambda: exchange.orders("BTCUSDT") == [], "nothing rests", 90)
    if meanwhile.operator_lives:
        time.sleep(WATCHES_END_S)
        assert operators.restarts() == restarts, "a namespace less costs the others no operator"
