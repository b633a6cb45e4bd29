"""Field by field: what somebody wrote is what the core and the account's coordination get, and nothing else.

Every field has a value of its own, and what it must become is found by its name: a line that takes the wrong field, in
`resolve` or between a struct's fields of one type, is a field that does not have its value.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec
import pytest
import yaml
from phoenix_coordination.port import AccountTerms, EmergencyLevel
from phoenix_crds import TradingParameters
from phoenix_crds.values import Duration
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.runtime.resolved import AccountSettings, in_steps
from pydantic import BaseModel

Written = dict[str, object]

PARAMETERS: Written = {
    "netMax": "0.10",
    "baseSize": "0.004",
    "worstCaseMultiplier": "1.31",
    "sizeDecayK": "3.7",
    "layerDecay": "0.91",
    "minSpreadBps": "4.1",
    "edgeBps": "0.51",
    "volMultiplier": "0.61",
    "horizonSeconds": "11",
    "inventorySkewBps": "12",
    "nearLayers": 4,
    "nearStepBps": "1.6",
    "farLayers": 6,
    "farRatio": "1.9",
    "quoteInterval": "600ms",
    "minRequoteInterval": "110ms",
    "requoteThreshold": "0.71",
    "guards": {
        "pinRatio": "0.69",
        "blockRatio": "0.95",
        "flattenRatio": "1.02",
        "liquidateRatio": "1.13",
        "hysteresis": "0.03",
        "pnlStopRatio": "0.06",
        "emergencySlice": "0.81",
        "cooldown": "61s",
        "flattenWidenBps": "2.3",
    },
    "grinding": {
        "enabled": True,
        "ratio": "0.87",
        "deviation": "0.0038",
        "interval": "43s",
        "perHour": 17,
        "size": "0.075",
        "reentry": "2.2",
        "offsetBps": "4.3",
        "boost": "1.4",
    },
    "funding": {"sensitivity": "2.4", "alpha": "0.31"},
    "vpin": {
        "threshold": "0.55",
        "resume": "0.72",
        "halt": "0.85",
        "maxWiden": "2.5",
        "buckets": 52,
        "bucketsPerDay": 1442,
        "halfLife": "62s",
    },
    "risk": {
        "capital": "2000",
        "dailyLossMax": "101",
        "stopLoss": "203",
        "failureRatio": "0.07",
        "failureWindow": 55,
        "saneBandBps": "205",
    },
}
PATIENCE: Written = {
    "staleAfter": "2100ms",
    "lateAfter": "2200ms",
    "handoverAfter": "3100ms",
    "userStream": {"ackLag": "1100ms", "giveUpAfter": "63s"},
}
"""The maker's, for both engines."""
ELSEWHERE = {
    "requoteThresholdBps": "requoteThreshold",
    "fundingSensitivity": "funding.sensitivity",
    "fundingAlpha": "funding.alpha",
    "ackLag": "userStream.ackLag",
    "giveUpAfter": "userStream.giveUpAfter",
}
"""What the core has under another name than people."""
UNUSED = {"risk.capital"}
"""Known to the core only by the limits that are shares of it; `Resolved.capital` tells it."""


def another(value: object) -> object:
    """A second set's value: near the first one's, and nobody's else."""
    match value:
        case dict():
            return {name: another(each) for name, each in value.items()}
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value.endswith("s"):
            return f"{Duration.parse(value).ms + 1}ms"
        case _:
            return str(Decimal(str(value)) + Decimal("0.00001"))


