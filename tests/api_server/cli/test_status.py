"""`phoenix status` and `phoenix top` of a cluster, read from a real API server."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from api_server import Programs, find_programs
from phoenix_coordination.redis import records
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_operator.names import Label
from redis_process import redis_client
from state_records import leading_record

KEYS = AccountKeys("binance-usdm:simulator:abc")
READERS = ("get,list", "marketmakers.phoenix.trading"), ("get,list", "tradingaccounts.phoenix.trading")


@pytest.fixture
def quoting(tell, account, maker):
    """As an operator tells a maker that quotes."""
    since = "2026-01-31T08:00:00Z"
    tell(
        account,
        identity="binance-usdm:simulator:abc",
        emergency={"level": "None", "epoch": 4},
        conditions=[{"type": "Ready", "status": "True", "reason": "Identified", "lastTransitionTime": since}],
    )
    tell(
        maker,
        observedGeneration=1,
        appliedGeneration=1,
        reason="Quoting",
        conditions=[
            {"type": "Ready", "status": "True", "reason": "InForce", "lastTransitionTime": since},
            {"type": "Quoting", "status": "True", "reason": "Quoting", "lastTransitionTime": since},
        ],
        figures={"position": "0.012", "mid": "61234.5", "pnl": "1.23", "worstCase": "0.1", "at": since},
    )


@pytest.mark.parametrize("command", ["status", "top"])
@pytest.mark.usefixtures("quoting")
def test_accounts_and_makers_of_a_namespace(phoenix, namespace, command):
    status, out, err = phoenix(command)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"account {namespace}/default (Simulator, binance-usdm:simulator:abc)"
    assert lines[1] == "  emergency none, epoch 4"
    assert lines[3].split()[:8] == ["btcusdt", "BTCUSDT", "Live", "True", "True", "0.012", "61234.5", "+1.23"]


@pytest.mark.parametrize("command", ["status", "top"])
@pytest.mark.usefixtures("quoting")
def test_all_of_it_as_json(phoenix, namespace, command):
    status, out, _ = phoenix(command, "-o", "json")
    told = json.loads(out)
    assert (status, told["cluster"], told["namespace"], told["unread"]) == (0, "tests", namespace, [])
    (account,) = told["accounts"]
    assert (account["account"], account["emergency"], account["epoch"]) == (f"{namespace}/default", "None", 4)
    (maker,) = account["makers"]
    assert (maker["name"], maker["quoting"], maker["figures"]["position"]) == ("btcusdt", "True", 0.012)


@pytest.mark.usefixtures("quoting")
def test_every_namespace(phoenix, namespace):
    assert f"account {namespace}/default" in phoenix("status", "-A")[1]


def test_what_no_operator_has_seen_is_told_as_such(phoenix, maker):
    assert maker
    out = phoenix("status")[1]
    assert "emergency not known: the operator has not told how the switch stands" in out
    assert "the operator has not told anything yet" in out


@pytest.mark.usefixtures("quoting")
def test_one_maker_with_its_pods_and_events(phoenix, api_server, namespace):
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {
        "metadata": {"name": "btcusdt-6f7d-abcde", "labels": {Label.MAKER: "btcusdt"}},
        "spec": {"containers": [{"name": "worker", "image": "phoenix:dev"}]},
    }
    api_server.admin.create(pods, pod).expect()
    other = {"metadata": {"name": "ethusdt-1", "labels": {Label.MAKER: "ethusdt"}}, "spec": pod["spec"]}
    api_server.admin.create(pods, other).expect()
    regarding = {"apiVersion": "phoenix.trading/v1alpha1", "kind": "MarketMaker", "namespace": namespace}
    for name in ("btcusdt", "ethusdt"):
        event = {
            "metadata": {"generateName": "told-"},
            "eventTime": "2026-01-31T08:00:00.000000Z",
            "reportingController": "phoenix.trading/operator",
            "reportingInstance": "test",
            "action": "Observe",
            "reason": "PriceStale",
            "type": "Warning",
            "note": f"no frame of {name} for 2 s",
            "regarding": {**regarding, "name": name},
        }
        api_server.admin.create(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event).expect()
    for name in ("btcusdt", "BTCUSDT", f"{namespace}/btcusdt"):
        status, out, err = phoenix("status", name)
        assert (status, err) == (0, "")
        assert out.startswith(f"{namespace}/btcusdt (BTCUSDT, account default, Live) quotes (for ")
        assert "  generation 1, in force\n" in out
        assert "btcusdt-6f7d-abcde  Pending" in out
        assert "no frame of btcusdt for 2 s" in out
        assert "ethusdt" not in out


@pytest.mark.usefixtures("quoting")
def test_a_maker_that_is_not_there_is_refused_with_those_that_are(phoenix, namespace):
    status, out, err = phoenix("status", "dogeusdt")
    assert (status, out) == (1, "")
    assert err == (
        f"phoenix status: no maker dogeusdt in namespace {namespace} of tests; there are: {namespace}/btcusdt\n"
    )


def test_an_empty_namespace_is_no_error(phoenix, namespace):
    assert phoenix("status") == (
        0,
        f"no account and no maker in namespace {namespace} of tests (-A looks in all of them)\n",
        "",
    )


@pytest.mark.usefixtures("quoting")
def test_figures_are_live_where_redis_is_given_too(phoenix, namespace):
    record = leading_record(namespace=namespace, maker="btcusdt", account=f"{namespace}/default", symbol="BTCUSDT")
    with redis_client() as client:
        url = f"unix://{client.connection_pool.connection_kwargs['path']}"
        asyncio.run(_publish(url, record))
        told = json.loads(phoenix("status", "-o", "json", "--redis", url)[1])
        (maker,) = told["accounts"][0]["makers"]
        assert (maker["figures"]["live"], len(maker["workers"])) == (True, 1)
        out = phoenix("status", "btcusdt", "--redis", url)[1]
        assert "(live)" in out
        assert f"worker {record.holder}" in out


async def _publish(url: str, record) -> None:
    client = connect(url, 5.0)
    await records.publish(client, KEYS, record, 0.05)  # on a slow clock it lives for five minutes
    await client.aclose()


# -- what cannot be read ---------------------------------------------------------------------------


@pytest.mark.usefixtures("quoting")
def test_who_may_read_nothing_is_told_which_verb_is_missing(phoenix, person, namespace):
    status, out, err = phoenix("status", kubeconfig=person())
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert f"RBAC forbids to list tradingaccounts.phoenix.trading in namespace {namespace}" in err
    assert "operator (deploy/" not in err, "it is a person who lacks it"


@pytest.mark.usefixtures("quoting")
def test_a_part_that_may_not_be_read_hides_no_other(phoenix, person):
    status, out, err = phoenix("status", kubeconfig=person(READERS[0]))
    assert (status, "btcusdt  BTCUSDT" in out) == (1, True)
    assert "there is no TradingAccount" not in out, "nobody knows"
    assert "RBAC forbids to list tradingaccounts" in err
    status, out, err = phoenix("status", "btcusdt", kubeconfig=person(*READERS))
    assert (status, "quotes" in out.splitlines()[0]) == (1, True)
    assert [line.split(" in namespace")[0] for line in err.splitlines()] == [
        "phoenix status: RBAC forbids to list pods",
        "phoenix status: RBAC forbids to list events",
    ]


@pytest.mark.usefixtures("quoting")
def test_the_role_of_those_who_look_is_enough(phoenix, person):
    reader = person("phoenix-viewer")
    assert phoenix("status", kubeconfig=reader)[0] == 0
    assert phoenix("status", "btcusdt", kubeconfig=reader)[0] == 0


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("_impatient_requests")
@pytest.mark.parametrize("command", ["status", "top"])
def test_a_server_that_hangs_is_one_sentence(phoenix, api_server, command):
    with api_server.frozen():
        status, out, err = phoenix(command)
    assert (status, out) == (1, "")
    assert err == f"phoenix {command}: the API server (tests) does not answer within 0.5 s\n"


def test_a_context_that_is_not_there_is_one_sentence(phoenix):
    status, out, err = phoenix("status", "--context", "elsewhere")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "elsewhere" in err


# -- as kubectl's plug-in --------------------------------------------------------------------------


@pytest.mark.usefixtures("quoting")
def test_kubectl_finds_it_as_its_plug_in(api_server, namespace):
    programs = find_programs()
    assert isinstance(programs, Programs)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "KUBECONFIG": str(api_server.admin_kubeconfig),
    }
    command = [programs.kubectl, "phoenix", "status", "-n", namespace]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"account {namespace}/default" in done.stdout
