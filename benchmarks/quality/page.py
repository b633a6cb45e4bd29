"""The report as a page of the documentation: tables, plots, and in words where Phoenix loses."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from phoenix_cli.rehearsal.figures import BORDERS
from phoenix_worker.core.parameters import Parameters

from quality.calibration import Calibration
from quality.contenders import PHOENIX
from quality.intervals import Interval
from quality.plots import Row, whiskers
from quality.study import MAIN, STUCK
from quality.summary import Difference, Line, Stuck, Summary

TEMPLATE = Path(__file__).with_name("page.md")
PLOTS = "quality"
"""Folder of the plots, beside the page."""


class Facts(msgspec.Struct, frozen=True):
    """What was run. `recording` says what was played, or why nothing was."""

    command: str
    full: str
    """The command of the whole report, where this is a shorter one; else empty."""
    symbol: str
    maker: str
    seeds: int
    cell_seeds: int
    seconds: float
    runs: int
    core_seconds: float
    recording: str
    variants: dict[str, str]


def plots(summary: Summary) -> dict[str, str]:
    """SVG by file name."""
    return {
        "pnl.svg": whiskers(
            "PnL per volume, all regimes",
            f"bps of what was traded, 95 % intervals; {MAIN}",
            [Row(line.contender, line.pnl_bps) for line in summary.lines],
        ),
        "differences.svg": whiskers(
            "Phoenix less the others, PnL an hour",
            f"quote, paired by seed, 95 % intervals; right of zero is for Phoenix; {MAIN}",
            list(_difference_rows(summary)),
        ),
        "cells.svg": whiskers(
            "PnL per volume by queue model and latency",
            "bps of what was traded, 95 % intervals; the seeds that went through every cell",
            list(_cell_rows(summary)),
        ),
    }


def _difference_rows(summary: Summary) -> Iterable[Row]:
    for other in summary.others:
        yield Row(f"less {other}", heading=True)
        for each in summary.differences:
            if each.other == other:
                yield Row(each.market or "all regimes", each.pnl_per_hour)
        yield Row("")


def _cell_rows(summary: Summary) -> Iterable[Row]:
    for name in (PHOENIX, *summary.others):
        rows = [
            Row(cell, line.pnl_bps) for cell, lines in summary.cells.items() for line in lines if line.contender == name
        ]
        if rows:
            yield from (Row(name, heading=True), *rows, Row(""))


def page(summary: Summary, facts: Facts, parameters: Parameters, calibration: Calibration) -> str:
    """`page.md` with its figures."""
    short = (
        f"\n**This page is of {facts.seeds} seeds of {facts.seconds / 3600:g} h.** The whole report ({facts.full}) is\n"
        "`make quality ARGS=--publish`: about an hour on two cores.\n"
    )
    return TEMPLATE.read_text(encoding="utf-8").format(
        short=short if facts.full else "",
        symbol=facts.symbol,
        maker=facts.maker,
        seeds=facts.seeds,
        hours=f"{facts.seconds / 3600:g}",
        main=MAIN,
        cell_seeds=facts.cell_seeds,
        runs=facts.runs,
        core_minutes=f"{facts.core_seconds / 60:.0f}",
        contenders=_contenders(summary.lines),
        losses=_losses(summary),
        differences=_differences([each for each in summary.differences if not each.market]),
        by_market=_by_market(summary),
        modes=_modes(summary),
        beyond=_beyond(summary.lines),
        stuck=_stuck(summary.stuck),
        cells=_cells(summary, facts),
        recording="\n\n".join(
            (facts.recording, *(f"{cell}:\n\n{_contenders(lines)}" for cell, lines in summary.recording.items()))
        ),
        command=facts.command,
        held=f"{STUCK.held:g}",
        lines=parameters.near_layers,
        a=f"{calibration.a:.3f}",
        k=f"{calibration.k:.3f}",
        lots=f"{parameters.net_max_steps / parameters.base_size_steps:g}",
        skew=f"{parameters.inventory_skew_bps:g}",
        variants="".join(f"\n* **{name}**: Phoenix with `{changes}`." for name, changes in facts.variants.items()),
    )


def _contenders(lines: Sequence[Line]) -> str:
    head = (
        "", "PnL /h", "PnL bps", "spread", "fees", "funding", "inventory", "markout 1 / 10 / 60 s", "volume /h",
        "fills /h", "requests a fill", "variance", "drawdown",
    )  # fmt: skip
    rows = [
        (
            line.contender,
            _interval(line.pnl_per_hour, 3),
            _interval(line.pnl_bps),
            _number(line.spread_bps),
            _number(line.fees_bps),
            _number(line.funding_bps, 3),
            _number(line.inventory_bps),
            " / ".join(_number(each) for each in line.markouts_bps),
            f"{line.volume_per_hour:.0f}",
            f"{line.fills_per_hour:.0f}",
            _number(line.requests_per_fill, 1),
            f"{line.inventory_variance:.4f}",
            f"{line.drawdown:.2f}",
        )
        for line in lines
    ]
    return table(head, rows)


def _losses(summary: Summary) -> str:
    """Every regime that costs Phoenix money, and every one in which another does better, beyond doubt."""
    said = []
    for market, lines in summary.by_market.items():
        phoenix = next(line for line in lines if line.contender == PHOENIX)
        if phoenix.pnl_per_hour is not None and phoenix.pnl_per_hour.is_below_zero:
            said.append(
                f"* In `{market}` it loses money: {_interval(phoenix.pnl_per_hour, 3)} an hour, "
                f"{_interval(phoenix.pnl_bps)} bps of its volume (spread captured {_number(phoenix.spread_bps)}, "
                f"inventory {_number(phoenix.inventory_bps)})."
            )
    for each in summary.differences:
        where = f"in `{each.market}`" if each.market else "over all regimes"
        if each.pnl_per_hour is not None and each.pnl_per_hour.is_below_zero:
            said.append(f"* {_name(each.other)} makes more {where}: {_interval(each.pnl_per_hour, 3)} an hour.")
        if each.pnl_bps is not None and each.pnl_bps.is_below_zero:
            said.append(f"* {_name(each.other)} makes more per volume {where}: {_interval(each.pnl_bps)} bps.")
    for each in summary.differences:
        if not each.market and each.variance is not None and each.variance.is_above_zero:
            said.append(f"* {_name(each.other)} holds its inventory closer: {_interval(each.variance, 4)} of variance.")
        if not each.market and each.drawdown is not None and each.drawdown.is_above_zero:
            said.append(f"* {_name(each.other)} draws down less: {_interval(each.drawdown)} a run.")
    return "\n".join(said) or "Nowhere by these figures whose interval leaves zero out: more seeds may find where."


def _name(other: str) -> str:
    return f"Phoenix {other}" if other.startswith("without") else other[:1].upper() + other[1:]


def _differences(differences: Sequence[Difference]) -> str:
    rows = [
        (
            each.other,
            f"{each.unlike} of {each.runs}",
            _strong(each.pnl_per_hour, 3),
            _strong(each.pnl_bps),
            _strong(each.variance, 4),
            _strong(each.drawdown),
        )
        for each in differences
    ]
    return table(("less", "runs that differ", "PnL /h", "PnL bps", "variance", "drawdown"), rows)


def _by_market(summary: Summary) -> str:
    names = (PHOENIX, *summary.others)
    rows = []
    for market, lines in summary.by_market.items():
        found = {line.contender: line for line in lines}
        rows.append((market, *(_interval(found[name].pnl_bps) for name in names)))
    return table(("", *names), rows)


def _modes(summary: Summary) -> str:
    names = list(dict.fromkeys(mode for shares in summary.modes.values() for mode in shares))
    rows = [(market, *(_percent(shares.get(name, 0.0)) for name in names)) for market, shares in summary.modes.items()]
    return table(("", *names), rows)


def _beyond(lines: Sequence[Line]) -> str:
    rows = [(line.contender, *(_percent(share) for share in line.beyond), _percent(line.two_sided)) for line in lines]
    return table(("", *(f"≥ {border:.2f}" for border in BORDERS), "quotes on both sides"), rows)


def _stuck(stuck: Sequence[Stuck]) -> str:
    if not stuck:
        return "Not looked at in this run."
    at = BORDERS.index(0.87)
    rows = []
    for each in stuck:
        whole, without = each.lines
        rows.append(
            (
                each.market,
                str(whole.runs),
                _percent(whole.beyond[0]),
                _percent(without.beyond[0]),
                _percent(whole.beyond[at]),
                _percent(without.beyond[at]),
                _percent(each.grinding),
                f"{each.difference.unlike} of {each.difference.runs}",
                _strong(each.difference.pnl_per_hour, 3),
                _strong(each.difference.drawdown),
            )
        )
    head = (
        "", "runs", "≥ 0.70", "without", "≥ 0.87", "without", "grinding", "runs that differ", "PnL /h", "drawdown",
    )  # fmt: skip
    return table(head, rows)


def _cells(summary: Summary, facts: Facts) -> str:
    if not summary.cells:
        return "Not looked at in this run."
    names = [line.contender for line in next(iter(summary.cells.values()))]
    rows, money = [], []
    for cell, lines in summary.cells.items():
        found = {line.contender: line for line in lines}
        rows.append((cell, *(_interval(found[name].pnl_bps) for name in names)))
        money.append((cell, *(_money(found[name]) for name in names)))
    return (
        f"PnL per volume in bps of the {facts.cell_seeds} seeds that went through every cell. Latency is each way:\n"
        "what the maker sees is that old, and its orders arrive that much later.\n\n"
        f"{table(('', *names), rows)}\n\n![PnL per volume by cell]({PLOTS}/cells.svg)\n\n"
        f"The same as PnL an hour, in brackets fills an hour.\n\n{table(('', *names), money)}"
    )


def _money(line: Line) -> str:
    pnl = line.pnl_per_hour
    return f"{_number(None if pnl is None else pnl.value)} ({line.fills_per_hour:.0f})"


# ---- cells of tables --------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else _signed(value, digits)


def _signed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def _interval(interval: Interval | None, digits: int = 2) -> str:
    if interval is None:
        return "–"
    value = _signed(interval.value, digits)
    if not interval.known:
        return value
    return f"{value} [{_signed(interval.low, digits)}, {_signed(interval.high, digits)}]"


def _strong(interval: Interval | None, digits: int = 2) -> str:
    text = _interval(interval, digits)
    decided = interval is not None and (interval.is_above_zero or interval.is_below_zero)
    return f"**{text}**" if decided else text


def _percent(share: float) -> str:
    return "0" if not share else f"{100 * share:.1f} %"
