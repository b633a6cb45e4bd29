"""The models as a contract: every field explained, bounded and with the defaults that its history fixes."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import get_args

import pytest
from annotated_types import Ge, Gt, Le, Lt
from phoenix_crds import Duration, MarketMakerSpec, TradingAccountSpec
from phoenix_crds.parameters import TradingParameters
from phoenix_crds.rules import Resource, Rule
from phoenix_crds.values import Between, Unit
from pydantic.fields import FieldInfo


def _models(model: type[Resource], seen: set[type[Resource]]) -> Iterator[type[Resource]]:
    if model in seen:
        return
    seen.add(model)
    yield model
    for info in model.model_fields.values():
        for inner in _resources_in(info.annotation):
            yield from _models(inner, seen)


def _resources_in(annotation: object) -> Iterator[type[Resource]]:
    if isinstance(annotation, type) and issubclass(annotation, Resource):
        yield annotation
    for inner in get_args(annotation):
        yield from _resources_in(inner)


MODELS = list(dict.fromkeys([*_models(MarketMakerSpec, set()), *_models(TradingAccountSpec, set())]))
FIELDS = [
    pytest.param(model, name, info, id=f"{model.__name__}.{info.alias}")
    for model in MODELS
    for name, info in model.model_fields.items()
]
RULES = [
    pytest.param(model, rule, id=f"{model.__name__}.{rule.fields[0]}")
    for model in MODELS
    for rule in model.rules
    if model is not MarketMakerSpec or rule not in TradingParameters.rules
]


@pytest.mark.parametrize(("model", "name", "info"), FIELDS)
def test_every_field_says_what_it_is(model: type[Resource], name: str, info: FieldInfo) -> None:
    assert info.description, f"{model.__name__}.{name} needs the string below it"
    assert info.description.rstrip().endswith((".", ")"))


@pytest.mark.parametrize(("model", "name", "info"), FIELDS)
def test_every_number_has_a_unit_and_a_range(model: type[Resource], name: str, info: FieldInfo) -> None:
    annotation = str(info.annotation)
    if "Duration" in annotation and not _resources_in_field(info):
        assert any(isinstance(each, Between) for each in info.metadata), "bounds of a duration"
    if annotation in {str(int), str(Decimal)} or info.annotation == Decimal | None:
        metadata = [
            *info.metadata,
            *(each for arg in get_args(info.annotation) for each in getattr(arg, "__metadata__", ())),
        ]
        assert any(isinstance(each, (Gt, Ge, Lt, Le)) for each in metadata), "a range"
        described = any(isinstance(each, Unit) for each in metadata) or "Unit: " in (info.description or "")
        assert described, f"{model.__name__}.{name}: a unit, in its type or its text"


def _resources_in_field(info: FieldInfo) -> list[type[Resource]]:
    return list(_resources_in(info.annotation))


# Trading rules whose numbers are fixed by what happened before; who changes one changes this table and says why.
FIXED = {
    "worstCaseMultiplier": "1.15",
    "sizeDecayK": "3.8",
    "quoteInterval": "500ms",
    "staleAfter": "2s",
    "lateAfter": "2s",
    "restartAfter": "1m",
    "handoverAfter": "3s",
    "mode": "DryRun",
    "accountRef": "default",
    "onDelete": "Withdraw",
    "guards.pinRatio": "0.7",
    "guards.blockRatio": "0.95",
    "guards.flattenRatio": "1",
    "guards.liquidateRatio": "1.1",
    "guards.emergencySlice": "1",
    "guards.cooldown": "1m",
    "grinding.enabled": True,
    "grinding.ratio": "0.87",
    "grinding.deviation": "0.0038",
    "grinding.interval": "42s",
    "grinding.perHour": 18,
    "grinding.size": "0.075",
    "grinding.reentry": "2.1",
    "grinding.offsetBps": "4.2",
    "grinding.boost": "1.4",
    "funding.sensitivity": "2.2",
    "funding.alpha": "0.3",
    "risk.dailyLossMax": "5%",
    "risk.stopLoss": "10%",
    "risk.failureRatio": "0.05",
    "risk.failureWindow": 50,
    "userStream.ackLag": "1s",
}


@pytest.fixture
def written() -> dict[str, object]:
    """A spec with its defaults, as it is written."""
    spec = MarketMakerSpec.model_validate({"symbol": "ETHUSDC", "netMax": "0.20", "baseSize": "0.008"})
    return spec.model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize(("path", "value"), FIXED.items(), ids=FIXED)
def test_the_defaults_with_a_history_keep_it(written: dict[str, object], path: str, value: object) -> None:
    found: object = written
    for step in path.split("."):
        assert isinstance(found, dict)
        found = found[step]
    assert found == value


def test_what_decides_how_much_is_at_stake_has_no_default() -> None:
    required = {info.alias for info in MarketMakerSpec.model_fields.values() if info.is_required()}
    assert required == {"symbol", "netMax", "baseSize"}
    assert TradingAccountSpec.model_fields["environment"].is_required()
    assert TradingAccountSpec.model_fields["limits"].is_required()


@pytest.mark.parametrize(("model", "rule"), RULES)
def test_a_rule_names_fields_that_exist_and_its_cel_reads_them_all(model: type[Resource], rule: Rule[Resource]) -> None:
    for path in rule.fields:
        inside = model
        *parents, last = path.split(".")
        for step in parents:
            (info,) = [info for info in inside.model_fields.values() if info.alias == step]
            inside = next(_resources_in(info.annotation))
        assert last in {info.alias for info in inside.model_fields.values()}
        assert re.search(rf"self\.{re.escape(path)}\b", rule.cel), f"{path} is not in {rule.cel}"


@pytest.mark.parametrize("rule", [param.values[1] for param in RULES], ids=[param.id for param in RULES])
def test_the_message_of_a_rule_says_what_to_do(rule: Rule[Resource]) -> None:
    assert re.search(r"(: |; )(set|put|order|lower|raise|add|remove|name)\b", rule.message), rule.message


def test_the_keep_band_is_half_the_near_step_unless_it_is_set() -> None:
    base = {"symbol": "ETHUSDC", "netMax": 1, "baseSize": 1, "nearStepBps": 3}
    assert MarketMakerSpec.model_validate(base).keep_band_bps == Decimal("1.5")
    assert MarketMakerSpec.model_validate(base | {"requoteThreshold": "0.7"}).keep_band_bps == Decimal("0.7")


def test_a_spec_cannot_be_changed_after_it_was_checked() -> None:
    spec = MarketMakerSpec.model_validate({"symbol": "ETHUSDC", "netMax": 1, "baseSize": 1})
    with pytest.raises(ValueError, match="frozen"):
        spec.guards.cooldown = Duration.parse("1s")  # type: ignore[misc]  # what the test is about


def test_specs_that_were_given_the_same_fields_note_so_once() -> None:
    """Else the notes are half of what a fleet's makers take in memory. They are right all the same."""
    given = {"symbol": "ETHUSDC", "netMax": 1, "baseSize": 1, "guards": {"cooldown": "1s"}}
    one, other = (MarketMakerSpec.model_validate(given | {"symbol": symbol}) for symbol in ("ETHUSDC", "BTCUSDT"))
    fewer = MarketMakerSpec.model_validate(given | {"guards": {}})
    assert one.model_fields_set is other.model_fields_set
    assert one.guards.model_fields_set is other.guards.model_fields_set
    assert one.model_fields_set == {"symbol", "net_max", "base_size", "guards"}
    assert (one.guards.model_fields_set, fewer.guards.model_fields_set) == ({"cooldown"}, set())
    changed = one.model_copy(update={"paused": True})
    assert changed.model_fields_set - one.model_fields_set == {"paused"}
