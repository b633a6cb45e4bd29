"""Accounts and makers, or one maker and why it does not quote.

Of a run on this machine, or with --redis, everything comes from the Redis that the makers share; what a worker has told
of itself lives there for 15 s. Of a cluster it comes from the resources, whose figures are at most a minute old and
show their age; with --redis beside --context, -n or -A the figures are live. A part that cannot be read hides no other:
it is named on standard error, and the exit status is 1.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import (
    Account,
    AccountError,
    AccountName,
    HaltState,
    SwitchState,
    account_tools,
)
from phoenix_coordination.redis.ledger import LedgerView
from phoenix_coordination.redis.records import Published
from phoenix_coordination.redis.steward import StewardReport
from phoenix_coordination.state import Pnl, Quote, Reason, StateRecord

from phoenix_cli.cluster.place import Place
from phoenix_cli.local.account import MICRO, exposure_of
from phoenix_cli.local.describe import health
from phoenix_cli.local.view import LEVELS, Exposure
from phoenix_cli.printing import aligned, as_json, one_line
from phoenix_cli.refusal import Refused
from phoenix_cli.target import (
    add_cluster_arguments,
    add_target_arguments,
    chosen,
    full_name,
    redis_of,
    short_name,
    warn,
)

Part = TypeVar("Part")


class Halted(msgspec.Struct, frozen=True):
    """A symbol's own risk halt that is in force."""

    symbol: str
    epoch: int
    reason: str
    source: str
    dry_run: bool


class AccountStatus(msgspec.Struct, frozen=True):
    """One account as its makers share it; limits in quote units, None before the first reservation. `identity` is empty
    where its workers do not know it yet: then nothing else is known but what they tell.

    `emergency` is empty, and `exposure` None, where it cannot be read. `seeded` false: every worker halts, whatever
    `emergency` says; `declared`: what the account's resource says (`spec.emergency`), which counts beside it. `makers`:
    the records of all workers, as published. `problems`: records that cannot be read; `unread`: which of the other
    parts, each in a sentence that names the key.
    """

    account: str
    identity: str
    emergency: str
    epoch: int
    reason: str
    source: str
    seeded: bool
    declared: str
    halts: list[Halted]
    exposure: Exposure | None
    net_limit: Decimal | None
    gross_limit: Decimal | None
    rebuilt: bool
    steward: StewardReport | None
    makers: list[StateRecord]
    problems: list[str]
    unread: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="a [namespace/]maker or its symbol (default: all)")
    add_target_arguments(parser)
    add_cluster_arguments(parser, many=True)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    target = chosen(args, args.name, acts=False)
    if isinstance(target, Place):
        from phoenix_cli.cluster import status  # noqa: PLC0415 - its client is half a second that a run does not need

        return status.run(target, redis_of(args), args.name, json=args.output == "json")
    of_run = [] if target.run is None else [full_name(files.account) for files in target.run.accounts]
    accounts = asyncio.run(read_all(target.url, of_run, warn))
    if args.name is not None:
        accounts = of_maker(accounts, args.name)
    if args.output == "json":
        sys.stdout.write(as_json(accounts))
    elif args.name is not None:
        sys.stdout.writelines(f"{one_line(line)}\n" for account in accounts for line in _maker_lines(account))
    else:
        sys.stdout.writelines(_account_text(account) for account in accounts)
        if not accounts:
            sys.stdout.write("no worker has told anything to this Redis yet\n")
    unread = [problem for account in accounts for problem in account.unread]
    sys.stderr.writelines(f"phoenix status: {one_line(problem)}\n" for problem in unread)
    return 1 if unread else 0


def _hush(_: str) -> None:
    """For whoever is told by the workers themselves."""


async def read_all(url: str, expected: Sequence[str] = (), unfit: Callable[[str], None] = _hush) -> list[AccountStatus]:
    """Every account that a worker has registered in this Redis; with the workers of those `expected` that do not know
    yet which account of the exchange theirs is. `unfit` hears why no worker would use it, where none would.
    """
    try:
        async with account_tools(url) as tools:
            unfit(tools.unfit)
            known = [await _read(name, tools.account(name.identity)) for name in await tools.accounts()]
            starting = await tools.starting(expected) if expected else {}
    except AccountError as error:
        raise Refused(str(error)) from None
    names = {account.account for account in known}
    unknown = [_unidentified(resource, published) for resource, published in starting.items() if resource not in names]
    return [_joined(account, starting.get(account.account)) for account in known] + unknown


def _joined(account: AccountStatus, starting: Published | None) -> AccountStatus:
    if starting is None:
        return account
    makers = [*account.makers, *starting.records]
    return msgspec.structs.replace(account, makers=makers, problems=[*account.problems, *starting.problems])


def _unidentified(resource: str, starting: Published) -> AccountStatus:
    """Of an account whose identity nobody knows yet nothing is shared."""
    return AccountStatus(
        account=resource,
        identity="",
        emergency="",
        epoch=0,
        reason="",
        source="",
        seeded=False,
        declared="",
        halts=[],
        exposure=None,
        net_limit=None,
        gross_limit=None,
        rebuilt=False,
        steward=None,
        makers=starting.records,
        problems=starting.problems,
        unread=[],
    )


