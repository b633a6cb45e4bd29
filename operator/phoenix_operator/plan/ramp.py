"""Capital in stages: each lasts its time without an incident and within its loss before the next begins.

A stage's time is time in which the leader ran with that stage's parameters and quoted: a stage that never reached the
worker, a pause, an outage, nobody who leads or reconciles stand still (`since` is absent, `lasted` keeps what was). So
no stage is ever skipped. An incident (a halt, an emergency, a restart) has the time begin anew when it is over. A loss
beyond the stage's limit steps back one. A person may hold the present stage; steps back still happen then.

A loss that is not known is none that is within its limit: while a fee that was paid has no price, time stands still,
too. PnL that begins elsewhere than the one that the stage is counted from (Redis has forgotten it; another account)
says nothing of the stage: that begins anew, its time and its loss.

What was earned in a rehearsal, or in another environment, says nothing about this one: there it begins anew.
"""

from decimal import Decimal

import msgspec
from phoenix_coordination.state import StateRecord
from phoenix_crds import Duration, Instant, MarketMakerSpec, RampProgress, RampStage

from phoenix_operator.plan.figures import pnl_of

SAME_BEGINNING_MS = 60_000
"""The symbol's first worker tells its accounts' beginning by a clock that is measured ever anew."""


class Stage(msgspec.Struct, frozen=True):
    """The stage in force (None: no ramp), what the status shall say, what happened, when to look again."""

    stage: RampStage | None
    progress: RampProgress | None
    text: str = ""
    again_ms: int | None = None


def standing(before: RampProgress | None, place: str) -> RampProgress:
    """Where a ramp stands in `place` (mode and environment; "" while that is not known)."""
    if before is None or (place and before.earned_in != place):
        return RampProgress(earned_in=place)
    return before


def present_stage(spec: MarketMakerSpec, before: RampProgress) -> RampStage | None:
    """What the worker shall run with; None without a ramp."""
    if spec.ramp is None:
        return None
    return spec.ramp.stages[_number(spec.ramp.stages, before)]


def plan_ramp(
    spec: MarketMakerSpec,
    before: RampProgress,
    record: StateRecord | None,
    now_ms: int,
    *,
    counts: bool,
    incident: bool,
) -> Stage:
    """`record`: the leader's, None where nobody leads. `counts`: it runs with `present_stage` and quotes; `incident`: a
    halt, an emergency or a restart is going on.
    """
    ramp = spec.ramp
    if ramp is None:
        return Stage(None, None)
    stages = ramp.stages
    at = _number(stages, before)
    stage = stages[at]
    pnl = pnl_of(record) if record is not None else None
    began = _accounts_began(record)
    before = before.model_copy(update={"stage": at, "pnl_since": before.pnl_since or began})
    counts = counts and pnl is not None
    if _is_another(before.pnl_since, began):
        text = f"stage {at} (capital {stage.capital}) begins anew: the maker's PnL counts from {began}, not"
        anew = RampProgress(stage=at, incidents=before.incidents, pnl_since=began, earned_in=before.earned_in)
        return Stage(stage, anew, f"{text} {before.pnl_since}: what it had lost or earned is not known")
    if before.pnl_at_start is None and counts:
        before = before.model_copy(update={"pnl_at_start": pnl})
    most = stage.loss_max.of(stage.capital)
    lost = before.pnl_at_start - pnl if before.pnl_at_start is not None and pnl is not None else None
    if lost is not None and most is not None and lost > most:
        back = max(0, at - 1)
        text = f"stage {at} (capital {stage.capital}) has lost {lost.normalize():f}, more than {most.normalize():f}"
        progress = _begun(back, before, incidents=before.incidents + 1, pnl=pnl)
        return Stage(stages[back], progress, f"{text}: stage {back} (capital {stages[back].capital})")
    if incident:
        return Stage(stage, before.model_copy(update={"since": None, "lasted": None}))
    lasted_ms = _lasted_ms(before, now_ms)
    if not counts:
        lasted = Duration(lasted_ms * 1_000_000) if lasted_ms else None
        return Stage(stage, before.model_copy(update={"since": None, "lasted": lasted}))
    if before.since is None:
        before = before.model_copy(update={"since": Instant(now_ms)})
    if ramp.hold or at == len(stages) - 1:
        return Stage(stage, before)
    left_ms = stage.min_time.ms - lasted_ms
    if left_ms > 0:
        return Stage(stage, before, again_ms=max(1000, left_ms))
    after = stages[at + 1]
    text = f"stage {at} has lasted {stage.min_time} without an incident: stage {at + 1} (capital {after.capital})"
    return Stage(after, _begun(at + 1, before, incidents=before.incidents, pnl=pnl), text)


def _begun(stage: int, before: RampProgress, *, incidents: int, pnl: Decimal | None) -> RampProgress:
    """Its time begins once the worker has it."""
    return RampProgress(
        stage=stage, incidents=incidents, pnl_at_start=pnl, pnl_since=before.pnl_since, earned_in=before.earned_in
    )


def _accounts_began(record: StateRecord | None) -> Instant | None:
    """In whole seconds, as the API server keeps it."""
    began_ms = None if record is None else record.pnl.began_ms
    return None if began_ms is None else Instant(began_ms // 1000 * 1000)


def _is_another(known: Instant | None, told: Instant | None) -> bool:
    return known is not None and told is not None and abs(told.ms - known.ms) > SAME_BEGINNING_MS


def _number(stages: tuple[RampStage, ...], before: RampProgress) -> int:
    """A ramp may have been shortened since."""
    return min(before.stage, len(stages) - 1)


def _lasted_ms(progress: RampProgress, now_ms: int) -> int:
    kept_ms = progress.lasted.ms if progress.lasted is not None else 0
    return kept_ms + (max(0, now_ms - progress.since.ms) if progress.since is not None else 0)
