"""Scenarios: a market and its faults as data, for `--scenario` and for tests.

    apiVersion: phoenix.trading/v1alpha1
    kind: Scenario
    metadata: {name: stale-book}
    spec:
      markets:
        BTCUSDT: {regime: calm, changes: [{atSeconds: 60, regime: jump}]}
      faults:
        - {kind: silence, symbol: BTCUSDT, route: public, startSeconds: 20, durationSeconds: 8}
      expect:
        - {kind: quoting, symbol: BTCUSDT, after: faults, withinSeconds: 10}
        - {kind: audit-clean}

Everything in `spec` is optional. What is wrong with a file is said with file, line and field.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.settings import (
    CancelBatchSizeCode,
    ExchangeSettings,
    FillEvent,
    OrderEnd,
    ReduceOnlyExcess,
    StrayTimeInForceCode,
)
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.expectations import Expectation, FaultsMet, LossWithin, Origin
from phoenix_simulator.fault_targets import unreachable
from phoenix_simulator.faults import Fault, Seconds
from phoenix_simulator.latency import LatencySettings
from phoenix_simulator.market.agents import Agent
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.scenario_text import Steps, TextError, read_text

API_VERSION = "phoenix.trading/v1alpha1"
KIND = "Scenario"
_UNKNOWN_FIELD = re.compile("unknown field `(.*)`")
_MOST_TRADED = 1_000_000_000
"""In a minute: more than any symbol of the venue trades in a day."""
_ASSETS = frozenset(spec.margin_asset for spec in BUILT_IN.values())


class ScenarioError(ValueError):
    """A scenario that cannot be run: `path`, `field` (a path into the document, may be empty), `reason` and, where the
    text is known, `line`.
    """

    def __init__(self, path: str, field: str, reason: str, line: int | None = None) -> None:
        place = path if line is None else f"{path}:{line}"
        super().__init__(f"{place}: {field}: {reason}" if field else f"{place}: {reason}")
        self.path = path
        self.field = field
        self.reason = reason
        self.line = line


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class RegimeChange(_Body, frozen=True, kw_only=True):
    at_seconds: Seconds
    regime: RegimeName


class MarketPlan(_Body, frozen=True, kw_only=True):
    """A synthetic market: how it begins and how it changes, and who in it reacts to accounts' quotes.

    `tradedBefore`: base units in each minute of the day before the start, half of them bought by takers, so that who
    reads candles knows what a usual volume is. Absent: nobody traded.
    """

    regime: RegimeName = RegimeName.CALM
    changes: tuple[RegimeChange, ...] = ()
    agents: tuple[Agent, ...] = ()
    traded_before: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if not (self.traded_before.is_finite() and 0 <= self.traded_before <= _MOST_TRADED):
            raise ValueError(f"tradedBefore is {self.traded_before}: write a quantity of 0 to {_MOST_TRADED:,}")


class VenueChoices(_Body, frozen=True, kw_only=True):
    """What the venue's documentation leaves open (see `exchange/settings.py`), by name."""

    queue_model: QueueModel = QueueModel.PESSIMISTIC
    amendment_end: OrderEnd = OrderEnd.CANCELED
    countdown_end: OrderEnd = OrderEnd.CANCELED
    good_till_end: OrderEnd = OrderEnd.EXPIRED
    reduce_only_excess: ReduceOnlyExcess = ReduceOnlyExcess.REJECT
    ack_turnover: bool = False
    stray_time_in_force: StrayTimeInForceCode = -1106
    cancel_batch_size: CancelBatchSizeCode = -4032
    fill_events: tuple[FillEvent, ...] = ExchangeSettings().fill_events
    limits: LimitSettings = LimitSettings()
    insurance_fund: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """What the insurance fund begins with in each margin asset; where it cannot pay, others are deleveraged."""

    def __post_init__(self) -> None:
        self.exchange_settings()

    def exchange_settings(self) -> ExchangeSettings:
        """ValueError where the choices contradict each other."""
        return ExchangeSettings(
            queue_model=self.queue_model,
            amendment_end=self.amendment_end,
            countdown_end=self.countdown_end,
            good_till_end=self.good_till_end,
            reduce_only_excess=self.reduce_only_excess,
            ack_turnover=self.ack_turnover,
            stray_time_in_force=self.stray_time_in_force,
            cancel_batch_size=self.cancel_batch_size,
            fill_events=self.fill_events,
            insurance_fund_e8=None if self.insurance_fund is None else self.insurance_fund * E8,
        )