async def _read(name: AccountName, account: Account) -> AccountStatus:
    parts = _Parts()
    switch: SwitchState | None = await parts.read(account.switch(), None)
    halts: list[HaltState] = await parts.read(account.halts(), [])
    ledger: LedgerView | None = await parts.read(account.ledger(), None)
    steward: StewardReport | None = await parts.read(account.steward(), None)
    published = await parts.read(account.records(), Published([], []))
    makers = sorted(published.records, key=lambda record: (record.namespace, record.maker, record.holder))
    return AccountStatus(
        account=name.resource,
        identity=name.identity,
        emergency=LEVELS[switch.level] if switch else "",
        epoch=switch.epoch if switch else 0,
        reason=switch.reason if switch else "",
        source=switch.source if switch else "",
        seeded=switch is not None and switch.seeded,
        declared=LEVELS[switch.declared] if switch else "",
        halts=[
            Halted(halt.symbol, halt.switch.epoch, halt.switch.reason, halt.switch.source, halt.dry_run)
            for halt in halts
            if halt.switch.level > EmergencyLevel.NONE
        ],
        exposure=exposure_of(ledger) if ledger else None,
        net_limit=ledger.net_limit_micro * MICRO if ledger and ledger.net_limit_micro is not None else None,
        gross_limit=ledger.gross_limit_micro * MICRO if ledger and ledger.gross_limit_micro is not None else None,
        rebuilt=ledger is not None and ledger.rebuilt,
        steward=steward,
        makers=[record for record in makers if record.account == name.resource],
        problems=published.problems,
        unread=parts.unread,
    )


class _Parts:
    """Reads one part after the other; keeps, once each, why one could not be read."""

    def __init__(self) -> None:
        self.unread: list[str] = []

    async def read(self, part: Awaitable[Part], unknown: Part) -> Part:
        try:
            return await part
        except AccountError as error:
            if str(error) not in self.unread:
                self.unread.append(str(error))
            return unknown


def of_maker(accounts: Sequence[AccountStatus], name: str) -> list[AccountStatus]:
    """The accounts with only that maker left in each; raises `Refused` where there is none."""
    wanted = name.lower()
    found = [
        msgspec.structs.replace(account, makers=makers)
        for account in accounts
        if (makers := [record for record in account.makers if wanted in _names(record)])
    ]
    if not found:
        for account in accounts:
            if account.unread:  # who tells may be what could not be read
                raise Refused("; ".join(account.unread))
        there = ", ".join(sorted({record.maker for account in accounts for record in account.makers})) or "none"
        raise Refused(f"no worker of a maker {name} tells anything; there are: {there}")
    return found


def _names(record: StateRecord) -> tuple[str, ...]:
    return record.maker, f"{record.namespace}/{record.maker}", record.symbol.lower()


# -- for people ------------------------------------------------------------------------------------


def _account_text(account: AccountStatus) -> str:
    header = ("maker", "symbol", "role", "quotes", "position", "worst", "pnl", "fills", "health")
    rows = [
        (
            record.maker,
            record.symbol,
            str(record.role),
            f"{len(record.quotes.bids)}×{len(record.quotes.asks)}",
            record.position.qty,
            f"{_worst(record):.2f}",
            "–" if record.pnl.total is None else f"{record.pnl.total:+.2f}",
            str(record.activity.fills),
            health(record),
        )
        for record in account.makers
    ]
    identity = account.identity or "its workers do not know yet which of the exchange's it is"
    lines = [f"account {short_name(account.account)} ({identity})"]
    lines += _shared_lines(account) if account.identity else (f"  not readable: {each}" for each in account.problems)
    lines = list(map(one_line, lines))
    return "\n".join([*lines, aligned(header, rows) if rows else "no worker tells anything\n"]) + "\n"


def _shared_lines(account: AccountStatus) -> Iterator[str]:
    yield from _switch_lines(account)
    name = short_name(account.account)
    for halt in account.halts:
        resume = f"phoenix resume {name} --symbol {halt.symbol} --epoch {halt.epoch}"
        yield f"  {halt.symbol} is halted, epoch {halt.epoch}: {halt.reason}; to lift it: {resume}"
    yield f"  exposure: {_exposure(account)}"
    if account.steward is not None:
        report = account.steward
        margin = f"margin {report.margin_ratio:.1%} of {report.margin_balance:.2f} {report.margin_asset} in use"
        result = Decimal(sum(row.result for row in report.days)).scaleb(-8)
        day = f"; since 00:00 UTC its makers made {result:+.2f} together"
        yield f"  steward {report.holder}: {report.problem or margin + day}"
    for problem in account.problems:
        yield f"  not readable: {problem}"


def _switch_lines(account: AccountStatus) -> Iterator[str]:
    yield f"  {emergency_line(account)}"
    if account.declared not in {"", LEVELS[EmergencyLevel.NONE]}:
        yield f"  spec.emergency is {account.declared}: in force until the resource says None"


