"""What a worker shall read: the two files of a ConfigMap, and their hash.

The spec as people wrote it, with what the operator alone knows put in: the capital of the ramp's stage, quotes
withdrawn where two accounts are one, and never more than the account admits now. A worker of another template gets
the hot values of today beside the cold ones that it was started with: a file with others it would refuse whole.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from phoenix_crds import (
    ACCOUNT_FILE,
    MAKER_FILE,
    MarketMaker,
    MarketMakerSpec,
    ObjectMeta,
    RampStage,
    TradingAccount,
    TradingAccountSpec,
    manifest_yaml,
    resolved_hash,
)
from phoenix_crds.documents import read_documents
from phoenix_crds.validation import validate
from pydantic import ValidationError

from phoenix_operator.plan.facts import AccountResource, Meta

COLD_OF_MAKER = ("symbol", "account_ref", "mode")
COLD_OF_ACCOUNT = (
    "venue",
    "environment",
    "endpoints",
    "credentials_secret_ref",
    "egress",
    "settings",
    "budgets",
)
"""What only another process heeds. `standby` is a number of pods, so a change of it replaces none."""

Spec = TypeVar("Spec", MarketMakerSpec, TradingAccountSpec)
Model = TypeVar("Model", MarketMaker, TradingAccount)
Source = TypeVar("Source")
Value = TypeVar("Value")

_DIGITS = Decimal("0.00000001")
_PRECISION = 120
"""Digits: more than two of the longest numbers that a resource may hold have together, and their product's decimals."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """Both resources as a worker of one template shall read them. What is derived from them is found out once."""

    maker: MarketMaker
    account: TradingAccount

    @cached_property
    def hash(self) -> str:
        """What the worker reports once it is in force."""
        return resolved_hash(self.maker.spec, self.account.spec)

    @property
    def generation(self) -> int:
        return self.maker.metadata.generation or 0

    @cached_property
    def data(self) -> dict[str, str]:
        """The ConfigMap's `data`."""
        account = self.account
        uid = account.metadata.uid or ""
        account_text = _account_texts(uid, account, lambda: manifest_yaml(account))
        return {MAKER_FILE: manifest_yaml(self.maker), ACCOUNT_FILE: account_text}

    @cached_property
    def cold(self) -> dict[str, Any]:
        """What the template hash is made of, by resource."""
        return {
            "maker": self.maker.spec.model_dump(mode="json", include=set(COLD_OF_MAKER)),
            "account": self.account.spec.model_dump(mode="json", include=set(COLD_OF_ACCOUNT)),
            "accountUid": self.account.metadata.uid,
        }


def resolve(
    meta: Meta, spec: MarketMakerSpec, account: AccountResource, *, stage: RampStage | None, withdrawn: bool
) -> Resolved | None:
    """What the maker shall read now; None while its account does not validate. `withdrawn`: quotes go out."""
    if account.spec is None:
        return None
    made_of = _MadeOf(spec, account.spec, stage, withdrawn, _identity(meta), _identity(account.meta))
    return _resolved(meta.uid, made_of, lambda: _resolve(made_of))


def _resolve(made_of: "_MadeOf") -> Resolved:
    spec, account = _admitted(made_of.spec, made_of.account)
    if made_of.stage is not None:
        spec = at_stage(spec, made_of.stage)
    if made_of.withdrawn and not spec.paused:
        spec = spec.model_copy(update={"paused": True})
    return Resolved(
        MarketMaker(metadata=ObjectMeta(**made_of.maker_identity._asdict()), spec=spec),
        TradingAccount(metadata=ObjectMeta(**made_of.account_identity._asdict()), spec=account),
    )


def at_stage(spec: MarketMakerSpec, stage: RampStage) -> MarketMakerSpec:
    """The stage's capital, and netMax by its share of `risk.capital`, rounded down. No worker is told of the ramp."""
    whole = spec.risk.capital
    if whole is None or stage.capital >= whole:
        return spec.model_copy(update={"ramp": None})
    with localcontext(prec=_PRECISION):
        net_max = (spec.net_max * stage.capital / whole).quantize(_DIGITS, ROUND_DOWN)
    risk = spec.risk.model_copy(update={"capital": stage.capital})
    return _limited(spec.model_copy(update={"risk": risk, "ramp": None}), max(net_max, _DIGITS))


