"""Accounts and makers as the API server tells them: what is asked for, and what the operator says of it.

What lies in `status` is read by the models that it is written with; what cannot be read is named, and hides no other.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from phoenix_coordination.state import Role, StateRecord
from phoenix_crds import AccountStatus, Instant, MakerStatus
from phoenix_operator.names import ConditionType
from pydantic import ValidationError

from phoenix_cli.cluster.view import (
    AccountView,
    ConditionView,
    EventView,
    FiguresView,
    HaltView,
    MakerView,
    PodView,
    RestartsView,
)

Object = Mapping[str, Any]
"""A resource as the API server sends it."""


def fleet_of(accounts: Sequence[Object], makers: Sequence[Object], now_ms: int) -> list[AccountView]:
    """By namespace and name; an account that makers name and that is not there has a row as well."""
    of_account: dict[str, list[MakerView]] = {}
    for maker in sorted((maker_view(each, now_ms) for each in makers), key=lambda view: view.key):
        of_account.setdefault(f"{maker.namespace}/{maker.account}", []).append(maker)
    found = [account_view(each, now_ms) for each in accounts]
    there = {account.account for account in found}
    missing = [AccountView(account=name, there=False) for name in of_account if name not in there]
    return [
        msgspec.structs.replace(account, makers=of_account.get(account.account, []))
        for account in sorted([*found, *missing], key=lambda view: view.account)
    ]


def account_view(resource: Object, now_ms: int) -> AccountView:
    meta, spec = resource["metadata"], resource.get("spec") or {}
    view = AccountView(
        account=f"{meta['namespace']}/{meta['name']}",
        there=True,
        environment=str(spec.get("environment") or ""),
        declared=str(spec.get("emergency") or "None"),
    )
    try:
        status = AccountStatus.model_validate(resource.get("status") or {})
    except ValidationError as error:
        return msgspec.structs.replace(view, problem=unreadable(error))
    asked = [request.at.ms for request in status.requests if request.at is not None]
    view = msgspec.structs.replace(
        view,
        identity=status.identity,
        conditions=_conditions(status, now_ms),
        waiting=len(status.requests),
        waiting_s=_age_s(min(asked), now_ms) if asked else None,
    )
    if (switch := status.emergency) is None:
        return view
    return msgspec.structs.replace(
        view,
        emergency=switch.level.value,
        epoch=switch.epoch,
        reason=switch.reason,
        source=switch.source,
        age_s=_age(switch.at, now_ms),
        halts=[HaltView(halt.symbol, halt.epoch, halt.reason, halt.dry_run) for halt in switch.halts],
    )


def maker_view(resource: Object, now_ms: int) -> MakerView:
    meta, spec = resource["metadata"], resource.get("spec") or {}
    problem = ""
    try:
        status = MakerStatus.model_validate(resource.get("status") or {})
    except ValidationError as error:
        status, problem = MakerStatus(), unreadable(error)
    conditions = _conditions(status, now_ms)
    told = {condition.type: condition for condition in conditions}
    ready, quoting = told.get(ConditionType.READY), told.get(ConditionType.QUOTING)
    reason = status.reason or (quoting.reason if quoting else "")
    figures = status.figures
    return MakerView(
        name=meta["name"],
        namespace=meta["namespace"],
        account=str(spec.get("accountRef") or "default"),
        symbol=str(spec.get("symbol") or ""),
        mode=str(spec.get("mode") or ""),
        net_max=_decimal(spec.get("netMax")),
        paused=spec.get("paused") is True,
        deleting="deletionTimestamp" in meta,
        age_s=_written_age(meta.get("creationTimestamp"), now_ms),
        generation=int(meta.get("generation") or 0),
        seen_generation=status.observed_generation,
        applied_generation=status.applied_generation,
        ready=ready.status if ready else "",
        quoting=quoting.status if quoting else "",
        reason=reason,
        message=_message_of(reason, conditions),
        pod=status.pod,
        restarts=RestartsView(
            status.restarts.total, _age(status.restarts.last_time, now_ms), status.restarts.awaiting_ready
        ),
        figures=None
        if figures is None
        else FiguresView(
            figures.position, figures.mid, figures.pnl, figures.worst_case, _age(figures.at, now_ms), live=False
        ),
        halt=HaltView(str(spec.get("symbol") or ""), status.halt.epoch, status.halt.reason) if status.halt else None,
        ramp_stage=status.ramp.stage if status.ramp else None,
        conditions=conditions,
        problem=problem,
    )


def _message_of(reason: str, conditions: Sequence[ConditionView]) -> str:
    """What the condition says that bears this reason: the first reason may be Ready's. Of several, Quoting's."""
    bearers = [each for each in conditions if each.reason == reason]
    bearers.sort(key=lambda each: (each.type != ConditionType.QUOTING, each.type != ConditionType.READY))
    return bearers[0].message if bearers else ""


def figures_of(records: Sequence[StateRecord]) -> FiguresView | None:
    """What the worker that leads says right now; of others it may be older than the status."""
    leading = next((record for record in records if record.role is Role.LEADING), None)
    if leading is None:
        return None
    position, mid = leading.position, leading.prices.mid
    worst = max(abs(Decimal(position.worst_case_long)), abs(Decimal(position.worst_case_short)))
    return FiguresView(
        Decimal(position.qty), None if mid is None else Decimal(str(mid)), leading.pnl.total, worst, 0.0, live=True
    )


def pod_views(pods: Sequence[Object], now_ms: int) -> list[PodView]:
    """The oldest first."""
    return sorted((_pod_view(pod, now_ms) for pod in pods), key=lambda pod: (-(pod.age_s or 0), pod.name))


def _pod_view(pod: Object, now_ms: int) -> PodView:
    meta, status = pod["metadata"], pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    conditions = {each.get("type"): each for each in status.get("conditions") or []}
    says = next(filter(None, map(_container_says, containers)), "")
    if not says and (conditions.get("PodScheduled") or {}).get("status") == "False":
        scheduled = conditions["PodScheduled"]
        says = ": ".join(filter(None, (scheduled.get("reason"), scheduled.get("message"))))
    return PodView(
        name=meta["name"],
        phase="Terminating" if "deletionTimestamp" in meta else str(status.get("phase") or "Unknown"),
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        restarts=sum(int(container.get("restartCount") or 0) for container in containers),
        node=str((pod.get("spec") or {}).get("nodeName") or ""),
        age_s=_written_age(meta.get("creationTimestamp"), now_ms),
        says=says or ": ".join(filter(None, (status.get("reason"), status.get("message")))),
    )


def _container_says(container: Object) -> str:
    """Why it waits, else its last words."""
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    words = [": ".join(filter(None, (part.get("reason"), part.get("message")))) for part in (waiting, ended)]
    return "; last words: ".join(filter(None, (word.strip() for word in words)))


def event_views(events: Sequence[Object], most: int, now_ms: int) -> list[EventView]:
    """The newest, the last of them last."""
    timed = sorted(((_event_ms(event), event) for event in events), key=lambda pair: pair[0] or 0)
    return [
        EventView(
            type=str(event.get("type") or ""),
            reason=str(event.get("reason") or ""),
            message=str(event.get("message") or "").strip(),
            count=int((event.get("series") or {}).get("count") or event.get("count") or 1),
            age_s=None if at_ms is None else _age_s(at_ms, now_ms),
        )
        for at_ms, event in timed[-most:]
    ]


def _event_ms(event: Object) -> int | None:
    """When it was last told, by whichever of its clocks is set: series, old fields, the time of its first telling."""
    series = event.get("series") or {}
    written = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return _instant_ms(written or event["metadata"].get("creationTimestamp"))


def _conditions(status: AccountStatus | MakerStatus, now_ms: int) -> list[ConditionView]:
    return [
        ConditionView(
            each.type,
            each.status,
            each.reason,
            each.message,
            _age(each.last_transition_time, now_ms),
            each.observed_generation,
        )
        for each in status.conditions
    ]


def unreadable(error: ValidationError) -> str:
    """What is wrong with a status, for a person."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, ("status", *first["loc"])))
    return f"{where} is none of ours ({first['msg']}): upgrade the older of this program and the operator"


def _age(at: Instant | None, now_ms: int) -> float | None:
    return None if at is None else _age_s(at.ms, now_ms)


def _written_age(written: object, now_ms: int) -> float | None:
    at_ms = _instant_ms(written)
    return None if at_ms is None else _age_s(at_ms, now_ms)


def _instant_ms(written: object) -> int | None:
    """Of a time that the API server has written; None where it has not."""
    return None if written is None else Instant.parse(written).ms


def _age_s(at_ms: int, now_ms: int) -> float:
    """Never below zero: the clocks of two machines differ."""
    return max(0, now_ms - at_ms) / 1000


def _decimal(written: object) -> Decimal | None:
    try:
        return None if written is None else Decimal(str(written))
    except InvalidOperation:
        return None
