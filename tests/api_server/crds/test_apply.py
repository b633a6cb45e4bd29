"""What people's tools do to a resource: apply it again, compare it, merge it, fight over it. Nothing drifts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import CRDS, ApiServer
from bad_manifests import ACCOUNT, MAKER

Where = Callable[[str], str]

RAMPED = f"""{MAKER}\
  minSpreadBps: 6
  worstCaseMultiplier: "1.20"
  restartAfter: 90s
  guards:
    pinRatio: "0.60"
  risk:
    capital: "500.00"
    dailyLossMax: "4%"
  ramp:
    stages:
    - {{capital: 100, minTime: 48h, lossMax: "5%"}}
    - {{capital: "300", minTime: 48h, lossMax: 20}}
  shadow:
    netMax: "0.20"
    baseSize: "0.008"
    vpin: {{halt: "0.9"}}
"""
MANIFESTS = [pytest.param(MAKER, id="least"), pytest.param(RAMPED, id="much"), pytest.param(ACCOUNT, id="account")]
WAYS = [pytest.param(("--server-side",), id="server-side"), pytest.param((), id="client-side")]


@pytest.fixture
def stored(api_server: ApiServer, path: Where) -> Callable[[str], dict[str, Any]]:
    """By kind, the only resource of the test's namespace."""

    def read(kind: str) -> dict[str, Any]:
        (item,) = api_server.admin.get(path(kind)).expect()["items"]
        return dict(item)

    return read


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("manifest", MANIFESTS)
def test_applying_again_changes_nothing(
    api_server: ApiServer,
    namespace: str,
    stored: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    manifest: str,
    way: tuple[str, ...],
) -> None:
    file, kind = tmp_path / "resource.yaml", yaml.safe_load(manifest)["kind"]
    file.write_text(manifest)
    told = ("-n", namespace, *way, "-f", str(file))
    api_server.kubectl("apply", *told)
    before = stored(kind)
    difference = api_server.kubectl("diff", *told, check=False)
    assert (difference.returncode, difference.stdout) == (0, "")
    api_server.kubectl("apply", *told)
    after = stored(kind)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "not even written"
    assert after["metadata"]["generation"] == 1


@pytest.mark.parametrize("way", WAYS)
def test_applying_the_definitions_again_changes_nothing(api_server: ApiServer, way: tuple[str, ...]) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    told = ("apply", *way, "--force-conflicts" if way else "--server-side=false", "-f", str(CRDS))
    api_server.kubectl(*told)
    before = {each["metadata"]["name"]: each["metadata"] for each in api_server.admin.get(path).expect()["items"]}
    said = api_server.kubectl(*told).stdout
    after = {each["metadata"]["name"]: each["metadata"] for each in api_server.admin.get(path).expect()["items"]}
    assert {name: each["resourceVersion"] for name, each in after.items()} == {
        name: each["resourceVersion"] for name, each in before.items()
    }
    assert way or said.count("unchanged") == len(after)


def test_a_defaulted_field_has_no_owner_so_that_nobody_fights_over_it(api_server: ApiServer, path: Where) -> None:
    where = f"{path('MarketMaker')}/ethusdc"
    one = api_server.admin.apply(where, MAKER, "gitops").expect()
    assert one["spec"]["minSpreadBps"] == "4"
    two = api_server.admin.apply(where, yaml.safe_load(MAKER) | {"spec": {"minSpreadBps": 5}}, "tuning").expect()
    assert two["spec"]["minSpreadBps"] == 5
    again = api_server.admin.apply(where, MAKER, "gitops").expect()
    assert again["spec"]["minSpreadBps"] == 5, "another's field, which gitops never wrote"


