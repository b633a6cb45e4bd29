"""`MarketMaker`: one symbol, who trades it, how, and what happens around it."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from phoenix_crds.metadata import API_VERSION, ObjectMeta
from phoenix_crds.parameters import Ramp, TradingParameters
from phoenix_crds.rules import Resource, Rule
from phoenix_crds.status import MakerStatus
from phoenix_crds.values import Between, DnsSubdomain, Duration, Flag, Immutable, Symbol


class Mode(StrEnum):
    """Whether orders reach the exchange."""

    DRY_RUN = "DryRun"
    LIVE = "Live"


class OnDelete(StrEnum):
    """What happens to the position when the resource is deleted. Orders are always withdrawn."""

    WITHDRAW = "Withdraw"
    FLATTEN = "Flatten"


class UserStream(Resource):
    """When the stream of our own orders and fills counts as broken."""

    ack_lag: Annotated[Duration, Between("50ms", "1m")] = Duration.parse("1s")
    """An acknowledged request must show its event within this time, or the stream is out of sync and quotes go out. 1
    s is many round trips."""
    give_up_after: Annotated[Duration, Between("5s", "1h")] = Duration.parse("60s")
    """When reconnecting has failed for so long, the worker cancels over REST and ends: it never runs on half-blind.
    60 s is the dead-man timer of the exchange."""


class MarketMakerSpec(TradingParameters):
    """What a person wants of one symbol."""

    # A change of these needs another process; every other field is in force between two decisions.
    cold_fields: ClassVar[frozenset[str]] = frozenset({"symbol", "account_ref", "mode", "standby"})

    symbol: Annotated[Symbol, Immutable("another symbol is another maker")]
    """The contract as the exchange writes it, for example BTCUSDT. Immutable: another symbol is another maker."""
    account_ref: Annotated[DnsSubdomain, Immutable("orders and position stay on the old account")] = "default"
    """Name of the TradingAccount in the same namespace. Immutable, because orders and position stay on the old
    account."""
    mode: Mode = Mode.DRY_RUN
    """DryRun decides everything and sends no order. Live is written by a person."""
    paused: Flag = False
    """True withdraws the quotes and sends none until it is false again; guards stay alive."""
    standby: Flag = False
    """True keeps a warm second pod that takes over within a second. False: a crash costs a start."""
    on_delete: OnDelete = OnDelete.WITHDRAW
    """Withdraw leaves the position open; Flatten closes it at the market. Withdraw, because closing costs money and
    is asked for, never a side effect."""
    restart_after: Annotated[Duration, Between("10s", "1h")] = Duration.parse("60s")
    """A worker that stays unready because of a stale price for so long is replaced. 60 s: it heals itself first,
    which takes seconds."""
    handover_after: Annotated[Duration, Between("500ms", "10m")] = Duration.parse("3s")
    """A leader that is unready for so long releases to a warm standby by itself. 3 s is more than a reconnect, less
    than a lost minute."""

    stale_after: Annotated[Duration, Between("500ms", "1m")] = Duration.parse("2s")
    """The price is suspect after so long without any frame of the symbol's book. 2 s: a major symbol's frames never
    rest for 1 s."""
    late_after: Annotated[Duration, Between("100ms", "1m")] = Duration.parse("2s")
    """A frame older than this by the exchange's clock counts as stale. 2 s: a quote made on older news is a gift."""
    user_stream: UserStream = UserStream()
    """When the stream of our own orders and fills counts as broken."""
    ramp: Ramp | None = None
    """Capital in stages. None: risk.capital from the first minute."""
    shadow: TradingParameters | None = None
    """A second set of parameters for a second engine in the same worker, whose actions are only recorded, beside
    the live ones."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        *TradingParameters.rules,
        Rule["MarketMakerSpec"](
            fields=("risk.capital", "mode"),
            cel="self.mode != 'Live' || has(self.risk.capital)",
            message='mode Live needs risk.capital, the base of the loss limits: add for example risk: {capital: "500"}',
            holds=lambda spec: spec.mode is not Mode.LIVE or spec.risk.capital is not None,
        ),
        Rule["MarketMakerSpec"](
            fields=("ramp.stages", "risk.capital"),
            cel=(
                "!has(self.ramp) || (has(self.risk.capital)"
                " && self.ramp.stages.all(s, double(s.capital) <= double(self.risk.capital)))"
            ),
            message="ramp.stages grow towards risk.capital: set risk.capital to at least the last stage's capital",
            holds=lambda spec: (
                spec.ramp is None
                or (spec.risk.capital is not None and all(s.capital <= spec.risk.capital for s in spec.ramp.stages))
            ),
        ),
    )


class MarketMaker(Resource):
    """One symbol, traded by one worker at a time."""

    api_version: Literal["phoenix.trading/v1alpha1"] = API_VERSION
    """Group and version of the resource."""
    kind: Literal["MarketMaker"] = "MarketMaker"
    metadata: ObjectMeta
    spec: MarketMakerSpec
    """What a person wants of the symbol."""
    status: MakerStatus | None = None
    """What is, written by the operator."""
