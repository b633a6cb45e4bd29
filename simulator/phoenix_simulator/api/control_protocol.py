"""The JSON control protocol of the streams: SUBSCRIBE and its kin, judged without a socket.

Texts of the errors follow the venue's parser where they are known.
"""

from enum import StrEnum

import msgspec
import orjson

Id = int | str | None


class Method(StrEnum):
    SUBSCRIBE = "SUBSCRIBE"
    UNSUBSCRIBE = "UNSUBSCRIBE"
    LIST_SUBSCRIPTIONS = "LIST_SUBSCRIPTIONS"
    SET_PROPERTY = "SET_PROPERTY"
    GET_PROPERTY = "GET_PROPERTY"


class Command(msgspec.Struct, frozen=True):
    """`names` of streams; `combined` is the value to set."""

    method: Method
    request_id: Id
    names: tuple[str, ...] = ()
    combined: bool = False


class ControlError(Exception):
    """A message the venue answers with an error; `fatal` ones end the connection."""

    def __init__(self, code: int, msg: str, request_id: Id = None, *, fatal: bool = False) -> None:
        super().__init__(f"{code}: {msg}")
        self.code = code
        self.msg = msg
        self.request_id = request_id
        self.fatal = fatal

    def reply(self) -> bytes:
        body: dict[str, object] = {"error": {"code": self.code, "msg": self.msg}}
        if self.request_id is not None:
            body["id"] = self.request_id
        return orjson.dumps(body)


def parse(text: str) -> Command:
    """Raises ControlError for everything that is not a command."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ControlError(3, f"Invalid JSON: expected value at {place}", fatal=True) from None
    if not isinstance(message, dict):
        raise ControlError(2, "Invalid request: request must be a JSON object")
    request_id = _request_id(message)
    method = _method(message, request_id)
    if method is Method.LIST_SUBSCRIPTIONS:
        return Command(method, request_id)
    params = message.get("params")
    if params is None:
        raise ControlError(2, "Invalid request: missing field `params`", request_id)
    if not isinstance(params, list):
        raise ControlError(2, "Invalid request: `params` must be an array", request_id)
    match method:
        case Method.SUBSCRIBE | Method.UNSUBSCRIBE:
            return Command(method, request_id, _names(params, request_id))
        case Method.SET_PROPERTY:
            return _set_property(params, request_id)
        case Method.GET_PROPERTY:
            if params != ["combined"]:
                raise ControlError(0, "Unknown property", request_id)
            return Command(method, request_id)


def reply(request_id: Id, result: object) -> bytes:
    return orjson.dumps({"result": result, "id": request_id})


def _request_id(message: dict[str, object]) -> Id:
    if "id" not in message:
        raise ControlError(2, "Invalid request: missing field `id`")
    request_id = message["id"]
    # The documentation says unsigned integer; clients send strings too and get them back.
    if isinstance(request_id, bool) or not isinstance(request_id, int | str | None):
        raise ControlError(2, "Invalid request: request ID must be an unsigned integer or a string")
    return request_id


def _method(message: dict[str, object], request_id: Id) -> Method:
    name = message.get("method")
    if name is None:
        raise ControlError(2, "Invalid request: missing field `method`", request_id)
    if not isinstance(name, str) or name not in Method.__members__:
        known = ", ".join(f"`{method}`" for method in Method)
        raise ControlError(2, f"Invalid request: unknown variant, expected one of {known}", request_id)
    return Method(name)


def _names(params: list[object], request_id: Id) -> tuple[str, ...]:
    names = tuple(name for name in params if isinstance(name, str))
    if len(names) != len(params):
        raise ControlError(2, "Invalid request: `params` must be an array of strings", request_id)
    return names


def _set_property(params: list[object], request_id: Id) -> Command:
    if not params or params[0] != "combined":
        raise ControlError(0, "Unknown property", request_id)
    if len(params) != 2 or not isinstance(params[1], bool):
        raise ControlError(1, "Invalid value type: expected Boolean", request_id)
    return Command(Method.SET_PROPERTY, request_id, combined=params[1])
