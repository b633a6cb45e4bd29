"""The runs: each seed is an hour of one regime; every contender lives through it, under each of its conditions."""

import gc
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import msgspec
from phoenix_cli.rehearsal.feed import Day
from phoenix_cli.rehearsal.figures import Figures
from phoenix_cli.rehearsal.run import Conditions, instrument_of, rehearse
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.symbols import BUILT_IN, SymbolSpec
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.market.replay import ReplaySource
from phoenix_simulator.market.source import MarketSource
from phoenix_worker.core.parameters import Parameters

from quality.calibration import Calibration
from quality.contenders import NO_GRINDING, PHOENIX, Contenders, Phoenix, contenders
from quality.tape import Tape, generate

REGIMES = tuple(RegimeName)
RECORDING = "recording"
SETTLES_MS = 1_767_254_400_000
"""2026-01-01 08:00 UTC."""


class Cell(msgspec.Struct, frozen=True):
    """One set of conditions."""

    queue: str
    each_way_ms: int
    held: float = 0.0
    """What a run begins with, as a share of netMax."""

    def conditions(self, seconds: float, held_steps: int = 0) -> Conditions:
        """Of a run of so long: a settlement of funding lies in its middle."""
        opens_ms = SETTLES_MS - round(seconds * 500)
        return Conditions(
            self.each_way_ms * 1_000_000, QueueModel(self.queue), opens_ms=opens_ms, held_steps=held_steps
        )

    def __str__(self) -> str:
        return f"{self.queue}, {self.each_way_ms} ms"


MAIN = Cell("pessimistic", 20)
RECORDED_CELLS = (MAIN, Cell("optimistic", 20))
CELLS = tuple(Cell(queue, ms) for queue in ("pessimistic", "optimistic") for ms in (5, 20, 100))
STUCK = Cell("pessimistic", 20, 0.94)
"""Just below Block: grinding hardly acts for who begins flat, as Pinning keeps him from its ratio. Phoenix alone begins
so; others follow what they fill.
"""
STUCK_REGIME = RegimeName.QUIET
"""Elsewhere pinned quotes are filled within seconds."""


class Result(msgspec.Struct, frozen=True):
    """One run."""

    market: str
    """A regime, or the recording."""
    seed: int
    cell: Cell
    contender: str
    figures: Figures


class Study(msgspec.Struct, frozen=True):
    """What does not change from run to run."""

    symbol: str
    parameters: Parameters
    calibration: Calibration
    seconds: float
    variants: dict[str, Parameters] = {}
    """Of Phoenix, in the main cell alone."""

    def contenders(self, cell: Cell) -> Contenders:
        variants = self.variants if cell == MAIN else {}
        made = contenders(self.parameters, instrument_of(BUILT_IN[self.symbol]), self.calibration, variants)
        return {name: made[name] for name in (PHOENIX, NO_GRINDING)} if cell.held else made


class Unit(msgspec.Struct, frozen=True):
    """One market, and all that is done in it."""

    market: str
    seed: int
    cells: tuple[Cell, ...]
    capture: str = ""


class Done(msgspec.Struct, frozen=True):
    """A unit, what came of it, and what it cost."""

    unit: Unit
    results: list[Result]
    core_seconds: float


def units(seeds: int, cell_seeds: int, first: int = 1) -> list[Unit]:
    """`seeds` of them from `first` on take the regimes in turn; the first `cell_seeds` go through every cell. The
    longest come first.
    """
    return [_unit(seed, everywhere=seed < first + cell_seeds) for seed in range(first, first + seeds)]


def _unit(seed: int, *, everywhere: bool) -> Unit:
    regime = REGIMES[(seed - 1) % len(REGIMES)]
    cells = CELLS if everywhere else (MAIN,)
    return Unit(str(regime), seed, (*cells, STUCK) if everywhere or regime is STUCK_REGIME else cells)


def run_unit(study: Study, unit: Unit) -> Done:
    """Every contender in every cell of the unit."""
    began = time.process_time()
    spec = BUILT_IN[study.symbol]
    source: ReplaySource | Tape
    if unit.capture:
        source = ReplaySource([Path(unit.capture)])
    else:
        source = generate(spec, RegimeName(unit.market), unit.seed, study.seconds)
    start = source.start()
    mid = float(spec.price_to_decimal(start.bids[0][0] + start.asks[0][0])) / 2
    day = study.calibration.day_before(mid)
    gc.freeze()  # the tape lives on: nobody need look through it after each run
    try:
        results = [
            Result(unit.market, unit.seed, cell, name, figures)
            for cell in unit.cells
            for name, figures in _run_cell(study, spec, source, cell, day, _held_steps(study, cell, unit.seed))
        ]
    finally:
        gc.unfreeze()
    return Done(unit, results, time.process_time() - began)


def _held_steps(study: Study, cell: Cell, seed: int) -> int:
    """Long and short in turn, from one round of the regimes to the next."""
    sign = 1 if (seed - 1) // len(REGIMES) % 2 == 0 else -1
    return sign * round(cell.held * study.parameters.net_max_steps)


def _run_cell(
    study: Study, spec: SymbolSpec, source: MarketSource, cell: Cell, day: Day, held_steps: int
) -> Iterator[tuple[str, Figures]]:
    whole: tuple[Phoenix, Figures] | None = None
    for name, make in study.contenders(cell).items():
        if whole is not None and whole[0].is_same_without(name):
            yield name, whole[1]
            continue
        maker = make()
        net_max, conditions = study.parameters.net_max_steps, cell.conditions(study.seconds, held_steps)
        with _uncollected():
            figures = rehearse(spec, source, maker, net_max, study.seconds, conditions, day)
        if name == PHOENIX and isinstance(maker, Phoenix):
            whole = maker, figures
        yield name, figures


@contextmanager
def _uncollected() -> Iterator[None]:
    """A run makes hardly any cycles, and the collector would look through its millions of small objects in vain, for a
    quarter of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


def run_all(study: Study, work: Sequence[Unit], jobs: int) -> Generator[Done, None, None]:
    """In any order, as they end; once closed it begins no more. Processes are forked: what is read is shared."""
    if jobs == 1:
        for unit in work:
            yield run_unit(study, unit)
        return
    # Whoever interrupts means the one that reports: units that have begun are finished.
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=ignore) as pool:
        running = [pool.submit(run_unit, study, unit) for unit in work]
        try:
            for done in as_completed(running):
                yield done.result()
        finally:
            for each in running:
                each.cancel()
