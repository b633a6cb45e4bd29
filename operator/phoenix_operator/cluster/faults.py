"""What the API server refuses, as one sentence that says what to do.

Forbidden      a verb that was not granted (named), or admission that refuses the object
Terminating    the namespace is being deleted: nothing can be created in it any more
Invalid        the object, a JSON patch, or its test
Conflict       another resourceVersion, UID or field manager than was assumed
Exists         somebody was first
NotFound       the object, or the whole kind
Unauthorized   the token or certificate
Throttled      too many requests
Unavailable    the server says so itself
Unreachable    no answer in time, no connection, no trust
Other          anything else, with the server's words
"""

import re
from enum import StrEnum

import msgspec
import orjson

from phoenix_operator.cluster.resources import OWN_KINDS, Resource

_LONGEST_MESSAGE = 600


class Fault(StrEnum):
    """Kinds of refusal; a label of the metrics."""

    FORBIDDEN = "Forbidden"
    TERMINATING = "Terminating"
    INVALID = "Invalid"
    CONFLICT = "Conflict"
    EXISTS = "Exists"
    NOT_FOUND = "NotFound"
    UNAUTHORIZED = "Unauthorized"
    THROTTLED = "Throttled"
    UNAVAILABLE = "Unavailable"
    UNREACHABLE = "Unreachable"
    NOT_LEADING = "NotLeading"
    OTHER = "Other"


class ClusterFault(Exception):  # noqa: N818 - it is what the server says, and no error of ours
    """`str()` is a sentence for a person. `code`: HTTP status, None without an answer."""

    def __init__(self, fault: Fault, sentence: str, code: int | None = None, retry_after_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.fault = fault
        self.code = code
        self.retry_after_s = retry_after_s


class _Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    causes: list[_Cause] | None = None
    retry_after_seconds: int | None = None


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
    reason: str = ""
    details: _Details | None = None


_MISSING_VERB = re.compile(
    r'cannot (?P<verb>[a-z]+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)"| at the cluster scope)?'
)


def fault_of(resource: Resource, what: str, grantee: str, code: int, body: bytes) -> ClusterFault:
    """`what` was tried, for example `patch deployments.apps btc in namespace trading`; `grantee`: who lacks a verb."""
    status = _read(body)
    details = status.details or _Details()
    causes = details.causes or []
    fault = _classify(code, status, causes)
    sentence = _sentence(resource, what, grantee, fault, status, causes)
    return ClusterFault(fault, sentence, code, details.retry_after_seconds or 0)


def unreachable(place: str, error: BaseException, timeout_s: float) -> ClusterFault:
    """No answer at all."""
    if isinstance(error, TimeoutError):
        told = f"does not answer within {timeout_s:g} s"
    else:
        told = f"cannot be reached: {_one_line(str(error)) or type(error).__name__}"
    return ClusterFault(Fault.UNREACHABLE, f"the API server ({place}) {told}")


def _read(body: bytes) -> _Status:
    """Proxies and half-started servers answer with anything: then their words are the message."""
    try:
        read: object = orjson.loads(body)
        return msgspec.convert(read, _Status)
    except (orjson.JSONDecodeError, msgspec.ValidationError):
        return _Status(message=body.decode(errors="replace"))


def _classify(code: int, status: _Status, causes: list[_Cause]) -> Fault:
    if any(cause.reason == "NamespaceTerminating" for cause in causes):
        return Fault.TERMINATING
    match code:
        case 401:
            return Fault.UNAUTHORIZED
        case 403:
            # Older servers name no cause.
            return Fault.TERMINATING if "because it is being terminated" in status.message else Fault.FORBIDDEN
        case 404:
            return Fault.NOT_FOUND
        case 409:
            return Fault.EXISTS if status.reason == "AlreadyExists" else Fault.CONFLICT
        case 400 | 422:
            return Fault.INVALID
        case 429:
            return Fault.THROTTLED
        case 500 | 502 | 503 | 504:
            return Fault.UNAVAILABLE
        case _:
            return Fault.OTHER


def _sentence(resource: Resource, what: str, grantee: str, fault: Fault, status: _Status, causes: list[_Cause]) -> str:
    told = _one_line(status.message) or "it gives no reason"
    match fault:
        case Fault.FORBIDDEN:
            missing = _MISSING_VERB.search(status.message)
            return _grant(missing, grantee) if missing else f"the API server refuses to {what}: {told}"
        case Fault.TERMINATING:
            return f"cannot {what}: the namespace is being deleted"
        case Fault.INVALID:
            fields = "; ".join(f"{cause.field}: {_one_line(cause.message)}" for cause in causes if cause.field)
            return f"the API server refuses to {what}: {fields or told}"
        case Fault.NOT_FOUND if resource in OWN_KINDS and "could not find the requested resource" in status.message:
            return f"the API server does not know {resource.told}: kubectl apply -f crds/"
        case Fault.UNAUTHORIZED:
            return f"the API server does not accept who we are ({told}): renew the token or certificate"
        case Fault.THROTTLED | Fault.UNAVAILABLE:
            return f"the API server is too busy, or not ready, to {what}: {told}"
        case _:
            return f"cannot {what}: {told}"


def _grant(missing: re.Match[str], grantee: str) -> str:
    resource = f"{missing['resource']}.{missing['group']}" if missing["group"] else missing["resource"]
    where = f"in namespace {missing['namespace']}" if missing["namespace"] else "in the whole cluster"
    return (
        f"RBAC forbids to {missing['verb']} {resource} {where}: grant the verb {missing['verb']} on {resource} there"
        f" to {grantee}"
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]} …"
