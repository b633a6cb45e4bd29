"""What the operator counts, for Prometheus. Names are here and nowhere else."""

from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec
from phoenix_coordination.state import StateRecord
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector

from phoenix_operator.gauges import AccountGauges, MakerGauges
from phoenix_operator.plan.restarts import Verdict

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Gauges(msgspec.Struct, frozen=True):
    """What is so at the moment of a scrape. `problem`s are 1 where there is one."""

    leading: bool
    synced: bool
    queue_depth: int
    queue_age_s: float
    working: int
    makers: int
    accounts: int
    outages: int
    redis_problem: bool
    watch_problem: bool
    events_dropped: int
    page_viewers: int
    page_failures: int


class Source(Protocol):
    """Who is asked at each scrape."""

    def gauges(self) -> Gauges: ...

    def calls(self) -> Counts[tuple[str, str, str]]: ...

    def workers(self) -> Iterable[StateRecord]: ...

    def makers(self) -> Iterable[MakerGauges]: ...

    def accounts(self) -> Iterable[AccountGauges]: ...


class Metrics:
    """One process's. `observe` and `restarted` count; everything else is read from `source` when somebody scrapes."""

    def __init__(self, source: Source) -> None:
        self.registry = CollectorRegistry()
        self._rounds = Histogram(
            "phoenix_operator_reconcile_seconds",
            "One round over one resource, by kind and result",
            ("kind", "result"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._restarts = Counter(
            "phoenix_operator_restarts",
            "Workers that were replaced, by reason",
            ("reason",),
            registry=self.registry,
        )
        self._restarts.labels(Verdict.RESTART.value)  # told from the beginning: a first one is a change from 0
        self.registry.register(_Now(source))
        ProcessCollector(registry=self.registry)

    def observe(self, kind: str, result: str, seconds: float) -> None:
        self._rounds.labels(kind, result).observe(seconds)

    def restarted(self, reason: str) -> None:
        self._restarts.labels(reason).inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition in the form that the scraper prefers, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _Now:
    """A collector: asked at each scrape."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        gauges = self._source.gauges()
        for name, text, value in (
            ("leading", "1 on the process that acts", gauges.leading),
            ("synced", "1 once the whole cluster has been seen", gauges.synced),
            ("queue_depth", "Resources that wait to be looked at", gauges.queue_depth),
            ("queue_age_seconds", "For how long the next of them has waited", gauges.queue_age_s),
            ("working", "Resources that are being looked at", gauges.working),
            ("makers", "MarketMakers that are seen", gauges.makers),
            ("accounts", "TradingAccounts that are seen", gauges.accounts),
            ("venue_outages", "Venues that serve nobody", gauges.outages),
            ("redis_problem", "1 while the fleet is unknown", gauges.redis_problem),
            ("watch_problem", "1 while something cannot be seen", gauges.watch_problem),
            ("page_viewers", "Who looks at the page for people", gauges.page_viewers),
        ):
            yield GaugeMetricFamily(f"phoenix_operator_{name}", text, value=float(value))
        yield CounterMetricFamily(
            "phoenix_operator_events_dropped", "Events that nobody would have read", value=float(gauges.events_dropped)
        )
        yield CounterMetricFamily(
            "phoenix_operator_page_failures",
            "What went wrong with the page for people, and with nothing else",
            value=float(gauges.page_failures),
        )
        yield self._calls()
        yield from self._fleet()
        yield from self._makers()
        yield self._accounts()

    def _calls(self) -> Metric:
        family = CounterMetricFamily(
            "phoenix_operator_api_requests", "Requests to the API server", labels=("verb", "resource", "code")
        )
        for (verb, resource, code), count in sorted(self._source.calls().items()):
            family.add_metric((verb, resource, code), float(count))
        return family

    def _makers(self) -> Iterator[Metric]:
        behind = GaugeMetricFamily(
            "phoenix_operator_maker_generations_behind",
            "Generations of the spec that no worker runs with yet",
            labels=("maker", "symbol"),
        )
        leaders = GaugeMetricFamily(
            "phoenix_operator_maker_leaders",
            "Workers that lead the maker's symbol; not told while unknown, or where none is to",
            labels=("maker", "symbol"),
        )
        for maker in self._source.makers():
            behind.add_metric((maker.maker, maker.symbol), float(maker.behind))
            if maker.leaders is not None:
                leaders.add_metric((maker.maker, maker.symbol), float(maker.leaders))
        yield behind
        yield leaders

    def _accounts(self) -> Metric:
        family = GaugeMetricFamily(
            "phoenix_operator_account_emergency", "The account's stop: 0 none, 1 halt, 2 flatten", labels=("account",)
        )
        for account in self._source.accounts():
            family.add_metric((account.account,), float(account.emergency))
        return family

    def _fleet(self) -> Iterator[Metric]:
        roles: Counts[tuple[str, str]] = Counts()
        reasons: Counts[str] = Counts()
        for record in self._source.workers():
            roles[record.role.value, "true" if record.ready else "false"] += 1
            reasons[record.reason.value] += 1
        by_role = GaugeMetricFamily(
            "phoenix_operator_workers", "Workers that tell of themselves", labels=("role", "ready")
        )
        for labels, count in sorted(roles.items()):
            by_role.add_metric(labels, float(count))
        yield by_role
        by_reason = GaugeMetricFamily(
            "phoenix_operator_worker_reasons", "Workers by the first reason that they tell", labels=("reason",)
        )
        for reason, count in sorted(reasons.items()):
            by_reason.add_metric((reason,), float(count))
        yield by_reason
