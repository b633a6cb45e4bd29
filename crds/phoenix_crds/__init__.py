"""What people write: the `MarketMaker` and the `TradingAccount`, their rules, and how their manifests are read.

Only what a resource says belongs here, as data; nothing that acts on it.
"""

from phoenix_crds.account import (
    Budgets,
    Endpoints,
    Environment,
    Limits,
    MarginType,
    TradingAccount,
    TradingAccountSpec,
    Venue,
    VenueSettings,
)
from phoenix_crds.consistency import check_together, conflicts
from phoenix_crds.maker import MarketMaker, MarketMakerSpec, Mode, OnDelete, UserStream
from phoenix_crds.manifests import Loaded, Manifest, load_manifests
from phoenix_crds.metadata import API_VERSION, ObjectMeta
from phoenix_crds.parameters import Funding, Grinding, Guards, Ramp, RampStage, Risk, TradingParameters, Vpin
from phoenix_crds.problems import InvalidResourceError, Problem, Severity
from phoenix_crds.resolved import (
    ACCOUNT_FILE,
    MAKER_FILE,
    manifest_yaml,
    read_account,
    read_maker,
    read_resolved,
    resolved_hash,
    write_resolved,
)
from phoenix_crds.status import (
    AccountStatus,
    Action,
    Answer,
    Condition,
    EmergencySwitch,
    Figures,
    HaltedSymbol,
    MakerStatus,
    RampProgress,
    Restarts,
    SwitchRequest,
    SymbolHalt,
)
from phoenix_crds.values import Duration, Emergency, Instant, LossLimit

__all__ = [
    "ACCOUNT_FILE",
    "API_VERSION",
    "MAKER_FILE",
    "AccountStatus",
    "Action",
    "Answer",
    "Budgets",
    "Condition",
    "Duration",
    "Emergency",
    "EmergencySwitch",
    "Endpoints",
    "Environment",
    "Figures",
    "Funding",
    "Grinding",
    "Guards",
    "HaltedSymbol",
    "Instant",
    "InvalidResourceError",
    "Limits",
    "Loaded",
    "LossLimit",
    "MakerStatus",
    "Manifest",
    "MarginType",
    "MarketMaker",
    "MarketMakerSpec",
    "Mode",
    "ObjectMeta",
    "OnDelete",
    "Problem",
    "Ramp",
    "RampProgress",
    "RampStage",
    "Restarts",
    "Risk",
    "Severity",
    "SwitchRequest",
    "SymbolHalt",
    "TradingAccount",
    "TradingAccountSpec",
    "TradingParameters",
    "UserStream",
    "Venue",
    "VenueSettings",
    "Vpin",
    "check_together",
    "conflicts",
    "load_manifests",
    "manifest_yaml",
    "read_account",
    "read_maker",
    "read_resolved",
    "resolved_hash",
    "write_resolved",
]
