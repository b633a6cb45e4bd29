"""Capital in stages: each lasts its time without an incident and within its loss before the next begins.

A loss beyond the stage's limit steps back one. An incident (a halt, an emergency, a restart) steps nowhere, but the
stage's time begins anew when it is over: until then `since` is absent. A person may hold the present stage; steps back
still happen then. Nothing steps up while nobody leads.
"""

import msgspec
from phoenix_coordination.state import StateRecord
from phoenix_crds import Instant, MarketMakerSpec, RampProgress, RampStage

from phoenix_operator.plan.figures import pnl_of


class Stage(msgspec.Struct, frozen=True):
    """The stage in force (None: no ramp), what the status shall say, what happened, when to look again."""

    stage: RampStage | None
    progress: RampProgress | None
    text: str = ""
    again_ms: int | None = None


def plan_ramp(
    spec: MarketMakerSpec, before: RampProgress | None, record: StateRecord | None, now_ms: int, *, incident: bool
) -> Stage:
    """`record`: the leader's, None where nobody leads; `incident`: a halt, an emergency or a restart is going on."""
    ramp = spec.ramp
    if ramp is None:
        return Stage(None, None)
    stages = ramp.stages
    pnl = pnl_of(record) if record is not None else None
    if before is None:
        return Stage(stages[0], RampProgress(stage=0, since=Instant(now_ms), pnl_at_start=pnl))
    at = min(before.stage, len(stages) - 1)
    stage = stages[at]
    if before.pnl_at_start is None and pnl is not None:
        before = before.model_copy(update={"pnl_at_start": pnl})
    most = stage.loss_max.of(stage.capital)
    lost = before.pnl_at_start - pnl if before.pnl_at_start is not None and pnl is not None else None
    if lost is not None and most is not None and lost > most:
        back = max(0, at - 1)
        text = f"stage {at} (capital {stage.capital}) has lost {lost.normalize():f}, more than {most.normalize():f}"
        progress = RampProgress(stage=back, since=Instant(now_ms), incidents=before.incidents + 1, pnl_at_start=pnl)
        return Stage(stages[back], progress, f"{text}: stage {back} (capital {stages[back].capital})")
    before = before.model_copy(update={"stage": at})
    if incident:
        return Stage(stage, before.model_copy(update={"since": None}))
    if before.since is None:
        before = before.model_copy(update={"since": Instant(now_ms)})
    since_ms = before.since.ms if before.since is not None else now_ms
    if ramp.hold or at == len(stages) - 1:
        return Stage(stage, before)
    left_ms = since_ms + stage.min_time.ms - now_ms
    if left_ms > 0 or record is None:
        return Stage(stage, before, again_ms=max(1000, left_ms))
    progress = RampProgress(stage=at + 1, since=Instant(now_ms), incidents=before.incidents, pnl_at_start=pnl)
    text = (
        f"stage {at} has lasted {stage.min_time} without an incident: stage {at + 1} (capital {stages[at + 1].capital})"
    )
    return Stage(stages[at + 1], progress, text)
