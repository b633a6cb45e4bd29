"""Two sets of parameters on one recording, against the simulator's fill model: the same market, the same latency, both
bounds of what a recording cannot tell of queues.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from phoenix_simulator.exchange.book import QueueModel
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.parameters import Parameters
from phoenix_worker.core.tally import Stance

from phoenix_cli.rehearsal.figures import HORIZONS_S, Figures
from phoenix_cli.rehearsal.maker import EngineMaker
from phoenix_cli.rehearsal.recorded import RecordedMarket
from phoenix_cli.rehearsal.run import ACCOUNT, Conditions, Rehearsal
from phoenix_cli.rehearsal.survey import Recorded, Survey

BOUNDS = (QueueModel.PESSIMISTIC, QueueModel.OPTIMISTIC)
_ROOM = 4
"""Deposit in multiples of the largest worst case, so that margin limits neither set."""
_LEAST_DEPOSIT = 100_000
_QUOTING = frozenset(stance.value for stance in Stance) - {Stance.EMERGENCY.value}

UNKNOWN = (
    "both sets begin without a position and without orders, whatever the recorded engine held",
    "a recording does not tell places in queues: what would have been earned lies between the two bounds",
    "the recorded engine's own orders are part of the recorded book",
    "what others would have done beside other orders is not known: a profit here proves none at the exchange",
    "the account's limits and its other makers are left out: whatever is asked for is granted",
)
"""What no figure here can know, said beside them."""


class Outcome(msgspec.Struct, frozen=True):
    """One set under one bound. Money in quote, inventory in shares of its own netMax, modes in seconds."""

    decisions: int
    places: int
    amends: int
    cancels: int
    fills: int
    maker_fills: int
    volume: float
    result: float
    realised: float
    unrealised: float
    fees: float
    funding: float
    result_bps: float | None
    """Of the volume, as the markouts are; None where nothing was traded."""
    spread_bps: float | None
    markouts_bps: dict[str, float | None]
    drawdown: float
    position: float
    inventory_mean: float
    inventory_most: float
    two_sided_seconds: int
    suppressed_seconds: int
    modes_seconds: dict[str, int]


class Pair(msgspec.Struct, frozen=True):
    """Both sets under one bound of the queue."""

    queue: str
    recorded: Outcome
    other: Outcome


class Comparison(msgspec.Struct, frozen=True):
    """`live` is what the recorded engine did in earnest, from its own reports."""

    symbol: str
    build: str
    seconds: float
    updates: int
    each_way_ms: float
    live: Recorded
    pairs: list[Pair]
    notes: list[str]


def compare(recording: Path, survey: Survey, other: Parameters, progress: Callable[[int, int], None]) -> Comparison:
    """Four runs over the recording; `progress` hears which of how many begins. The same files give the same figures."""
    sets = (survey.parameters, other)
    deposit = _deposit(survey, sets)
    pairs, number = [], 0
    for queue_model in BOUNDS:
        outcomes = []
        for parameters in sets:
            number += 1
            progress(number, len(BOUNDS) * len(sets))
            outcomes.append(_run(recording, survey, parameters, queue_model, deposit))
        pairs.append(Pair(queue_model.value, *outcomes))
    return Comparison(
        survey.spec.symbol,
        survey.build,
        survey.seconds,
        survey.updates,
        survey.each_way_ns / 1e6,
        survey.recorded,
        pairs,
        [*survey.notes, *UNKNOWN],
    )


def _deposit(survey: Survey, sets: tuple[Parameters, ...]) -> int:
    steps = max(parameters.worst_case_steps for parameters in sets)
    best_bid = survey.start.bids[0][0] if survey.start.bids else 0
    return max(_LEAST_DEPOSIT, _ROOM * survey.instrument.notional(best_bid, steps) // MONEY)


def _run(recording: Path, survey: Survey, parameters: Parameters, queue_model: QueueModel, deposit: int) -> Outcome:
    market = RecordedMarket(recording, survey.spec.symbol, survey.start)
    maker = EngineMaker(parameters, survey.instrument, survey.memory)
    conditions = Conditions(survey.each_way_ns, queue_model, deposit, survey.opens_ms)
    rehearsal = Rehearsal(survey.spec, market, maker, parameters.net_max_steps, conditions, survey.day)
    figures = rehearsal.run(None)
    holding = rehearsal.exchange.account(ACCOUNT).holding(survey.spec)
    return _outcome(figures, maker, holding.totals.realised_e8, holding.net_steps * survey.instrument.step)


def _outcome(figures: Figures, maker: EngineMaker, realised: int, position: float) -> Outcome:
    unrealised = figures.pnl - realised + figures.fees - figures.funding
    return Outcome(
        decisions=maker.engine.account.counters.decisions,
        places=figures.placed,
        amends=figures.amended,
        cancels=figures.cancelled,
        fills=figures.fills,
        maker_fills=figures.maker_fills,
        volume=figures.volume / MONEY,
        result=figures.pnl / MONEY,
        realised=realised / MONEY,
        unrealised=unrealised / MONEY,
        fees=figures.fees / MONEY,
        funding=figures.funding / MONEY,
        result_bps=figures.per_volume_bps(figures.pnl),
        spread_bps=figures.per_volume_bps(figures.spread),
        markouts_bps={f"{horizon}s": figures.markout_bps(index) for index, horizon in enumerate(HORIZONS_S)},
        drawdown=figures.drawdown / MONEY,
        position=position,
        inventory_mean=figures.inventory_mean,
        inventory_most=figures.inventory_most,
        two_sided_seconds=figures.two_sided,
        suppressed_seconds=sum(seconds for mode, seconds in figures.modes.items() if mode not in _QUOTING),
        modes_seconds=figures.modes,
    )


Number = float | int | None


def rows(comparison: Comparison) -> Iterator[tuple[str, int, list[Number]]]:
    """(what, decimals, [recorded, other, difference] of each bound), for a table."""
    for what, decimals, figure in _ROWS:
        values: list[Number] = []
        for pair in comparison.pairs:
            recorded, other = figure(pair.recorded), figure(pair.other)
            known = recorded is not None and other is not None
            values += [recorded, other, other - recorded if known else None]  # type: ignore[operator]  # `known` says so
        yield what, decimals, values
    for mode in sorted({mode for pair in comparison.pairs for each in _both(pair) for mode in each.modes_seconds}):
        seconds = [[each.modes_seconds.get(mode, 0) for each in _both(pair)] for pair in comparison.pairs]
        yield f"{mode}, s", 0, [value for pair in seconds for value in (*pair, pair[1] - pair[0])]


def _both(pair: Pair) -> tuple[Outcome, Outcome]:
    return pair.recorded, pair.other


_ROWS: tuple[tuple[str, int, Callable[[Outcome], Number]], ...] = (
    ("result, quote", 4, lambda o: o.result),
    ("realised", 4, lambda o: o.realised),
    ("unrealised", 4, lambda o: o.unrealised),
    ("fees", 4, lambda o: o.fees),
    ("funding", 4, lambda o: o.funding),
    ("volume", 2, lambda o: o.volume),
    ("fills", 0, lambda o: o.fills),
    ("of these as maker", 0, lambda o: o.maker_fills),
    ("result, bps of volume", 2, lambda o: o.result_bps),
    ("spread captured, bps", 2, lambda o: o.spread_bps),
    *((f"markout {horizon} s, bps", 2, lambda o, key=f"{horizon}s": o.markouts_bps[key]) for horizon in HORIZONS_S),
    ("drawdown, quote", 4, lambda o: o.drawdown),
    ("position at the end, base", 4, lambda o: o.position),
    ("|q| / netMax, mean", 3, lambda o: o.inventory_mean),
    ("|q| / netMax, most", 3, lambda o: o.inventory_most),
    ("decisions", 0, lambda o: o.decisions),
    ("places", 0, lambda o: o.places),
    ("amends", 0, lambda o: o.amends),
    ("cancels", 0, lambda o: o.cancels),
    ("quotes on both sides, s", 0, lambda o: o.two_sided_seconds),
    ("suppressed, s", 0, lambda o: o.suppressed_seconds),
)
