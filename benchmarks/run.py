"""All benchmarks of one run, as a table and as `build/bench.json`: what it costs, over what floor, and what we aim at.

    python benchmarks/run.py [--seconds 40] [--only messages,latency,worker,stop,exchange,operator] [--makers 1000]
        [--output build/bench.json]

Every ratio is taken within this run, so that a slow or busy machine slows both sides. Aims are printed beside, never
asserted. The market is the recording (`PHOENIX_CAPTURE`, or `../shared/data/…` beside the repository), else a synthetic
one, and the table says which.
"""

import argparse
import asyncio
import gc
import json
import platform
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import capture
import exchange_load
import hot_path
import operator_cluster
import operator_fleet
import stop_account
import tick_to_order
import uvloop
import worker_process
from capture import Frame, Kind

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 3
"""Floor and ours in turn, and the fastest round of each counts: what other processes take away can only add."""
AIMS = {Kind.DEPTH: ("depth message", 5.0), Kind.TICKER: ("book ticker", 5.0), Kind.TRADE: ("trade", None)}
PARTS = ("messages", "latency", "worker", "stop", "exchange", "operator")


@dataclass(frozen=True)
class Row:
    """`ratio` is value / floor where there is a floor. The aim is of the ratio there, else of the value; `least` is one
    from below.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    aim: float | None = None
    least: float | None = None

    @property
    def verdict(self) -> str:
        if self.least is not None:
            return "met" if self.value >= self.least else "missed"
        if self.aim is None:
            return ""
        return "met" if (self.ratio or self.value) <= self.aim else "missed"

    @property
    def wanted(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}"
        return "" if self.aim is None else f"≤ {self.aim:g}"

    @classmethod
    def over(cls, name: str, value: float, floor: float, aim: float | None = None) -> "Row":
        return cls(name, round(value, 3), "µs", round(floor, 3), round(value / floor, 2), aim)


def messages(frames: list[Frame]) -> Iterator[Row]:
    """Per message: bytes to decision, over `orjson.loads` of the same bytes."""
    by_kind = {kind: [frame for frame in frames if frame.kind is kind] for kind in AIMS}
    floors: dict[Kind, list[float]] = {kind: [] for kind in AIMS}
    ours: dict[Kind, list[float]] = {kind: [] for kind in AIMS}
    reference = []
    for _ in range(ROUNDS):
        for kind, few in by_kind.items():
            floors[kind].append(hot_path.floor(few))
        reference.append(hot_path.reference_depth(by_kind[Kind.DEPTH]))
        for kind, value in hot_path.phoenix(frames, capture.SYMBOL).microseconds.items():
            ours[kind].append(value)
    for kind, (name, aim) in AIMS.items():
        yield Row.over(name, min(ours[kind]), min(floors[kind]), aim)
    yield Row.over("depth message, reference (sorted book alone)", min(reference), min(floors[Kind.DEPTH]))


def latency() -> Iterator[Row]:
    floors, ours = [], []
    for _ in range(ROUNDS):
        floors.append(tick_to_order.floor())
        ours.append(tick_to_order.phoenix())
    for name, aim in (("p50", 1.5), ("p99", None)):
        value, floor = (min(getattr(one, name) for one in several) for several in (ours, floors))
        yield Row.over(f"tick to order {name}", value, floor, aim)


def worker(source: Path | None, seconds: float) -> Iterator[Row]:
    usage = asyncio.run(worker_process.measure(source, seconds))
    rate = usage.market_events / usage.seconds
    yield Row("worker, resident memory", round(usage.rss_mib, 1), "MiB", aim=60.0)
    yield Row(f"worker, CPU at {rate:.0f} market events/s", round(100 * usage.worker_core, 2), "% of a core", aim=3.0)
    yield Row("exchange that serves it, CPU", round(100 * usage.exchange_core, 2), "% of a core", aim=5.0)


def stop() -> Iterator[Row]:
    """From the switch to the last maker's cancel; the exchange that executes them is one process of this machine."""
    took = asyncio.run(stop_account.measure())
    name, count = f"stop of {stop_account.MAKERS} makers", f"median of {len(took)}"
    yield Row(
        f"{name}, last cancel sent, {count}", round(statistics.median(t.sent_ms for t in took), 1), "ms", aim=100.0
    )
    yield Row(f"{name}, last one executed, {count}", round(statistics.median(t.empty_ms for t in took), 1), "ms")


