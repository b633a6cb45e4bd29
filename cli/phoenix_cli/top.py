"""Watch the makers of a run on this machine, live: the screen of its runner, attached from another terminal."""

import argparse
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console

from phoenix_cli.local.layout import StateDirectory, default_state_directory
from phoenix_cli.local.runfile import RunFile, is_held, read_run_file
from phoenix_cli.plain import maker_line
from phoenix_cli.refusal import Refused
from phoenix_cli.screen import ScreenOutput

_REFRESH_S = 0.25
_KINDS = ("demo", "up")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="of the run (default: the demo's, else up's)")
    parser.add_argument("--plain", action="store_true", help="one line for each maker, once, instead of the screen")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="json: all of it, once")


def run(args: argparse.Namespace) -> int:
    directory = find_run(args.state_dir)
    found = _read(directory)
    if args.output == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found.view), indent=2).decode() + "\n")
    elif args.plain or not sys.stdout.isatty():
        sys.stdout.writelines(f"{maker_line(maker)}\n" for maker in found.view.makers)
    else:
        _follow(directory)
    return 0


def find_run(state_directory: Path | None) -> StateDirectory:
    """The state directory of the run that is going on; raises `Refused` where there is none, or more than one."""
    places = [state_directory] if state_directory is not None else list(map(default_state_directory, _KINDS))
    running = [directory for directory in map(StateDirectory, places) if is_held(directory)]
    if not running:
        where = " or ".join(map(str, places))
        raise Refused(f"no run is going on in {where}: start one with `phoenix demo`, or name it with --state-dir")
    if len(running) > 1:
        choice = " or ".join(str(each.root) for each in running)
        raise Refused(f"{len(running)} runs are going on: choose with --state-dir {choice}")
    return running[0]


def _read(directory: StateDirectory) -> RunFile:
    found = read_run_file(directory.run_file)
    if found is None:
        raise Refused(f"the run in {directory.root} has not said anything yet: try again in a moment")
    return found


def _follow(directory: StateDirectory) -> None:
    """Shows the run until it ends or the person leaves with Ctrl-C."""
    with ScreenOutput(Console()) as screen:
        while is_held(directory):
            found = read_run_file(directory.run_file)
            if found is not None:
                screen.update(found.view)
            time.sleep(_REFRESH_S)
    sys.stdout.write("the run has ended\n")