def _exposure(account: AccountStatus) -> str:
    if account.exposure is None:
        return "not known"
    sums = (
        ("long", account.exposure.net_long, account.net_limit),
        ("short", account.exposure.net_short, account.net_limit),
        ("gross", account.exposure.gross, account.gross_limit),
    )
    told = ", ".join(
        f"{what} {max(value, Decimal(0)):.0f}" + (f" of {most:.0f}" if most else "") for what, value, most in sums
    )
    return told + ("" if account.rebuilt else "; being rebuilt, nothing that opens risk is granted")


def emergency_line(account: AccountStatus) -> str:
    """The switch, and how a person lifts it."""
    if not account.emergency:
        return "emergency not known"
    if account.emergency != LEVELS[EmergencyLevel.NONE]:
        resume = f"phoenix resume {short_name(account.account)} --epoch {account.epoch}"
        told = f"emergency {account.emergency}, epoch {account.epoch}, by {account.source}: {account.reason}"
        return f"{told}; to lift it: {resume}"
    if not account.seeded:
        return "emergency not seeded, everybody halts: start the operator, or on one machine the runner"
    return f"emergency none, epoch {account.epoch}"


def _worst(record: StateRecord) -> float:
    """The larger worst case, as a share of netMax."""
    net_max = Decimal(record.position.net_max)
    worst = max(abs(Decimal(record.position.worst_case_long)), abs(Decimal(record.position.worst_case_short)))
    return float(worst / net_max) if net_max else 0.0


def _maker_lines(account: AccountStatus) -> Iterator[str]:
    for record in account.makers:
        quoting = record.reason is Reason.QUOTING
        why = "quotes" if quoting else f"does not quote: {health(record)}"
        yield f"{record.maker} ({record.symbol}, account {short_name(account.account)}) {why}"
        others = [str(reason) for reason in record.reasons_not_ready if reason is not record.reason]
        if others:
            yield f"  also: {', '.join(others)}"
        yield from _remedies(account, record)
        yield from (f"  {line}" for line in worker_lines(record))


def worker_lines(record: StateRecord) -> Iterator[str]:
    """What one worker has and does."""
    yield f"for {record.ages.reason / 1000:.0f} s; worker up {record.ages.running / 1000:.0f} s, {record.role}"
    yield f"worker {record.holder}, build {record.build}, token {record.token}, mode {record.mode}"
    touch = f"{record.prices.bid or '–'}/{record.prices.ask or '–'}"
    yield f"price {touch}, book {_age(record.ages.book)}, user stream {_age(record.ages.user)}"
    vpin, funding = _figure(record.prices.vpin, ".2f"), _figure(record.prices.predicted_funding, "+.4%")
    yield f"VPIN {vpin}, funding expected {funding}"
    yield f"bids {_quotes(record.quotes.bids)}"
    yield f"asks {_quotes(record.quotes.asks)}"
    position = record.position
    yield (
        f"position {position.qty} of {position.net_max}, worst case long {position.worst_case_long}"
        f" short {position.worst_case_short}, mode {record.guard or 'none'}"
    )
    day = "" if record.pnl.day is None else f", {Decimal(record.pnl.day):+.4f} since 00:00 UTC"
    yield f"pnl {_figure(record.pnl.total, '+.4f')} (fees {_fees(record.pnl)}){day}, {record.activity.fills} fills"


def _remedies(account: AccountStatus, record: StateRecord) -> Iterator[str]:
    """What stands against quoting that a person can change."""
    if account.identity and (account.emergency != LEVELS[EmergencyLevel.NONE] or not account.seeded):
        yield from _switch_lines(account)
    elif record.emergency.level != LEVELS[EmergencyLevel.NONE]:
        yield f"  emergency {record.emergency.level}: {record.emergency.reason}"
    for halt in account.halts:
        if halt.symbol == record.symbol:
            resume = f"phoenix resume {short_name(account.account)} --symbol {halt.symbol} --epoch {halt.epoch}"
            yield f"  halted under epoch {halt.epoch}: {halt.reason}; to lift it: {resume}"
    if record.configuration.refused:
        yield f"  parameters refused: {record.configuration.refused}"
    if record.configuration.needs_restart:
        yield f"  waits for a restart: {', '.join(record.configuration.needs_restart)}"


def _age(milliseconds: int | None) -> str:
    return "never seen" if milliseconds is None else f"{milliseconds} ms old"


def _fees(pnl: Pnl) -> str:
    """In quote; as they were paid while one of them has no price."""
    if pnl.fees is not None:
        return f"{Decimal(pnl.fees):.4f}"
    paid = ", ".join(f"{Decimal(amount).normalize():f} {asset}" for asset, amount in pnl.fees_by_asset.items())
    return f"{paid}, of which not all has a price yet"


def _figure(value: Decimal | float | None, form: str) -> str:
    return "not known" if value is None else format(value, form)


def _quotes(quotes: Sequence[Quote]) -> str:
    return " ".join(f"{quote.price}×{quote.qty}" for quote in quotes) or "none"
