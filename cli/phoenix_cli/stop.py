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

from phoenix_cli.local.view import LEVELS
from phoenix_cli.printing import as_json
from phoenix_cli.refusal import Refused
from phoenix_cli.target import Target, add_target_arguments, opened, short_name, target_of, whoami

_LOOKS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0)
"""Pauses between looks at the exchange: each costs the egress request weight that the makers' cancels want too."""


class Stopped(msgspec.Struct, frozen=True):
    """What `-o json` prints. `raised`: this command raised the switch, it did not stand there already.

    `left`: orders of ours that still rest on the exchange after `looked_ms`, where it could be asked; else None.
    """

    account: str
    level: str
    epoch: int
    reason: str
    source: str
    raised: bool
    left: int | None
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
    return 1 if told.left or told.problem else 0


async def stop(target: Target, name: str, level: EmergencyLevel, reason: str, *, wait: bool) -> Stopped:
    """Raises the switch, before anything else is asked; then looks at what the exchange still has of ours."""
    async with opened(target, name) as (resource, account):
        source = whoami()
        switch = await account.stop(level, reason, source)
        began_s = time.perf_counter()
        raised = switch.source == source and switch.reason == reason
        left, problem = None, ""
        if wait:
            try:
                left = await _left(target, resource)
            except Refused as refused:
                problem = f"whether something still rests is not known: {refused}"
        looked_ms = round((time.perf_counter() - began_s) * 1000)
        return Stopped(
            resource, LEVELS[switch.level], switch.epoch, switch.reason, switch.source, raised, left, looked_ms, problem
        )


async def _left(target: Target, resource: str) -> int | None:
    """Orders of ours on the exchange, as soon as there are none, or after the last look; None: nobody to ask."""
    # What reads the exchange takes half a second to import: the stop has left by now, and that is why it is here.
    from phoenix_cli.local.signed import reader_of  # noqa: PLC0415 - see above

    files = target.files_of(resource)
    if target.run is None or files is None:
        return None
    left = 0
    async with reader_of(target.run, files) as reader:
        for pause_s in _LOOKS_S:
            await asyncio.sleep(pause_s)
            left = sum(parse(order.client_id) is not None for order in await reader.open_orders())
            if not left:
                break
    return left


def _sentences(told: Stopped) -> str:
    name = short_name(told.account)
    lines = [
        f"{name} is stopped: {told.level}, epoch {told.epoch}"
        if told.raised
        else f"{name} was stopped already: {told.level}, epoch {told.epoch}, by {told.source}: {told.reason}"
    ]
    if told.left == 0:
        lines.append(f"no order of ours rests on the exchange (looked {told.looked_ms} ms after the stop)")
    elif told.left:
        lines.append(f"{told.left} orders of ours still rest after {told.looked_ms / 1000:.1f} s: see `phoenix orders`")
    if told.problem:
        lines.append(told.problem)
    lines.append(f"it trades again after `phoenix resume {name} --epoch {told.epoch}`")
    return "\n".join(lines) + "\n"
