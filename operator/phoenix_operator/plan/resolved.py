"""What a worker shall read: the two files of a ConfigMap, and their hash.

The spec as people wrote it, with what the operator alone knows put in: the capital of the ramp's stage, quotes
withdrawn where two accounts are one, and never more than the account admits now. A worker of another template gets
the hot values of today beside the cold ones that it was started with: a file with others it would refuse whole.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Generic, TypeVar

import msgspec
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
from phoenix_crds.rules import Resource
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
Value = TypeVar("Value")

_DIGITS = Decimal("0.00000001")


class Resolved(msgspec.Struct, frozen=True):
    """Both resources as a worker of one template shall read them."""

    maker: MarketMaker
    account: TradingAccount

    @property
    def hash(self) -> str:
        """What the worker reports once it is in force (`phoenix_crds.resolved_hash`)."""
        maker, account = self.maker.spec, self.account.spec
        return _hashes(_json(maker) + _json(account), lambda: resolved_hash(maker, account))

    @property
    def generation(self) -> int:
        return self.maker.metadata.generation or 0

    @property
    def data(self) -> dict[str, str]:
        """The ConfigMap's `data`."""
        return {
            MAKER_FILE: _texts(_json(self.maker), lambda: manifest_yaml(self.maker)),
            ACCOUNT_FILE: _texts(_json(self.account), lambda: manifest_yaml(self.account)),
        }


def resolve(
    meta: Meta, spec: MarketMakerSpec, account: AccountResource, *, stage: RampStage | None, withdrawn: bool
) -> Resolved | None:
    """What the maker shall read now; None while its account does not validate. `withdrawn`: quotes go out."""
    if account.spec is None:
        return None
    spec, account_spec = _admitted(spec, account.spec)
    if stage is not None:
        spec = at_stage(spec, stage)
    if withdrawn and not spec.paused:
        spec = spec.model_copy(update={"paused": True})
    return Resolved(
        MarketMaker(metadata=_metadata(meta), spec=spec),
        TradingAccount(metadata=_metadata(account.meta), spec=account_spec),
    )


def at_stage(spec: MarketMakerSpec, stage: RampStage) -> MarketMakerSpec:
    """The stage's capital, and netMax by its share of `risk.capital`, rounded down."""
    whole = spec.risk.capital
    if whole is None or stage.capital >= whole:
        return spec
    net_max = (spec.net_max * stage.capital / whole).quantize(_DIGITS, ROUND_DOWN)
    risk = spec.risk.model_copy(update={"capital": stage.capital})
    return spec.model_copy(update={"net_max": max(net_max, _DIGITS), "risk": risk})


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
        return spec.model_copy(update={"net_max": most}), account
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
    return _pairs(f"{maker}\n---\n{account}", lambda: _read(maker, account))


def _metadata(meta: Meta) -> ObjectMeta:
    return ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid, generation=meta.generation)


def _revalidated(spec: Spec) -> Spec:
    """The rules that span fields again, which a copy is not asked."""
    return type(spec).model_validate(spec.model_dump(by_alias=True, exclude_none=True))


# -- pure functions of what is written, remembered because they cost milliseconds --------------------


class _Memory(Generic[Value]):
    """The latest values by the digest of what they were made from."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[bytes, Value] = OrderedDict()

    def __call__(self, made_from: str, make: Callable[[], Value]) -> Value:
        key = hashlib.blake2b(made_from.encode(), digest_size=16).digest()
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


_texts: _Memory[str] = _Memory(4096)
_hashes: _Memory[str] = _Memory(8192)
_pairs: _Memory[tuple[MarketMaker, TradingAccount] | None] = _Memory(512)


def _json(resource: Resource) -> str:
    return resource.model_dump_json(by_alias=True, exclude_none=True)


def _read(maker_yaml: str, account_yaml: str) -> tuple[MarketMaker, TradingAccount] | None:
    maker, account = _one(MarketMaker, maker_yaml), _one(TradingAccount, account_yaml)
    return None if maker is None or account is None else (maker, account)


def _one(model: type[Model], text: str) -> Model | None:
    documents, problems = read_documents("", text.encode())
    if problems or len(documents) != 1:
        return None
    return validate(model, documents[0])[0]
