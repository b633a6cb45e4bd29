"""Server and model agree: on what is admitted, on every default, and so on the digest of what a worker is to run."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import yaml
from api_client import Answer
from api_server import ApiServer
from bad_manifests import ACCOUNT, MAKER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phoenix_crds import Duration, MarketMakerSpec, TradingAccountSpec, resolved_hash
from phoenix_crds.fields import Declared, Kind, Shape, declared
from phoenix_crds.rules import Resource
from pydantic import ValidationError

Show = Callable[[str | dict[str, Any]], Answer]

MAKER_SPEC: dict[str, Any] = yaml.safe_load(MAKER)["spec"]
ACCOUNT_SPEC: dict[str, Any] = yaml.safe_load(ACCOUNT)["spec"]
MAKER_MODEL = MarketMakerSpec.model_validate(MAKER_SPEC)
ACCOUNT_MODEL = TradingAccountSpec.model_validate(ACCOUNT_SPEC)

# What is wrong with a value of any type. Null (the server takes it for absent) and 3.0 (for 3) are in the other table.
NONSENSE = st.sampled_from(
    ["", "x", "1e3", "05", "-0", " 1", "1 ", "١", "%", "5%%", "-5%", 0.5, -1, 10**20, 2**63, True, [], {}, [1]]
)
USUALLY = 6  # of so many values one is drawn from beyond what is allowed, or near its bounds


def _mostly(usual: st.SearchStrategy[object], odd: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.integers(0, USUALLY).flatmap(lambda draw: odd if draw == USUALLY else usual)


def _numbers(shape: Shape) -> st.SearchStrategy[object]:
    """Anywhere between the bounds, at them and just beside them; quoted or as an integer.

    Digits beyond what a double tells apart are left out: the rules of the server compare doubles.
    """
    bounds = shape.bounds
    ends = [end for end in (bounds.least, bounds.above, bounds.most, bounds.below) if end is not None] or [Decimal(1)]
    near = st.sampled_from([end + step for end in ends for step in (0, Decimal("0.001"), Decimal("-0.001"), -1, 1)])
    low = (bounds.above or Decimal(0)) + Decimal("0.001") if bounds.least is None else bounds.least
    high = next((end for end in (bounds.most, bounds.below) if end is not None), Decimal(6000))
    between = st.decimals(low, high - Decimal("0.001"), places=3)
    integers = near.map(int) | between.map(int)
    return _mostly(between.map(lambda value: f"{value:f}"), near.map(lambda value: f"{value:f}") | integers)


def _durations(shape: Shape) -> st.SearchStrategy[object]:
    ends = (shape.between.least, shape.between.most) if shape.between else ("1s",)
    near = [Duration(Duration.parse(end).ns + step) for end in ends for step in (0, 1_000_000, -1_000_000)]
    units = st.tuples(st.integers(0, 9999), st.sampled_from(["ms", "s", "m", "h"])).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    )
    middle = (
        st.integers(*(Duration.parse(end).ms for end in ends)).map(lambda ms: f"{ms}ms") if shape.between else units
    )
    return _mostly(middle, st.sampled_from(near).map(str) | units)


def _written(shape: Shape) -> st.SearchStrategy[object]:
    if shape.model is not None:
        return _blocks(shape.model, most=3)
    if shape.items is not None:
        inside = _written(shape.items)
        lists = st.lists(inside, max_size=3)
        keys = _mostly(st.text("AZ19", min_size=2, max_size=6), st.text("AZ1a-", max_size=4))
        return lists if shape.keys is None else st.dictionaries(keys, inside, max_size=3)
    match shape.kind:
        case Kind.DECIMAL:
            return _numbers(shape)
        case Kind.LOSS:
            return _numbers(shape) | st.decimals(-1, 102, places=2).map(lambda value: f"{value:f}%")
        case Kind.DURATION:
            return _durations(shape)
        case Kind.INTEGER:
            least, most = int(shape.bounds.least or 0), int(shape.bounds.most or 130)
            return _mostly(st.integers(least, most), st.sampled_from([least - 1, most + 1, 10**12]))
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.CHOICE:
            return st.sampled_from(shape.choices)
        case _:
            return _mostly(st.from_regex(shape.pattern, fullmatch=True), st.text("aB1-._é\n", max_size=64))


def _value(field: Declared) -> st.SearchStrategy[object]:
    """Mostly what one would write there."""
    return st.integers(0, 24).flatmap(lambda draw: NONSENSE if draw == 24 else _written(field.shape))


def _blocks(model: Any, most: int) -> st.SearchStrategy[dict[str, Any]]:
    """The required fields and a few of the others."""
    fields = {field.name: field for field in declared(model)}
    required = st.fixed_dictionaries({name: _value(field) for name, field in fields.items() if field.required})
    optional = sorted(name for name, field in fields.items() if not field.required)
    chosen = st.lists(st.sampled_from(optional), max_size=most, unique=True) if optional else st.just([])
    others = chosen.flatmap(lambda names: st.fixed_dictionaries({name: _value(fields[name]) for name in names}))
    return st.tuples(required, others).map(lambda parts: parts[0] | parts[1])


def _bent(model: type[Resource], good: dict[str, Any], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """The good spec with a few fields written anew."""
    fields = {field.name: field for field in declared(model)}
    chosen = st.lists(st.sampled_from(sorted(fields)), max_size=most, unique=True)
    changes = chosen.flatmap(lambda names: st.fixed_dictionaries({name: _value(fields[name]) for name in names}))
    return changes.map(lambda changed: good | changed)


def _judged(model: type[Resource], spec: dict[str, Any]) -> str:
    """Empty where the model takes it."""
    try:
        model.model_validate(spec)
    except ValidationError as error:
        return str(error)
    return ""


def _agree(answer: Answer, model: type[Resource], spec: dict[str, Any]) -> dict[str, Any] | None:
    """The spec as the server would keep it, None where both refuse."""
    refused = _judged(model, spec)
    assert answer.ok == (not refused), f"server: {answer.message or 'admits'}\nmodel: {refused or 'admits'}\n{spec}"
    return answer.body["spec"] if answer.ok else None


once_a_session = settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@once_a_session
@given(spec=_bent(MarketMakerSpec, MAKER_SPEC, most=4))
def test_on_any_maker(show: Show, spec: dict[str, Any]) -> None:
    manifest = {"apiVersion": "phoenix.trading/v1alpha1", "kind": "MarketMaker", "metadata": {"name": "any"}}
    kept = _agree(show(manifest | {"spec": spec}), MarketMakerSpec, spec)
    if kept is not None:
        ours, theirs = MarketMakerSpec.model_validate(spec), MarketMakerSpec.model_validate(kept)
        assert theirs == ours
        assert resolved_hash(theirs, ACCOUNT_MODEL) == resolved_hash(ours, ACCOUNT_MODEL)


@once_a_session
@given(spec=_bent(TradingAccountSpec, ACCOUNT_SPEC, most=3))
def test_on_any_account(show: Show, spec: dict[str, Any]) -> None:
    manifest = {"apiVersion": "phoenix.trading/v1alpha1", "kind": "TradingAccount", "metadata": {"name": "any"}}
    kept = _agree(show(manifest | {"spec": spec}), TradingAccountSpec, spec)
    if kept is not None:
        ours, theirs = TradingAccountSpec.model_validate(spec), TradingAccountSpec.model_validate(kept)
        assert theirs == ours
        assert resolved_hash(MAKER_MODEL, theirs) == resolved_hash(MAKER_MODEL, ours)


EVERY_BLOCK = [field.name for field in declared(MarketMakerSpec) if field.shape.kind is Kind.OBJECT]


@pytest.mark.parametrize("block", EVERY_BLOCK)
def test_an_empty_block_is_filled_as_the_model_fills_it(show: Show, block: str) -> None:
    spec = MAKER_SPEC | {block: {}}
    kept = _agree(show(yaml.safe_load(MAKER) | {"spec": spec}), MarketMakerSpec, spec)
    assert kept is None or MarketMakerSpec.model_validate(kept) == MarketMakerSpec.model_validate(spec)


def test_what_is_stored_has_every_default_written_out(
    api_server: ApiServer, create: Callable[[dict[str, Any]], Any], path: Callable[[str], str]
) -> None:
    """So that an operator of another version, and a person, see what is in force."""
    for manifest, model in ((MAKER, MAKER_MODEL), (ACCOUNT, ACCOUNT_MODEL)):
        written = yaml.safe_load(manifest)
        create(written)
        where = f"{path(written['kind'])}/{written['metadata']['name']}"
        kept = api_server.admin.get(where).expect()["spec"]
        assert model.model_dump(mode="json", by_alias=True, exclude_none=True) == _canonical(kept, model)
        assert kept == kept | written["spec"], "and what was written as it was written"


def _canonical(kept: dict[str, Any], model: Resource) -> dict[str, Any]:
    """What the server keeps, with numbers spelled as the model spells them, and nothing added."""
    read = type(model).model_validate(kept)
    return read.model_dump(mode="json", by_alias=True, exclude_unset=True)
