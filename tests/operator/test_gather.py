"""What a plan is given of a resource, from the store and the fleet."""

import pytest
from phoenix_operator.census import Census
from phoenix_operator.cluster.resources import BY_KIND, DEPLOYMENTS, PODS
from phoenix_operator.cluster.store import Store
from phoenix_operator.fleet import Fleet
from phoenix_operator.gather import Memory, account_facts, maker_facts
from phoenix_operator.names import Finalizer, Label
from phoenix_operator.queue import Key, Kind


@pytest.fixture
def fleet(census: Census) -> Fleet:
    return Fleet("", census, 0.5, lambda _: None)


def pod_of(maker: str, symbol: str = "BTCUSDT", phase: str = "Running", component: str = "worker") -> dict:
    labels = {
        Label.NAME: "phoenix",
        Label.MANAGED_BY: "phoenix-operator",
        Label.MAKER: maker,
        Label.ACCOUNT: "main",
        Label.SYMBOL: symbol,
        Label.COMPONENT: component,
    }
    meta = {"name": f"{maker}-1", "namespace": "trading", "uid": maker, "resourceVersion": "1"}
    return {
        "metadata": meta | {"labels": {key.value: value for key, value in labels.items()}},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("pod", "rivals"),
    [
        pytest.param(pod_of("elder"), ("elder-1",), id="another maker's"),
        pytest.param(pod_of("elder", component="withdraw"), ("elder-1",), id="of its withdraw Job"),
        pytest.param(pod_of("btc"), (), id="our own"),
        pytest.param(pod_of("elder", symbol="ETHUSDT"), (), id="of another symbol"),
        pytest.param(pod_of("elder", phase="Failed"), (), id="one that has ended"),
    ],
)
def test_pods_of_other_makers_of_the_symbol_are_in_the_way(put_maker, put_account, store: Store, fleet, pod, rivals):
    put_account("main")
    put_maker("btc", spec={"accountRef": "main", "symbol": "BTCUSDT"})
    store.observe(PODS, pod)
    census = fleet._census
    assert maker_facts(census.maker(("trading", "btc")), Memory(), store, census, fleet, 0).rivals == rivals


def test_a_maker_that_does_not_validate_any_more_is_its_accounts_as_before(put_maker, put_account, store: Store, fleet):
    census = fleet._census
    put_account("main")
    put_maker("btc", spec={"accountRef": "main", "symbol": "BTCUSDT"})
    wrong = {"accountRef": "main", "symbol": "BTCUSDT", "netMax": "0.1", "baseSize": "0.10000000000000000001"}
    put_maker("btc", spec=wrong, meta={"generation": 2})
    found = maker_facts(census.maker(("trading", "btc")), Memory(), store, census, fleet, 0)
    assert found.maker.spec is None
    assert found.account is census.account(("trading", "main"))
    assert account_facts(found.account, Memory(), census, fleet, 0).makers == ("btc",)


YOUNGER = {"creationTimestamp": "2026-02-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("elder", "started", "own", "found"),
    [
        pytest.param({}, True, {}, "trading/elder", id="the older account's maker of the symbol"),
        pytest.param({"symbol": "ETHUSDT"}, True, {}, "", id="another symbol"),
        pytest.param({"mode": "DryRun"}, True, {"mode": "Live"}, "", id="a rehearsal, which has a lease of its own"),
        pytest.param({}, False, {}, "", id="one that has never been started"),
    ],
)
def test_whose_symbol_an_older_account_has_that_is_the_same(
    put_maker, put_account, store: Store, fleet, elder, started, own, found
):
    census = fleet._census
    put_account("main", status={"identity": "x"})
    put_account("second", status={"identity": "x"}, meta=YOUNGER)
    put_maker("elder", spec={"accountRef": "main"} | elder)
    put_maker("btc", spec={"accountRef": "second"} | own)
    if started:
        labels = {Label.MAKER.value: "elder"}
        meta = {"name": "elder", "namespace": "trading", "uid": "d", "resourceVersion": "1", "labels": labels}
        concerned = census.observe(store.observe(DEPLOYMENTS, {"metadata": meta}))
        assert (Key(Kind.MAKER, "trading", "btc") in concerned) == ("symbol" not in elder)

    def facts(name):
        return maker_facts(census.maker(("trading", name)), Memory(), store, census, fleet, 0)

    assert (facts("btc").elder, facts("elder").elder) == (found, "")
    assert facts("btc").account_conflict == "trading/main"
    put_account("second", status={"identity": "y"}, meta=YOUNGER)
    assert facts("btc").elder == ""


OURS = {"kind": "MarketMaker", "name": "btc", "uid": "marketmakers-btc", "controller": True}
ANOTHERS = OURS | {"kind": "Backup", "name": "nightly", "uid": "b"}
EARLIER = OURS | {"uid": "earlier"}
NO_CONTROLLER = OURS | {"controller": False}


@pytest.mark.parametrize(
    ("owners", "own", "deployment"),
    [
        pytest.param([OURS], True, True, id="we control it"),
        pytest.param([], False, True, id="nobody does"),
        pytest.param([NO_CONTROLLER], False, True, id="it names us, and we do not control it"),
        pytest.param([ANOTHERS], False, False, id="somebody else does"),
        pytest.param([EARLIER], False, True, id="an earlier maker of this name did"),
    ],
)
def test_labels_make_nothing_ours_that_we_do_not_control(put_maker, store: Store, fleet, owners, own, deployment):
    census = fleet._census
    put_maker("btc")
    names = {"ConfigMap": "my-backup", "PodDisruptionBudget": "btc", "Job": "btc-withdraw", "Deployment": "btc"}
    for kind, name in names.items():
        meta = {"name": name, "namespace": "trading", "uid": kind, "resourceVersion": "1", "ownerReferences": owners}
        store.observe(BY_KIND[kind], {"metadata": meta | {"labels": {Label.MAKER.value: "btc"}}})
    facts = maker_facts(census.maker(("trading", "btc")), Memory(), store, census, fleet, 0)
    assert [bool(facts.config_maps), facts.budget is not None, facts.job is not None] == [own] * 3
    assert (facts.deployment is not None) is deployment


def test_a_budget_of_another_name_is_not_the_one_we_need(put_maker, store: Store, fleet):
    census = fleet._census
    put_maker("btc")
    meta = {"name": "a-desk-budget", "namespace": "trading", "uid": "b", "resourceVersion": "1"}
    meta |= {"ownerReferences": [OURS], "labels": {Label.MAKER.value: "btc"}}
    store.observe(BY_KIND["PodDisruptionBudget"], {"metadata": meta})
    assert maker_facts(census.maker(("trading", "btc")), Memory(), store, census, fleet, 0).budget is None


def test_an_account_is_needed_by_makers_that_have_started_on_it(put_maker, put_account, fleet):
    census = fleet._census
    put_account("main")
    put_maker("btc", spec={"accountRef": "main"}, meta={"finalizers": [Finalizer.WITHDRAW.value]})
    put_maker("eth", spec={"accountRef": "main", "symbol": "ETHUSDT"})
    found = account_facts(census.account(("trading", "main")), Memory(), census, fleet, 0)
    assert (found.makers, found.needed_by) == (("btc", "eth"), ("btc",))
