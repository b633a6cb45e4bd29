"""What all makers of an account, and all accounts of a public IP, need together, and what of it does not fit."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec
from phoenix_coordination.redis.budgets import FIXED_COST_REMEDY, fixed_cost_room, quoting_cap
from phoenix_coordination.redis.starts import starting_cap
from phoenix_crds import MarketMaker, TradingAccount
from phoenix_crds.manifests import Loaded
from phoenix_worker.runtime.budgets import terms_of
from phoenix_worker.runtime.steward import WEIGHT_1M as ACCOUNT_WEIGHT_1M
from phoenix_worker.venue.binance.costs import RECONNECT, START, fixed_weight_1m
from phoenix_worker.venue.binance.limits import Limits
from phoenix_worker.venue.binance.preflight import ROOM_FACTOR

from phoenix_cli.forecast.makers import MakerForecast, forecast_maker, netmax_for
from phoenix_cli.forecast.market import Market
from phoenix_cli.refusal import Refused


class Severity(StrEnum):
    """`REFUSED`: a worker, or the exchange, will say no. `TIGHT`: it runs, and less of it than somebody may expect."""

    REFUSED = "refused"
    TIGHT = "tight"


class Finding(msgspec.Struct, frozen=True):
    """What does not fit, and what to do."""

    severity: Severity
    what: str
    message: str
    hint: str


class AccountForecast(msgspec.Struct, frozen=True, rename="camel"):
    """Quote units; dollar tokens count as equal. The sums are of all makers, as far as `gross_limit` lets them.

    `needs_by_asset`: in single-asset mode each margin asset stands for its own symbols alone, up to the whole of them.
    `makers_daily_loss`: what the makers' own limits let them lose together in a day; None where one has none.
    """

    account: str
    environment: str
    egress: str
    leverage: int
    makers: list[MakerForecast]
    worst_case: float
    net_limit: float
    gross_limit: float
    stressed_loss: float
    initial_margin: float
    needs: float
    needs_by_asset: dict[str, float]
    capital: float | None
    daily_loss: float
    makers_daily_loss: float | None
    orders_per_minute: float
    orders_limit: int
    resting_orders: int
    orders_limit_10s: int


class EgressForecast(msgspec.Struct, frozen=True, rename="camel"):
    """Request weight of one public IP: what its makers cost a minute though none quotes, and what a start reads, and a
    reconnect of all streams of one worker.

    `quoting_limit` a minute is what all this and the changes of quotes may use together before quotes wait; what is
    `left` of it with the quotes of `orders_per_minute` is for those that start or reconnect in that minute.
    """

    egress: str
    makers: int
    weight_per_minute: int
    weight_limit: int
    start_weight: int
    starts_per_minute: int
    reconnect_weight: int
    quoting_limit: int
    left: int


class Forecast(msgspec.Struct, frozen=True, rename="camel"):
    accounts: list[AccountForecast]
    egresses: list[EgressForecast]
    findings: list[Finding]
    assumed: list[str]

    @property
    def refused(self) -> list[Finding]:
        return [each for each in self.findings if each.severity is Severity.REFUSED]


class Fleet(msgspec.Struct, frozen=True):
    """One account and its makers, by the names under which people know them."""

    name: str
    account: TradingAccount
    makers: dict[str, MarketMaker]
    repeated: list[str]
    """Of what is defined more than once, which counts."""


def fleets(loaded: Loaded) -> list[Fleet]:
    """By account; of what is defined twice the last counts, as for kubectl. Raises `Refused` where there is nothing to
    estimate.
    """
    makers = {manifest.key: (manifest, maker) for manifest, maker in loaded.makers}
    times = Counter(manifest.key for manifest in loaded.manifests)
    accounts = {manifest.key[1:]: account for manifest, account in loaded.accounts}
    found: dict[tuple[str, str], Fleet] = {}
    for (_, namespace, name), (manifest, maker) in makers.items():
        key = namespace, maker.spec.account_ref
        account = accounts.get(key)
        if account is None:
            raise Refused(
                f"{manifest.file}:{manifest.line('spec.accountRef')}: TradingAccount {maker.spec.account_ref} is not"
                " among these files: its leverage, limits and budgets are needed, so pass its file too"
            )
        fleet = found.setdefault(key, Fleet("/".join(filter(None, key)), account, {}, []))
        fleet.makers[name] = maker
        if times[manifest.key] > 1:
            fleet.repeated.append(f"{name}: of {times[manifest.key]} with this name that of {manifest.file}")
    if not found:
        raise Refused("no MarketMaker among these files: nothing to estimate")
    return list(found.values())


def forecast(fleets: Sequence[Fleet], markets: Mapping[tuple[str, str], Market], assumed: list[str]) -> Forecast:
    """`markets`: by account's name and symbol."""
    accounts: list[AccountForecast] = []
    findings: list[Finding] = []
    for fleet in fleets:
        spec = fleet.account.spec
        makers = [
            forecast_maker(name, maker, markets[fleet.name, maker.spec.symbol], spec.settings.leverage)
            for name, maker in fleet.makers.items()
        ]
        account = _account(fleet, makers)
        accounts.append(account)
        for maker in makers:
            findings += _of_maker(fleet, maker, markets[fleet.name, maker.symbol])
        findings += _of_account(account)
    egresses = []
    for egress in dict.fromkeys(fleet.account.spec.egress for fleet in fleets):
        sharing = [fleet for fleet in fleets if fleet.account.spec.egress == egress]
        orders = sum(each.orders_per_minute for each in accounts if each.egress == egress)
        egresses.append(_egress(egress, sharing, orders))
        findings += _of_egress(egresses[-1])
    return Forecast(accounts, egresses, sorted(findings, key=lambda each: each.severity), assumed)


