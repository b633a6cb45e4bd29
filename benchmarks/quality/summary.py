"""From runs to figures with intervals: each contender by itself, and Phoenix beside each other one, hour by hour."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from phoenix_cli.rehearsal.figures import BORDERS, HORIZONS_S, MONEY, Figures
from phoenix_worker.core.tally import Stance

from quality.contenders import NO_GRINDING, PHOENIX
from quality.intervals import Interval, Pair, bootstrap, mean, ratio, ratio_difference
from quality.study import MAIN, RECORDING, Cell, Result

HOUR_S = 3600
BPS = 1e4

Draw = TypeVar("Draw")


class Line(msgspec.Struct, frozen=True):
    """One contender in one cell, over all its markets. `*_bps` are per volume; None where nothing was traded."""

    contender: str
    runs: int
    pnl_per_hour: Interval | None
    pnl_bps: Interval | None
    spread_bps: float | None
    fees_bps: float | None
    funding_bps: float | None
    inventory_bps: float | None
    markouts_bps: tuple[float | None, ...]
    volume_per_hour: float
    fills_per_hour: float
    requests_per_fill: float | None
    inventory_variance: float
    inventory_most: float
    drawdown: float
    """Mean of the runs' largest, in quote."""
    beyond: tuple[float, ...]
    """Share of the time at or beyond each of `BORDERS`."""
    two_sided: float
    """Share of the time with orders on both sides."""


class Difference(msgspec.Struct, frozen=True):
    """Phoenix less another contender, hour by hour: for Phoenix are positive PnL, negative variance and drawdown."""

    other: str
    market: str
    """Empty: all of them."""
    runs: int
    unlike: int
    """Runs in which the two differ at all."""
    pnl_per_hour: Interval | None
    pnl_bps: Interval | None
    variance: Interval | None
    drawdown: Interval | None


class Stuck(msgspec.Struct, frozen=True):
    """One regime for those who begin with nearly all that they may hold: how long they are so, and what it costs."""

    market: str
    lines: list[Line]
    """Phoenix, and without grinding."""
    grinding: float
    """Share of the time in which Phoenix ground."""
    difference: Difference


class Summary(msgspec.Struct, frozen=True):
    """`lines` and `by_market` are of the main cell; `cells` of each cell, by those seeds that went through all."""

    markets: list[str]
    others: list[str]
    lines: list[Line]
    differences: list[Difference]
    by_market: dict[str, list[Line]]
    modes: dict[str, dict[str, float]]
    """Of Phoenix, by market: share of the time."""
    cells: dict[str, list[Line]]
    stuck: list[Stuck]
    recording: dict[str, list[Line]]


def summarise(results: Sequence[Result]) -> Summary:
    held = [result for result in results if result.cell.held]
    seeded = [result for result in results if result.market != RECORDING and not result.cell.held]
    recorded = [result for result in results if result.market == RECORDING]
    main = [result for result in seeded if result.cell == MAIN]
    markets = list(dict.fromkeys(result.market for result in sorted(main, key=lambda result: result.seed)))
    names = list(dict.fromkeys(result.contender for result in results))
    in_cells = list(dict.fromkeys(result.contender for result in seeded if result.cell != MAIN))
    in_recording = list(dict.fromkeys(result.contender for result in recorded))
    others = [name for name in names if name != PHOENIX]
    through_all = {result.seed for result in seeded if result.cell != MAIN}
    cells = sorted({result.cell for result in seeded}, key=_order)
    return Summary(
        markets,
        others,
        [line(main, name) for name in names],
        [difference(main, other, market) for other in others for market in ("", *markets)],
        {market: [line(_of(main, market), name) for name in names] for market in markets},
        {market: modes(_of(main, market)) for market in markets},
        {
            str(cell): [
                line([each for each in seeded if each.cell == cell and each.seed in through_all], name)
                for name in in_cells
            ]
            for cell in cells
            if through_all
        },
        [stuck(_of(held, market), market) for market in markets if _of(held, market)],
        {
            str(cell): [line([each for each in recorded if each.cell == cell], name) for name in in_recording]
            for cell in sorted({result.cell for result in recorded}, key=_order)
        },
    )


