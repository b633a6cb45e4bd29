"""What the faults in force mean for a request: refuse it, delay it, execute it and lie about it, lose the answer."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import msgspec

from phoenix_simulator.api.params import Params
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.fault_schedule import Scheduled
from phoenix_simulator.faults import AnswerLost, Delay, Fault, Outcome, Page, Reject, Unavailable

_THROTTLED: Final = (
    "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again."
)
_REDUCING_FIELDS: Final = ("reduceOnly", "positionSide", "side")
_THROTTLED_OPERATIONS: Final = frozenset({"order.place", "order.test", "orders.place"})


class RequestPlan(msgspec.Struct):
    """In this order: wait `before_s`, raise `refusal`, execute unless `skipped`, put `answered_instead` in place of
    the answer, wait `after_s`, and send a page, or nothing where `lost`.
    """

    before_s: float = 0.0
    refusal: VenueError | None = None
    skipped: bool = False
    answered_instead: VenueError | None = None
    after_s: float = 0.0
    lost: bool = False
    page_status: int | None = None
    """A page of HTML with this status stands in place of the answer."""


def plan_request(operation: str, params: Params, faults: Iterable[Scheduled], *, is_rest: bool) -> RequestPlan:
    """The faults that act count as used. VenueError where the parameters that decide cannot be read."""
    plan = RequestPlan()
    for scheduled in faults:
        if _spoil(plan, scheduled.fault, operation, params, is_rest=is_rest):
            scheduled.use()
    return plan


def _spoil(plan: RequestPlan, fault: Fault, operation: str, params: Params, *, is_rest: bool) -> bool:
    """False where the fault does not act on this request."""
    match fault:
        case Reject(code=code, message=message, status=status):
            plan.refusal = VenueError(code, message, status)
        case Unavailable(outcome=Outcome.THROTTLED):
            if operation not in _THROTTLED_OPERATIONS or _reduces(params):
                return False
            plan.refusal = _unavailable(Outcome.THROTTLED)
        case Unavailable(outcome=Outcome.UNKNOWN_EXECUTED):
            plan.answered_instead = _unavailable(Outcome.UNKNOWN_EXECUTED)
        case Unavailable(outcome=outcome):
            plan.refusal = _unavailable(outcome)
        case AnswerLost(executed=executed):
            plan.lost = True
            plan.skipped = plan.skipped or not executed
        case Page(status=status, executed=executed) if is_rest:
            plan.page_status = status
            plan.skipped = plan.skipped or not executed
        case Delay(before_seconds=before_s, after_seconds=after_s):
            plan.before_s += before_s
            plan.after_s += after_s
        case _:
            return False
    return True


def _unavailable(outcome: Outcome) -> VenueError:
    match outcome:
        case Outcome.UNKNOWN_EXECUTED | Outcome.UNKNOWN_NOT_EXECUTED:
            code, text = -1000, "Unknown error, please check your request or try again later."
        case Outcome.UNAVAILABLE:
            code, text = -1016, "Service Unavailable."
        case Outcome.INTERNAL:
            code, text = -1001, "Internal error; unable to process your request. Please try again."
        case Outcome.THROTTLED:
            code, text = -1008, _THROTTLED
    return VenueError(code, text, HTTPStatus.SERVICE_UNAVAILABLE)


def _reduces(params: Params) -> bool:
    """What can only reduce is exempt from the throttle; a batch only if each of its items is."""
    if "batchOrders" not in params:
        return _only_reduces(*(params.peek(name) for name in _REDUCING_FIELDS))
    items = params.json_list("batchOrders")
    return bool(items) and all(
        isinstance(item, dict) and _only_reduces(*(item.get(name) for name in _REDUCING_FIELDS)) for item in items
    )


def _only_reduces(reduce_only: object, position_side: object, side: object) -> bool:
    return _is_true(reduce_only) or (position_side, side) in {("LONG", "SELL"), ("SHORT", "BUY")}


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")
