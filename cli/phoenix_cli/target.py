"""Which Redis, and which run of this machine, a command is about: the one named, else the run that is going on."""

import argparse
import getpass
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from phoenix_coordination.redis.account import Account, AccountError, account_tools
from phoenix_coordination.redis.client import RedisUrlError, read_url

from phoenix_cli.local.layout import NAMESPACE, StateDirectory, default_state_directory
from phoenix_cli.local.runfile import KINDS, AccountFiles, RunFile, is_held, read_run_file
from phoenix_cli.refusal import Refused


@dataclass(frozen=True, slots=True)
class Target:
    """`url` of the Redis, which may hold a password; `run` is what is known of the run, where it is one of ours."""

    url: str
    run: RunFile | None

    def files_of(self, resource: str, identity: str) -> AccountFiles | None:
        """Where the run has that account's files; None where it is none of a run on this machine, or not known to be
        that one: what is called the same may be another run's.
        """
        return next((files for files in self._called(resource) if files.identity == identity), None)

    def identity_of(self, resource: str) -> str:
        """The exchange's own name of the run's account, as its own workers have told it; empty where it is not known.

        What Redis knows under the resource's name may be the account of another run.
        """
        return next((files.identity for files in self._called(resource)), "")

    def _called(self, resource: str) -> list[AccountFiles]:
        return [] if self.run is None else [each for each in self.run.accounts if full_name(each.account) == resource]


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


@asynccontextmanager
async def opened(target: Target, name: str) -> AsyncIterator[tuple[str, Account]]:
    """The account of that `[namespace/]name`, with its whole name; raises `Refused` where it cannot be reached."""
    try:
        async with account_tools(target.url) as tools:
            # Without a namespace one of this machine's run is meant; elsewhere a name that is the only one of its kind.
            local = target.run is not None and "/" not in name
            resource = full_name(name) if local else name
            if identity := target.identity_of(resource):
                yield resource, tools.account(identity)
            else:
                found = await tools.find(resource)
                yield found.resource, tools.account(found.identity)
    except AccountError as error:
        raise Refused(str(error)) from None


def whoami() -> str:
    """Who types this, for whoever reads the switch later."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


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


def last_run(state_directory: Path | None) -> RunFile:
    """The run that is going on, else the last `up` that has ended: a demo's exchange ends with it, that of an `up` goes
    on. Raises `Refused` where there is neither.
    """
    place = StateDirectory(state_directory or default_state_directory("up"))
    try:
        return read_run(find_run(state_directory))
    except Refused:
        ended = None if is_held(place) else read_run_file(place.run_file)
        if ended is None or ended.view.title != "up":
            raise
        return ended


def accounts_of(run: RunFile, name: str | None) -> list[AccountFiles]:
    """All accounts of the run, or the one of that `[namespace/]name`; raises `Refused` for one that is not of it."""
    found = [files for files in run.accounts if name is None or full_name(files.account) == full_name(name)]
    if not found:
        told = ", ".join(files.account for files in run.accounts) or "none yet"
        raise Refused(f"account {name} is not of this run; there are: {told}" if name else "the run has no account yet")
    return found


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
