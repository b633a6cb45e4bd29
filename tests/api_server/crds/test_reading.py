"""What people see of the two kinds: explanations, columns, selectors, and that the definitions are sound."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ApiServer
from bad_manifests import ACCOUNT, MAKER
from phoenix_crds import load_manifests
from phoenix_crds.definitions import DEFINITIONS, Definition
from phoenix_crds.fields import declared

Where = Callable[[str], str]

QUOTING = {
    "status": {
        "observedGeneration": 1,
        "appliedGeneration": 1,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "InForce"},
            {"type": "Quoting", "status": "False", "reason": "PriceStale"},
        ],
        "reason": "PriceStale",
        "pod": "ethusdc-6d4f-x2x4z",
        "restarts": {"count": 1, "total": 3},
        "figures": {"position": "-0.012", "mid": "3200.55", "pnl": "-1.20", "at": "2026-01-31T08:00:00Z"},
    }
}
STOPPED = {
    "status": {
        "makers": 2,
        "identity": "binance-usdm:testnet:77",
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "Emergency", "status": "True", "reason": "Sticky"},
        ],
    }
}


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.short)
def test_the_server_finds_nothing_wrong_with_a_definition(api_server: ApiServer, definition: Definition) -> None:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition.name}"
    conditions = api_server.admin.get(path).expect()["status"]["conditions"]
    assert {each["type"]: each["status"] for each in conditions} == {"NamesAccepted": "True", "Established": "True"}, (
        "NonStructuralSchema would be one more"
    )


@pytest.mark.parametrize(
    ("field", "said"),
    [
        pytest.param("mm", "One symbol, traded by one worker at a time", id="kind"),
        pytest.param("mm.spec", "worstCaseMultiplier", id="spec"),
        pytest.param(
            "mm.spec.guards.pinRatio", 'Decimal ("0.5", 12). Unit: ratio. Range: above 0, below 2.', id="decimal"
        ),
        pytest.param("mm.spec.grinding.interval", "Range: 30s to 24h.", id="duration"),
        pytest.param("mm.spec.mode", "ENUM:\n    DryRun\n    Live", id="choice"),
        pytest.param("mm.spec.ramp.stages.lossMax", "a share of this stage's capital", id="list"),
        pytest.param("mm.status.conditions", "nothing of configuration or infrastructure", id="status"),
        pytest.param("ta.spec.limits.makerNetMax", "may not be traded", id="map"),
        pytest.param("ta.status.requests", "phoenix stop", id="requests"),
    ],
)
def test_explain_reads_well(api_server: ApiServer, field: str, said: str) -> None:
    told = api_server.kubectl("explain", field).stdout
    assert said in told or said in " ".join(told.split())
    assert "<empty>" not in told, "nothing is left without a description"


def test_every_field_of_the_specs_is_explained(api_server: ApiServer) -> None:
    for definition in DEFINITIONS:
        told = api_server.kubectl("explain", f"{definition.plural}.spec", "--recursive").stdout
        (spec,) = (field for field in declared(definition.model) if field.name == "spec")
        assert spec.shape.model is not None
        for field in declared(spec.shape.model):
            assert f"\n  {field.name}\t" in told


@pytest.fixture
def rows(api_server: ApiServer, namespace: str, create: Callable[[dict[str, Any]], Any], path: Where) -> Any:
    """A maker and an account with a status each; arguments of `kubectl get` → header and row."""
    for text, status, plural in ((MAKER, QUOTING, "MarketMaker"), (ACCOUNT, STOPPED, "TradingAccount")):
        manifest = yaml.safe_load(text)
        create(manifest)
        where = f"{path(plural)}/{manifest['metadata']['name']}/status"
        api_server.admin.merge(where, status).expect()

    def read(*told: str) -> tuple[str, str]:
        header, row = api_server.kubectl("get", "-n", namespace, *told).stdout.splitlines()
        return " ".join(header.split()), " ".join(row.split()[:-1])

    return read


@pytest.mark.parametrize(
    ("told", "header", "row"),
    [
        pytest.param(
            ("mm",),
            "NAME SYMBOL MODE QUOTING REASON POSITION MID PNL RESTARTS AGE",
            "ethusdc ETHUSDC DryRun False PriceStale -0.012 3200.55 -1.20 3",
            id="mm",
        ),
        pytest.param(
            ("mm", "-o", "wide"),
            "NAME SYMBOL MODE QUOTING REASON POSITION MID PNL RESTARTS ACCOUNT READY POD AGE",
            "ethusdc ETHUSDC DryRun False PriceStale -0.012 3200.55 -1.20 3 default True ethusdc-6d4f-x2x4z",
            id="mm-wide",
        ),
        pytest.param(
            ("ta",),
            "NAME ENVIRONMENT READY EMERGENCY MAKERS NET LIMIT AGE",
            "default Testnet True True 2 1000",
            id="ta",
        ),
    ],
)
def test_the_columns(rows: Callable[..., tuple[str, str]], told: tuple[str, ...], header: str, row: str) -> None:
    assert rows(*told) == (header, row)


def test_a_maker_is_found_by_what_one_would_look_for(
    rows: Callable[..., tuple[str, str]], api_server: ApiServer, namespace: str
) -> None:
    assert rows("mm", "--field-selector=spec.symbol=ETHUSDC,spec.accountRef=default")[1].startswith("ethusdc")
    nobody = api_server.kubectl("get", "mm", "-n", namespace, "--field-selector=spec.mode=Live")
    assert "No resources found" in nobody.stderr
    assert {"mm", "ta"} <= set(api_server.kubectl("api-resources", "--categories=trading").stdout.split())


def test_wait_waits_for_ready(rows: object, api_server: ApiServer, namespace: str) -> None:
    assert rows
    told = ("wait", "-n", namespace, "--for=condition=Ready", "--timeout=10s", "mm/ethusdc")
    assert "condition met" in api_server.kubectl(*told).stdout


def test_what_the_server_gives_passes_the_check(
    api_server: ApiServer, namespace: str, path: Where, tmp_path: Path
) -> None:
    """`kubectl get -o yaml` with all that the server and the operator added, of a maker whose name was made up."""
    made = yaml.safe_load(MAKER)
    made["metadata"] = {"generateName": "eth-"}
    name = api_server.admin.create(path("MarketMaker"), made).expect()["metadata"]["name"]
    api_server.admin.merge(f"{path('MarketMaker')}/{name}/status", QUOTING).expect()
    file = tmp_path / "as-stored.yaml"
    file.write_text(api_server.kubectl("get", "mm", "-n", namespace, "-o", "yaml", "--show-managed-fields").stdout)
    loaded = load_manifests([file])
    assert loaded.problems == []
    ((_, maker),) = loaded.makers
    assert (maker.metadata.name, maker.status and maker.status.reason) == (name, "PriceStale")
