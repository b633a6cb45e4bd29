"""What people write: the `MarketMaker` and the `TradingAccount`, their rules, and how their manifests are read.

Only what a resource says belongs here, as data; nothing that acts on it.
"""

from phoenix_crds.account import (
    Budgets,
    Emergency,
    Endpoints,
    Environment,
    Limits,
    MarginType,
    TradingAccount,
    TradingAccountSpec,
    Venue,
    VenueSettings,
)
from phoenix_crds.maker import MarketMaker, MarketMakerSpec, Mode, OnDelete, UserStream
from phoenix_crds.metadata import API_VERSION, ObjectMeta
from phoenix_crds.parameters import Funding, Grinding, Guards, Ramp, RampStage, Risk, TradingParameters, Vpin
from phoenix_crds.values import Duration, LossLimit

__all__ = [
    "API_VERSION",
    "Budgets",
    "Duration",
    "Emergency",
    "Endpoints",
    "Environment",
    "Funding",
    "Grinding",
    "Guards",
    "Limits",
    "LossLimit",
    "MarginType",
    "MarketMaker",
    "MarketMakerSpec",
    "Mode",
    "ObjectMeta",
    "OnDelete",
    "Ramp",
    "RampStage",
    "Risk",
    "TradingAccount",
    "TradingAccountSpec",
    "TradingParameters",
    "UserStream",
    "Venue",
    "VenueSettings",
    "Vpin",
]
