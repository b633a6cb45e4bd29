"""The restart history and the statuses that keep it: it survives the operator that counts."""

from collections.abc import Iterable

from phoenix_operator.plan.facts import MakerResource
from phoenix_operator.plan.restarts import History, MakerHistory


def history_of(makers: Iterable[MakerResource]) -> History:
    """What the statuses remember; since when a worker is stale, and a maker ready, is found out anew."""
    kept = {}
    for maker in makers:
        known = maker.status.restarts
        if not known.total:
            continue
        kept[f"{maker.meta.namespace}/{maker.meta.name}"] = MakerHistory(
            account=f"{maker.meta.namespace}/{maker.account_ref}",
            restarts=known.count,
            restarted_at_ms=known.last_time.ms if known.last_time is not None else 0,
            awaiting_ready=known.awaiting_ready,
            total=known.total,
        )
    return History(kept)
