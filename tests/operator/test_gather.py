"""What a plan is given of a resource, from the store and the fleet."""

import pytest
from phoenix_operator.census import Census
from phoenix_operator.cluster.resources import PODS
from phoenix_operator.cluster.store import Store
from phoenix_operator.fleet import Fleet
from phoenix_operator.gather import Memory, account_facts, maker_facts
from phoenix_operator.names import Label


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
