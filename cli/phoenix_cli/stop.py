"""Stop an account: every maker of it withdraws its quotes and opens nothing until a person resumes it.

The switch is sticky: no restart of a worker, of Redis or of a run lowers it, only `phoenix resume` naming its epoch.
With --flatten what is open is closed as well, reduce-only. Then it looks at what is left: 0 where nothing is, 1 where
an order may still rest, a position is still open, or nobody can say. The stop is in force all the same.

In a cluster the operator is asked, through the account's status, and tells what the makers have left; where none
answers the status is 1, and what stops without it is said.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator

import msgspec
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import AccountError

from phoenix_cli.aftermath import Held, Left, Since, listed, on_exchange, told_by_makers
from phoenix_cli.cluster.place import Place
from phoenix_cli.local.view import LEVELS
from phoenix_cli.printing import as_json, one_line
from phoenix_cli.refusal import Refused
from phoenix_cli.target import Target, add_cluster_arguments, add_target_arguments, chosen, opened, short_name, whoami

EXCHANGE, MAKERS, OPERATOR = "exchange", "makers", "operator"
_LOOK_THERE = "look at the exchange (`phoenix orders` where the run with the account's key is, or its own page)"


class Stopped(msgspec.Struct, frozen=True):
    """What `-o json` prints. `reason` tells that of an earlier stop, too, which this one has not lifted.

    `left`: orders that still rest after `looked_ms`; `open`: positions that are still open after `open_ms`, None where
    the stop closes none; `apart`: positions of symbols that no maker ever led, which stay. `asked` is who said so: the
    exchange, where a run on this machine has the key, else the makers, who tell every second. None where nobody was
    asked, or `problem` says why nobody can say.
    """

    account: str
    level: str
    epoch: int
    reason: str
    source: str
    asked: str
    left: int | None = None
    looked_ms: int | None = None
    open: list[Held] | None = None
    open_ms: int | None = None
    apart: list[Held] = []
    problem: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether nothing is left, as far as anybody was asked."""
        return not (self.left or self.open or self.problem)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="[namespace/]name of the account, for example default")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why: whoever resumes it will read this")
    parser.add_argument("--flatten", action="store_true", help="also close what is open")
    parser.add_argument("--no-wait", action="store_true", help="do not look whether anything is left")
    add_target_arguments(parser)
    add_cluster_arguments(parser, many=False)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    if not args.reason.strip():
        raise Refused("--reason is empty: say why, for whoever has to decide about resuming")
    if not args.reason.strip().isprintable():
        raise Refused(f"--reason holds what is no text ({one_line(args.reason.strip())}): write it on one line")
    target = chosen(args, args.account, acts=True)
    level = EmergencyLevel.FLATTEN if args.flatten else EmergencyLevel.HALT
    reason, wait, as_text = args.reason.strip(), not args.no_wait, args.output == "text"

    def stopped(told: Stopped) -> None:
        if as_text:  # at once: whoever leaves with Ctrl-C has to know that it is in force
            name = short_name(told.account)
            print(one_line(f"{name} is stopped: {told.level}, epoch {told.epoch}: {told.reason}"), flush=True)

    if isinstance(target, Place):
        from phoenix_crds import Emergency  # noqa: PLC0415 - as below

        from phoenix_cli.cluster import switch  # noqa: PLC0415 - half a second that a stop on this machine must not wait

        told = asyncio.run(switch.stop(target, args.account, Emergency(LEVELS[level]), reason, stopped, wait=wait))
    else:
        told = asyncio.run(stop(target, args.account, level, reason, stopped, wait=wait))
    if as_text:
        sys.stdout.writelines(f"{one_line(line)}\n" for line in _sentences(told, target.typed))
        if told.problem:
            sys.stderr.write(f"phoenix stop: {one_line(told.problem)}\n")
    else:
        sys.stdout.write(as_json(told))
    return 0 if told.is_certain else 1


async def stop(
    target: Target,
    name: str,
    level: EmergencyLevel,
    reason: str,
    stopped: Callable[[Stopped], None],
    *,
    wait: bool,
) -> Stopped:
    """Raises the switch, before anything else is asked, and tells `stopped`; then looks at what is left of ours."""
    async with opened(target, name) as (resource, account):
        switch = await account.stop(level, reason, whoami())
        since = Since()
        files = target.files_of(resource, account.identity)
        told = Stopped(
            resource,
            LEVELS[switch.level],
            switch.epoch,
            switch.reason,
            switch.source,
            asked="" if not wait else EXCHANGE if files is not None else MAKERS,
        )
        stopped(told)
        if not wait:
            return told
        try:
            if target.run is not None and files is not None:
                left = await on_exchange(target.run, files, account, switch, since)
            else:
                left = await told_by_makers(account, switch, since)
        except (Refused, AccountError) as error:
            return msgspec.structs.replace(told, problem=f"what is left is not known: {error}; {_LOOK_THERE}")
        return with_left(told, left)


def with_left(told: Stopped, left: Left) -> Stopped:
    """What was found; where there may be more, none found is not none."""
    unsure = bool(left.unsure)
    still = None if unsure and not left.open else left.open
    return msgspec.structs.replace(
        told,
        left=None if unsure and not left.orders else left.orders,
        looked_ms=left.orders_ms,
        open=still,
        open_ms=left.open_ms if still is not None else None,
        apart=left.apart,
        problem=f"nobody can say what is left: {'; '.join(left.unsure)}: {_LOOK_THERE}" if unsure else "",
    )


def _sentences(told: Stopped, typed: str) -> Iterator[str]:
    name, by_exchange = short_name(told.account), told.asked == EXCHANGE
    if told.left == 0 and by_exchange:
        yield f"no order of ours rests on the exchange (looked {told.looked_ms} ms after the stop)"
    elif told.left == 0:
        yield f"no maker tells of an order that rests ({told.looked_ms} ms after the stop)"
    elif told.left:
        yield f"{told.left} orders may still rest after {(told.looked_ms or 0) / 1000:.1f} s: see `phoenix orders`"
    if told.open:
        seconds = (told.open_ms or 0) / 1000
        yield f"still open after {seconds:.1f} s: {listed(told.open)}; closing goes on: see `phoenix positions`"
    elif told.open is not None and by_exchange:
        yield f"no position of ours is open (closed within {told.open_ms} ms of the stop)"
    elif told.open is not None:
        yield f"no maker tells of a position that is open ({told.open_ms} ms after the stop)"
    if told.apart:
        yield f"left as it is, because no maker of ours ever led it: {listed(told.apart)}"
    yield f"it trades again after `phoenix resume {name} --epoch {told.epoch}{typed}`"
