"""Conditions by the API conventions: one of a type, and a transition time that moves only when the status does.

kstatus (Argo CD, Flux, Helm, `kubectl wait`) reads `Reconciling` and `Stalled` as "in progress" and "failed" while they
are True, so these two are there only then.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from phoenix_coordination.state import Reason
from phoenix_crds import Condition, Instant

from phoenix_operator.names import ConditionReason, ConditionType, EventAction, EventReason, EventType
from phoenix_operator.plan.outcome import Event

Status = Literal["True", "False", "Unknown"]
LONGEST_MESSAGE = 1024
"""Of an Event's note, which tells a condition's message; longer ones are cut, not refused."""


class Wish(msgspec.Struct, frozen=True):
    """How a condition shall be."""

    type: ConditionType
    status: Status
    reason: str
    message: str = ""


def truth(holds: bool) -> Status:
    return "True" if holds else "False"


def conditions(
    previous: Sequence[Condition], wishes: Iterable[Wish], generation: int, now_ms: int
) -> tuple[Condition, ...]:
    """The wished conditions in their order, with times carried over; those that are not wished are gone."""
    before = {each.type: each for each in previous}
    return tuple(_condition(before.get(wish.type.value), wish, generation, now_ms) for wish in wishes)


def _condition(before: Condition | None, wish: Wish, generation: int, now_ms: int) -> Condition:
    unchanged = before is not None and before.status == wish.status and before.last_transition_time is not None
    since = before.last_transition_time if before is not None and unchanged else Instant(now_ms // 1000 * 1000)
    return Condition(
        type=wish.type.value,
        status=wish.status,
        reason=wish.reason,
        message=shortened(wish.message),
        observed_generation=generation,
        last_transition_time=since,
    )


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def find(held: Iterable[Condition], type_: ConditionType) -> Condition | None:
    return next((each for each in held if each.type == type_.value), None)


# By type: what an Event says when the condition becomes true and when it ends, and which of the two is a warning.
_TOLD: dict[ConditionType, tuple[EventReason, EventReason, bool]] = {
    ConditionType.READY: (EventReason.READY, EventReason.NOT_READY, True),
    ConditionType.QUOTING: (EventReason.QUOTING, EventReason.NOT_QUOTING, True),
    ConditionType.LEASE_HELD: (EventReason.LEASE_HELD, EventReason.LEASE_NOT_HELD, True),
    ConditionType.PRICE_FRESH: (EventReason.PRICE_FRESH, EventReason.PRICE_STALE, True),
    ConditionType.RISK_HALTED: (EventReason.RISK_HALTED, EventReason.RISK_RESUMED, False),
    ConditionType.VENUE_OUTAGE: (EventReason.VENUE_OUTAGE, EventReason.VENUE_SERVES, False),
    ConditionType.SYMBOL_CONFLICT: (EventReason.SYMBOL_CONFLICT, EventReason.SYMBOL_FREE, False),
    ConditionType.ACCOUNT_CONFLICT: (EventReason.ACCOUNT_CONFLICT, EventReason.ACCOUNT_CONFLICT_ENDED, False),
    ConditionType.EMERGENCY: (EventReason.EMERGENCY, EventReason.EMERGENCY_ENDED, False),
}


_NO_WARNING = frozenset({Reason.PAUSED, Reason.STARTING, Reason.STANDBY, Reason.DRAINING, Reason.STATISTICS_WARMING})
"""Why a maker does not quote without anything being wrong."""

_UNKNOWN_IS_NEWS = frozenset({ConditionReason.REDIS_UNREACHABLE})
"""Of an account, which tells it for all its makers: their own conditions say so, too."""


def transitions(previous: Sequence[Condition], present: Sequence[Condition]) -> tuple[Event, ...]:
    """An Event for each condition that changed its status, or (where it is not as it should be) its reason.

    A condition that appears as it should be is none: nothing has happened yet. Neither is one that is not known any
    more, but for a Redis that nobody reaches (anew where it is for another trouble). Nor is one that was never
    ready and is on its way: what was made for it is told already. `Reconciling` and `Stalled` say again what
    `Ready` says; not to be ready while something is on its way is no warning, and neither is a pause.
    """
    before = {each.type: each for each in previous}
    after = {each.type: each for each in present}
    is_under_way = ConditionType.RECONCILING.value in after
    told = []
    for type_, (on, off, good_when_true) in _TOLD.items():
        was, now = before.get(type_.value), after.get(type_.value)
        event = _transition(was, now, on, off, good_when_true=good_when_true)
        if event is None:
            continue
        if type_ is ConditionType.QUOTING and now is not None and _says_the_same(now, after):
            continue
        expected = type_ is ConditionType.READY and is_under_way
        if expected and was is None:
            continue
        expected |= type_ is ConditionType.QUOTING and now is not None and now.reason in _NO_WARNING
        told.append(msgspec.structs.replace(event, type=EventType.NORMAL) if expected else event)
    # A conflict is why it is not ready: one Event of it, under its own name.
    conflicts = {event.message for event in told if event.reason is EventReason.SYMBOL_CONFLICT}
    return tuple(each for each in told if each.reason is not EventReason.NOT_READY or each.message not in conflicts)


def _says_the_same(quoting: Condition, after: Mapping[str, Condition]) -> bool:
    """Why nobody is there who could quote is why it is not ready: one Event of it."""
    ready = after.get(ConditionType.READY.value)
    return ready is not None and (ready.status, ready.reason, ready.message) == (
        quoting.status,
        quoting.reason,
        quoting.message,
    )


def _transition(
    was: Condition | None, now: Condition | None, on: EventReason, off: EventReason, *, good_when_true: bool
) -> Event | None:
    status_before = was.status if was is not None else "Unknown"
    status_now = now.status if now is not None else ("False" if not good_when_true else "Unknown")
    good = "True" if good_when_true else "False"
    same_reason = was is not None and now is not None and was.reason == now.reason
    if status_now == "Unknown":
        same_words = same_reason and was is not None and now is not None and was.message == now.message
        is_news = good_when_true and now is not None and now.reason in _UNKNOWN_IS_NEWS and not same_words
    elif status_now == good:
        is_news = status_before not in ({good} if good_when_true else {good, "Unknown"})
    else:
        is_news = status_now != status_before or not same_reason
    if not is_news:
        return None
    text = now.message or now.reason if now is not None else "it is over"
    kind = EventType.NORMAL if status_now == good else EventType.WARNING
    return Event(kind, on if status_now == "True" else off, shortened(text), EventAction.OBSERVE)
