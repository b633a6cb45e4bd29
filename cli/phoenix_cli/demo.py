"""Trade on a simulated exchange, on this machine, with nothing else installed.

Starts a Redis, the exchange and one worker for each symbol of configs/, all on one account; probes them, starts them
again where they die, and stops everything in order on Ctrl-C, after --for or at the end of a recording. The report
compares what the workers say with the exchange's own books. `phoenix stop` and `phoenix resume` act on it meanwhile.

Times (--for, KIND@T) are of the run's own clock: at --speed 5 a minute takes 12 s. Ends with 1 where worker and
exchange disagree, the exchange's audit found a violation, an order still rests, a worker did not end in order, or what
the scenario expects did not hold.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
from phoenix_coordination import order_id
from phoenix_crds import Environment
from phoenix_simulator.scenario import ScenarioError, load_scenario
from phoenix_worker.runtime.clock import VARIABLE as CLOCK_VARIABLE
from phoenix_worker.runtime.clock import Clock
from rich.console import Console

from phoenix_cli.local.exchange import EXCHANGE, QUEUE_MODELS, Control, Key, graces, start_exchange, stop_exchange
from phoenix_cli.local.faults import DESCRIPTIONS, Fault, parse_fault, parse_seconds
from phoenix_cli.local.fleet import Assignment, at_endpoint, load_fleet, of_symbols, quote_asset
from phoenix_cli.local.inject import Injector, target
from phoenix_cli.local.layout import StateDirectory, default_state_directory, write_key
from phoenix_cli.local.maker import WORKER, Launch, Maker
from phoenix_cli.local.page import page_of
from phoenix_cli.local.parameters import Parameters
from phoenix_cli.local.process import Guardian, Process
from phoenix_cli.local.redis import own_redis
from phoenix_cli.local.report import MakerStory, Report, account_report, build_report
from phoenix_cli.local.runner import RUN, Output, Runner, http_session
from phoenix_cli.local.view import Mood, RunView
from phoenix_cli.plain import PlainOutput, summary
from phoenix_cli.printing import as_json
from phoenix_cli.refusal import Refused
from phoenix_cli.screen import ScreenOutput

_DEFAULT_SYMBOLS = "BTCUSDT"
_DEFAULT_SEED = 3
"""A market that moves within its first seconds: somebody who looks at a demo for half a minute sees fills."""
_BALANCE = "100000"
"""Play money of each quote asset: far more than the limits of the account can bind."""
_LOOK_S = 1.0
_FASTEST = 100.0


@dataclass(frozen=True, slots=True)
class Options:
    """What was typed, checked. `worker` and `exchange`: the programs, which tests replace."""

    symbols: tuple[str, ...]
    length_s: float | None
    replay: Path | None
    scenario: Path | None
    speed: float
    seed: int
    faults: tuple[Fault, ...]
    report: Path | None
    state_directory: Path
    configs: Path
    queue_model: str | None = None
    page_port: int | None = 0
    """0: a free one; None: no page."""
    worker: Sequence[str] = WORKER
    exchange: Sequence[str] = EXCHANGE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--for", dest="length_s", metavar="TIME", type=parse_seconds, help="end after TIME (60s, 5m); default: Ctrl-C")
    add("--symbols", default=_DEFAULT_SYMBOLS, metavar="A,B", help="makers of configs/ to run (default %(default)s)")
    add("--replay", type=Path, metavar="CAPTURE", help="the market is this recorded capture instead of a synthetic one")
    add("--scenario", type=Path, metavar="FILE", help="the market, and faults, of a scenario file")
    add(
        "--queue-model",
        choices=QUEUE_MODELS,
        help="where in a queue others cancel: behind us (the default), evenly, or ahead of us; what a run earns lies"
        " between the first and the last",
    )
    add("--speed", type=_speed, default=1.0, metavar="N", help="the run's clock: N times life's (default 1)")
    add("--seed", type=int, metavar="N", help=f"of the synthetic market (default {_DEFAULT_SEED}, or the scenario's)")
    add(
        "--fault",
        dest="faults",
        type=parse_fault,
        action="append",
        default=[],
        metavar="KIND@T",
        help="make something fail T into the run; KIND:SYMBOL@T hits that symbol, else the first. May be repeated. "
        + "; ".join(f"{kind}: {text}" for kind, text in DESCRIPTIONS.items()),
    )
    add("--report", type=Path, metavar="FILE", help="write the JSON report there")
    add(
        "--page-port",
        type=_page_port,
        default=0,
        metavar="PORT|none",
        help="where a browser on this machine sees the run, read-only (default: a free port, which is told)",
    )
    add("--plain", action="store_true", help="lines instead of the live screen, also on a terminal")
    add("-o", "--output", choices=("text", "json"), default="text", help="json: the report on standard output")
    add("--state-dir", type=Path, metavar="DIR", help="logs and state (default: XDG state directory, phoenix/demo)")


def run(args: argparse.Namespace) -> int:
    scenario = _readable(args.scenario, "--scenario")
    options = Options(
        symbols=tuple(dict.fromkeys(symbol.strip().upper() for symbol in args.symbols.split(",") if symbol.strip())),
        length_s=args.length_s,
        replay=_readable(args.replay, "--replay"),
        scenario=scenario,
        speed=args.speed,
        seed=_seed(args.seed, scenario),
        faults=tuple(args.faults),
        report=_writable(args.report),
        state_directory=(args.state_dir or default_state_directory("demo")).absolute(),
        configs=find_configs(),
        queue_model=args.queue_model,
        page_port=args.page_port,
    )
    to_stdout = args.output == "json"
    plain = args.plain or to_stdout or not sys.stdout.isatty()
    output: Output = PlainOutput(sys.stderr if to_stdout else sys.stdout) if plain else ScreenOutput(Console())
    report, problems = asyncio.run(demo(options, output))
    text = as_json(report)
    if options.report is not None:
        try:
            options.report.write_text(text, encoding="utf-8")
        except OSError as error:
            problems = [*problems, f"--report {options.report}: cannot be written: {error.strerror}"]
    sys.stdout.write(text if to_stdout else summary(report))
    for problem in problems:
        sys.stderr.write(f"phoenix demo: {problem}\n")
    return 1 if problems else 0


async def demo(options: Options, output: Output) -> tuple[Report, list[str]]:
    """The whole run: its report, and why it was not a good one (empty where it was).

    Raises `Refused` where it could not begin, or could not be brought to its end.
    """
    fleet = of_symbols(load_fleet([options.configs / "accounts", options.configs / "makers"]), options.symbols)
    refuse_other_worlds(fleet)
    clock, env = _clock(options.speed)
    directory = StateDirectory(options.state_directory)
    with directory.locked() as lock:
        directory.forget()
        async with Guardian(lock=lock) as guardian, http_session() as http:
            blurb = RunView(
                title="demo", elapsed_s=0, length_s=options.length_s, speed=options.speed, market=_market(options)
            )
            runner = Runner(directory, clock, guardian, http, output, blurb, env)
            with output:
                async with runner.ended_by_signals(), own_redis(directory, guardian, runner.tell) as redis:
                    runner.redis, runner.redis_argument = redis, redis.url
                    process, url = await start_exchange(
                        options.exchange, _exchange_options(options), directory, guardian, env
                    )
                    try:
                        return await _trade(options, fleet, runner, process, Control(url, http))
                    finally:
                        await stop_exchange(process)


def refuse_other_worlds(fleet: Sequence[Assignment]) -> None:
    """The demo trades at its own exchange, and at its own speed: on no account that belongs elsewhere."""
    for assignment in fleet:
        environment = assignment.account.spec.environment
        if environment is not Environment.SIMULATOR:
            raise Refused(
                f"account {assignment.account.metadata.name} of {assignment.symbol} is of environment {environment}:"
                " the demo trades on its own simulated exchange alone; run such an account with `phoenix up`"
            )


async def _trade(
    options: Options,
    fleet: Sequence[Assignment],
    runner: Runner,
    exchange: Process,
    control: Control,
) -> tuple[Report, list[str]]:
    """From a running exchange to the report; the exchange still runs afterwards."""
    runner.blurb = msgspec.structs.replace(runner.blurb, exchange=control.url.removeprefix("http://"))
    assets = {quote_asset(assignment.symbol): _BALANCE for assignment in fleet}
    key = await control.make_account("demo", assets)
    await control.declare(_promises(fleet, key, options.speed))
    credentials = runner.directory.credentials("demo")
    write_key(credentials, key.api_key, key.api_secret)
    parameters = Parameters(runner.directory)
    for assignment in fleet:
        maker = assignment.maker
        place = parameters.put(maker, at_endpoint(assignment.account, control.url))
        launch = Launch(
            program=options.worker,
            parameters=place,
            credentials=credentials,
            redis=runner.redis_argument,
            state=runner.directory.state,
            log=runner.directory.log(maker.metadata.name),
            env=runner.env,
        )
        runner.makers.append(Maker(maker, assignment.venue, launch, runner.guardian, runner.tell))
    runner.share(fleet, {assignment.account.metadata.name: credentials for assignment in fleet})
    for fault in options.faults:
        target(fault, runner.makers)  # a fault that can hit nobody is refused before anything trades
    injector = Injector(runner, control, key.api_key)
    runner.begin()
    runner.tell(RUN, f"exchange at {control.url}, logs in {runner.directory.root / 'logs'}")
    async with _page(options, runner, fleet):
        await runner.run(
            length_s=options.length_s,
            exchange=exchange,
            give_up=True,
            beside=[
                _follow_audit(runner, control),
                *([_end_with_recording(runner, control)] if options.replay is not None else []),
                *(injector.play(fault) for fault in options.faults),
            ],
        )
    duration_s = runner.elapsed_s
    if runner.problem:
        raise Refused(runner.problem)
    await control.declare({"end": {}})
    report = build_report(
        duration_s=duration_s,
        speed=options.speed,
        seed=options.seed,
        makers={maker.symbol: MakerStory(maker.records, maker.restarts, maker.halts) for maker in runner.makers},
        account=account_report(runner.accounts[0].peak, runner.accounts[0].view()),
        books=await control.books(key.api_key),
        audit=await control.audit(),
        verdicts=await control.verdicts(),
    )
    unorderly = [f"{maker.symbol}: {maker.stop_problem}" for maker in runner.makers if maker.stop_problem]
    return report, [*report.faults, *unorderly]


def _page(options: Options, runner: Runner, fleet: Sequence[Assignment]) -> AbstractAsyncContextManager[None]:
    return nullcontext() if options.page_port is None else page_of(runner, fleet, options.page_port)


async def _follow_audit(runner: Runner, control: Control) -> None:
    """Keeps the screen's count of violations, and tells each new one as it is found."""
    known: dict[str, int] = {}
    while True:
        found = await control.audit()
        for kind, count in found.violations.items():
            if count > known.get(kind, 0):
                runner.tell(RUN, f"audit: {count - known.get(kind, 0)} × {kind}", Mood.BAD)
        known = found.violations
        runner.violations = found.total
        await asyncio.sleep(_LOOK_S)


