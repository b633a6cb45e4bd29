import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_crds import Duration, Instant, LossLimit, MarketMakerSpec
from phoenix_crds.values import canonical_decimal, parse_decimal
from pydantic_core import PydanticCustomError


@pytest.mark.parametrize(
    ("text", "ns", "canonical"),
    [
        ("500ms", 500_000_000, "500ms"),
        ("1500ms", 1_500_000_000, "1500ms"),
        ("2000ms", 2_000_000_000, "2s"),
        ("60s", 60_000_000_000, "1m"),
        ("90s", 90_000_000_000, "90s"),
        ("48h", 172_800_000_000_000, "48h"),
        ("0s", 0, "0s"),
    ],
)
def test_a_duration_is_exact_and_has_one_spelling(text: str, ns: int, canonical: str) -> None:
    duration = Duration.parse(text)
    assert (duration.ns, str(duration)) == (ns, canonical)
    assert Duration.parse(canonical) == duration


@given(st.integers(min_value=0, max_value=10**9), st.sampled_from(["ms", "s", "m", "h"]))
def test_every_duration_survives_being_written_and_read(number: int, unit: str) -> None:
    duration = Duration.parse(f"{number}{unit}")
    assert Duration.parse(str(duration)) == duration
    assert duration.ms * 1_000_000 == duration.ns


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9))
def test_every_decimal_survives_being_written_and_read(value: Decimal) -> None:
    assert parse_decimal(canonical_decimal(value)) == value


@given(st.text(max_size=40))
def test_any_text_is_a_finite_decimal_or_refused_with_a_remedy(text: str) -> None:
    if re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", text, re.ASCII) and len(text) <= 32:
        assert parse_decimal(text).is_finite()
        return
    with pytest.raises(PydanticCustomError) as refused:
        parse_decimal(text)
    assert refused.value.context is not None
    assert refused.value.context["hint"]


@pytest.mark.parametrize(
    ("text", "capital", "amount"),
    [("5%", "1000", "50"), ("5%", None, None), ("120.5", None, "120.5"), ("120.5", "10", "120.5"), ("100%", "7", "7")],
)
def test_a_loss_limit_is_an_amount_or_a_share_of_capital(text: str, capital: str | None, amount: str | None) -> None:
    limit = LossLimit.parse(text)
    assert limit.of(Decimal(capital) if capital else None) == (Decimal(amount) if amount else None)
    assert LossLimit.parse(str(limit)) == limit


def test_a_spec_prints_its_decimals_as_text_and_never_as_floats() -> None:
    spec = MarketMakerSpec.model_validate({"symbol": "ETHUSDC", "netMax": "0.20", "baseSize": "0.0080"})
    written = json.dumps(spec.model_dump(mode="json", by_alias=True, exclude_none=True))

    def refuse(text: str) -> float:
        raise AssertionError(f"a float reached the manifest: {text}")

    json.loads(written, parse_float=refuse)


@pytest.mark.parametrize(
    ("text", "ms", "written"),
    [
        pytest.param("2026-01-31T08:00:00Z", 1_769_846_400_000, "2026-01-31T08:00:00Z", id="as the API server"),
        pytest.param("2026-01-31T08:00:00.25Z", 1_769_846_400_250, "2026-01-31T08:00:00.250Z", id="milliseconds"),
        pytest.param("2026-01-31T09:00:00+01:00", 1_769_846_400_000, "2026-01-31T08:00:00Z", id="another zone"),
        pytest.param("2026-01-31T08:00:00.123456Z", 1_769_846_400_123, "2026-01-31T08:00:00.123Z", id="microseconds"),
        pytest.param("2026-01-31t08:00:00z", 1_769_846_400_000, "2026-01-31T08:00:00Z", id="small letters"),
    ],
)
def test_an_instant_is_read_as_the_api_server_writes_it(text: str, ms: int, written: str) -> None:
    instant = Instant.parse(text)
    assert (instant.ms, str(instant)) == (ms, written)
    assert Instant.parse(instant) == instant


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_every_instant_survives_being_written_and_read(ms: int) -> None:
    assert Instant.parse(str(Instant(ms))) == Instant(ms)


@pytest.mark.parametrize(
    "value", ["", "now", "2026-01-31", "2026-01-31T08:00:00", "2026-13-01T00:00:00Z", 1, None, True]
)
def test_what_names_no_moment_is_refused_with_a_remedy(value: object) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        Instant.parse(value)
    assert refused.value.context is not None
    assert "RFC 3339" in refused.value.context["hint"]
