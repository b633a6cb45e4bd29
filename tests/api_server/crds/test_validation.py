"""Every wrong manifest of the table is refused by the API server too, in words that a person can act on."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_client import Answer
from api_server import ApiServer
from bad_manifests import ACCOUNT, MAKER, MAKER_MISTAKES, REPLACED
from phoenix_crds import MarketMaker

Show = Callable[[str | dict[str, Any]], Answer]

# What it is about, in the server's own words, where OpenAPI and not a rule of ours refuses.
TYPE, PATTERN, CHOICE, ABSENT = "must be of type", "should match", "supported values", "Required value"
LARGE, SMALL, UNKNOWN = "should be less than or equal to", "should be greater than or equal to", "unknown field"
NOT_JSON = "unsupported value|cannot unmarshal"

ITS_WORDS = {
    **dict.fromkeys(("float", "float-with-exponent", "very-small-float", "boolean-for-number"), TYPE),
    **dict.fromkeys(("endless-number", "text-for-layers", "duration-no-unit", "quoted-boolean"), TYPE),
    **dict.fromkeys(("one-is-no-boolean", "text-for-guards", "list-for-guards", "symbol-a-number"), TYPE),
    **dict.fromkeys(("net-max-float", "beyond-64-bits"), TYPE),
    **dict.fromkeys(("exponent-in-quotes", "leading-zero", "blank-in-number", "share-of-nothing"), PATTERN),
    **dict.fromkeys(("duration-fraction", "duration-of-two-units", "duration-with-blank", "account-name"), PATTERN),
    **dict.fromkeys(("symbol-in-small-letters", "symbol-with-slash", "address-with-password"), PATTERN),
    **dict.fromkeys(("enum-in-small-letters", "on-delete", "environment", "emergency"), CHOICE),
    **dict.fromkeys(("ramp-stage-without-time", "shadow-is-a-whole-set", "no-symbol", "no-net-max"), ABSENT),
    **dict.fromkeys(("no-environment", "no-daily-loss", "name-empty"), ABSENT),
    **dict.fromkeys(("too-many-layers", "grinds-per-hour", "leverage"), LARGE),
    "failure-window": SMALL,
    **dict.fromkeys(("misspelled", "snake-case", "unheard-of", "misspelled-inside", "mapping-for-number"), UNKNOWN),
    **dict.fromkeys(("nan", "infinity", "label-int"), NOT_JSON),
    "key-twice": "already set",
    "name-not-dns": "RFC 1123",
    "name-too-long": "may not be more than 52",
    "namespace": "does not match the namespace",
    "label-value": "a valid label must",
    "label-key": "name part must",
    "label-prefix": "RFC 1123",
    "annotation-key": "prefix part must be non-empty",
    "api-version": r'in version "v1" cannot be handled',
    "net-over-gross": "raise",
}
# What the server takes all the same, why, and (of a maker) what it keeps; `phoenix check` is stricter there.
ADMITTED: dict[str, tuple[str, dict[str, Any]]] = {
    "underscore-in-number": ("YAML 1.1, which the server reads, has such numbers", {"minSpreadBps": 1000}),
    "nothing-for-number": ("null is the same as absent: the default", {"minSpreadBps": "4"}),
    "float-for-layers": ("3.0 is the integer 3 in JSON", {"nearLayers": 3}),
    "yes-is-no-boolean": ("YAML 1.1, which the server reads, has yes and no", {"paused": True}),
    "net-max": ("two objects are the operator's to compare", {"netMax": "0.30"}),
    "symbol-unlisted": ("two objects are the operator's to compare", {}),
    "no-account": ("two objects are the operator's to compare", {}),
    "no-name": ("the server makes a name of generateName", {}),
}
# Where the server names no field, or not the one that was written: the rule's first field is named.
NAMED_OTHERWISE = {
    "nan", "infinity", "key-twice", "namespace", "label-int", "api-version", "block-below-grind", "vpin-order",
    "multiplier-at-liquidate", "live-without-capital", "simulator-without-address", "testnet-without-secret",
}  # fmt: skip


def _hold_to(answer: Answer, mistake: str, field: str, said: str) -> None:
    assert answer.status in {400, 422}, f"admitted: {answer.body}"
    assert re.search(ITS_WORDS.get(mistake, said), answer.message), answer.message
    assert mistake in NAMED_OTHERWISE or field in answer.message, answer.message


def _keeps(answer: Answer, mistake: str) -> None:
    reason, kept = ADMITTED[mistake]
    stored = answer.expect()
    assert {name: stored["spec"][name] for name in kept} == kept, reason
    if stored["kind"] == "MarketMaker":
        assert MarketMaker.model_validate(stored).spec, "and the model reads what is stored"


BENT = [
    *(pytest.param(f"{MAKER}{row.values[0]}\n", row.values[1], row.values[3], id=row.id) for row in MAKER_MISTAKES),
    *(
        pytest.param(
            (MAKER if row.values[0] in MAKER else ACCOUNT).replace(row.values[0], row.values[1], 1),
            row.values[2],
            row.values[4],
            id=row.id,
        )
        for row in REPLACED
    ),
]


@pytest.mark.parametrize(("manifest", "field", "said"), BENT)
def test_a_mistake(show: Show, request: pytest.FixtureRequest, manifest: str, field: str, said: str) -> None:
    mistake = request.node.callspec.id
    answer = show(manifest)
    if mistake in ADMITTED:
        _keeps(answer, mistake)
    else:
        _hold_to(answer, mistake, field, said)


def test_the_tables_of_the_server_name_rows_that_exist() -> None:
    known = {row.id for row in BENT}
    assert set(ITS_WORDS) | set(ADMITTED) | NAMED_OTHERWISE <= known
    assert not set(ITS_WORDS) & set(ADMITTED)


EXAMPLES = sorted(
    file
    for file in (Path(__file__).resolve().parents[3] / "configs").rglob("*.yaml")
    if re.search(r"^kind: (MarketMaker|TradingAccount)$", file.read_text(encoding="utf-8"), re.MULTILINE)
)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_admitted(show: Show, file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        document["metadata"].pop("namespace", None)
        show(document).expect()


# A field of a maker or an account that never changes, how it is changed, and what is said.
FIXED_FOR_EVER = [
    pytest.param(MAKER, {"symbol": "BTCUSDT"}, "symbol is immutable: another symbol is another maker", id="symbol"),
    pytest.param(MAKER, {"accountRef": "other"}, "accountRef is immutable: orders and position stay", id="account"),
    pytest.param(ACCOUNT, {"environment": "Production"}, "environment is immutable: another environment", id="world"),
]


@pytest.mark.parametrize(("manifest", "change", "said"), FIXED_FOR_EVER)
def test_what_is_immutable_stays(
    api_server: ApiServer,
    create: Callable[[dict[str, Any]], dict[str, Any]],
    path: Callable[[str], str],
    manifest: str,
    change: dict[str, str],
    said: str,
) -> None:
    stored = create(yaml.safe_load(manifest))
    where = f"{path(stored['kind'])}/{stored['metadata']['name']}"
    refused = api_server.admin.merge(where, {"spec": change})
    assert refused.status == 422
    assert said in refused.message
    api_server.admin.merge(where, {"spec": {name: stored["spec"][name] for name in change}}).expect()


def test_a_symbol_of_the_limits_is_written_as_the_exchange_does(show: Show) -> None:
    refused = show(ACCOUNT.replace("ETHUSDC:", "ethusdc:"))
    assert refused.status == 422
    assert "capitals and digits only" in refused.message


def test_more_limits_than_any_venue_has_symbols_are_refused(show: Show) -> None:
    account = yaml.safe_load(ACCOUNT)
    account["spec"]["limits"]["makerNetMax"] = {f"S{number}": 1 for number in range(1001)}
    refused = show(account)
    assert refused.status == 422
    assert "makerNetMax" in refused.message
