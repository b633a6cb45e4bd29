"""The status that we find: what the operator has written before, and what people ask in it.

It is read part by part, because a part that cannot be read (another version's, or a person's) must hide no other: what
an account remembers of its switch is money. Conditions of others are not ours to read, to compare or to write.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from phoenix_crds import AccountStatus, Action, MakerStatus, SwitchRequest
from pydantic import ValidationError

from phoenix_operator.names import ConditionType
from phoenix_operator.plan.facts import Unread

Status = TypeVar("Status", MakerStatus, AccountStatus)

_OURS = frozenset(ConditionType)
_NOT_WHAT_IS_ASKED = frozenset({"at", "reason", "source"})
"""Fields of a request without which a stop is the same stop. Without its age nobody is resumed."""


class _Place(NamedTuple):
    """A part of a status: a field, or one item of a list."""

    field: str
    item: int | None


def read_status(model: type[Status], written: object) -> tuple[Status, tuple[Unread, ...]]:
    """What can be read of it, and what cannot."""
    if not isinstance(written, Mapping):
        return model(), () if written is None else (Unread("", written, "status: is none of ours"),)
    own = _without_others_conditions(written)
    try:
        return model.model_validate(own), ()
    except ValidationError as error:
        problems = {_place(each["loc"]): _told(each) for each in error.errors(include_url=False)}
    rest = {field: _rest(field, value, problems) for field, value in own.items() if _Place(field, None) not in problems}
    unread = tuple(Unread(place.field, _value(own, place), problem) for place, problem in problems.items())
    try:
        return model.model_validate(rest), unread
    except ValidationError as error:
        return model(), (Unread("", own, _told(error.errors(include_url=False)[0])),)


def rescued(unread: Unread) -> SwitchRequest | None:
    """A stop whose side remarks alone cannot be read is one all the same."""
    if unread.field != "requests" or not isinstance(unread.value, Mapping):
        return None
    core = {field: value for field, value in unread.value.items() if field not in _NOT_WHAT_IS_ASKED}
    try:
        request = SwitchRequest.model_validate(core)
    except ValidationError:
        return None
    return request if request.action is Action.STOP else None


def _without_others_conditions(written: Mapping[str, Any]) -> dict[str, Any]:
    own = dict(written)
    if isinstance(own.get("conditions"), list):
        own["conditions"] = [each for each in own["conditions"] if isinstance(each, Mapping) and _is_ours(each)]
    return own


def _is_ours(condition: Mapping[str, Any]) -> bool:
    return condition.get("type") in _OURS


def _place(location: tuple[int | str, ...]) -> _Place:
    item = location[1] if len(location) > 1 else None
    return _Place(str(location[0]) if location else "", item if isinstance(item, int) else None)


def _rest(field: str, value: Any, problems: Mapping[_Place, str]) -> Any:  # noqa: ANN401 - decoded JSON
    if not isinstance(value, list):
        return value
    return [item for index, item in enumerate(value) if _Place(field, index) not in problems]


def _value(written: Mapping[str, Any], place: _Place) -> Any:  # noqa: ANN401 - decoded JSON
    value = written.get(place.field)
    return value[place.item] if place.item is not None and isinstance(value, list) else value


def _told(error: Any) -> str:  # noqa: ANN401 - pydantic's own mapping
    return f"status.{'.'.join(str(step) for step in error['loc'])}: {error['msg']}"
