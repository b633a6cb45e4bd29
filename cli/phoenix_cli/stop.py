"""Stop an account: every maker of it withdraws its quotes and opens nothing until a person resumes it.

The switch is sticky: no restart of a worker, of Redis or of a run lowers it, only `phoenix resume` naming its epoch.
With --flatten what is open is closed as well, reduce-only.
"""

import argparse
import asyncio
import sys
import time

import msgspec
from phoenix_coordination.order_id import parse
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import Account, AccountError
from phoenix_coordination.state import Mode, StateRecord

from phoenix_cli.local.runfile import AccountFiles
from phoenix_cli.local.view import LEVELS
from phoenix_cli.printing import as_json
from phoenix_cli.refusal import Refused
from phoenix_cli.target import Target, add_target_arguments, opened, short_name, target_of, whoami

EXCHANGE, MAKERS = "exchange", "makers"
_TELL_WITHIN_S = 5.0
_LISTEN_S = 0.1
_LOOKS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0)
"""Pauses between looks at the exchange: each costs the egress request weight that the makers' cancels want too."""


class Stopped(msgspec.Struct, frozen=True):
    """What `-o json` prints. `reason` tells that of an earlier stop, too, which this one has not lifted.

    `left`: orders that still rest after `looked_ms`. `asked` is who said so: the exchange, where a run on this machine
    has the key, else the makers, who tell every second. None where nobody was asked, or `problem` says why not.
    """

    account: str
    level: str
    epoch: int
    reason: str
    source: str
    left: int | None
    asked: str
    looked_ms: int
    problem: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="[namespace/]name of the account, for example default")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why: whoever resumes it will read this")
    parser.add_argument("--flatten", action="store_true", help="also close what is open")
    parser.add_argument("--no-wait", action="store_true", help="do not look whether the exchange's book is empty")
    add_target_arguments(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    if not args.reason.strip():
        raise Refused("--reason is empty: say why, for whoever has to decide about resuming")
    target = target_of(args)
    level = EmergencyLevel.FLATTEN if args.flatten else EmergencyLevel.HALT
    told = asyncio.run(stop(target, args.account, level, args.reason.strip(), wait=not args.no_wait))
    if args.output == "json":
        sys.stdout.write(as_json(told))
    else:
        sys.stdout.write(_sentences(told))
        if told.problem:
            sys.stderr.write(f"phoenix stop: {told.problem}\n")
    return 1 if told.left or told.problem else 0


async def stop(target: Target, name: str, level: EmergencyLevel, reason: str, *, wait: bool) -> Stopped:
    """Raises the switch, before anything else is asked; then looks at what the exchange still has of ours."""
    async with opened(target, name) as (resource, account):
        switch = await account.stop(level, reason, whoami())
        began_s = time.perf_counter()
        files = target.files_of(resource)
        left, asked, problem = None, EXCHANGE if files is not None else MAKERS, ""
        if wait:
            try:
                left = await (_resting(target, files, level) if files is not None else _told(account, switch.epoch))
            except (Refused, AccountError) as error:
                problem = f"whether something still rests is not known: {error}"
        return Stopped(
            account=resource,
            level=LEVELS[switch.level],
            epoch=switch.epoch,
            reason=switch.reason,
            source=switch.source,
            left=left,
            asked=asked if wait else "",
            looked_ms=round((time.perf_counter() - began_s) * 1000),
            problem=problem,
        )


async def _resting(target: Target, files: AccountFiles, level: EmergencyLevel) -> int:
    """Orders of ours on the exchange, as soon as there are none, or after the last look."""
    # What reads the exchange takes half a second to import: the stop has left by now, and that is why it is here.
    from phoenix_cli.local.signed import reader_of  # noqa: PLC0415 - see above

    if target.run is None:
        raise Refused("no run on this machine has the account's key")
    closing = level is EmergencyLevel.FLATTEN  # what closes the position may rest a while
    left = 0
    async with reader_of(target.run, files) as reader:
        for pause_s in _LOOKS_S:
            await asyncio.sleep(pause_s)
            ours = [order for order in await reader.open_orders() if parse(order.client_id) is not None]
            left = sum(not (closing and order.reduce_only) for order in ours)
            if not left:
                break
    return left


async def _told(account: Account, epoch: int) -> int:
    """Orders of which the live makers tell, as soon as all have heard of the stop and have none, or after a while."""
    until_s = time.monotonic() + _TELL_WITHIN_S
    while True:
        records = (await account.records()).records
        left = sum(_left_of(record, epoch) for record in records if record.mode is Mode.LIVE)
        if not left or time.monotonic() > until_s:
            return left
        await asyncio.sleep(_LISTEN_S)


def _left_of(record: StateRecord, epoch: int) -> int:
    """Of a worker that has not heard yet it is not known: at least one."""
    return max(len(record.quotes.bids) + len(record.quotes.asks), int(record.emergency.epoch < epoch))


def _sentences(told: Stopped) -> str:
    name = short_name(told.account)
    lines = [f"{name} is stopped: {told.level}, epoch {told.epoch}: {told.reason}"]
    if told.left == 0 and told.asked == EXCHANGE:
        lines.append(f"no order of ours rests on the exchange (looked {told.looked_ms} ms after the stop)")
    elif told.left == 0:
        lines.append(f"no maker tells of an order that rests ({told.looked_ms} ms after the stop)")
    elif told.left:
        lines.append(f"{told.left} orders may still rest after {told.looked_ms / 1000:.1f} s: see `phoenix orders`")
    lines.append(f"it trades again after `phoenix resume {name} --epoch {told.epoch}`")
    return "\n".join(lines) + "\n"
