"""Run a flight recording through the engine and compare every decision with what was decided then.

With --parameters it is a rehearsal instead: the recorded parameters and those of FILE trade on the recorded market,
against the simulator's fill model, and both are printed side by side, under either bound of what a recording cannot
tell of queues.

A worker records below its state directory; a run of the demo below <state>/state. Ends with 1 where decisions differ,
and where there is nothing to compare.
"""

import argparse
import sys
from pathlib import Path

from phoenix_worker.runtime.recording import BadRecordingError
from phoenix_worker.runtime.replay import Difference, Orders, Report, replay

from phoenix_cli.printing import as_json
from phoenix_cli.refusal import Refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="a segment, or the directory that holds them")
    parser.add_argument(
        "--parameters",
        metavar="FILE",
        help="a MarketMaker of the recorded symbol: rehearse its parameters beside the recorded ones",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    if args.parameters is not None:
        # The simulator and the models are imported where they are needed: a plain replay does without.
        from phoenix_cli.rehearsal import command  # noqa: PLC0415 - see above

        sys.stdout.write(command.rehearse(args.recording, args.parameters, json=args.output == "json"))
        return 0
    try:
        report = replay(args.recording)
    except BadRecordingError as error:
        raise Refused(str(error)) from None
    if args.output == "json":
        sys.stdout.write(as_json(report))
    else:
        sys.stdout.write(summary(report))
    return 0 if report.same else 1


def summary(report: Report) -> str:
    """The report for people: what was compared, what is missing, and where it began to differ."""
    verdict = "every decision is the same" if report.same else f"{report.differing} events are decided otherwise"
    compared = f"{report.events} events, {report.decisions} with actions"
    lines = [
        f"{report.symbol}, recorded by {report.build}: {compared}: {verdict}",
        *_shadow(report),
        *(f"note: {note}" for note in report.notes),
        *(line for difference in report.differences[:3] for line in _difference(difference)),
    ]
    return "\n".join(lines) + "\n"


def _shadow(report: Report) -> list[str]:
    shadow = report.shadow
    if shadow is None:
        return []
    live = _orders(report.orders)
    return [f"shadow, beside {shadow.events} of the events: {_orders(shadow.orders)}; the live engine: {live}"]


def _orders(orders: Orders) -> str:
    return f"{orders.places} places, {orders.amends} amends, {orders.cancels} cancels"


def _difference(difference: Difference) -> list[str]:
    who = "shadow at event" if difference.shadow else "event"
    return [
        f"{who} {difference.event_number} of {difference.segment}: {difference.event}",
        *(f"  recorded: {action}" for action in difference.recorded or ["nothing"]),
        *(f"  replayed: {action}" for action in difference.replayed or ["nothing"]),
    ]
