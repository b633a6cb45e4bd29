"""Run your own manifests on this machine: one worker for each maker, against a simulator, the testnet or production.

Without --redis it brings a Redis of its own, whose data stay in the state directory: a stop outlives the run.
Workers are probed and started again as the operator would, and stopped in order on Ctrl-C. Manifests that change while
it runs are validated whole and put in force without a restart; one that does not validate is refused and said. The key
of an account is read from a directory with the files apiKey and apiSecret (HMAC), or apiKey and privateKey (Ed25519),
named like its credentialsSecretRef; on a simulator without one it is made there.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from phoenix_crds import InvalidResourceError, TradingAccount
from phoenix_crds.manifests import MANIFEST_SUFFIXES
from phoenix_worker.runtime.clock import Clock
from rich.console import Console

from phoenix_cli.local.exchange import QUEUE_MODELS, Control, ControlError
from phoenix_cli.local.fleet import Assignment, load_fleet, quote_asset
from phoenix_cli.local.layout import StateDirectory, default_state_directory, write_key
from phoenix_cli.local.maker import WORKER, Launch, Maker
from phoenix_cli.local.parameters import Parameters
from phoenix_cli.local.process import Guardian
from phoenix_cli.local.redis import absolute_file, check_redis, own_redis
from phoenix_cli.local.runner import RUN, Output, Runner, http_session
from phoenix_cli.local.view import Mood, RunView
from phoenix_cli.manifests import add_filename
from phoenix_cli.plain import PlainOutput
from phoenix_cli.refusal import Refused
from phoenix_cli.screen import ScreenOutput

_LOOK_S = 1.0
_BALANCE = "100000"
"""Play money of each quote asset on a simulator that has no account of ours yet."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was typed, checked. `credentials`: a place that was named; `worker`: the program, which tests replace."""

    paths: tuple[str, ...]
    state_directory: Path
    credentials: Path | None = None
    redis: str | None = None
    queue_model: str | None = None
    worker: Sequence[str] = WORKER


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_filename(parser)
    add = parser.add_argument
    add("--redis", metavar="URL|@FILE", help="what all makers of the account share (default: a Redis of its own)")
    add(
        "--credentials", type=Path, metavar="DIR", help="a directory for each Secret name (default <state>/credentials)"
    )
    add(
        "--queue-model",
        choices=QUEUE_MODELS,
        help="where in a queue of the simulator others cancel, from now on and for all who trade these symbols there:"
        " behind us, evenly, or ahead of us (default: as the simulator was started)",
    )
    add("--plain", action="store_true", help="lines instead of the live screen, also on a terminal")
    add("--state-dir", type=Path, metavar="DIR", help="logs and state (default: XDG state directory, phoenix/up)")


def run(args: argparse.Namespace) -> int:
    state_directory = (args.state_dir or default_state_directory("up")).absolute()
    options = Options(
        tuple(args.paths),
        state_directory,
        args.credentials.absolute() if args.credentials else None,
        absolute_file(args.redis),
        args.queue_model,
    )
    output: Output = PlainOutput() if args.plain or not sys.stdout.isatty() else ScreenOutput(Console())
    problem = asyncio.run(up(options, output))
    if problem:
        raise Refused(problem)
    return 0


async def up(options: Options, output: Output) -> str:
    """The whole run; returns why it failed, empty where it did not. Raises `Refused` where it could not begin."""
    fleet = load_fleet(options.paths)
    directory = StateDirectory(options.state_directory)
    with directory.locked() as lock:
        async with Guardian(lock=lock) as guardian, http_session() as http:
            blurb = RunView(title="up", elapsed_s=0, market=", ".join(sorted({each.venue for each in fleet})))
            runner = Runner(directory, Clock(), guardian, http, output, blurb)
            parameters = Parameters(directory)
            accounts = {assignment.account.metadata.name: assignment.account for assignment in fleet}
            if options.credentials and not any(each.spec.credentials_secret_ref for each in accounts.values()):
                raise Refused(
                    "--credentials: no account has a spec.credentialsSecretRef that says which of its directories is"
                    " its own: write one, or leave the option out and a simulator makes a new account"
                )
            if options.queue_model is not None:
                await _set_queue_model(options.queue_model, fleet, http)
            credentials = {
                name: await _credentials(account, fleet, options, runner) for name, account in accounts.items()
            }
            with output:
                async with runner.ended_by_signals(), _redis(options, runner):
                    for assignment in fleet:
                        runner.makers.append(_maker(assignment, options, runner, parameters, credentials))
                    runner.share(fleet, credentials)
                    runner.begin()
                    runner.tell(RUN, f"logs in {directory.root / 'logs'}")
                    _tell_what_only_a_cluster_does(fleet, runner)
                    await runner.run(beside=[_follow_manifests(options.paths, runner, parameters)])
            unorderly = [f"{maker.symbol}: {maker.stop_problem}" for maker in runner.makers if maker.stop_problem]
            return runner.problem or "; ".join(unorderly)


