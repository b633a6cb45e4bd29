"""What a release of the chart promises while four makers quote: it comes, changes, is disturbed, and goes.

In this order, on one release that this module alone installs. What it costs in quotes is told for each maker.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from chart import find_helm
from installation import ROOT, SYSTEM, TRADING, ExchangeInCluster, Makers, Observer, Operators, redis_image_of
from kubectl import Kubectl, KubectlError, Object, condition_of
from phoenix_coordination import order_id
from release import FIRST, IMAGE, NEXT_IMAGE, Release, newer_chart

MAKERS = {"btcusdt": "BTCUSDT", "ethusdc": "ETHUSDC", "ethusdt": "ETHUSDT", "solusdt": "SOLUSDT"}
"""configs/cluster: their symbols."""
NEXT = f"image.tag={NEXT_IMAGE.partition(':')[2]}"
WORKERS = "app.kubernetes.io/component=worker"
AIM_QUOTING_S, AIM_ROLL_S = 180.0, 0.5
ENDED = {"Succeeded", "Failed"}


# -- what it stands on -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def release(cluster: Kubectl) -> Iterator[Release]:
    if find_helm() is None:
        pytest.skip("no helm here: `make helm` brings it")
    release = Release(cluster, redis_image_of())
    try:
        yield release
    finally:
        release.remove()


@pytest.fixture(scope="module")
def home(cluster: Kubectl) -> str:
    """The node of what must not be drained: exchange, observer, Redis."""
    return nodes_of(cluster)[0]


@pytest.fixture(scope="module")
def installed(cluster: Kubectl, release: Release, home: str) -> Kubectl:
    with only(cluster, home):
        release.install()
        trading = cluster.within(TRADING)
        Observer(trading).start()
    return trading


@pytest.fixture(scope="module")
def exchange(installed: Kubectl) -> ExchangeInCluster:
    exchange = ExchangeInCluster(installed)
    exchange.declare(pattern={"regex": order_id.PATTERN, "tokenBase": 36})
    return exchange


@pytest.fixture(scope="module")
def makers(installed: Kubectl, exchange: ExchangeInCluster) -> Makers:
    """The four of configs/cluster, which quote from here to the uninstall."""
    installed("apply", "-f", str(ROOT / "configs" / "cluster"))
    makers = Makers(installed, exchange)
    for name in MAKERS:
        makers.quoting(name, within_s=180.0)
    return makers


@pytest.fixture
def undisturbed(makers: Makers, exchange: ExchangeInCluster) -> Iterator[None]:
    """All four quote before and after, at one exchange that has seen no violation."""
    for name in MAKERS:
        makers.quoting(name)
    before = exchange_pod(makers.kubectl)
    yield
    for name in MAKERS:
        makers.quoting(name)
    assert exchange_pod(makers.kubectl) == before, "what judges has forgotten what came before"
    assert exchange.audit()["total"] == 0, exchange.audit()


@contextmanager
def only(cluster: Kubectl, node: str) -> Iterator[None]:
    """Nothing new is scheduled but on this node, for a block."""
    others = [name for name in nodes_of(cluster) if name != node]
    try:
        for name in others:
            cluster("cordon", name)
        yield
    finally:
        for name in others:
            cluster("uncordon", name)


def nodes_of(cluster: Kubectl) -> list[str]:
    """Those that take pods of ours."""
    return [
        node["metadata"]["name"]
        for node in cluster.list("nodes")
        if not any(taint["effect"] != "PreferNoSchedule" for taint in node["spec"].get("taints", ()))
    ]


def exchange_pod(kubectl: Kubectl) -> list[tuple[str, int]]:
    return [
        (pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"])
        for pod in kubectl.list("pods", "app.kubernetes.io/name=phoenix-exchange")
    ]


def workers(kubectl: Kubectl) -> list[Object]:
    """Those that are not on their way out."""
    return [
        pod
        for pod in kubectl.list("pods", WORKERS)
        if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") not in ENDED
    ]


def image_of(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def uids(pods: list[Object]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}


def most_at_once(kubectl: Kubectl, image: str) -> int:
    """Waits until every maker has one worker, of this image; returns how many of them had two at one moment."""
    most = 0

    def look() -> bool:
        nonlocal most
        pods = workers(kubectl)
        of_maker = Counter(pod["metadata"]["labels"]["phoenix.trading/maker"] for pod in pods)
        most = max(most, sum(count > 1 for count in of_maker.values()))
        return of_maker == dict.fromkeys(MAKERS, 1) and {image_of(pod) for pod in pods} == {image}

    kubectl.until(look, f"every worker runs {image}", 400.0)
    return most


def lines_of(what: str, observer: Observer, began: float, notes: Mapping[str, str] | None = None) -> list[str]:
    """What each maker did not quote since then."""
    ended = observer.now()
    lines = []
    for name, symbol in MAKERS.items():
        gaps = observer.gaps(symbol, began, ended)
        longest = max((gap.seconds for gap in gaps), default=0.0)
        note = (notes or {}).get(name, "")
        lines.append(
            f"{what}: {name}{note}: nothing rested for {sum(gap.seconds for gap in gaps):.2f} s,"
            f" longest {longest:.2f} s (aim < {AIM_ROLL_S:g})"
        )
    return lines


def until_one_acts(makers: Makers) -> None:
    """By what only an operator does: it brings another generation into force. One that moves no quote."""
    before = makers.kubectl.read("marketmaker", "solusdt")["spec"]["restartAfter"]
    after = "61s" if before != "61s" else "62s"
    makers.kubectl.patch("marketmaker", "solusdt", {"spec": {"restartAfter": after}})
    makers.saying("solusdt", "Ready", within_s=120)


# -- what it promises --------------------------------------------------------------------------------


def test_from_helm_install_to_four_makers_that_quote(
    cluster: Kubectl, release: Release, makers: Makers, exchange: ExchangeInCluster, figures
):
    took = time.monotonic() - release.began_s
    figures.append(f"chart: four makers quote {took:.0f} s after `helm install` began (aim < {AIM_QUOTING_S:g})")
    told = release.test()
    assert "leads" in told
    assert "Redis answers" in told
    path = f"/api/v1/namespaces/{SYSTEM}/services/phoenix-operator-page:80/proxy/api/fleet"
    shown = {maker["name"]: maker["quoting"] for maker in cluster.ask(path)["makers"]}
    assert shown == dict.fromkeys(MAKERS, True), "the page shows them"
    assert len(workers(makers.kubectl)) == len(MAKERS)
    assert exchange.audit()["total"] == 0


@pytest.mark.usefixtures("undisturbed")
def test_another_chart_and_a_new_operator_alone_roll_no_worker_and_cost_no_quote(
    release: Release, makers: Makers, operators: Operators, observer: Observer, tmp_path, figures
):
    before, began = uids(workers(makers.kubectl)), observer.now()
    release.upgrade(NEXT, f"workers.image={IMAGE}", chart=newer_chart(tmp_path))
    leader = makers.kubectl.until(operators.leader, "one of the new operators leads", 60.0)
    assert image_of(makers.kubectl.within(SYSTEM).read("pod", leader)) == NEXT_IMAGE
    until_one_acts(makers)
    assert uids(workers(makers.kubectl)) == before
    figures += lines_of("chart: a new operator alone", observer, began)
    for symbol in MAKERS.values():
        assert observer.gaps(symbol, began, observer.now()) == []


@pytest.mark.usefixtures("undisturbed")
def test_another_image_replaces_the_workers_one_after_the_other(
    release: Release, makers: Makers, observer: Observer, figures
):
    began = observer.now()
    release.upgrade(NEXT)
    assert most_at_once(makers.kubectl, NEXT_IMAGE) == 1
    figures += lines_of("chart: upgrade of the image", observer, began)


@pytest.mark.usefixtures("undisturbed")
def test_a_rollback_brings_the_image_before_one_worker_after_the_other(
    release: Release, makers: Makers, observer: Observer, figures
):
    release.upgrade(NEXT)
    most_at_once(makers.kubectl, NEXT_IMAGE)
    began = observer.now()
    release.rollback(FIRST)
    assert most_at_once(makers.kubectl, IMAGE) == 1
    figures += lines_of("chart: rollback", observer, began)


@pytest.mark.usefixtures("undisturbed")
def test_an_operator_that_is_evicted_costs_no_quote_and_only_one_goes_at_a_time(
    makers: Makers, operators: Operators, observer: Observer, figures
):
    system = makers.kubectl.within(SYSTEM)
    system.until(lambda: allowed(system) == 1, "both operators are healthy")
    leader = system.until(operators.leader, "one of them leads")
    before, began = uids(workers(makers.kubectl)), observer.now()
    (other,) = (name for name in operators.pods() if name != leader)
    evict(system, leader)
    began_s = time.monotonic()
    with pytest.raises(KubectlError, match="disruption budget"):
        evict(system, other)
    system.until(lambda: operators.leader() not in {"", leader}, "the other leads", 90.0)
    until_one_acts(makers)
    figures.append(f"chart: the operator evicted: another acts after {time.monotonic() - began_s:.1f} s")
    system("rollout", "status", "deployment/phoenix-operator", "--timeout=120s", timeout_s=130)
    assert uids(workers(makers.kubectl)) == before
    for symbol in MAKERS.values():
        assert observer.gaps(symbol, began, observer.now()) == []


def allowed(system: Kubectl) -> int:
    return int(system.read("poddisruptionbudget", "phoenix-operator")["status"]["disruptionsAllowed"])


def evict(kubectl: Kubectl, name: str) -> None:
    """As `kubectl drain` does it, so that budgets are asked."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": kubectl.namespace}}
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}/eviction"
    kubectl("create", f"--raw={path}", "-f", "-", stdin=json.dumps(body))


