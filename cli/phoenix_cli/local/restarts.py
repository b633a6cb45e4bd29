"""Replaces workers that stay stale, by the very rule that the operator uses (`phoenix_operator.plan.restarts`)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from phoenix_operator.plan.restarts import History, Plan, Settings, plan_restarts

from phoenix_cli.local.layout import NAMESPACE
from phoenix_cli.local.maker import Maker


@dataclass(slots=True)
class Restarts:
    """What is remembered between two looks, by venue and environment: an outage is the venue's, not the account's."""

    histories: dict[str, History] = field(default_factory=lambda: defaultdict(History))

    def plan(self, makers: Sequence[Maker], now_ms: int) -> dict[str, Plan]:
        """By venue, what to do now; `now_ms` is of the run's clock, in which staleness is measured too."""
        by_venue: dict[str, list[Maker]] = defaultdict(list)
        for maker in makers:
            by_venue[maker.venue].append(maker)
        plans = {}
        for venue, its_makers in by_venue.items():
            patience = {f"{NAMESPACE}/{each.name}": each.resource.spec.restart_after.ms for each in its_makers}
            records = [each.worker.record for each in its_makers if each.worker is not None and each.worker.record]
            plans[venue] = plan_restarts(records, self.histories[venue], now_ms, Settings(patience))
            self.histories[venue] = plans[venue].history
        return plans