class Scenario(_Body, frozen=True, kw_only=True):
    """`markets` by symbol: listed beside those of the command line."""

    seed: Annotated[int, msgspec.Meta(ge=0)] | None = None
    markets: dict[str, MarketPlan] = {}
    faults: tuple[Fault, ...] = ()
    expect: tuple[Expectation, ...] = ()
    venue: VenueChoices = VenueChoices()
    latency: LatencySettings = LatencySettings()

    def __post_init__(self) -> None:
        for symbol in self.markets:
            if symbol not in BUILT_IN:
                raise ValueError(f"{symbol} is not listed here; known symbols: {', '.join(BUILT_IN)}")


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class Document(_Body, frozen=True, kw_only=True):
    api_version: str
    kind: str
    metadata: _Metadata = _Metadata()
    spec: Scenario = Scenario()


def load_scenario(path: Path) -> Scenario:
    """Raises ScenarioError for what cannot be read, parsed or meant."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(str(path), "", f"cannot be read: {error}") from None
    try:
        written = read_text(text)
    except TextError as error:
        raise ScenarioError(str(path), "", error.reason, error.line) from None
    try:
        return parse_scenario(written.document, str(path))
    except ScenarioError as error:
        line = written.line_of((*path_of(error.field), *_UNKNOWN_FIELD.findall(error.reason)))
        raise ScenarioError(error.path, error.field, error.reason, line) from None


def parse_scenario(document: object, path: str) -> Scenario:
    """Of a parsed document; `path` is for the message."""
    try:
        parsed = msgspec.convert(document, type=Document)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at `$")
        raise ScenarioError(path, field.rstrip("`").lstrip("."), reason) from None
    for field, given, wanted in (("apiVersion", parsed.api_version, API_VERSION), ("kind", parsed.kind, KIND)):
        if given != wanted:
            raise ScenarioError(path, field, f"is {given!r}; a scenario has {field}: {wanted}")
    for field, reason in _contradictions(parsed.spec):
        raise ScenarioError(path, f"spec.{field}", reason)
    return parsed.spec


def path_of(field: str) -> Steps:
    """`spec.faults[0].kind` → its path; steps without a name (`[...]`, a key of a map) end it."""
    known = field.partition("[...]")[0]
    return tuple(int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", known))


def _contradictions(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """(field, reason) of what is well-formed by itself and still cannot be: changes out of order, a fault that
    would hit nobody, an expectation that could never be judged.
    """
    yield from _wrong_markets(scenario)
    yield from _wrong_faults(scenario)
    yield from _wrong_expectations(scenario)


def _wrong_markets(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for symbol, plan in scenario.markets.items():
        spec = BUILT_IN[symbol]
        if spec.steps_of(plan.traded_before) is None:
            where = f"markets.{symbol}.tradedBefore"
            yield where, f"{plan.traded_before} is off the grid: write a multiple of {spec.step_size}"
        for number, (earlier, later) in enumerate(pairwise(plan.changes), start=1):
            if later.at_seconds <= earlier.at_seconds:
                where = f"markets.{symbol}.changes[{number}].atSeconds"
                yield where, f"{later.at_seconds:g} is not after {earlier.at_seconds:g}: write changes as they follow"


def _wrong_faults(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for index, fault in enumerate(scenario.faults):
        for name, pattern in (("symbol", getattr(fault, "symbol", None)), ("when.symbol", _condition_symbol(fault))):
            if pattern is not None and not any(fnmatchcase(symbol, pattern.upper()) for symbol in BUILT_IN):
                yield f"faults[{index}].{name}", f"{pattern} matches no symbol; there are {', '.join(BUILT_IN)}"
        if (wrong := unreachable(fault)) is not None:
            field, reason = wrong
            yield f"faults[{index}].{field}", reason


def _wrong_expectations(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for index, expectation in enumerate(scenario.expect):
        where = f"expect[{index}]"
        symbol = getattr(expectation, "symbol", None)
        if symbol is not None and symbol not in BUILT_IN:
            yield f"{where}.symbol", f"{symbol} is not listed here; known symbols: {', '.join(BUILT_IN)}"
        if isinstance(expectation, LossWithin) and expectation.asset not in _ASSETS:
            yield f"{where}.asset", f"{expectation.asset} is no margin asset; there are {', '.join(sorted(_ASSETS))}"
        if isinstance(expectation, FaultsMet) and not scenario.faults:
            yield where, "there are no faults to meet"
        if expectation.after is Origin.FAULTS:
            endless = next((number for number, fault in enumerate(scenario.faults) if fault.is_endless), None)
            if endless is not None:
                yield f"{where}.after", f"faults[{endless}] has no end: give it durationSeconds, count or times"


def _condition_symbol(fault: Fault) -> str | None:
    return None if fault.when is None else fault.when.symbol