def line(results: Sequence[Result], contender: str) -> Line:
    runs = [result for result in results if result.contender == contender]
    found = [result.figures for result in runs]
    volume = sum(each.volume for each in found)
    hours = sum(each.seconds for each in found) / HOUR_S or 1.0
    fills = sum(each.fills for each in found)
    requests = sum(each.placed + each.amended + each.cancelled for each in found)
    seconds = sum(each.seconds for each in found) or 1

    def bps(money: Callable[[Figures], int]) -> float | None:
        return BPS * sum(money(each) for each in found) / volume if volume else None

    return Line(
        contender,
        len(found),
        bootstrap(strata(runs, _per_hour), mean),
        bootstrap(strata(runs, _pnl_and_volume), ratio),
        bps(lambda each: each.spread),
        bps(lambda each: each.fees),
        bps(lambda each: each.funding),
        bps(lambda each: each.inventory),
        tuple(_markout(found, index) for index in range(len(HORIZONS_S))),
        volume / MONEY / hours,
        fills / hours,
        requests / fills if fills else None,
        sum(each.inventory_variance for each in found) / max(1, len(found)),
        sum(each.inventory_most for each in found) / max(1, len(found)),
        sum(each.drawdown for each in found) / MONEY / max(1, len(found)),
        tuple(sum(each.beyond[index] for each in found) / seconds for index in range(len(BORDERS))),
        sum(each.two_sided for each in found) / seconds,
    )


def difference(results: Sequence[Result], other: str, market: str = "") -> Difference:
    paired = pairs(_of(results, market) if market else results, other)

    def interval(value: Callable[[Figures], float]) -> Interval | None:
        return bootstrap([[value(one) - value(two) for one, two in stratum] for stratum in paired], mean)

    per_volume = [[(_pnl_and_volume(one), _pnl_and_volume(two)) for one, two in stratum] for stratum in paired]
    return Difference(
        other,
        market,
        sum(map(len, paired)),
        sum(one != two for stratum in paired for one, two in stratum),
        interval(lambda each: each.pnl / MONEY * HOUR_S / max(1, each.seconds)),
        bootstrap(per_volume, ratio_difference),
        interval(lambda each: each.inventory_variance),
        interval(lambda each: each.drawdown / MONEY),
    )


def stuck(results: Sequence[Result], market: str) -> Stuck:
    return Stuck(
        market,
        [line(results, name) for name in (PHOENIX, NO_GRINDING)],
        modes(results).get(str(Stance.GRIND), 0.0),
        difference(results, NO_GRINDING, market),
    )


def pairs(results: Sequence[Result], other: str) -> list[list[tuple[Figures, Figures]]]:
    """Phoenix and the other in the same market, seed and conditions; a list for each market."""
    theirs = {(each.market, each.seed, each.cell): each.figures for each in results if each.contender == other}
    by_market: dict[str, list[tuple[Figures, Figures]]] = {}
    for each in sorted(results, key=lambda result: (result.market, result.seed)):
        if each.contender == PHOENIX:
            found = theirs[each.market, each.seed, each.cell]
            by_market.setdefault(each.market, []).append((each.figures, found))
    return list(by_market.values())


def modes(results: Sequence[Result]) -> dict[str, float]:
    """Share of the time in each mode of Phoenix, the longest first."""
    counted: dict[str, int] = {}
    for result in results:
        if result.contender == PHOENIX:
            for mode, seconds in result.figures.modes.items():
                counted[mode] = counted.get(mode, 0) + seconds
    total = sum(counted.values()) or 1
    return {mode: seconds / total for mode, seconds in sorted(counted.items(), key=lambda item: -item[1])}


def strata(results: Sequence[Result], value: Callable[[Figures], Draw]) -> list[list[Draw]]:
    """What a run is drawn as, by market."""
    by_market: dict[str, list[Draw]] = {}
    for result in sorted(results, key=lambda result: (result.market, result.seed)):
        by_market.setdefault(result.market, []).append(value(result.figures))
    return list(by_market.values())


def _of(results: Sequence[Result], market: str) -> list[Result]:
    return [result for result in results if result.market == market]


def _order(cell: Cell) -> tuple[bool, int]:
    return cell.queue != MAIN.queue, cell.each_way_ms


def _per_hour(figures: Figures) -> float:
    return figures.pnl / MONEY * HOUR_S / max(1, figures.seconds)


def _pnl_and_volume(figures: Figures) -> Pair:
    return BPS * figures.pnl, float(figures.volume)


def _markout(found: Sequence[Figures], index: int) -> float | None:
    volume = sum(each.markout_volume[index] for each in found)
    return BPS * sum(each.markout[index] for each in found) / volume if volume else None
