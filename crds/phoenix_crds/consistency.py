"""What must hold between a maker and its account, and between all that is applied together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from phoenix_crds.account import Environment, TradingAccountSpec
from phoenix_crds.maker import MarketMakerSpec
from phoenix_crds.manifests import Loaded, Manifest
from phoenix_crds.parameters import TradingParameters
from phoenix_crds.problems import Problem, Severity
from phoenix_crds.values import Immutable, LossLimit, canonical_decimal


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field of the maker's spec that its account does not admit."""

    field: str
    message: str
    hint: str


def conflicts(maker: MarketMakerSpec, account: TradingAccountSpec) -> Iterator[Conflict]:
    """Every contradiction of a maker with its account: what a worker refuses to start with."""
    most = account.limits.maker_net_max.get(maker.symbol)
    if most is None:
        listed = ", ".join(sorted(account.limits.maker_net_max)) or "none"
        yield Conflict(
            "symbol",
            f"the account admits no maker of {maker.symbol}",
            f"add {maker.symbol} to the account's limits.makerNetMax (it lists {listed}), which needs the verb `limit`",
        )
    elif maker.net_max > most:
        yield Conflict(
            "netMax",
            f"exceeds the account's limits.makerNetMax.{maker.symbol} of {canonical_decimal(most)}",
            "lower netMax, or have the limit raised by who may",
        )


def deepest_layer_bps(parameters: TradingParameters) -> Decimal:
    """Distance of the outermost layer from the reservation price, before volatility, fees and toxicity widen it."""
    half_spread = max(parameters.min_spread_bps / 2, parameters.edge_bps)
    last_near = half_spread + max(parameters.near_layers - 1, 0) * parameters.near_step_bps
    return last_near * parameters.far_ratio**parameters.far_layers


def advice(maker: MarketMakerSpec) -> Iterator[Conflict]:
    """What is allowed and yet deserves a word."""
    if not maker.grinding.enabled:
        yield Conflict(
            "grinding.enabled",
            "off: a position stuck at the limit waits for the market alone",
            "fine for the first days",
        )
    daily, final = maker.risk.daily_loss_max, maker.risk.stop_loss
    if _is_below(final, daily, maker.risk.capital):
        yield Conflict(
            "risk.stopLoss",
            f"{final} is reached before dailyLossMax of {daily}, which then never acts",
            "raise stopLoss, or lower dailyLossMax",
        )
    deepest = deepest_layer_bps(maker)
    if deepest + maker.inventory_skew_bps > maker.risk.sane_band_bps:
        yield Conflict(
            "risk.saneBandBps",
            f"the outermost layer lies {deepest:.0f} bps away, where the sane band refuses it",
            "lower farRatio, farLayers or nearStepBps, or widen the band",
        )


def _is_below(less: LossLimit, more: LossLimit, capital: Decimal | None) -> bool:
    """Whether it surely is: a share and an amount cannot be compared without a capital."""
    if less.share is not None and more.share is not None:
        return less.share < more.share
    amounts = less.of(capital), more.of(capital)
    return amounts[0] is not None and amounts[1] is not None and amounts[0] < amounts[1]


def check_together(loaded: Loaded) -> list[Problem]:
    """Problems that show only when the manifests are seen together, warnings of single makers included."""
    return [
        *_defined_twice(loaded.manifests),
        *_makers_against_accounts(loaded),
        *_one_maker_a_symbol(loaded),
        *_one_account_a_key(loaded),
        *(
            manifest.problem(f"spec.{word.field}", word.message, word.hint, Severity.WARNING)
            for manifest, maker in loaded.makers
            for word in advice(maker.spec)
        ),
    ]


def _defined_twice(manifests: Iterable[Manifest]) -> Iterator[Problem]:
    """The same object in two files: kubectl keeps the last. A warning, because that is what a preset is for."""
    seen: dict[tuple[str, str, str], Manifest] = {}
    for manifest in manifests:
        first = seen.setdefault(manifest.key, manifest)
        if first is manifest:
            continue
        where = f"{first.file}:{first.line()}"
        name = f"{manifest.key[0]} {manifest.key[2]}"
        yield manifest.problem(
            "metadata.name",
            f"{name} is also defined at {where}",
            "they are one object, of which the last applied counts: apply one of them",
            Severity.WARNING,
        )
        for field_name, info in type(manifest.resource.spec).model_fields.items():
            immutable = next((each for each in info.metadata if isinstance(each, Immutable)), None)
            before, now = getattr(first.resource.spec, field_name), getattr(manifest.resource.spec, field_name)
            if immutable is not None and before != now:
                message = f"is {now} here and {before} at {where}, for one {name}: it is immutable, {immutable.why}"
                yield manifest.problem(f"spec.{info.alias}", message, "give one of them another metadata.name")


def _makers_against_accounts(loaded: Loaded) -> Iterator[Problem]:
    accounts = {manifest.key[1:]: account for manifest, account in loaded.accounts}
    for manifest, maker in loaded.makers:
        namespace = manifest.key[1]
        account = accounts.get((namespace, maker.spec.account_ref))
        if account is not None:
            for conflict in conflicts(maker.spec, account.spec):
                yield manifest.problem(f"spec.{conflict.field}", conflict.message, conflict.hint)
        elif accounts:
            known = ", ".join(sorted("/".join(filter(None, key)) for key in accounts))
            yield manifest.problem(
                "spec.accountRef",
                f"no TradingAccount {maker.spec.account_ref} in its namespace among these files",
                f"there are: {known}; the account must be in the maker's namespace",
            )
        else:
            yield manifest.problem(
                "spec.accountRef",
                f"TradingAccount {maker.spec.account_ref} is not among these files, so its limits were not checked",
                "pass the account's file too",
                Severity.WARNING,
            )


def _one_maker_a_symbol(loaded: Loaded) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], Manifest] = {}
    for manifest, maker in loaded.makers:
        first = seen.setdefault((manifest.key[1], maker.spec.account_ref, maker.spec.symbol), manifest)
        if first.key != manifest.key:
            yield manifest.problem(
                "spec.symbol",
                f"{maker.spec.symbol} on account {maker.spec.account_ref} is traded by {first.key[2]} already"
                f" ({first.file}:{first.line('spec.symbol')})",
                "one maker a symbol and account: the younger would get SymbolConflict and no pod; remove one",
            )


def _one_account_a_key(loaded: Loaded) -> Iterator[Problem]:
    seen: dict[tuple[str, Environment, str], Manifest] = {}
    for manifest, account in loaded.accounts:
        secret = account.spec.credentials_secret_ref
        if secret is None:
            continue
        first = seen.setdefault((manifest.key[1], account.spec.environment, secret.name), manifest)
        if first.key != manifest.key:
            yield manifest.problem(
                "spec.credentialsSecretRef.name",
                f"account {first.key[2]} ({first.file}:{first.line()}) has the same key: the exchange sees one account",
                "their limits would not see each other (AccountConflict): keep one of them",
            )