async def _end_with_recording(runner: Runner, control: Control) -> None:
    """A market that holds still for ever would only show a worker that finds its price stale."""
    while True:
        if await control.ended_markets():
            runner.end("the recording is over: stopping in order")
            return
        await asyncio.sleep(_LOOK_S)


def _promises(fleet: Sequence[Assignment], key: Key, speed: float) -> dict[str, object]:
    """What the audit holds the workers to: the hard limit of each symbol, and the marks in their order ids."""
    return {
        "apiKey": key.api_key,
        "pattern": {"regex": order_id.PATTERN, "tokenBase": 36},
        "symbolLimits": [
            {
                "symbol": assignment.symbol,
                "maxPosition": str(assignment.maker.spec.net_max * assignment.maker.spec.worst_case_multiplier),
            }
            for assignment in fleet
        ],
        **_shared_limits(fleet),
        "graces": graces(speed),
    }


def _shared_limits(fleet: Sequence[Assignment]) -> dict[str, object]:
    """The account's limits, where there is one: the exchange knows the demo's makers as one account."""
    accounts = {assignment.account.metadata.name: assignment.account for assignment in fleet}
    if len(accounts) > 1:
        return {}
    limits = fleet[0].account.spec.limits
    return {
        "accountLimit": {"maxNetNotional": str(limits.net_notional), "maxGrossNotional": str(limits.gross_notional)}
    }