def exchange() -> Iterator[Row]:
    """The simulated exchange by itself: what it costs whoever rehearses on it."""
    out = asyncio.run(exchange_load.fan_out())
    bare = asyncio.run(exchange_load.floor(out))
    yield Row.over("exchange, a message out", out.microseconds, bare.microseconds, 1.0)
    yield Row("exchange, messages out of one core's second", round(1e6 / out.microseconds), "/s", least=50_000)
    yield Row("exchange, an hour of BTCUSDT", round(asyncio.run(exchange_load.hour()), 1), "s of a core", aim=300.0)
    share = uvloop.run(exchange_load.makers())
    yield Row(f"exchange, {exchange_load.MAKERS} makers at life's rate", round(100 * share, 1), "% of a core", aim=25.0)
    held, grown = exchange_load.past()
    yield Row("exchange, a maker's past at its bound", round(held, 1), "MiB")
    yield Row(f"exchange, growth by {exchange_load.ORDERS} orders beyond it", round(grown, 2), "MiB", aim=1.0)


def operator(makers: int) -> Iterator[Row]:
    """A real API server, no kubelet: Deployments make no pods. Skipped by name where there is no API server."""
    if lacks := operator_cluster.missing():
        print(f"operator: skipped, {lacks}", flush=True)
        return
    found = uvloop.run(operator_fleet.measure(makers))
    name = f"operator, {makers} makers"
    yield _seconds(f"{name} (no pods) cold, start of process to converged", found.cold_s, aim=10.0)
    yield _seconds(f"{name} cold, first write to last", found.writing_s, found.floor_s, aim=1.3)
    yield _seconds(
        f"{name} cold, the same over a floor with finalizers", found.writing_s, found.floor_s + found.finalizers_s
    )
    yield _seconds(f"{name} cold, first write to last Event", found.told_s)
    yield _seconds(f"{name} cold, CPU", found.cold_cpu_s, found.floor_cpu_s)
    yield Row(f"{name} cold, writes but Events", round(found.writes_a_maker, 2), "a maker", 3.0)
    yield Row(f"{name} steady, writes", round(found.steady_a_minute, 1), "/min", aim=0.0)
    yield Row(f"{name} steady, Lease and canary", round(found.routine_a_minute, 1), "/min")
    yield Row(f"{name} steady, CPU", round(100 * found.steady_core, 1), "% of a core")
    yield _seconds(f"{name} changed parameter to ConfigMap, p50", found.change_p50_s)
    yield _seconds(f"{name} changed parameter to ConfigMap, p99", found.change_p99_s, aim=2.0)
    yield Row(f"{name} resident memory, with its page", round(found.rss_mib * 1.048576, 1), "MB", aim=150.0)
    yield Row(f"{name} the same, somebody at the page", round(found.rss_looked_at_mib * 1.048576, 1), "MB", aim=150.0)
    yield _seconds(f"{name} leader killed, next one has reconciled", found.failover_s, aim=20.0)


def _seconds(name: str, value: float, floor: float | None = None, aim: float | None = None) -> Row:
    if floor is None:
        return Row(name, round(value, 2), "s", aim=aim)
    return Row(name, round(value, 2), "s", round(floor, 2), round(value / floor, 2), aim)


def rows(parts: Sequence[str], frames: list[Frame], source: Path | None, seconds: float, makers: int) -> Iterator[Row]:
    """The worker first: what is measured from outside should not find this process's memory in the caches."""
    if "worker" in parts:
        yield from worker(source, seconds)
    if "stop" in parts:
        yield from stop()
    if "exchange" in parts:
        yield from exchange()
    if "operator" in parts:
        yield from operator(makers)
    if "latency" in parts:
        yield from latency()
    if "messages" in parts:
        gc.freeze()  # the frames themselves are not what is collected in life
        yield from messages(frames)


def table(found: Sequence[Row]) -> str:
    head = ("", "value", "unit", "floor", "ratio", "aim", "")
    lines = [head]
    for row in found:
        cells = (f"{row.value:g}", row.unit, _cell(row.floor), _cell(row.ratio))
        lines.append((row.name, *cells, row.wanted, row.verdict))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number in (1, 3, 4, 5) else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=40.0, help="how long the worker is watched (default %(default)s)"
    )
    parser.add_argument(
        "--makers", type=int, default=operator_fleet.MAKERS, help="of the operator's part (default %(default)s)"
    )
    parser.add_argument("--only", default=",".join(PARTS), help="of %(default)s")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench.json", help="default %(default)s")
    options = parser.parse_args(argv)
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))} not known; choose from {', '.join(PARTS)}")

    source = capture.path()
    frames = capture.load(source) if source else capture.synthetic()
    market = f"recording {source.name}" if source else "synthetic: there is no recording on this machine"
    span_s = (frames[-1].at_ns - frames[0].at_ns) / 1e9
    print(f"market: {market}, {len(frames)} messages of {span_s:.0f} s; Python {platform.python_version()}", flush=True)
    found = list(rows(parts, frames, source, options.seconds, options.makers))
    print(table(found))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
