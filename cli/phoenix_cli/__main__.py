"""`phoenix COMMAND …`: finds the command in a table and imports its module alone: a worker never pays for a screen.

As kubectl's plug-in (`kubectl phoenix …`) it is the same program, and means kubectl's cluster where nothing else is
named.

A command's module has `add_arguments(parser)` and `run(args) -> int`. The worker and the exchange are programs of their
own packages with `main(argv) -> int`, as the operator is; they get their arguments unread.
"""

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from phoenix_cli.refusal import Refused

OK, REFUSED, USAGE = 0, 1, 2
_PLUGIN = "kubectl-phoenix"  # as kubectl finds it in PATH
_INTERRUPTED = 130  # 128 + SIGINT, what a shell expects of Ctrl-C


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table: what it is called, where it lives, what it does and how it is typed."""

    name: str
    module: str
    summary: str
    example: str


COMMANDS = (
    Command(
        "demo",
        "phoenix_cli.demo",
        "trade on a simulated exchange, on this machine, with nothing else installed",
        "phoenix demo --for 60s --fault stale@20s --report report.json",
    ),
    Command(
        "up",
        "phoenix_cli.up",
        "run your own manifests on this machine, against a simulator, the testnet or production",
        "phoenix up -f configs/accounts/simulator.yaml configs/makers/btcusdt.yaml",
    ),
    Command(
        "check",
        "phoenix_cli.check",
        "say what is wrong with manifests, scenarios and captures: file, line, field, what to do",
        "phoenix check -f configs/",
    ),
    Command(
        "estimate",
        "phoenix_cli.estimate",
        "capital, worst-case loss, margin, orders and weight that makers need, and what does not fit",
        "phoenix estimate -f configs/accounts configs/makers",
    ),
    Command("top", "phoenix_cli.top", "watch accounts and makers of a run or a cluster, live", "phoenix top"),
    Command(
        "status",
        "phoenix_cli.status",
        "accounts and makers, or one maker and why it does not quote",
        "phoenix status btcusdt",
    ),
    Command("orders", "phoenix_cli.orders", "open orders, as the exchange itself says", "phoenix orders default"),
    Command("positions", "phoenix_cli.positions", "positions, as the exchange itself says", "phoenix positions"),
    Command(
        "stop",
        "phoenix_cli.stop",
        "stop an account: quotes out, and nothing opens until somebody resumes it",
        'phoenix stop default --reason "spreads look wrong"',
    ),
    Command(
        "resume",
        "phoenix_cli.resume",
        "let a stopped account, or a halted symbol, trade again",
        "phoenix resume default --epoch 3",
    ),
    Command(
        "replay",
        "phoenix_cli.replay",
        "run a flight recording through the engine and compare every decision",
        "phoenix replay recordings/btcusdt",
    ),
    Command(
        "worker",
        "phoenix_worker.__main__",
        "one worker, as the pod runs it",
        "phoenix worker --maker maker.yaml --account account.yaml --credentials /run/credentials --redis @redis-url",
    ),
    Command(
        "operator",
        "phoenix_operator.__main__",
        "bring makers and accounts into force in a cluster, in it or from outside",
        "phoenix operator --config operator.yaml --redis redis://127.0.0.1:6379",
    ),
    Command(
        "exchange",
        "phoenix_simulator.__main__",
        "the simulated exchange, for any client of the venue",
        "phoenix exchange --port 9000 --seed 7",
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status: 0, 1 (refused, the reason on stderr) or 2 (usage)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    program = "kubectl phoenix" if Path(sys.argv[0]).name == _PLUGIN else "phoenix"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 gets escapes, not a crash
    if not arguments:
        print(_overview(program), file=sys.stderr)
        return USAGE
    name, rest = arguments[0], arguments[1:]
    if name in {"-h", "--help", "help"}:
        print(_overview(program))
        return OK
    if name in {"-V", "--version", "version"}:
        from importlib.metadata import version  # noqa: PLC0415 - nobody else should wait for it

        print(f"phoenix {version('phoenix-market-maker')}")
        return OK
    command = next((each for each in COMMANDS if each.name == name), None)
    if command is None:
        from difflib import get_close_matches  # noqa: PLC0415 - as above

        close = get_close_matches(name, [each.name for each in COMMANDS], n=1)
        print(f"{program}: no command {name!r}" + (f", did you mean {close[0]!r}?" if close else ""), file=sys.stderr)
        print(f"{program} --help lists the commands", file=sys.stderr)
        return USAGE
    return _run(program, command, rest)


def _run(program: str, command: Command, arguments: Sequence[str]) -> int:
    try:
        return _bound(program, command, arguments)()
    except Refused as refusal:
        from phoenix_cli.printing import one_line  # noqa: PLC0415 - as above

        return _refused(program, command, one_line(str(refusal)))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) left; without this the interpreter complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except _invalid() as refusal:
        return _refused(program, command, str(refusal))


def _refused(program: str, command: Command, refusal: str) -> int:
    print(f"{program} {command.name}: {refusal}", file=sys.stderr)
    return REFUSED


def _invalid() -> type[Exception]:
    """What is wrong with manifests, as an exception. Asked for only when something else was raised: the models cost a
    quarter of a second, which `--help` and a stop should not pay, and a sixth of a worker's memory.
    """
    from phoenix_crds.problems import InvalidResourceError  # noqa: PLC0415 - see above

    return InvalidResourceError


def _bound(program: str, command: Command, arguments: Sequence[str]) -> Callable[[], int]:
    gc.disable()  # what an import makes stays: looking for garbage in it takes a fifth of the time
    module = importlib.import_module(command.module)
    gc.freeze()
    gc.enable()
    if command.module.endswith("__main__"):
        return lambda: int(module.main(arguments))
    parser = argparse.ArgumentParser(
        prog=f"{program} {command.name}",
        description=module.__doc__,
        epilog=f"example:\n  {command.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    parser.set_defaults(plugin=program != "phoenix")
    parsed = parser.parse_args(arguments)
    return lambda: int(module.run(parsed))


def _overview(program: str) -> str:
    width = max(len(command.name) for command in COMMANDS)
    lines = [
        f"usage: {program} COMMAND [OPTIONS]",
        "",
        "A market maker for perpetual futures that lives in Kubernetes.",
        "",
        *(f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS),
        "",
        "example:",
        f"  {COMMANDS[0].example}",
        "",
        f"{program} COMMAND --help says more, with an example. {program} --version names the release.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