def _market(options: Options) -> str:
    """The market in a few words, for the head of the screen."""
    if options.replay is not None:
        return f"replay of {options.replay.name}"
    scenario = f"scenario {options.scenario.stem}" if options.scenario is not None else "synthetic"
    return f"{scenario}, seed {options.seed}"


def _exchange_options(options: Options) -> list[str]:
    found = ["--symbols", ",".join(options.symbols), "--seed", str(options.seed)]
    if options.replay is not None:
        found += ["--replay", str(options.replay)]
    if options.scenario is not None:
        found += ["--scenario", str(options.scenario)]
    if options.queue_model is not None:
        found += ["--queue-model", options.queue_model]
    return found


def _clock(speed: float) -> tuple[Clock, dict[str, str]]:
    """The run's clock, and what makes a child of the run tell the same time."""
    if speed == 1:
        return Clock(), {}
    wall_ns, monotonic_ns = time.time_ns(), time.monotonic_ns()
    return Clock.scaled(wall_ns, monotonic_ns, speed), {CLOCK_VARIABLE: f"{wall_ns}:{monotonic_ns}:{speed}"}


def find_configs() -> Path:
    """`configs/` of the checkout that this program runs from, or of the present directory."""
    places = (Path(__file__).resolve().parents[2] / "configs", Path.cwd() / "configs")
    for place in places:
        if (place / "makers").is_dir() and (place / "accounts").is_dir():
            return place
    raise Refused(
        "configs/makers and configs/accounts are not found: the demo runs the makers of a checkout;"
        " run it inside one, or run manifests of your own with `phoenix up -f PATH`"
    )


