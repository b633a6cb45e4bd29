"""Let an account trade again after a stop, or a symbol after its own risk halt.

The epoch is the one that `phoenix stop`, `phoenix status` and `phoenix top` show: whoever resumes has seen the very
stop that is lifted, and no later one is lifted by accident. In a cluster the operator is asked, through the account's
status; a request that none answers is taken back.
"""

import argparse
import asyncio
import sys

import msgspec
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import Account, SwitchState

from phoenix_cli.cluster.place import Place
from phoenix_cli.local.view import LEVELS
from phoenix_cli.printing import as_json, one_line
from phoenix_cli.target import Target, add_cluster_arguments, add_target_arguments, chosen, opened, short_name, whoami


class Resumed(msgspec.Struct, frozen=True):
    """What `-o json` prints; `symbol` is empty where the whole account was resumed. `declared`: a resource's
    `spec.emergency`, which stops it all the same.
    """

    account: str
    symbol: str
    epoch: int
    declared: str = LEVELS[EmergencyLevel.NONE]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="[namespace/]name of the account, for example default")
    parser.add_argument("--epoch", required=True, type=int, metavar="N", help="of the stop that is to end")
    parser.add_argument("--symbol", metavar="S", help="only this symbol's risk halt (default: the account's switch)")
    add_target_arguments(parser)
    add_cluster_arguments(parser, many=False)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    symbol = (args.symbol or "").upper()
    target = chosen(args, args.account, acts=True)
    if isinstance(target, Place):
        from phoenix_cli.cluster import switch  # noqa: PLC0415 - half a second that no run on this machine needs

        told = asyncio.run(switch.resume(target, args.account, symbol, args.epoch))
    else:
        told = asyncio.run(resume(target, args.account, symbol, args.epoch))
    sys.stdout.write(as_json(told) if args.output == "json" else f"{one_line(_sentence(told))}\n")
    return 0


def _sentence(told: Resumed) -> str:
    what = " ".join(filter(None, (short_name(told.account), told.symbol)))
    if told.declared != LEVELS[EmergencyLevel.NONE]:
        return f"{what} is resumed, epoch {told.epoch}, and stays stopped: its resource says emergency {told.declared}"
    return f"{what} may trade again, epoch {told.epoch}; `phoenix status` shows what each maker does"


async def resume(target: Target, name: str, symbol: str, epoch: int) -> Resumed:
    """Raises `Refused` where the epoch is not the present one, or nothing is stopped."""
    async with opened(target, name) as (resource, account):
        if symbol:
            lowered = await _resume_symbol(account, symbol, epoch)
            declared = (await account.switch()).declared
        else:
            lowered = await account.resume(epoch, whoami())
            declared = lowered.declared
        return Resumed(resource, symbol, lowered.epoch, LEVELS[declared])


async def _resume_symbol(account: Account, symbol: str, epoch: int) -> SwitchState:
    """The halt of the live maker, or of the rehearsing one where only that is halted."""
    halts = [halt for halt in await account.halts() if halt.symbol == symbol]
    raised = [halt for halt in halts if halt.switch.level > EmergencyLevel.NONE]
    dry_run = bool(raised) and all(halt.dry_run for halt in raised)
    return await account.resume_symbol(symbol, epoch, whoami(), dry_run=dry_run)
