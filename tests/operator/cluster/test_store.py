"""What is newest wins, whoever tells it and in whichever order; what was deleted does not come back."""

import tracemalloc
from itertools import permutations

import pytest
from phoenix_operator.cluster.resources import CONFIG_MAPS, DEPLOYMENTS, MARKET_MAKERS, PODS, TRADING_ACCOUNTS
from phoenix_operator.cluster.store import Store


def object_of(name: str, version: int, uid: str = "", maker: str = "", **rest: object) -> dict:
    labels = {"phoenix.trading/maker": maker} if maker else {}
    meta = {"name": name, "namespace": "trading", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**meta, "labels": labels}, **rest}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))), ids=str)
def test_the_newest_version_is_known_in_whichever_order_versions_are_told(store, order):
    for version in order:
        store.observe(CONFIG_MAPS, object_of("a", version, data={"x": str(version)}))
    assert store.get(CONFIG_MAPS, "trading", "a")["data"] == {"x": "3"}


def test_an_answer_that_is_late_does_not_bring_back_what_was_deleted(store):
    store.observe(PODS, object_of("a", 1))
    store.forget(PODS, object_of("a", 3))
    assert store.observe(PODS, object_of("a", 2)) is None
    assert store.get(PODS, "trading", "a") is None


def test_a_deletion_of_an_older_object_leaves_the_one_that_was_made_anew(store):
    store.observe(PODS, object_of("a", 1, uid="old"))
    store.observe(PODS, object_of("a", 5, uid="new"))
    assert store.forget(PODS, object_of("a", 4, uid="old")) is None
    assert store.get(PODS, "trading", "a")["metadata"]["uid"] == "new"


def test_a_list_finds_what_is_gone_and_leaves_what_is_younger_than_it(store):
    store.observe(PODS, object_of("gone", 1, maker="m"))
    store.observe(PODS, object_of("there", 2, maker="m"))
    store.observe(PODS, object_of("younger", 9, maker="m"))

    changes = store.relisted(PODS, None, {"uid-there"}, "5")

    assert [(change.name, change.gone) for change in changes] == [("gone", True)]
    assert [each["metadata"]["name"] for each in store.children(PODS, "trading", "m")] == ["there", "younger"]


def test_a_list_of_one_namespace_says_nothing_of_another(store):
    elsewhere = object_of("a", 1)
    elsewhere["metadata"]["namespace"] = "other"
    store.observe(PODS, elsewhere)
    assert store.relisted(PODS, "trading", set(), "5") == []
    assert store.get(PODS, "other", "a") is not None


@pytest.mark.parametrize(
    ("resource", "change", "quiet"),
    [
        (MARKET_MAKERS, {"status": {"reason": "Quoting"}}, True),
        (MARKET_MAKERS, {"spec": {"netMax": "2"}}, False),
        (TRADING_ACCOUNTS, {"status": {"identity": "x"}}, True),
        (TRADING_ACCOUNTS, {"status": {"requests": [{"id": "1"}]}}, False),
        (DEPLOYMENTS, {"status": {"readyReplicas": 1}}, False),
        (CONFIG_MAPS, {}, True),
    ],
    ids=["a maker's status", "a maker's spec", "an account's status", "a request", "a child's status", "nothing"],
)
def test_what_makes_no_difference_is_quiet(store, resource, change, quiet):
    store.observe(resource, object_of("a", 1))
    told = store.observe(resource, object_of("a", 2, **change))
    assert told is not None
    assert told.quiet is quiet


def test_a_child_that_changes_its_maker_is_found_with_the_new_one_only(store):
    store.observe(CONFIG_MAPS, object_of("a", 1, maker="one"))
    store.observe(CONFIG_MAPS, object_of("a", 2, maker="two"))
    assert store.children(CONFIG_MAPS, "trading", "one") == []
    assert len(store.children(CONFIG_MAPS, "trading", "two")) == 1


def test_pods_are_found_by_market_until_they_are_gone(store):
    pod = object_of("a", 1, maker="m")
    pod["metadata"]["labels"] |= {"phoenix.trading/account": "main", "phoenix.trading/symbol": "BTCUSDT"}
    store.observe(PODS, pod)
    market = ("trading", "main", "BTCUSDT")
    assert [each["metadata"]["name"] for each in store.pods_of(market)] == ["a"]
    store.forget(PODS, pod)
    assert store.pods_of(market) == []


def test_of_field_managers_only_who_and_when_is_kept(store):
    told = object_of("a", 1)
    entry = {"manager": "kubectl", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {}}}
    told["metadata"]["managedFields"] = [entry]
    store.observe(CONFIG_MAPS, told)
    kept = store.get(CONFIG_MAPS, "trading", "a")["metadata"]["managedFields"]
    assert kept == [{"manager": "kubectl", "operation": "Update", "time": "2026-01-01T00:00:00Z"}]


def test_an_object_takes_the_memory_of_its_text_and_little_more(store):
    text = "x" * 5000
    tracemalloc.start()
    try:
        for number in range(100):
            store.observe(CONFIG_MAPS, object_of(f"a{number}", 1, data={"x": text}))
        each = tracemalloc.get_traced_memory()[0] / 100
    finally:
        tracemalloc.stop()
    assert each < 1.6 * len(text)