def test_two_who_want_a_field_differently_are_told_of_each_other(api_server: ApiServer, path: Where) -> None:
    where = f"{path('MarketMaker')}/ethusdc"
    wider = yaml.safe_load(MAKER) | {"spec": {"netMax": "0.25"}}
    api_server.admin.apply(where, MAKER, "gitops").expect()
    refused = api_server.admin.apply(where, wider, "by-hand")
    assert refused.status == 409
    assert 'conflict with "gitops": .spec.netMax' in refused.message
    taken = api_server.admin.apply(where, wider, "by-hand", force="true").expect()
    assert taken["spec"]["netMax"] == "0.25"
    assert api_server.admin.apply(where, MAKER, "gitops").status == 409


def test_a_field_that_its_only_owner_no_longer_writes_has_its_default_again(api_server: ApiServer, path: Where) -> None:
    where = f"{path('MarketMaker')}/ethusdc"
    api_server.admin.apply(where, f'{MAKER}  guards: {{pinRatio: "0.6"}}\n  minSpreadBps: 6\n', "gitops").expect()
    after = api_server.admin.apply(where, MAKER, "gitops").expect()["spec"]
    assert after["minSpreadBps"] == "4"
    assert after["guards"]["pinRatio"] == "0.7"


def test_a_field_that_is_unknown_is_refused_when_it_is_applied(api_server: ApiServer, path: Where) -> None:
    """Server-side apply has no mode in which a misspelled field is dropped in silence."""
    refused = api_server.admin.apply(f"{path('MarketMaker')}/ethusdc", f"{MAKER}  minSpread: 4\n", "gitops")
    assert not refused.ok
    assert "minSpread" in refused.message


def _three_way(before: dict[str, Any], after: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The merge patch that Helm sends for a custom resource: to `after` where it differs, null where it was dropped."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, wished in after.items():
        now = live.get(name)
        if isinstance(wished, dict) and isinstance(now, dict):
            was = before.get(name)
            inner = _three_way(was if isinstance(was, dict) else {}, wished, now)
            if inner:
                patch[name] = inner
        elif wished != now:
            patch[name] = wished
    return patch


def test_a_release_that_is_upgraded_keeps_defaults_and_what_others_wrote(
    api_server: ApiServer, path: Where, stored: Callable[[str], dict[str, Any]]
) -> None:
    where = f"{path('MarketMaker')}/ethusdc"
    first = yaml.safe_load(f'{MAKER}  minSpreadBps: "6"\n  guards: {{pinRatio: "0.6", cooldown: 2m}}\n')
    api_server.admin.create(path("MarketMaker"), first).expect()
    foreign = {"metadata": {"annotations": {"team": "rates"}}, "spec": {"vpin": {"halt": "0.9"}}}
    api_server.admin.merge(where, foreign).expect()
    second = yaml.safe_load(f"{MAKER}  guards: {{cooldown: 2m}}\n  edgeBps: 1\n")
    patch = _three_way(first, second, stored("MarketMaker"))
    assert patch == {"spec": {"minSpreadBps": None, "guards": {"pinRatio": None}, "edgeBps": 1}}
    after = api_server.admin.merge(where, patch).expect()
    assert after["metadata"]["annotations"] == {"team": "rates"}
    spec = after["spec"]
    assert (spec["vpin"]["halt"], spec["minSpreadBps"], spec["edgeBps"]) == ("0.9", "4", 1)
    assert (spec["guards"]["pinRatio"], spec["guards"]["cooldown"]) == ("0.7", "2m")
    assert _three_way(second, second, after) == {}, "upgrading to the same release sends nothing"


def test_kubectl_apply_merges_likewise(
    api_server: ApiServer, namespace: str, path: Where, stored: Callable[[str], dict[str, Any]]
) -> None:
    told = ("apply", "-n", namespace, "-f", "-")
    api_server.kubectl(*told, stdin=f'{MAKER}  minSpreadBps: "6"\n')
    api_server.admin.merge(f"{path('MarketMaker')}/ethusdc", {"spec": {"vpin": {"halt": "0.9"}}}).expect()
    api_server.kubectl(*told, stdin=MAKER)
    spec = stored("MarketMaker")["spec"]
    assert (spec["minSpreadBps"], spec["vpin"]["halt"]) == ("4", "0.9")