@pytest.mark.usefixtures("undisturbed")
def test_a_redis_that_is_killed_comes_back_with_its_data_and_the_same_workers_quote_on(
    makers: Makers, observer: Observer, figures
):
    system = makers.kubectl.within(SYSTEM)
    redis, before, began = system.read("pod", "phoenix-redis-0"), uids(workers(makers.kubectl)), observer.now()
    # Asked to end, and killed a second later. Never by force: a StatefulSet would have two of them on one volume.
    system("delete", "pod", "phoenix-redis-0", "--grace-period=1", timeout_s=60)
    system.until(lambda: is_another_and_ready(system.find("pod", "phoenix-redis-0"), redis), "another Redis", 120.0)
    time.sleep(6.0)  # longer than a lease may go unrenewed: who had to withdraw has withdrawn
    for name in MAKERS:
        makers.quoting(name)
    figures += lines_of("chart: Redis killed", observer, began)
    assert uids(workers(makers.kubectl)) == before


def is_another_and_ready(found: Object | None, before: Object) -> bool:
    if found is None or found["metadata"]["uid"] == before["metadata"]["uid"]:
        return False
    return condition_of(found, "Ready").get("status") == "True"


@pytest.mark.usefixtures("undisturbed")
def test_a_node_that_is_drained_keeps_no_worker_and_a_standby_takes_over(
    cluster: Kubectl, makers: Makers, observer: Observer, home: str, figures
):
    away = next((name for name in nodes_of(cluster) if name != home), None)
    if away is None:
        pytest.skip("one node: a drain needs another to go to")
    kubectl = makers.kubectl
    with only(cluster, away):  # each of them leads from the node that is drained
        for name in MAKERS:
            before = makers.pod(name)
            if before["spec"]["nodeName"] != away:
                kubectl("delete", "pod", before["metadata"]["name"], "--wait=false")
                makers.replaced(name, before)
                makers.quoting(name)
    kubectl.patch("marketmaker", "btcusdt", {"spec": {"standby": True}})
    try:
        kubectl.until(lambda: stands_by(makers, "btcusdt", {home, away}), "a warm standby on the other node", 120.0)
        assert kubectl.read("poddisruptionbudget", "btcusdt")["spec"]["minAvailable"] == 1
        began = observer.now()
        words = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s")
        cluster("drain", away, *words, timeout_s=200)
        assert {pod["spec"]["nodeName"] for pod in workers(kubectl) if pod["spec"].get("nodeName")} == {home}
        for name in MAKERS:
            makers.quoting(name)
        figures += lines_of("chart: node drained", observer, began, {"btcusdt": " (with a standby)"})
    finally:
        cluster("uncordon", away)
        kubectl.patch("marketmaker", "btcusdt", {"spec": {"standby": False}})
    kubectl.until(lambda: len(makers.pods("btcusdt")) == 1, "the standby goes")


