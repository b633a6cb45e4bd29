"""Scenarios: a market and its faults as data, for `--scenario` and for tests.

    apiVersion: phoenix.trading/v1alpha1
    kind: Scenario
    metadata: {name: stale-book}
    spec:
      markets:
        BTCUSDT: {regime: calm, changes: [{atSeconds: 60, regime: jump}]}
      faults:
        - {kind: silence, symbol: BTCUSDT, route: public, startSeconds: 20, durationSeconds: 8}

Everything in `spec` is optional. What is wrong with a file is said with file and field.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import yaml

from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.settings import AmendmentEnd, ExchangeSettings, FillEvent
from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.faults import Fault, Seconds
from phoenix_simulator.latency import LatencySettings
from phoenix_simulator.market.regimes import RegimeName

API_VERSION = "phoenix.trading/v1alpha1"
KIND = "Scenario"


class ScenarioError(ValueError):
    """A scenario that cannot be run: `path`, `field` (a path into the document, may be empty) and `reason`."""

    def __init__(self, path: str, field: str, reason: str) -> None:
        super().__init__(f"{path}: {field}: {reason}" if field else f"{path}: {reason}")
        self.path = path
        self.field = field
        self.reason = reason


def _member(kind: type[QueueModel] | type[AmendmentEnd] | type[FillEvent], field: str, name: str) -> str:
    known = [member.name.lower() for member in kind]
    if name not in known:
        raise ValueError(f"{field} is {name!r}; choose one of {', '.join(known)}")
    return name.upper()


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class RegimeChange(_Body, frozen=True, kw_only=True):
    at_seconds: Seconds
    regime: RegimeName


class MarketPlan(_Body, frozen=True, kw_only=True):
    """A synthetic market: how it begins and how it changes."""

    regime: RegimeName = RegimeName.CALM
    changes: tuple[RegimeChange, ...] = ()


class VenueChoices(_Body, frozen=True, kw_only=True):
    """What the venue's documentation leaves open (see `exchange/settings.py`), by name."""

    queue_model: str = QueueModel.PESSIMISTIC.name.lower()
    amendment_end: str = AmendmentEnd.CANCELED.name.lower()
    fill_events: tuple[str, ...] = tuple(kind.name.lower() for kind in ExchangeSettings().fill_events)
    limits: LimitSettings = LimitSettings()

    def exchange_settings(self) -> ExchangeSettings:
        """ValueError names the choice that does not exist."""
        return ExchangeSettings(
            queue_model=QueueModel[_member(QueueModel, "queueModel", self.queue_model)],
            amendment_end=AmendmentEnd[_member(AmendmentEnd, "amendmentEnd", self.amendment_end)],
            fill_events=tuple(FillEvent[_member(FillEvent, "fillEvents", name)] for name in self.fill_events),
        )


class Scenario(_Body, frozen=True, kw_only=True):
    """`markets` by symbol: listed beside those of the command line."""

    seed: Annotated[int, msgspec.Meta(ge=0)] | None = None
    markets: dict[str, MarketPlan] = {}
    faults: tuple[Fault, ...] = ()
    venue: VenueChoices = VenueChoices()
    latency: LatencySettings = LatencySettings()

    def __post_init__(self) -> None:
        for symbol in self.markets:
            if symbol not in BUILT_IN:
                raise ValueError(f"{symbol} is not listed here; known symbols: {', '.join(BUILT_IN)}")
        self.venue.exchange_settings()


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class _Document(_Body, frozen=True, kw_only=True):
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
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark is not None else ""
        raise ScenarioError(str(path), "", f"{place}{getattr(error, 'problem', None) or 'is no YAML'}") from None
    return parse_scenario(document, str(path))


def parse_scenario(document: object, path: str) -> Scenario:
    """Of a parsed document; `path` is for the message."""
    try:
        parsed = msgspec.convert(document, type=_Document)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at `$")
        raise ScenarioError(path, field.rstrip("`").lstrip("."), reason) from None
    for field, given, wanted in (("apiVersion", parsed.api_version, API_VERSION), ("kind", parsed.kind, KIND)):
        if given != wanted:
            raise ScenarioError(path, field, f"is {given!r}; a scenario has {field}: {wanted}")
    return parsed.spec
