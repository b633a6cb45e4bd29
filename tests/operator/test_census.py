"""Whom a change concerns: the resource itself, and those that have to do with it."""

import pytest
from phoenix_operator.cluster.resources import MARKET_MAKERS, PODS
from phoenix_operator.queue import Key, Kind


def maker(name: str) -> Key:
    return Key(Kind.MAKER, "trading", name)


def account(name: str) -> Key:
    return Key(Kind.ACCOUNT, "trading", name)


pytestmark = pytest.mark.usefixtures("populated")


@pytest.fixture
def populated(put_maker, put_account, census):
    put_account("main")
    put_account("other")
    put_maker("btc", spec={"accountRef": "main"})
    put_maker("eth", spec={"accountRef": "main", "symbol": "ETHUSDT"})
    put_maker("far", spec={"accountRef": "other"})
    return census


def test_a_maker_concerns_its_account(put_maker):
    assert put_maker("btc", spec={"accountRef": "main", "netMax": "0.05"}, meta={"generation": 2}) == {
        maker("btc"),
        account("main"),
    }


def test_a_maker_concerns_the_others_of_its_symbol(put_maker):
    assert put_maker("again", spec={"accountRef": "main"}) == {maker("again"), maker("btc"), account("main")}


def test_a_maker_that_is_gone_concerns_whom_it_stood_in_the_way_of(put_maker, populated, store):
    put_maker("again", spec={"accountRef": "main"})
    change = store.forget(MARKET_MAKERS, store.get(MARKET_MAKERS, "trading", "btc"))
    assert populated.observe(change) == {maker("btc"), maker("again"), account("main")}
    assert populated.maker(("trading", "btc")) is None


def test_an_account_concerns_all_its_makers_where_its_spec_has_changed(put_account):
    changed = put_account("main", spec={"emergency": "Halt"}, meta={"generation": 2})
    assert changed == {account("main"), maker("btc"), maker("eth")}


def test_a_maker_that_does_not_validate_any_more_is_still_its_accounts(put_maker, populated):
    wrong = {"accountRef": "main", "netMax": "0.1", "baseSize": "0.10000000000000000001"}
    changed = put_maker("btc", spec=wrong, meta={"generation": 2})
    assert changed == {maker("btc"), account("main")}
    assert populated.maker(("trading", "btc")).spec is None
    assert [each.meta.name for each in populated.makers_of(("trading", "main"))] == ["btc", "eth"]


def test_a_status_concerns_nobody(put_maker, put_account, populated):
    assert put_maker("btc", spec={"accountRef": "main"}, status={"reason": "Quoting"}) == set()
    assert put_account("main", status={"makers": 2}) == set()
    assert populated.maker(("trading", "btc")).status.reason == "Quoting"


def test_what_people_ask_of_an_account_concerns_it(put_account):
    asked = {"requests": [{"id": "1", "action": "Stop", "level": "Halt"}]}
    assert account("main") in put_account("main", status=asked)
    unreadable = {"requests": [{"id": "2", "action": "Resume", "epoch": 1, "at": "yesterday"}]}
    assert account("main") in put_account("main", status=unreadable)


def test_two_accounts_that_turn_out_to_be_one_concern_the_makers_of_both(put_account):
    assert put_account("main", status={"identity": "x"}) == {account("main"), maker("btc"), maker("eth")}
    met = put_account("other", status={"identity": "x"})
    assert met == {account("main"), account("other"), maker("btc"), maker("eth"), maker("far")}
    parted = put_account("other", status={"identity": "y"})
    assert parted == met


def test_a_pod_concerns_its_maker_and_who_waits_for_its_symbol(put_maker, populated, store):
    put_maker("again", spec={"accountRef": "main"})
    labels = {
        "phoenix.trading/maker": "btc",
        "phoenix.trading/account": "main",
        "phoenix.trading/symbol": "BTCUSDT",
        "app.kubernetes.io/component": "worker",
    }
    meta = {"name": "btc-1", "namespace": "trading", "uid": "pod", "resourceVersion": "77", "labels": labels}
    assert populated.observe(store.observe(PODS, {"metadata": meta})) == {maker("btc"), maker("again")}


def test_a_maker_that_does_not_validate_is_there_all_the_same(put_maker, populated):
    assert maker("odd") in put_maker("odd", spec={"netMax": "no number"})
    found = populated.maker(("trading", "odd"))
    assert found.spec is None
    assert "netMax" in found.problem
