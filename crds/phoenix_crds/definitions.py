"""The two CustomResourceDefinitions: names, columns and subresources around the schemas of the models."""

from dataclasses import dataclass
from typing import Any

from phoenix_crds.account import TradingAccount
from phoenix_crds.fields import declared
from phoenix_crds.maker import MarketMaker
from phoenix_crds.metadata import API_VERSION, ObjectMeta
from phoenix_crds.schema import Schema, prose, schema_of

GROUP, VERSION = API_VERSION.split("/")
CATEGORY = "trading"


@dataclass(frozen=True, slots=True)
class Column:
    """What `kubectl get` prints. `wide`: only with `-o wide`."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind. `selectable`: paths that `kubectl get --field-selector` takes."""

    kind: str
    plural: str
    short: str
    model: type[MarketMaker] | type[TradingAccount]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.plural}.{GROUP}"


def _condition(kind: str, what: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{what}'


_AGE = Column("Age", ".metadata.creationTimestamp", "Since when it is there.", "date")
_READY = Column("Ready", _condition("Ready"), "Whether this generation is in force.", wide=True)

MARKET_MAKERS = Definition(
    kind="MarketMaker",
    plural="marketmakers",
    short="mm",
    model=MarketMaker,
    columns=(
        Column("Symbol", ".spec.symbol", "The contract."),
        Column("Mode", ".spec.mode", "Whether orders reach the exchange."),
        Column("Quoting", _condition("Quoting"), "Whether it quotes."),
        Column("Reason", ".status.reason", "The first reason why it does not."),
        Column("Position", ".status.figures.position", "Signed, in base units, when last told."),
        Column("Mid", ".status.figures.mid", "Halfway between the touch, when last told."),
        Column("PnL", ".status.figures.pnl", "In the quote asset, when last told."),
        Column("Restarts", ".status.restarts.total", "By the operator, for a stale price.", "integer"),
        Column("Account", ".spec.accountRef", "The TradingAccount.", wide=True),
        _READY,
        Column("Pod", ".status.pod", "The pod that leads.", wide=True),
        _AGE,
    ),
    selectable=(".spec.symbol", ".spec.accountRef", ".spec.mode"),
)

TRADING_ACCOUNTS = Definition(
    kind="TradingAccount",
    plural="tradingaccounts",
    short="ta",
    model=TradingAccount,
    columns=(
        Column("Environment", ".spec.environment", "Simulator, Testnet or Production."),
        Column("Ready", _condition("Ready"), "Whether makers may start on it."),
        Column("Emergency", _condition("Emergency"), "Whether it is stopped, by its spec or by the sticky switch."),
        Column("Makers", ".status.makers", "Makers that name it.", "integer"),
        Column("Net limit", ".spec.limits.netNotional", "Largest net exposure, in the quote asset."),
        Column("Gross limit", ".spec.limits.grossNotional", "Largest sum of exposures.", wide=True),
        Column("Identity", ".status.identity", "The exchange's own name of the account.", wide=True),
        _AGE,
    ),
    selectable=(".spec.environment",),
)

DEFINITIONS = (MARKET_MAKERS, TRADING_ACCOUNTS)


def custom_resource_definition(definition: Definition) -> dict[str, Any]:
    """The object that `kubectl apply` takes."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": definition.name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": definition.kind.lower(),
                "shortNames": [definition.short],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root(definition)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_printed(column) for column in definition.columns],
                    "selectableFields": [{"jsonPath": path} for path in definition.selectable],
                }
            ],
        },
    }


def _root(definition: Definition) -> Schema:
    model = definition.model
    schema = schema_of(model, prose(model))
    properties: Schema = schema["properties"]
    (name,) = (field for field in declared(ObjectMeta) if field.name == "name")
    least, most = name.shape.length
    return {
        "description": schema["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {
            # The server itself sees to these, and to all of metadata but what a name may be.
            "apiVersion": {"type": "string", "description": f"{API_VERSION}: group and version of the resource."},
            "kind": {"type": "string", "description": definition.kind},
            "metadata": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": name.shape.pattern, "minLength": least, "maxLength": most}
                },
            },
            "spec": properties["spec"],
            "status": properties["status"],
        },
    }


def _printed(column: Column) -> dict[str, Any]:
    printed: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return printed | ({"priority": 1} if column.wide else {})