def stands_by(makers: Makers, name: str, nodes: set[str]) -> bool:
    """Two warm pods of a maker, one on each node, and that on the node to be drained leads."""
    pods = makers.pods(name)
    return {pod["spec"].get("nodeName") for pod in pods} == nodes and all(
        condition_of(pod, "Ready").get("status") == "True" for pod in pods
    )


@pytest.mark.usefixtures("undisturbed")
def test_uninstall_is_refused_while_makers_exist_and_the_release_can_be_kept(
    release: Release, makers: Makers, operators: Operators, observer: Observer
):
    before, began, acting = uids(workers(makers.kubectl)), observer.now(), set(operators.pods())
    told, revision = release.uninstall_is_refused()
    assert [name for name in MAKERS if f"marketmakers {TRADING}/{name}" not in told] == [], told
    assert "kubectl delete mm,ta --all -A" in told
    release.rollback(revision)
    until_one_acts(makers)
    assert set(operators.pods()) == acting
    assert uids(workers(makers.kubectl)) == before
    for symbol in MAKERS.values():
        assert observer.gaps(symbol, began, observer.now()) == []


def test_makers_first_then_the_release_and_nothing_is_left(
    cluster: Kubectl, release: Release, makers: Makers, exchange: ExchangeInCluster, figures
):
    kubectl, key = makers.kubectl, makers.api_key()
    kubectl.patch("marketmaker", "ethusdt", {"spec": {"onDelete": "Flatten"}})
    makers.saying("ethusdt", "Ready")
    began_s = time.monotonic()
    cluster("delete", "mm,ta", "--all-namespaces", "--all", "--timeout=180s", timeout_s=200)
    figures.append(f"chart: four makers and their account are gone after {time.monotonic() - began_s:.0f} s")
    assert {symbol: exchange.orders(symbol) for symbol in MAKERS.values()} == {s: [] for s in MAKERS.values()}
    assert exchange.position("ETHUSDT", key) == 0.0, "onDelete: Flatten"
    left = {symbol: exchange.position(symbol, key) for symbol in MAKERS.values()}
    figures.append(f"chart: positions after onDelete Flatten of ETHUSDT and Withdraw of the others: {left}")
    assert exchange.audit()["total"] == 0, exchange.audit()

    release.uninstall()
    Observer(kubectl).stop()
    cluster.until(lambda: not left_behind(cluster) - STAYS, "nothing but what is said to stay is left", 120.0)
    assert left_behind(cluster) == STAYS


