"""`phoenix replay RECORDING --parameters FILE`: what is asked for, and how the answer reads."""

import sys
from pathlib import Path

from phoenix_crds import Severity
from phoenix_crds.manifests import load_manifests
from phoenix_worker.core.instrument import MONEY, Instrument
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.runtime.recording import BadRecordingError
from phoenix_worker.runtime.resolve import quoting_of
from phoenix_worker.runtime.resolved import InvalidConfigurationError, parameters

from phoenix_cli.printing import aligned, as_json
from phoenix_cli.refusal import Refused
from phoenix_cli.rehearsal.compare import Comparison, Number, compare, rows
from phoenix_cli.rehearsal.survey import survey


def rehearse(recording: Path, file: str, *, json: bool) -> str:
    """The comparison as text or JSON; raises `Refused` for what cannot be compared."""
    if Path(file).is_dir():  # all that lies below would be read, whatever it is
        raise Refused(f"--parameters {file}: is a directory: name the file that holds the maker")
    try:
        surveyed = survey(recording)
        other = parameters_in(file, surveyed.instrument)
        compared = compare(recording, surveyed, other, _progress)
    except BadRecordingError as error:
        raise Refused(str(error)) from None
    return as_json(compared) if json else text(compared, file)


def parameters_in(file: str, instrument: Instrument) -> Parameters:
    """Of the one maker of the symbol in the file, judged as `phoenix check` does."""
    loaded = load_manifests([file])
    errors = [str(problem) for problem in loaded.problems if problem.severity is Severity.ERROR]
    if errors:
        raise Refused("; ".join(errors))
    symbols = {maker.spec.symbol for _, maker in loaded.makers}
    makers = [maker.spec for _, maker in loaded.makers if maker.spec.symbol == instrument.symbol]
    if not makers:
        there = f"its makers trade {', '.join(sorted(symbols))}" if symbols else "it holds no MarketMaker"
        raise Refused(f"{file}: {there}, the recording is of {instrument.symbol}: name a maker of {instrument.symbol}")
    if len(makers) > 1:
        raise Refused(f"{file}: holds {len(makers)} makers of {instrument.symbol}: name a file with one of them")
    try:
        return parameters(quoting_of(makers[0], makers[0]), instrument)
    except InvalidConfigurationError as error:
        raise Refused(f"{file}: {error}") from None


def text(compared: Comparison, file: str) -> str:
    """A table with the recorded set, the other one, and what differs, for each bound."""
    live, each = compared.live, ("recorded", "file", "change")
    table = [[what, *(_cell(value, decimals) for value in values)] for what, decimals, values in rows(compared)]
    market = f"{compared.seconds:.0f} s of market, {compared.updates} updates, {compared.each_way_ms:.1f} ms each way"
    asked = f"{live.orders.places} places, {live.orders.amends} amends, {live.orders.cancels} cancels"
    got = f"{live.fills} fills, volume {live.volume / MONEY:.2f}, fees {live.fees / MONEY:.4f}"
    lines = [
        f"{compared.symbol}, recorded by {compared.build}: {market}; file: {file}",
        f"in earnest: {asked}, {got}",
        f"left the {compared.pairs[0].queue} queue (others cancel behind us), right the {compared.pairs[1].queue} one:",
        "",
        aligned(["", *each, *each], table),
        *(f"note: {note}" for note in compared.notes),
    ]
    return "\n".join(lines) + "\n"


def _cell(value: Number, decimals: int) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _progress(number: int, count: int) -> None:
    if sys.stderr.isatty():
        print(f"run {number} of {count} …", file=sys.stderr)