# -- an account ------------------------------------------------------------------------------------


def _limits(account: TradingAccount) -> Limits:
    """The exchange's, of which the account's makers use these shares. They are the same for every regular user."""
    budgets = account.spec.budgets
    return Limits(
        weight_share=float(budgets.request_weight_share),
        order_share=float(budgets.order_share),
        reserve_share=float(budgets.reserve_share),
    )


def _account(fleet: Fleet, makers: list[MakerForecast]) -> AccountForecast:
    spec, limits = fleet.account.spec, _limits(fleet.account)
    gross = float(spec.limits.gross_notional)
    worst = min(sum(maker.worst_case for maker in makers), gross)
    loss = _worst_of(makers, gross)
    margin = worst / spec.settings.leverage
    capitals, days = [maker.capital for maker in makers], [maker.daily_loss_max for maker in makers]
    return AccountForecast(
        account=fleet.name,
        environment=spec.environment.value,
        egress=spec.egress,
        leverage=spec.settings.leverage,
        makers=makers,
        worst_case=round(sum(maker.worst_case for maker in makers), 2),
        net_limit=float(spec.limits.net_notional),
        gross_limit=gross,
        stressed_loss=round(loss, 2),
        initial_margin=round(margin, 2),
        needs=round(margin + loss, 2),
        needs_by_asset=_by_asset(makers),
        capital=_sum(capitals),
        daily_loss=float(spec.limits.daily_loss),
        makers_daily_loss=_sum(days),
        orders_per_minute=round(sum(maker.orders_per_minute for maker in makers), 1),
        orders_limit=quoting_cap(limits.orders_1m, limits.order_share, limits.reserve_share),
        resting_orders=sum(maker.resting_orders for maker in makers),
        orders_limit_10s=quoting_cap(limits.orders_10s, limits.order_share, limits.reserve_share),
    )


def _worst_of(makers: Iterable[MakerForecast], gross: float) -> float:
    """Each symbol jumps against its own position, and the ledger has let those grow that lose the most."""
    loss = 0.0
    for maker in sorted(makers, key=lambda each: each.loss_ratio, reverse=True):
        held = min(maker.worst_case, gross)
        gross -= held
        loss += held * maker.loss_ratio
    return loss


def _by_asset(makers: Iterable[MakerForecast]) -> dict[str, float]:
    needs: dict[str, float] = {}
    for maker in makers:
        needs[maker.margin_asset] = round(needs.get(maker.margin_asset, 0.0) + maker.needs, 2)
    return needs


