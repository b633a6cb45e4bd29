"""Every metric that a worker or an operator can tell, as the registries themselves define it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from core_world import World
from phoenix_coordination.redis.steward import StewardReport
from phoenix_operator.gauges import AccountGauges, MakerGauges
from phoenix_operator.metrics import Gauges
from phoenix_operator.metrics import Metrics as OperatorMetrics
from phoenix_worker.core import events as ev
from phoenix_worker.runtime.beside import Beside
from phoenix_worker.runtime.loop_lag import LoopWatch
from phoenix_worker.runtime.meters import Meters
from phoenix_worker.runtime.metrics import Sample, WorkerCollector
from phoenix_worker.runtime.recorder import Statistics as RecorderStatistics
from phoenix_worker.venue.binance.statistics import Statistics as VenueStatistics
from prometheus_client import PROCESS_COLLECTOR
from prometheus_client.metrics_core import Metric
from samples import BTCUSDT, MAKER
from state_records import leading_record

_TABLES = ("connected", "reconnects", "connects_failed", "frames", "api_errors", "ignored_events")
_FIGURES = tuple(field.name for field in fields(VenueStatistics))
_ASKED = re.compile(r"\b((?:mm|phoenix_operator|process)_\w+)(?:\{([^}]*)\})?")
_MATCHED = re.compile(r"(\w+)[!=]?[=~]")
_SUFFIX = {"counter": "_total", "info": "_info"}


@dataclass(frozen=True, slots=True)
class Definition:
    """`name` as people query it; of a histogram without `_bucket`, `_sum`, `_count`. `labels` without `le`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    @property
    def samples(self) -> tuple[str, ...]:
        """The names under which its values are found."""
        if self.kind == "histogram":
            return tuple(f"{self.name}{suffix}" for suffix in ("_bucket", "_sum", "_count"))
        return (self.name,)


async def worker_definitions() -> dict[str, Definition]:
    """Of one that leads, is the account's steward and has a shadow beside it: it tells everything."""
    world = World().start()
    world.wait(1.0)
    beside = Beside()
    beside.step(ev.ParametersSet(world.now, MAKER, "second", MAKER), world.engine)
    sample = Sample(
        leading_record(),
        Meters(),
        LoopWatch(lambda _: None),
        view=world.engine.view(),
        instrument=BTCUSDT,
        venue=VenueStatistics(**dict.fromkeys(_FIGURES, 0) | {name: {} for name in _TABLES}),
        recorder=RecorderStatistics(0, 0, 0, ""),
        steward=StewardReport("pod/1", 1, 1, "USDT", 0.0, 0.0, 0.0),
        beside=beside,
    )
    return _by_name([*WorkerCollector(lambda: sample).collect(), *PROCESS_COLLECTOR.collect()])


def operator_definitions() -> dict[str, Definition]:
    """Of one that leads."""
    metrics = OperatorMetrics(_Operator())
    metrics.observe("MarketMaker", "ok", 0.01)
    return _by_name(metrics.registry.collect())


class _Operator:
    def gauges(self) -> Gauges:
        return Gauges(**dict.fromkeys(Gauges.__struct_fields__, 0))

    def calls(self) -> Counter[tuple[str, str, str]]:
        return Counter({("patch", "pods", "200"): 1})

    def workers(self) -> Iterator[object]:
        return iter([leading_record()])

    def makers(self) -> Iterator[MakerGauges]:
        return iter([MakerGauges("default/btcusdt", "BTCUSDT", 0, 1)])

    def accounts(self) -> Iterator[AccountGauges]:
        return iter([AccountGauges("default/main", 0)])


def _by_name(families: Iterable[Metric]) -> dict[str, Definition]:
    found = {}
    for family in families:
        told = {label for sample in family.samples for label in sample.labels}
        labels = sorted({*getattr(family, "_labelnames", ()), *told} - {"le"})
        name = f"{family.name}{_SUFFIX.get(family.type, '')}"
        found[name] = Definition(name, family.type, tuple(labels), family.documentation)
    return found


def unknown_in(query: str, definitions: dict[str, Definition]) -> list[str]:
    """What a PromQL query asks for and nobody tells: metrics, and labels in its braces."""
    labels = {sample: {*each.labels, "le"} for each in definitions.values() for sample in each.samples}
    found = []
    for metric, matchers in _ASKED.findall(query):
        if metric not in labels:
            found.append(metric)
        else:
            asked = set(_MATCHED.findall(matchers))
            found += [f"{metric}{{{label}}}" for label in sorted(asked - labels[metric])]
    return found
