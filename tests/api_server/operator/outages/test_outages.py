"""What the operator does when the world around it breaks: killed at any moment, no API server, watches that die in
silence, no Redis.
"""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from api_server import ApiServer
from operator_place import Place
from operator_process import OperatorProcess, grant, until
from phoenix_coordination.state import Reason
from played_cluster import PlayedCluster
from redis_process import RedisProcess

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


def test_killed_at_random_instants_it_converges_all_the_same(own_place, operator):
    """Of a life: made, changed hot, changed cold, deleted. The played cluster goes on meanwhile."""
    place = own_place
    draw = random.Random(20261121)  # noqa: S311 - instants, no secrets
    steps = (
        lambda: (place.apply_account(), place.apply_maker(), place.apply_maker("ethusdt")),
        lambda: place.patch("maker", "btcusdt", {"spec": {"minSpreadBps": 9}}).expect(),
        lambda: place.patch("account", "default", {"spec": {"budgets": {"orderShare": "0.6"}}}).expect(),
        lambda: place.delete("maker", "ethusdt"),
    )
    for step in steps:
        one = operator([place.namespace], lease="killed", short_lease=True).start().until_leading()
        step()
        time.sleep(draw.uniform(0.0, 0.4))
        one.kill()
    operator([place.namespace], lease="killed", short_lease=True).start().until_leading()

    place.until_ready()
    until("the deleted one is gone", lambda: not place.get("maker", "ethusdt"))
    until("one pod of the present template", lambda: len(place.pods()) == 1)
    template = place.get("maker", "btcusdt")["status"]["templateHash"]
    (pod,) = place.pods()
    assert place.get("pod", pod)["metadata"]["labels"]["phoenix.trading/template"] == template
    time.sleep(3)
    before = place.writes()
    time.sleep(3)
    assert place.writes() == before


class Swallowing:
    """A proxy that forwards bytes until it is told to swallow what comes over the connections that are there."""

    def __init__(self, port: int) -> None:
        self._upstream = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._live: list[threading.Event] = []
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        """Nothing comes back any more on what is connected now; new connections work."""
        for each in self._live:
            each.clear()

    def close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._upstream)
                live = threading.Event()
                live.set()
                self._live.append(live)
                self._sockets += [near, far]
                threading.Thread(target=self._forward, args=(near, far, None), daemon=True).start()
                threading.Thread(target=self._forward, args=(far, near, live), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, live: threading.Event | None) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if live is None or live.is_set():
                    target.sendall(data)
            for each in (source, target):
                each.close()


@pytest.fixture
def proxy(api_server: ApiServer) -> Iterator[Swallowing]:
    proxy = Swallowing(int(api_server.url.rpartition(":")[2]))
    yield proxy
    proxy.close()


def _through(proxy: Swallowing, kubeconfig: Path, directory: Path) -> Path:
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path = directory / "through.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def test_watches_that_die_in_silence_make_it_not_live(own_place, operator, proxy: Swallowing, tmp_path: Path):
    kubeconfig = _through(proxy, own_place.server.kubeconfig_for("operator"), tmp_path)
    one = operator([own_place.namespace], kubeconfig=kubeconfig, requestTimeout="1s").start().until_leading()
    until("the canary has come round", lambda: one.get("/livez") == (200, "ok\n"))
    time.sleep(4)
    assert one.get("/livez")[0] == 200

    proxy.swallow()

    _, text = until("not live", lambda: (told := one.get("/livez"))[0] == 503 and told)
    assert "canary" in text


def test_without_an_api_server_it_ends_and_with_one_it_goes_on(tmp_path: Path, redis_url: str):
    """A server of the test's own: nobody else's is taken away."""
    with ApiServer.started() as server:
        server.install_crds()
        place = Place(server, server.namespace("own"), "operator", redis_url)
        grant(server, "operator", [place.namespace])
        place.cluster.start()
        with OperatorProcess(server, tmp_path, [place.namespace], redis_url, short_lease=True) as one:
            one.start().until_leading()
            place.apply_account()
            place.apply_maker()
            place.until_ready()
            with server.frozen():
                time.sleep(1.5)  # shorter than the Lease: nobody needs to end
            assert one.lives()
            server.stop_api_server()
            assert one.wait() == 1
            one.start()  # as its kubelet does
            until("it says why it waits", lambda: "cannot be reached" in one.get("/readyz")[1])
            assert one.get("/livez")[0] == 200
            server.start_api_server()
            one.until_leading()
            place.patch("maker", "btcusdt", {"spec": {"minSpreadBps": 13}}).expect()
            place.until_ready()
        place.cluster.close()


def test_a_list_that_failed_makes_it_unready_until_the_next_one_that_does_not(tmp_path: Path):
    """One that nothing else of the operator has noticed: neither its canary nor the Lease."""
    patient = {"leaseName": "patient", "leaseDuration": "90s", "renewDeadline": "60s", "retryPeriod": "500ms"}
    with ApiServer.started() as server:
        server.install_crds()
        namespace = server.namespace("own")
        grant(server, "operator", [namespace])
        seldom = {"resyncPeriod": "10s", "canaryPeriod": "10m", "requestTimeout": "1s", "leaderElection": patient}
        with OperatorProcess(server, tmp_path, [namespace], **seldom) as one:
            one.start().until_leading()
            until("ready", lambda: one.get("/readyz")[0] == 200)
            with server.frozen():
                until("a list has failed", lambda: any(line["event"] == "cannot list" for line in one.said()))
                assert one.get("/readyz")[0] == 503
            until("ready again", lambda: one.get("/readyz")[0] == 200)


def test_without_redis_it_reconciles_and_restarts_nobody(own_place, operator):
    process = RedisProcess()
    process.start()
    place = own_place
    place.cluster.close()
    place.cluster = PlayedCluster(place.server, place.namespace, process.url).start()
    try:
        operator([place.namespace], redis=process.url).start().until_leading()
        place.apply_account()
        place.apply_maker(restartAfter="10s")
        place.until_ready()
        (pod,) = place.pods()
        place.cluster.told["btcusdt"] = {
            "ready": False,
            "reason": Reason.PRICE_STALE,
            "reasons_not_ready": [Reason.PRICE_STALE],
        }
        time.sleep(2)
        process.kill()

        told = place.until_condition("maker", "btcusdt", "Ready", "RecordsUnknown", "Unknown")
        assert "Redis" in told["message"]
        place.apply_maker("ethusdt")
        until("another maker gets its Deployment", lambda: place.get("deployment", "ethusdt"))
        assert place.pods() == [pod]

        place.cluster.told.clear()
        process.start()
        place.until_ready()
        place.until_ready("ethusdt")
    finally:
        place.cluster.close()
        place.cluster = PlayedCluster(place.server, place.namespace, "").start()
        process.close()
