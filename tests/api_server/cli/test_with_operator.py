"""The real operator and a real Redis: what a person types of it reaches the makers, and what they say comes back."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest
from api_server import ROOT, ApiServer
from operator_process import OperatorProcess, grant, until
from phoenix_cli.cluster import asking
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import SwitchState, account_tools
from phoenix_coordination.state import EmergencyState, Reason
from played_cluster import PlayedCluster
from redis_process import RedisProcess

LEVELS = {EmergencyLevel.NONE: "None", EmergencyLevel.HALT: "Halt", EmergencyLevel.FLATTEN: "Flatten"}


class Makers(threading.Thread):
    """Have the worker of `btcusdt` heed the account's switch, as a real one does."""

    def __init__(self, cluster: PlayedCluster, redis_url: str) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._url = redis_url
        self._over = threading.Event()

    def run(self) -> None:
        asyncio.run(self._heed())

    async def _heed(self) -> None:
        async with account_tools(self._url) as tools:
            while not self._over.is_set():
                switch = await tools.account(self._cluster.identity).switch()
                told = {"emergency": EmergencyState(LEVELS[switch.level], switch.epoch, switch.reason)}
                stopped = {"ready": False, "reason": Reason.EMERGENCY, "reasons_not_ready": [Reason.EMERGENCY]}
                self._cluster.told["btcusdt"] = told | (stopped if switch.level else {})
                await asyncio.sleep(0.05)

    def end(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    process = RedisProcess()
    process.start()
    yield process.url
    process.close()


@pytest.fixture(scope="module")
def trading(api_server: ApiServer) -> str:
    """A namespace with an account and a maker that the operator watches."""
    namespace = api_server.namespace("trading")
    grant(api_server, "operator", [namespace])
    return namespace


@pytest.fixture(scope="module")
def operator_process(
    api_server: ApiServer, trading: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(api_server, tmp_path_factory.mktemp("operator"), [trading], redis_url)
    yield operator.start().until_leading()
    operator.kill()


@pytest.fixture(scope="module")
def cluster(
    api_server: ApiServer, trading: str, redis_url: str, operator_process: OperatorProcess
) -> Iterator[PlayedCluster]:
    assert operator_process.lives()
    for file in ("account.yaml", "btcusdt.yaml"):
        manifest = (ROOT / "configs" / "cluster" / file).read_text().replace("namespace: trading", "")
        api_server.kubectl("apply", "--server-side", "-n", trading, "-f", "-", stdin=manifest)
    played = PlayedCluster(api_server, trading, redis_url).start()
    makers = Makers(played, redis_url)
    makers.start()
    yield played
    makers.end()
    played.close()


@pytest.fixture
def quoting(cluster: PlayedCluster, trading: str, phoenix) -> str:
    """The namespace, when the maker quotes and nothing is stopped."""

    def quotes() -> bool:
        told = json.loads(phoenix("status", "-n", trading, "-o", "json")[1])
        (account,) = told["accounts"]
        return account["emergency"] == "None" and [maker["quoting"] for maker in account["makers"]] == ["True"]

    assert cluster.error is None
    until("the maker quotes", quotes)
    return trading


def switch_of(cluster: PlayedCluster, redis_url: str) -> SwitchState:
    async def read() -> SwitchState:
        async with account_tools(redis_url) as tools:
            return await tools.account(cluster.identity).switch()

    return asyncio.run(read())


def test_what_the_operator_writes_is_what_status_reads(phoenix, quoting):
    status, out, err = phoenix("status", "btcusdt", "-n", quoting)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"{quoting}/btcusdt (BTCUSDT, account default, Live) quotes")
    assert "  generation 1, in force" in lines
    assert any(line.startswith("Ready") and " True " in line for line in lines)
    assert any(line.startswith("btcusdt-") and " Running " in line for line in lines), "its pod"
    assert any(" Normal " in line and " Quoting" in line for line in lines), "what happened to it"


def test_a_stop_reaches_the_makers_and_their_word_comes_back(phoenix, quoting, cluster, redis_url):
    before = switch_of(cluster, redis_url)
    status, out, err = phoenix("stop", "default", "--reason", "spreads look wrong", "-n", quoting)
    now = switch_of(cluster, redis_url)
    assert (status, err) == (0, "")
    assert (now.level, now.epoch) == (EmergencyLevel.HALT, before.epoch + 1)
    assert now.reason == "spreads look wrong"
    assert out.splitlines()[0] == f"{quoting}/default is stopped: Halt, epoch {now.epoch}: spreads look wrong"
    assert "no maker tells of an order that rests" in out
    told = phoenix("status", "-n", quoting)[1]
    assert f"emergency Halt, epoch {now.epoch}, by {now.source} " in told
    until(
        "the maker is told as stopped",
        lambda: "does not quote: Emergency" in phoenix("status", "btcusdt", "-n", quoting)[1],
    )
    status, _, err = phoenix("resume", "default", "--epoch", str(before.epoch), "-n", quoting)
    assert (status, f"not {before.epoch}" in err) == (1, True), "who has seen an older stop lifts no newer one"
    assert switch_of(cluster, redis_url).level is EmergencyLevel.HALT
    status, out, err = phoenix("resume", "default", "--epoch", str(now.epoch), "-n", quoting)
    assert (status, err) == (0, "")
    assert "may trade again" in out
    assert switch_of(cluster, redis_url).level is EmergencyLevel.NONE


@pytest.mark.timeout(180)  # a busy machine starts the next operator late
def test_a_stop_that_no_operator_answers_is_carried_out_by_the_next(
    phoenix, quoting, cluster, redis_url, operator_process, monkeypatch
):
    operator_process.kill()
    with monkeypatch.context() as patched:
        patched.setattr(asking, "ANSWER_WITHIN_S", 0.5)
        status, _, err = phoenix("stop", "default", "--reason", "nobody there", "-n", quoting)
    assert (status, "is NOT known to be stopped" in err) == (1, True)
    assert switch_of(cluster, redis_url).level is EmergencyLevel.NONE
    operator_process.start()
    until("the switch is raised", lambda: switch_of(cluster, redis_url).reason == "nobody there", 90)
    epoch = switch_of(cluster, redis_url).epoch
    assert phoenix("resume", "default", "--epoch", str(epoch), "-n", quoting)[0] == 0
