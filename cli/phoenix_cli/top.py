"""Watch accounts and makers, live: the screen of the run on this machine, from another terminal, or of a cluster.

A runner that hangs or was killed tells nothing new: then it says how old that is, and ends with 1 where it looks once.
Of a cluster the resources are shown, whose figures are at most a minute old and show their age; with --redis beside
--context, -n or -A the figures are live.
"""

import argparse
import sys
import time

import msgspec
from rich.console import Console

from phoenix_cli.cluster.place import Place
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.runfile import RunFile, is_held, read_run_file
from phoenix_cli.local.view import RunView
from phoenix_cli.plain import account_line, maker_line
from phoenix_cli.printing import as_json, one_line
from phoenix_cli.refusal import Refused
from phoenix_cli.screen import ScreenOutput
from phoenix_cli.target import add_cluster_arguments, add_target_arguments, chosen, find_run, redis_of

_REFRESH_S = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_target_arguments(parser)
    add_cluster_arguments(parser, many=True)
    parser.add_argument(
        "--plain", action="store_true", help="a line for each account and maker, once, instead of the screen"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="json: all of it, once")


def run(args: argparse.Namespace) -> int:
    plain = args.plain or not sys.stdout.isatty()
    target = chosen(args, None, acts=False)
    if isinstance(target, Place):
        from phoenix_cli.cluster import top  # noqa: PLC0415 - its client is half a second that a run does not need

        return top.run(target, redis_of(args), json=args.output == "json", plain=plain)
    if target.run is None:
        raise Refused("--redis alone has no screen: `phoenix status --redis URL` shows what is there")
    view = _view(target.run)
    if args.output == "json":
        sys.stdout.write(as_json(view))
    elif plain:
        lines = [*map(account_line, view.accounts), *map(maker_line, view.makers)]
        sys.stdout.writelines(f"{one_line(line)}\n" for line in lines)
    else:
        _follow(find_run(args.state_dir))
        return 0
    if view.stale:
        sys.stderr.write(f"phoenix top: stale, {view.stale}\n")
    return 1 if view.stale else 0


def _view(found: RunFile) -> RunView:
    return msgspec.structs.replace(found.view, stale=found.stale)


def _follow(directory: StateDirectory) -> None:
    """Shows the run until it ends or the person leaves with Ctrl-C."""
    with ScreenOutput(Console()) as screen:
        while is_held(directory):
            found = read_run_file(directory.run_file)
            if found is not None:
                screen.update(_view(found))
            time.sleep(_REFRESH_S)
    sys.stdout.write("the run has ended\n")
