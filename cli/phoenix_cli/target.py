"""Which Redis, and which run of this machine, a command is about: the one named, else the run that is going on."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from phoenix_coordination.redis.client import RedisUrlError, read_url

from phoenix_cli.local.layout import StateDirectory, default_state_directory
from phoenix_cli.local.parameters import NAMESPACE
from phoenix_cli.local.runfile import KINDS, RunFile, is_held, read_run_file
from phoenix_cli.refusal import Refused


@dataclass(frozen=True, slots=True)
class Target:
    """`url` of the Redis, which may hold a password; `run` is what is known of the run, where it is one of ours."""

    url: str
    run: RunFile | None


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--redis", metavar="URL|@FILE", help="what the makers share (default: the Redis of the run on this machine)"
    )
    add_state_directory(parser)


def add_state_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="of the run (default: the demo's, else up's)")


def target_of(args: argparse.Namespace) -> Target:
    """What was typed; raises `Refused` where there is no such Redis or run."""
    if args.redis is not None and args.state_dir is not None:
        raise Refused("--redis and --state-dir each name what is meant: leave one of them out")
    run = None
    argument = args.redis
    if argument is None:
        run = read_run(find_run(args.state_dir))
        argument = run.redis
    try:
        return Target(read_url(argument), run)
    except RedisUrlError as error:
        raise Refused(f"--redis: {error}") from None


def find_run(state_directory: Path | None) -> StateDirectory:
    """The state directory of the run that is going on; raises `Refused` where there is none, or more than one: what is
    stopped, resumed or read must be what was meant.
    """
    places = [state_directory] if state_directory is not None else list(map(default_state_directory, KINDS))
    running = [directory for directory in map(StateDirectory, places) if is_held(directory)]
    if not running:
        where = " or ".join(map(str, places))
        raise Refused(f"no run is going on in {where}: start one with `phoenix demo`, or name it with --state-dir")
    if len(running) > 1:
        choice = " or ".join(str(each.root) for each in running)
        raise Refused(f"{len(running)} runs are going on: choose with --state-dir {choice}")
    return running[0]


def read_run(directory: StateDirectory) -> RunFile:
    found = read_run_file(directory.run_file)
    if found is None:
        raise Refused(f"the run in {directory.root} has not said anything yet: try again in a moment")
    return found


def full_name(account: str) -> str:
    """`default` → `local/default`: without a namespace the local runner's is meant."""
    return account if "/" in account else f"{NAMESPACE}/{account}"


def short_name(account: str) -> str:
    """`local/default` → `default`: as people type it."""
    return account.removeprefix(f"{NAMESPACE}/")