def _limited(spec: MarketMakerSpec, net_max: Decimal) -> MarketMakerSpec:
    """With another netMax, which no single order exceeds."""
    return spec.model_copy(update={"net_max": net_max, "base_size": min(spec.base_size, net_max)})


def _admitted(spec: MarketMakerSpec, account: TradingAccountSpec) -> tuple[MarketMakerSpec, TradingAccountSpec]:
    """Both so that a running worker takes the files, and with them the account's switch.

    A maker above its account's limit keeps to the limit; one whose symbol is no longer listed withdraws its quotes.
    That something is wrong says its status.
    """
    most = account.limits.maker_net_max.get(spec.symbol)
    if most is None:
        listed = {**account.limits.maker_net_max, spec.symbol: spec.net_max}
        limits = account.limits.model_copy(update={"maker_net_max": listed})
        return spec.model_copy(update={"paused": True}), account.model_copy(update={"limits": limits})
    if spec.net_max > most:
        return _limited(spec, most), account
    return spec, account


def for_template(wanted: Resolved, data: Mapping[str, str]) -> Resolved | None:
    """`wanted` with the cold values of a ConfigMap that is there; None where those cannot be read, or do not go
    together with today's hot ones: then the file stays as it is.
    """
    started = read(data)
    if started is None:
        return None
    maker, account = started
    cold_of_maker = {name: getattr(maker.spec, name) for name in COLD_OF_MAKER}
    cold_of_account = {name: getattr(account.spec, name) for name in COLD_OF_ACCOUNT}
    try:
        spec = _revalidated(wanted.maker.spec.model_copy(update=cold_of_maker))
        account_spec = _revalidated(wanted.account.spec.model_copy(update=cold_of_account))
    except ValidationError:
        return None
    metadata = wanted.account.metadata.model_copy(update={"uid": account.metadata.uid})
    return Resolved(
        wanted.maker.model_copy(update={"spec": spec}),
        wanted.account.model_copy(update={"spec": account_spec, "metadata": metadata}),
    )


def read(data: Mapping[str, str]) -> tuple[MarketMaker, TradingAccount] | None:
    """What a ConfigMap says; None where it holds no valid pair."""
    maker, account = data.get(MAKER_FILE, ""), data.get(ACCOUNT_FILE, "")
    both = maker, account
    return _pairs(hashlib.sha256("\0".join(both).encode()).hexdigest(), both, lambda: _read(*both))


def _revalidated(spec: Spec) -> Spec:
    """The rules that span fields again, which a copy is not asked."""
    return type(spec).model_validate(spec.model_dump(by_alias=True, exclude_none=True))


# -- remembered, because writing YAML and digesting costs milliseconds -------------------------------


class _Identity(NamedTuple):
    """What of its metadata a worker is told."""

    name: str
    namespace: str
    uid: str
    generation: int


def _identity(meta: Meta) -> _Identity:
    return _Identity(meta.name, meta.namespace, meta.uid, meta.generation)


class _MadeOf(NamedTuple):
    """Everything that a `Resolved` depends on. Specs are immutable: comparing the same object costs nothing."""

    spec: MarketMakerSpec
    account: TradingAccountSpec
    stage: RampStage | None
    withdrawn: bool
    maker_identity: _Identity
    account_identity: _Identity


class _Latest(Generic[Source, Value]):
    """By key the value that was made last, as long as it would be made of the same again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, tuple[Source, Value]] = OrderedDict()

    def __call__(self, key: str, made_of: Source, make: Callable[[], Value]) -> Value:
        known = self._values.get(key)
        if known is not None and known[0] == made_of:
            self._values.move_to_end(key)
            return known[1]
        value = make()
        self._values[key] = (made_of, value)
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


_resolved: _Latest[_MadeOf, Resolved] = _Latest(16_384)
_account_texts: _Latest[TradingAccount, str] = _Latest(1024)
_pairs: _Latest[tuple[str, str], tuple[MarketMaker, TradingAccount] | None] = _Latest(512)


def _read(maker_yaml: str, account_yaml: str) -> tuple[MarketMaker, TradingAccount] | None:
    maker, account = _one(MarketMaker, maker_yaml), _one(TradingAccount, account_yaml)
    return None if maker is None or account is None else (maker, account)


def _one(model: type[Model], text: str) -> Model | None:
    documents, problems = read_documents("", text.encode())
    if problems or len(documents) != 1:
        return None
    return validate(model, documents[0])[0]