@asynccontextmanager
async def _redis(options: Options, runner: Runner) -> AsyncIterator[None]:
    """The Redis that was named, looked at before anything trades, or one of the run's own."""
    if options.redis is not None:
        await check_redis(options.redis)
        runner.redis_argument = options.redis
        yield
        return
    async with own_redis(runner.directory, runner.guardian, runner.tell) as redis:
        runner.redis, runner.redis_argument = redis, redis.url
        yield


def _maker(
    assignment: Assignment,
    options: Options,
    runner: Runner,
    parameters: Parameters,
    credentials: Mapping[str, Path],
) -> Maker:
    maker, directory = assignment.maker, runner.directory
    launch = Launch(
        program=options.worker,
        parameters=parameters.put(maker, assignment.account),
        credentials=credentials[assignment.account.metadata.name],
        redis=runner.redis_argument,
        state=directory.state,
        log=directory.log(maker.metadata.name),
        env=runner.env,
    )
    return Maker(maker, assignment.venue, launch, runner.guardian, runner.tell)


async def _credentials(account: TradingAccount, fleet: Sequence[Assignment], options: Options, runner: Runner) -> Path:
    secret = account.spec.credentials_secret_ref
    if secret is None:
        return await _simulated_credentials(account, fleet, runner.directory, runner.http)
    place = (options.credentials or options.state_directory / "credentials") / secret.name
    if not place.is_dir():
        raise Refused(
            f"account {account.metadata.name}: no directory {place}: make it (mode 0700) with the files apiKey and"
            " apiSecret, or apiKey and privateKey; another place with --credentials"
        )
    return place


async def _simulated_credentials(
    account: TradingAccount, fleet: Sequence[Assignment], directory: StateDirectory, http: aiohttp.ClientSession
) -> Path:
    """The key of an earlier run where the simulator still knows it, else one of a new account."""
    if account.spec.endpoints is None:  # the models refuse it: only a Simulator goes without a Secret
        raise Refused(f"account {account.metadata.name} has neither endpoints nor credentialsSecretRef")
    control = Control(account.spec.endpoints.base_url, http)
    place = directory.credentials(account.metadata.name)
    if (place / "apiKey").exists():
        try:
            await control.books((place / "apiKey").read_text().strip())
        except ControlError:
            pass  # a simulator that was started anew: it knows none of its former accounts
        else:
            return place
    symbols = [each.symbol for each in fleet if each.account.metadata.name == account.metadata.name]
    key = await control.make_account(account.metadata.name, {quote_asset(symbol): _BALANCE for symbol in symbols})
    write_key(place, key.api_key, key.api_secret)
    return place


async def _set_queue_model(model: str, fleet: Sequence[Assignment], http: aiohttp.ClientSession) -> None:
    """At every simulator of the fleet, before anything trades; what a real venue's queues do is nobody's to choose."""
    real = [each.symbol for each in fleet if each.account.spec.endpoints is None]
    if real:
        raise Refused(
            f"--queue-model: {', '.join(real)} trade at a venue whose queues are its own: leave the option out, or run"
            " makers of a Simulator only"
        )
    for each in fleet:
        if each.account.spec.endpoints is not None:
            await Control(each.account.spec.endpoints.base_url, http).set_queue_model(each.symbol, model)


def _tell_what_only_a_cluster_does(fleet: Sequence[Assignment], runner: Runner) -> None:
    for spec in (each.maker.spec for each in fleet):
        if spec.ramp is not None:
            text = f"spec.ramp is the operator's, in a cluster: here {spec.symbol} begins with its whole risk.capital"
            runner.tell(RUN, text, Mood.WARNING)
        if spec.standby:
            text = f"spec.standby is the operator's, in a cluster: here {spec.symbol} has one worker"
            runner.tell(RUN, text, Mood.WARNING)


async def _follow_manifests(paths: Sequence[str], runner: Runner, parameters: Parameters) -> None:
    """Puts changed manifests in force; what cannot be is said, and what was in force stays."""
    makers = {maker.name for maker in runner.makers}
    seen = list(_stamps(paths))
    while True:
        await asyncio.sleep(_LOOK_S)
        now = list(_stamps(paths))
        if now == seen:
            continue
        seen = now
        try:
            fleet = load_fleet(path for path in paths if path != "-")
        except (InvalidResourceError, Refused) as error:
            runner.tell(RUN, f"changed manifests refused, nothing changes: {error}", Mood.BAD)
            continue
        for assignment in fleet:
            if assignment.maker.metadata.name in makers:
                parameters.put(assignment.maker, assignment.account)
        runner.declare(fleet)
        if makers != {assignment.maker.metadata.name for assignment in fleet}:
            runner.tell(RUN, "makers were added or removed: start `phoenix up` again to run them", Mood.WARNING)
        runner.tell(RUN, "changed manifests are handed to the workers", Mood.GOOD)


def _stamps(paths: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """What `stat` says of every manifest: equal where nothing was written."""
    for path in map(Path, paths):
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.suffix in MANIFEST_SUFFIXES and file.is_file():
                status = file.stat()
                yield str(file), status.st_mtime_ns, status.st_size
