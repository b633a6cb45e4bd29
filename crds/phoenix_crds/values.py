"""The scalar types of the resources: exact decimals with a unit, durations, losses as an amount or a share, names.

Decimals are written as quoted strings or integers. A float is refused: YAML, JSON and GitOps tools each print 0.1 their
own way, and what is printed differently is drift, or a different order size.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, GetCoreSchemaHandler, PlainSerializer, Strict, StringConstraints
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
LOSS = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?%?$"
DURATION = r"^(0|[1-9][0-9]*)(ms|s|m|h)$"
LONGEST_DECIMAL = 32  # the venue's numbers have at most 8 decimals and well under 20 digits before them
LONGEST_DURATION = 12
_DECIMAL = re.compile(DECIMAL.strip("^$"))
_DURATION = re.compile(DURATION.strip("^$"))

_NS_PER_UNIT = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a field, for `explain` and the generated reference."""

    name: str


@dataclass(frozen=True, slots=True)
class Immutable:
    """A field that never changes once the object is there; `why` for who tries."""

    why: str
    cel: ClassVar[str] = "self == oldSelf"


class MapKeys:
    """A list whose items the API server merges by these fields, and refuses twice; written as in YAML."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys


class Emergency(StrEnum):
    """Levels of the switch, from none to closing everything; the higher of this and the sticky switch counts."""

    NONE = "None"
    HALT = "Halt"
    FLATTEN = "Flatten"


def _refused(kind: str, message: str, hint: str) -> PydanticCustomError:
    # Braces in what a person wrote would be read as a template by pydantic, so the text travels in the context.
    return PydanticCustomError(kind, "{message}", {"message": message, "hint": hint})


def parse_decimal(value: object) -> Decimal:
    """`"0.70"`, `12` or a Decimal → Decimal; raises PydanticCustomError for anything else, floats above all."""
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, bool):
        raise _refused(
            "decimal", "is a boolean, expected a number", 'write a quoted decimal such as "0.5", or an integer'
        )
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:  # which JSON and the API server read as a float
            raise _refused("decimal", "has too many digits", f"put it in quotes, with at most {LONGEST_DECIMAL} digits")
        return Decimal(value)
    if isinstance(value, float) and math.isfinite(value):
        plain = f"{Decimal(repr(value)):f}"  # what somebody wrote as 0.00001 reads back as 1e-05
        raise _refused(
            "decimal_float", f"{plain} is a float, whose digits are not exact", f'put it in quotes: "{plain[:40]}"'
        )
    if isinstance(value, str) and len(value) <= LONGEST_DECIMAL and _DECIMAL.fullmatch(value):
        return Decimal(value)
    shown = f'"{value[:40]}"' if isinstance(value, str) else _kind(value)
    raise _refused("decimal", f"{shown} is not a decimal number", 'write a quoted decimal such as "0.5", or an integer')


def _kind(value: object) -> str:
    match value:
        case None:
            return "an empty value"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case float():
            return f"{value}"
        case _:
            return f"a {type(value).__name__}"


def canonical_decimal(value: Decimal) -> str:
    """One spelling for one number (`0.70` → `0.7`), so that a hash does not depend on how it was typed."""
    text = format(value.normalize(), "f")
    return "0" if text == "-0" else text


_EXACT = (BeforeValidator(parse_decimal), PlainSerializer(canonical_decimal, return_type=str))

BaseQuantity = Annotated[Decimal, *_EXACT, Unit("base asset")]
QuoteAmount = Annotated[Decimal, *_EXACT, Unit("quote asset")]
Bps = Annotated[Decimal, *_EXACT, Unit("bps")]
Ratio = Annotated[Decimal, *_EXACT, Unit("ratio")]
Flag = Annotated[bool, Strict()]  # `"true"` and 1 are refused, as by the API server
Seconds = Annotated[Decimal, *_EXACT, Unit("s")]


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time, exact in nanoseconds. Written as one integer and one unit: `500ms`, `2s`, `1m`, `8h`."""

    ns: int

    @classmethod
    def parse(cls, value: object) -> Self:
        """The written form (or a Duration) → Duration; raises PydanticCustomError otherwise, bare numbers included."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and len(value) <= LONGEST_DURATION and (found := _DURATION.fullmatch(value)):
            return cls(int(found[1]) * _NS_PER_UNIT[found[2]])
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise _refused(
                "duration_unit", f"{value} has no unit", f'say which one, for example "{value:.0f}s" or "{value:.0f}ms"'
            )
        shown = f'"{value[:40]}"' if isinstance(value, str) else _kind(value)
        raise _refused(
            "duration",
            f"{shown} is not a duration",
            'write one integer and one of ms, s, m, h: "500ms", "2s", "1m", "8h"',
        )

    @property
    def ms(self) -> int:
        return self.ns // 1_000_000

    @property
    def seconds(self) -> float:
        return self.ns / 1e9

    def __str__(self) -> str:
        """The canonical form, in the largest unit that gives an integer."""
        for unit in ("h", "m", "s"):
            if self.ns and self.ns % _NS_PER_UNIT[unit] == 0:
                return f"{self.ns // _NS_PER_UNIT[unit]}{unit}"
        return f"{self.ms}ms" if self.ns else "0s"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema(when_used="always")
        )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A point in time, `ms` of wall time since 1970. Written as the API server does: `2026-01-31T08:00:00Z`."""

    ms: int

    @classmethod
    def parse(cls, value: object) -> Self:
        """RFC 3339 (or an Instant) → Instant, to the millisecond; raises PydanticCustomError otherwise."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and len(value) <= 40 and "T" in value.upper():
            try:
                moment = datetime.fromisoformat(value.upper())
            except ValueError:
                moment = None
            if moment is not None and moment.tzinfo is not None:
                return cls((moment - _EPOCH) // timedelta(milliseconds=1))
        shown = f'"{value[:40]}"' if isinstance(value, str) else _kind(value)
        raise _refused("instant", f"{shown} is not a time", 'write RFC 3339 with its zone: "2026-01-31T08:00:00Z"')

    def __str__(self) -> str:
        """RFC 3339 in UTC, with milliseconds only where there are some: what was read is written again as it was."""
        moment = _EPOCH + timedelta(milliseconds=self.ms)
        return moment.isoformat(timespec="milliseconds" if self.ms % 1000 else "seconds").replace("+00:00", "Z")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema(when_used="always")
        )


@dataclass(frozen=True, slots=True)
class LossLimit:
    """A loss that somebody accepts: an amount of the quote asset, or a share of `risk.capital` (`"5%"`)."""

    amount: Decimal | None
    share: Decimal | None

    @classmethod
    def parse(cls, value: object) -> Self:
        """`"5%"`, `"120.50"` or `120` → LossLimit, always above 0 and a share at most 100 %."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and value.endswith("%"):
            percent = parse_decimal(value[:-1])
            if not 0 < percent <= 100:
                raise _refused("loss_limit", f'"{value[:40]}" is outside 0 % … 100 %', 'write a share such as "5%"')
            return cls(amount=None, share=percent / 100)
        amount = parse_decimal(value)
        if amount <= 0:
            raise _refused(
                "loss_limit", "must be greater than 0", 'write an amount such as "50", or a share such as "5%"'
            )
        return cls(amount=amount, share=None)

    def of(self, capital: Decimal | None) -> Decimal | None:
        """The amount in the quote asset; None where it is a share and no capital is declared (only a DryRun may)."""
        if self.amount is not None:
            return self.amount
        if self.share is None or capital is None:
            return None
        return self.share * capital

    def __str__(self) -> str:
        if self.share is not None:
            return f"{canonical_decimal(self.share * 100)}%"
        return canonical_decimal(self.amount or Decimal(0))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema(when_used="always")
        )


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a Duration, both included (pydantic's own constraints do not read durations)."""

    least: str
    most: str
    why: str = ""

    @property
    def cel(self) -> str:
        """The same bounds for the API server, `self` being the field."""
        return f"duration(self) >= duration('{self.least}') && duration(self) <= duration('{self.most}')"

    @property
    def refusal(self) -> str:
        """What is wrong with a value that is not between them."""
        return f"outside {self.least} … {self.most}" + (f": {self.why}" if self.why else "")

    @property
    def remedy(self) -> str:
        return f"choose {self.least} to {self.most}"

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        least, most = Duration.parse(self.least), Duration.parse(self.most)

        def check(value: Duration) -> Duration:
            if not least <= value <= most:
                raise _refused("duration_range", f"{value} is {self.refusal}", self.remedy)
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))


# Names as the API server admits them (RFC 1123 label and subdomain).
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL, min_length=1, max_length=63)]
DnsSubdomain = Annotated[str, StringConstraints(pattern=DNS_SUBDOMAIN, min_length=1, max_length=253)]
# ASCII capitals and digits only: the symbol is a label value of the pod, and those are ASCII.
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]+$", min_length=2, max_length=32)]