def flat(values: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{path}{name}.")
        else:
            yield path + name, value


def fields_of(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        written = path + (field.alias or name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields_of(field.annotation, f"{written}.")
        else:
            yield written


def written_name(core_name: str) -> str:
    """`guards.cooldown_ns` → `guards.cooldown`."""
    *block, last = core_name.removesuffix("_ns").split(".")
    head, *rest = last.split("_")
    name = ".".join([*block, head + "".join(word.capitalize() for word in rest)])
    return ELSEWHERE.get(name, name)


def in_the_core_s_units(core_name: str, written: object) -> object:
    if core_name.endswith("_ns"):
        return Duration.parse(written).ns
    if core_name in {"risk.daily_loss_max", "risk.stop_loss"}:
        return int(Decimal(str(written)) * MONEY)
    if core_name in {"net_max", "base_size"}:
        return Decimal(str(written))
    return float(written) if isinstance(written, str) else written


def expected(quoting: object, written: Written) -> dict[str, object]:
    """What each field of the core has to be, by its name."""
    values = dict(flat(written))
    names = [name for name, _ in flat(msgspec.structs.asdict(quoting) | nested(quoting))]
    return {name: in_the_core_s_units(name, values[written_name(name)]) for name in names}


def nested(struct: msgspec.Struct) -> dict[str, object]:
    parts = msgspec.structs.asdict(struct)
    return {name: msgspec.structs.asdict(part) for name, part in parts.items() if isinstance(part, msgspec.Struct)}


def told(struct: msgspec.Struct) -> dict[str, object]:
    return dict(flat(msgspec.structs.asdict(struct) | nested(struct)))


@pytest.fixture
def resolved(files):
    """Both files, written anew with these values."""

    def make(maker: Written, account: Written | None = None):
        for file, changes in ((files.maker, maker), (files.account, account or {})):
            manifest = yaml.safe_load(file.read_text())
            manifest["spec"] |= changes
            file.write_text(yaml.safe_dump(manifest))
        return files.resolve()

    return make


def test_every_parameter_has_a_value_of_its_own_here():
    values = [str(value) for _, value in flat({**PARAMETERS, **PATIENCE}) if not isinstance(value, bool)]
    assert sorted(set(values)) == sorted(values)
    assert {name for name, _ in flat(PARAMETERS)} == set(fields_of(TradingParameters))


@pytest.mark.parametrize("paused", [False, True])
def test_each_field_of_the_core_is_what_was_written_under_its_name(resolved, paused):
    written = {**PARAMETERS, **PATIENCE, "paused": paused}
    found = resolved(written)
    assert told(found.quoting) == expected(found.quoting, written)
    assert found.capital == 2000 * MONEY
    used = {written_name(name) for name in told(found.quoting)}
    assert {name for name, _ in flat(written)} - used == UNUSED


def test_each_field_of_the_second_set_is_its_own_and_patience_and_pause_are_the_makers(resolved):
    shadow = another(PARAMETERS)
    found = resolved({**PARAMETERS, **PATIENCE, "shadow": shadow})
    assert told(found.shadow) == expected(found.shadow, {**shadow, **PATIENCE, "paused": False})
    assert told(found.quoting) == expected(found.quoting, {**PARAMETERS, **PATIENCE, "paused": False})


def test_what_is_counted_in_steps_is_all_that_changes_on_the_way_to_the_engine(resolved):
    quoting = resolved({**PARAMETERS, **PATIENCE}).quoting
    ready = told(in_steps(quoting, 100, 4))
    plain = {name: value for name, value in told(quoting).items() if name not in {"net_max", "base_size"}}
    assert ready == {"net_max_steps": 100, "base_size_steps": 4, **plain}


@pytest.mark.parametrize("emergency", ["None", "Halt", "Flatten"])
@pytest.mark.parametrize(("margin_type", "apply"), [("Cross", False), ("Isolated", True)])
def test_each_term_of_the_account_is_what_was_written_under_its_name(resolved, margin_type, apply, emergency):
    found = resolved(
        {"symbol": "ETHUSDT"},
        {
            "egress": "nat-7",
            "limits": {
                "netNotional": "111",
                "grossNotional": "222",
                "dailyLoss": "33",
                "makerNetMax": {"ETHUSDT": "1"},
            },
            "settings": {"leverage": 7, "marginType": margin_type, "apply": apply},
            "budgets": {"requestWeightShare": "0.71", "orderShare": "0.62", "reserveShare": "0.23"},
            "emergency": emergency,
        },
    )
    assert found.settings == AccountSettings(
        leverage=7,
        margin_type=margin_type,
        apply=apply,
        request_weight_share=0.71,
        order_share=0.62,
        reserve_share=0.23,
    )
    levels = {"None": EmergencyLevel.NONE, "Halt": EmergencyLevel.HALT, "Flatten": EmergencyLevel.FLATTEN}
    assert found.terms == AccountTerms(net_micro=111 * 10**6, gross_micro=222 * 10**6, emergency=levels[emergency])
    assert (found.daily_loss, found.egress, found.symbol) == (33 * MONEY, "nat-7", "ETHUSDT")
