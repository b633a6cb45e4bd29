"""What `phoenix orders` and `phoenix positions` share: which accounts are asked, and how the answers are told."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from phoenix_worker.venue.binance.account import AccountReader

from phoenix_cli.local.runfile import AccountFiles
from phoenix_cli.local.signed import reader_of
from phoenix_cli.printing import as_json
from phoenix_cli.target import accounts_of, add_state_directory, last_run

Row = TypeVar("Row")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", help="only this account (default: all of the run)")
    add_state_directory(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def answer(
    args: argparse.Namespace,
    rows_of: Callable[[AccountFiles, AccountReader], Awaitable[Sequence[Row]]],
    text_of: Callable[[Sequence[Row]], str],
    order: Callable[[Row], tuple[object, ...]],
) -> int:
    """Asks the exchange for the rows of each account, one after the other, and prints all of them in order."""
    found = sorted(asyncio.run(_read(args, rows_of)), key=order)
    sys.stdout.write(as_json(found) if args.output == "json" else text_of(found))
    return 0


async def _read(
    args: argparse.Namespace, rows_of: Callable[[AccountFiles, AccountReader], Awaitable[Sequence[Row]]]
) -> list[Row]:
    run_file = last_run(args.state_dir)
    found: list[Row] = []
    for files in accounts_of(run_file, args.account):
        async with reader_of(run_file, files) as reader:
            found += await rows_of(files, reader)
    return found