def _sum(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return round(sum(known), 2) if len(known) == len(amounts) else None


def _of_maker(fleet: Fleet, maker: MakerForecast, market: Market) -> Iterator[Finding]:
    leverage, what = fleet.account.spec.settings.leverage, f"maker {maker.maker} of account {fleet.name}"
    needed = float(ROOM_FACTOR) * maker.net_max * maker.price
    if market.room is not None and market.room(leverage) < needed:
        yield Finding(
            Severity.REFUSED,
            what,
            f"at leverage {leverage} the exchange admits a position of {money(market.room(leverage))},"
            f" {ROOM_FACTOR} times netMax is {money(needed)}",
            "lower settings.leverage of the account, or netMax",
        )
    if maker.capital is None:
        yield Finding(
            Severity.TIGHT,
            what,
            f"risk.capital is not set; margin and a jump of {maker.move:.0%} need {money(maker.needs)}",
            "set it before Live: the loss limits are shares of it",
        )
    elif maker.capital < maker.needs:
        yield Finding(
            Severity.TIGHT,
            what,
            f"risk.capital of {money(maker.capital)} does not carry the worst case: margin of"
            f" {money(maker.initial_margin)} and {money(maker.stressed_loss)} lost in a jump of {maker.move:.0%} need"
            f" {money(maker.needs)}",
            f"lower netMax to {quantity(netmax_for(maker))}, or raise risk.capital",
        )


def _of_account(account: AccountForecast) -> Iterator[Finding]:
    what = f"account {account.account}"
    for limit, name in ((account.gross_limit, "grossNotional"), (account.net_limit, "netNotional")):
        if account.worst_case > limit:
            sides = "" if name == "grossNotional" else ", all on one side,"
            yield Finding(
                Severity.TIGHT,
                what,
                f"its makers could hold {money(account.worst_case)} together{sides} and limits.{name} is"
                f" {money(limit)}: what is beyond it the ledger does not grant (NotReserved)",
                f"lower netMax of some, or have {name} raised",
            )
    if account.orders_per_minute > account.orders_limit:
        busiest = max(account.makers, key=lambda maker: maker.orders_per_minute)
        yield Finding(
            Severity.TIGHT,
            what,
            f"in such a market its makers would move {account.orders_per_minute:.0f} quotes a minute, and"
            f" {account.orders_limit} orders are theirs: then quotes lag",
            f"raise nearStepBps or requoteThreshold, or take layers out ({busiest.maker} sends the most)",
        )
    if account.resting_orders > account.orders_limit_10s:
        yield Finding(
            Severity.TIGHT,
            what,
            f"one jump of all markets moves {account.resting_orders} quotes, and {account.orders_limit_10s} orders are"
            " theirs in 10 s: the rest is late",
            "take layers out",
        )
    if account.makers_daily_loss is not None and account.makers_daily_loss > account.daily_loss:
        yield Finding(
            Severity.TIGHT,
            what,
            f"its makers may lose {money(account.makers_daily_loss)} a day by their own limits, and limits.dailyLoss"
            f" of {money(account.daily_loss)} halts all of them before that",
            "lower risk.dailyLossMax of some, or know that one bad day of one stops the others",
        )


# -- a public IP -----------------------------------------------------------------------------------


def _egress(egress: str, sharing: Sequence[Fleet], orders_per_minute: float) -> EgressForecast:
    """Where accounts claim different shares, the smallest room decides: who comes last is measured by its own."""
    terms = [terms_of(egress, _limits(fleet.account)) for fleet in sharing]
    makers = sum(len(fleet.makers) for fleet in sharing)
    fixed = makers * fixed_weight_1m() + len(sharing) * ACCOUNT_WEIGHT_1M
    quoting = min(quoting_cap(each.weight_1m, each.weight_share, each.reserve_share) for each in terms)
    return EgressForecast(
        egress=egress,
        makers=makers,
        weight_per_minute=fixed,
        weight_limit=min(map(fixed_cost_room, terms)),
        start_weight=START,
        starts_per_minute=min(map(starting_cap, terms)) // START,
        reconnect_weight=RECONNECT,
        quoting_limit=quoting,
        left=max(0, quoting - fixed - math.ceil(orders_per_minute)),
    )


def _of_egress(egress: EgressForecast) -> Iterator[Finding]:
    what = f"egress {egress.egress}"
    if egress.weight_per_minute > egress.weight_limit:
        over = -(-(egress.weight_per_minute - egress.weight_limit) // fixed_weight_1m())
        yield Finding(
            Severity.REFUSED,
            what,
            f"its {egress.makers} makers need {egress.weight_per_minute} of request weight a minute even when none"
            f" quotes, of {egress.weight_limit} that this may take: {min(over, egress.makers)} of them would only wait",
            FIXED_COST_REMEDY,
        )
    elif egress.makers * egress.reconnect_weight > egress.left:
        yield Finding(
            Severity.TIGHT,
            what,
            f"where all its {egress.makers} makers reconnect at once (the venue, the network) they read"
            f" {egress.makers * egress.reconnect_weight} of request weight, and beside their quotes in such a market"
            f" {egress.left} are left in a minute: then quotes wait up to a minute (RateLimited)",
            "raise nearStepBps or requoteThreshold, take layers out, or let some leave by another egress",
        )
    if egress.starts_per_minute == 0:
        yield Finding(
            Severity.REFUSED,
            what,
            f"a start reads {egress.start_weight} of request weight, more than the shares of its accounts admit in a"
            " minute: no worker would ever begin",
            "raise budgets.requestWeightShare of the account",
        )


def money(amount: float) -> str:
    """Whole quote units, thousands apart; what is less than ten with three digits."""
    return f"{amount:.3g}" if amount < 10 else f"{amount:,.0f}".replace(",", " ")


def quantity(amount: float) -> str:
    """Base units, without an exponent."""
    return f"{amount:.10f}".rstrip("0").rstrip(".")
