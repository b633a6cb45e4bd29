"""`TradingAccount`: what the makers of one account share: venue, key, limits, budgets, the emergency switch."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from phoenix_crds.metadata import API_VERSION, ObjectMeta
from phoenix_crds.rules import Resource, Rule
from phoenix_crds.status import AccountStatus
from phoenix_crds.values import (
    BaseQuantity,
    DnsLabel,
    DnsSubdomain,
    Emergency,
    Flag,
    Immutable,
    QuoteAmount,
    Ratio,
    Symbol,
)


class Venue(StrEnum):
    """The exchanges that Phoenix speaks."""

    BINANCE_USDM = "BinanceUSDM"


class Environment(StrEnum):
    """Which of the venue's worlds: a simulator, play money, or money."""

    SIMULATOR = "Simulator"
    TESTNET = "Testnet"
    PRODUCTION = "Production"


class MarginType(StrEnum):
    """How a position's margin is kept."""

    CROSS = "Cross"
    ISOLATED = "Isolated"


class Endpoints(Resource):
    """Where a simulator listens. The other environments have fixed addresses, so that no key is ever sent elsewhere."""

    base_url: Annotated[
        str, StringConstraints(pattern="^https?://[A-Za-z0-9.\\-\\[\\]:]+(:[0-9]{1,5})?/?$", max_length=253)
    ]
    """Base URL of REST; streams and WebSocket API are reached at the same host, for example http://127.0.0.1:9000."""


class CredentialsSecretRef(Resource):
    """The Secret that holds the key: `apiKey`, and `privateKey` (Ed25519) or `apiSecret` (HMAC).

    It is mounted by reference; the operator never reads it.
    """

    name: DnsSubdomain
    """Name of the Secret in the same namespace."""


class Limits(Resource):
    """What all makers of the account may hold together, in the worst case. Raising one needs the verb `limit`."""

    net_notional: QuoteAmount = Field(gt=0)
    """Largest net exposure over all symbols, in the worst case of all live orders, long or short."""
    gross_notional: QuoteAmount = Field(gt=0)
    """Largest sum of the symbols' exposures, in the worst case of all live orders."""
    daily_loss: QuoteAmount = Field(gt=0)
    """Loss of the account's makers together since 00:00 UTC beyond which everything halts, until a person resumes it:
    on the next UTC day, or once this is raised."""
    maker_net_max: dict[Symbol, Annotated[BaseQuantity, Field(gt=0)]] = Field(max_length=1000)
    """By symbol, the largest netMax that a maker may set, in base units. A symbol that is not listed may not be
    traded."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["Limits"](
            fields=("netNotional", "grossNotional"),
            cel="double(self.netNotional) <= double(self.grossNotional)",
            message="netNotional can never exceed grossNotional: raise grossNotional or lower netNotional",
            holds=lambda limits: limits.net_notional <= limits.gross_notional,
        ),
    )


class Budgets(Resource):
    """Shares of the venue's rate limits that these makers may use; the rest is for people and other programs."""

    request_weight_share: Ratio = Field(default=Decimal("0.8"), gt=0, le=1)
    """Share of the request weight a minute of the public IP (`egress`). 0.8: a person can still look at the
    account."""
    order_share: Ratio = Field(default=Decimal("0.8"), gt=0, le=1)
    """Share of the account's order counts. 0.8, as above."""
    reserve_share: Ratio = Field(default=Decimal("0.2"), ge=0, lt=1)
    """Part of both that only cancels and reducing orders may use. 0.2 withdraws and closes whatever quoting has used
    up."""


class VenueSettings(Resource):
    """Settings of the account at the venue: verified at start, changed only where `apply` says so and while flat."""

    leverage: int = Field(default=10, strict=True, ge=1, le=125)
    """Leverage of each traded symbol. Unit: times. 10 leaves room for 1.15 times netMax on moderate capital; the
    limits above bound the risk, not this."""
    margin_type: MarginType = MarginType.CROSS
    """Cross shares the account's balance between its symbols, which offsets hedged positions; Isolated fences
    each."""
    apply: Flag = False
    """True lets a worker set leverage and margin type while the symbol is flat. False: it refuses to start on a
    difference and says so."""


class TradingAccountSpec(Resource):
    """What the makers of one account share."""

    venue: Venue = Venue.BINANCE_USDM
    """The exchange."""
    environment: Annotated[Environment, Immutable("another environment is another account")]
    """Simulator, Testnet or Production. Immutable and without a default: nobody trades money by omission."""
    endpoints: Endpoints | None = None
    """Where the simulator listens; only for environment Simulator."""
    credentials_secret_ref: CredentialsSecretRef | None = None
    """The key. A Simulator may go without: the local runner makes one there."""
    egress: DnsLabel = "default"
    """Name of the public IP that requests leave from. Accounts behind one NAT share the name, and so its request
    weight."""
    limits: Limits
    """What all makers may hold together. Required: an account without limits has none."""
    budgets: Budgets = Budgets()
    """Shares of the venue's rate limits."""
    settings: VenueSettings = VenueSettings()
    """Leverage and margin type."""
    emergency: Emergency = Emergency.NONE
    """None, Halt (nothing rests, nothing opens) or Flatten (and close what is open). In force as long as it says so;
    a sticky stop counts besides."""

    rules: ClassVar[tuple[Rule[Any], ...]] = (
        Rule["TradingAccountSpec"](
            fields=("endpoints", "environment"),
            cel="self.environment == 'Simulator' ? has(self.endpoints) : !has(self.endpoints)",
            message=(
                "endpoints belong to environment Simulator alone, which needs them"
                " (endpoints: {baseUrl: http://127.0.0.1:9000}); remove them for Testnet and Production,"
                " whose addresses are fixed"
            ),
            holds=lambda spec: (spec.environment is Environment.SIMULATOR) == (spec.endpoints is not None),
        ),
        Rule["TradingAccountSpec"](
            fields=("credentialsSecretRef", "environment"),
            cel="self.environment == 'Simulator' || has(self.credentialsSecretRef)",
            message=(
                "Testnet and Production need credentialsSecretRef: name the Secret that holds apiKey, and privateKey "
                "or apiSecret"
            ),
            holds=lambda spec: spec.environment is Environment.SIMULATOR or spec.credentials_secret_ref is not None,
        ),
    )


class TradingAccount(Resource):
    """One account at one venue."""

    api_version: Literal["phoenix.trading/v1alpha1"] = API_VERSION
    """Group and version of the resource."""
    kind: Literal["TradingAccount"] = "TradingAccount"
    metadata: ObjectMeta
    spec: TradingAccountSpec
    """What the makers of the account share."""
    status: AccountStatus | None = None
    """What is, written by the operator."""
