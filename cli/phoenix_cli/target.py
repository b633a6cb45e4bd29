"""What a command is about: the Redis, run or cluster that is named; else this machine's run, else kubectl's cluster.

Where a run goes on and a cluster is configured as well, a namespace tells them apart: the runner's is `local`. Without
one, what only reads takes the run and says so; what stops or resumes has to be told: it must never act on the other.
"""

import argparse
import getpass
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from phoenix_coordination.redis.account import Account, AccountError, AccountTools, account_tools
from phoenix_coordination.redis.client import RedisUrlError, read_url

from phoenix_cli.cluster.place import Place, configured
from phoenix_cli.local.layout import NAMESPACE, StateDirectory, default_state_directory
from phoenix_cli.local.runfile import KINDS, AccountFiles, RunFile, is_held, read_run_file
from phoenix_cli.printing import one_line
from phoenix_cli.refusal import Refused


@dataclass(frozen=True, slots=True)
class Target:
    """`url` of the Redis, which may hold a password; `run` is what is known of the run, where it is one of ours."""

    url: str
    run: RunFile | None

    @property
    def typed(self) -> str:
        """As of a `Place`: what is on this machine is found again without a flag."""
        return ""

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


def add_cluster_arguments(parser: argparse.ArgumentParser, *, many: bool) -> None:
    """`many`: the command may be about all namespaces."""
    cluster = parser.add_argument_group("of a cluster")
    cluster.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: the current one)")
    cluster.add_argument(
        "--kubeconfig", metavar="FILE", help="default: KUBECONFIG, else in-cluster, else kubectl's own"
    )
    which = cluster.add_mutually_exclusive_group() if many else cluster
    which.add_argument("-n", "--namespace", metavar="NS", help="default: the one of the context")
    if many:
        which.add_argument("-A", "--all-namespaces", action="store_true", help="every namespace")
    parser.set_defaults(all_namespaces=False, plugin=False)


def chosen(args: argparse.Namespace, name: str | None, *, acts: bool) -> Target | Place:
    """What was typed, else what is there; raises `Refused` where that is nothing, or, for what `acts`, both.

    `name` is the `[namespace/]name` of what it is about.
    """
    place = Place(args.kubeconfig, args.context, args.namespace, args.all_namespaces)
    named_here = args.state_dir is not None or (args.redis is not None and acts)
    if place != Place():
        if named_here:
            here = "--state-dir" if args.state_dir is not None else "--redis"
            raise Refused(f"{here} and a cluster's flags each name what is meant: leave one of them out")
        return place
    if args.plugin and not named_here:
        return place  # kubectl's user means kubectl's cluster
    if args.state_dir is not None or args.redis is not None:
        return target_of(args)
    runs, cluster = running_in(list(map(default_state_directory, KINDS))), configured()
    namespace = (name or "").rpartition("/")[0]
    if runs and cluster and not namespace:
        there = f"-n NAMESPACE for {cluster}"
        if acts:
            raise Refused(
                f"a run goes on in {runs[0].root}, and a cluster is configured: say which is meant,"
                f" {NAMESPACE}/{name} for the run or {there}"
            )
        sys.stderr.write(f"this is the run on this machine; a cluster is configured, too: {there}\n")
    if cluster and (not runs or namespace not in {"", NAMESPACE}):
        return place
    return target_of(args)


def target_of(args: argparse.Namespace) -> Target:
    """The Redis or run that was typed, else the run on this machine; raises `Refused` where there is none."""
    if args.redis is not None and args.state_dir is not None:
        raise Refused("--redis and --state-dir each name what is meant: leave one of them out")
    if (url := redis_of(args)) is not None:
        return Target(url, None)
    run = read_run(find_run(args.state_dir))
    return Target(_checked(run.redis), run)


def redis_of(args: argparse.Namespace) -> str | None:
    """The URL of the Redis that was typed; raises `Refused` where it is none."""
    return None if args.redis is None else _checked(args.redis)


def _checked(argument: str) -> str:
    try:
        return read_url(argument)
    except RedisUrlError as error:
        raise Refused(f"--redis: {error}") from None


@asynccontextmanager
async def opened(target: Target, name: str) -> AsyncIterator[tuple[str, Account]]:
    """The account of that `[namespace/]name`, with its whole name; raises `Refused` where it cannot be reached."""
    try:
        async with account_tools(target.url) as tools, _warned_at_last(tools):
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


@asynccontextmanager
async def _warned_at_last(tools: AccountTools) -> AsyncIterator[None]:
    """What is done comes first: a stop waits for no warning."""
    try:
        yield
    finally:
        warn(tools.unfit)


def warn(unfit: str) -> None:
    """Of a Redis that no worker would use; nothing where it is fit."""
    if unfit:
        sys.stderr.write(f"warning: {one_line(unfit)}\n")


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
    running = running_in(places)
    if not running:
        where = " or ".join(map(str, places))
        raise Refused(
            f"no run is going on in {where}: start one with `phoenix demo`, or name it with --state-dir"
            " (or a cluster, with --context, --kubeconfig or -n)"
        )
    if len(running) > 1:
        choice = " or ".join(str(each.root) for each in running)
        raise Refused(f"{len(running)} runs are going on: choose with --state-dir {choice}")
    return running[0]


def running_in(places: Sequence[Path]) -> list[StateDirectory]:
    """Those state directories that a runner holds."""
    return [directory for directory in map(StateDirectory, places) if is_held(directory)]


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