def _page_port(text: str) -> int | None:
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f'"{text}": write a port up to 65535, or none')
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= _FASTEST:
        raise argparse.ArgumentTypeError(f'"{text}": write a number above 0 and at most {_FASTEST:g}')
    return speed


def _seed(typed: int | None, scenario: Path | None) -> int:
    """The seed that the exchange will use: a scenario that names one says which market it is about."""
    if typed is not None and typed < 0:
        raise Refused(f"--seed {typed}: write a number of at least 0")
    try:
        named = load_scenario(scenario).seed if scenario is not None else None
    except ScenarioError as error:
        raise Refused(str(error)) from None
    if named is not None and typed not in {None, named}:
        raise Refused(f"--seed {typed} contradicts {scenario}, whose seed is {named}: leave one of them out")
    return next(seed for seed in (typed, named, _DEFAULT_SEED) if seed is not None)


def _readable(path: Path | None, option: str) -> Path | None:
    if path is not None and not path.is_file():
        raise Refused(f"{option} {path}: there is no such file")
    return path.absolute() if path is not None else None


def _writable(path: Path | None) -> Path | None:
    if path is not None and not path.absolute().parent.is_dir():
        raise Refused(f"--report {path}: there is no directory {path.absolute().parent}")
    if path is not None and path.is_dir():
        raise Refused(f"--report {path}: is a directory: name a file in it")
    return path