STAYS = {
    # Of the whole cluster: they hold what is the reader's.
    "customresourcedefinition/marketmakers.phoenix.trading",
    "customresourcedefinition/tradingaccounts.phoenix.trading",
    f"namespace/{TRADING}",
    f"namespace/{SYSTEM}",
    # In the namespaces, and gone with them: Redis' volume, by whom was led, and by what watches were tried.
    f"{SYSTEM}/persistentvolumeclaim/data-phoenix-redis-0",
    f"{SYSTEM}/lease/phoenix-operator",
    f"{TRADING}/configmap/phoenix-operator-canary",
}
OF_KUBERNETES = ("configmap/kube-root-ca.crt", "serviceaccount/default")
"""In every namespace."""


def left_behind(cluster: Kubectl) -> set[str]:
    """Every object of our namespaces, and whatever of the cluster bears our name; but for Events."""
    found = set()
    for namespace in (TRADING, SYSTEM):
        kinds = kinds_of(cluster, namespaced=True)
        names = cluster.within(namespace)("get", kinds, "--ignore-not-found", "-o", "name").split()
        found |= {f"{namespace}/{plain(name)}" for name in names if not plain(name).endswith(OF_KUBERNETES)}
    names = cluster("get", kinds_of(cluster, namespaced=False), "--ignore-not-found", "-o", "name").split()
    return found | {plain(name) for name in names if "phoenix" in name or name == f"namespace/{TRADING}"}


def kinds_of(cluster: Kubectl, *, namespaced: bool) -> str:
    words = ("--verbs=list", f"--namespaced={str(namespaced).lower()}", "-o", "name")
    kinds = cluster("api-resources", *words).split()
    # Nodes bear names that the cluster gave them; volumes are the claims' own, and API services the definitions'.
    without = {
        "apiservices.apiregistration.k8s.io",
        "csinodes.storage.k8s.io",
        "events",
        "events.events.k8s.io",
        "nodes",
        "persistentvolumes",
    }
    return ",".join(kind for kind in kinds if kind not in without)


def plain(name: str) -> str:
    """`kind/name` without the kind's group."""
    kind, _, rest = name.partition("/")
    return f"{kind.partition('.')[0]}/{rest}"
