"""Asks the operator to throw an account's switch: a request in the account's status, and its answer there.

The way goes through the status because whoever may trade has rights on resources, not on Redis. A request is appended
by a JSON patch that touches nothing else; the operator carries it out on Redis, takes it away and answers.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from phoenix_crds import Action, Answer, Emergency, EmergencySwitch, Instant, SwitchRequest
from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import TRADING_ACCOUNTS
from phoenix_operator.names import ConditionReason, ConditionType
from pydantic import ValidationError

from phoenix_cli.refusal import Refused

ANSWER_WITHIN_S = 20.0
"""One that leads answers within a second or two; one that has to take over first waits for the other's lease, 15 s."""
_LOOK_S = 0.2
_LAST_LOOK_S = 1.0
_ATTEMPTS = 5
_NOT_KNOWN = frozenset({Fault.UNREACHABLE, Fault.UNAVAILABLE, Fault.OTHER})
LONGEST_REASON = 1024
_LONGEST_SOURCE = 256


@dataclass(frozen=True, slots=True)
class Told:
    """The account's resource as it was read. A part of its status that another version wrote hides no other part."""

    resource: Mapping[str, Any]

    @property
    def status(self) -> Mapping[str, Any]:
        return self.resource.get("status") or {}

    @property
    def requests(self) -> list[str]:
        """Ids of those that wait, in their order."""
        return [str(each.get("id")) for each in self.status.get("requests") or ()]

    @property
    def switch(self) -> EmergencySwitch | None:
        """None where the operator has not told, or nothing that can be read."""
        try:
            return EmergencySwitch.model_validate(self.status.get("emergency"))
        except ValidationError:
            return None

    @property
    def declared(self) -> str:
        """`spec.emergency`."""
        return str(self.resource["spec"].get("emergency") or Emergency.NONE.value)

    @property
    def trouble(self) -> str:
        """Why the operator may be unable to answer, as it has said itself; empty where it has not."""
        for each in self.status.get("conditions") or ():
            if each.get("type") != ConditionType.READY:
                continue
            reason, message = each.get("reason", ""), each.get("message", "")
            # Ready all the same, and yet it is not known whose switch would be meant.
            if each.get("status") != "True" or reason == ConditionReason.NOT_IDENTIFIED:
                return f"{reason}: {message}"
        return ""

    def answer(self, request_id: str) -> Answer | None:
        for each in self.status.get("answers") or ():
            if each.get("id") != request_id:
                continue
            try:
                return Answer.model_validate(each)
            except ValidationError:
                return Answer(id=request_id, ok=each.get("ok") is True, message=str(each.get("message") or ""))
        return None


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer, and the account that held it."""

    answer: Answer
    account: Told


class Unanswered(Exception):  # noqa: N818 - what follows from it is for whoever asked to say
    """Nobody has answered in time. `account`: as it is; None where it cannot be read, and `lost` says why.

    `waits`: the request is (or, where that cannot be read, may be) still there, for whoever leads next.
    """

    def __init__(self, account: Told | None, *, waits: bool, lost: str = "") -> None:
        super().__init__()
        self.account = account
        self.waits = waits
        self.lost = lost


def stop_request(level: Emergency, reason: str, source: str) -> SwitchRequest:
    return _request(action=Action.STOP, level=level, reason=reason, source=source)


def resume_request(epoch: int, symbol: str, source: str, *, dry_run: bool) -> SwitchRequest:
    """`symbol` empty: the account's switch."""
    told = {"symbol": symbol, "dryRun": dry_run} if symbol else {}
    return _request(action=Action.RESUME, epoch=epoch, source=source, **told)


def _request(*, source: str, **told: object) -> SwitchRequest:
    now = Instant(time.time_ns() // 1_000_000)
    return SwitchRequest.model_validate({"id": uuid.uuid4().hex, "source": source[:_LONGEST_SOURCE], "at": now, **told})


async def ask(client: ClusterClient, namespace: str, account: str, request: SwitchRequest) -> Asked:
    """The operator's answer, whatever it is. Raises `ClusterFault` where the server refuses to pass the request on, and
    `Unanswered`: also where the server fell silent, so that nobody knows whether it has.

    A resume that nobody answers is taken back: it must not come true later, when nobody looks any more. A stop stays.
    """
    goes_back = request.action is Action.RESUME
    asked = None
    try:
        with _silence():
            await _append(client, namespace, account, request)
            asked = await _answered(client, namespace, account, request.id, ANSWER_WITHIN_S)
        if asked is None and goes_back:
            with _silence():
                await _take_back(client, namespace, account, request.id)
                # It may have been carried out in this very moment.
                asked = await _answered(client, namespace, account, request.id, _LAST_LOOK_S)
    except asyncio.CancelledError:  # Ctrl-C
        if goes_back:
            with contextlib.suppress(Refused, ClusterFault):
                await _take_back(client, namespace, account, request.id)
        raise
    if asked is not None:
        return asked
    try:
        told = await read_account(client, namespace, account)
    except ClusterFault as fault:
        raise Unanswered(None, waits=True, lost=str(fault)) from None
    raise Unanswered(told, waits=request.id in told.requests)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What the server says is no is no; where it says nothing that can be relied on, nobody knows."""
    try:
        yield
    except ClusterFault as fault:
        if fault.fault not in _NOT_KNOWN:
            raise


async def read_account(client: ClusterClient, namespace: str, account: str) -> Told:
    """Raises `Refused` where it is not there."""
    resource = await client.get(TRADING_ACCOUNTS, namespace, account)
    if resource is None:
        raise Refused(
            f"no TradingAccount {account} in namespace {namespace} of {client.place}: `phoenix status -A` lists them"
        )
    return Told(resource)


async def _append(client: ClusterClient, namespace: str, account: str, request: SwitchRequest) -> None:
    """Behind those that wait already; where none does the list is made, provided that nobody else did meanwhile."""
    written = request.model_dump(mode="json", by_alias=True, exclude_none=True)
    for attempt in range(1, _ATTEMPTS + 1):
        told = await read_account(client, namespace, account)
        try:
            await client.json_patch(TRADING_ACCOUNTS, namespace, account, _appending(told, written), "status")
        except ClusterFault as fault:
            raced = fault.fault in {Fault.CONFLICT, Fault.INVALID}  # a `test` that fails is Invalid, too
            if not raced or attempt == _ATTEMPTS:
                raise
        else:
            return


def _appending(told: Told, request: dict[str, Any]) -> list[dict[str, Any]]:
    if told.requests:
        return [{"op": "add", "path": "/status/requests/-", "value": request}]
    made: dict[str, Any] = {"path": "/status", "value": {"requests": [request]}}
    if told.status:
        made = {"path": "/status/requests", "value": [request]}
    version = told.resource["metadata"]["resourceVersion"]
    return [{"op": "test", "path": "/metadata/resourceVersion", "value": version}, {"op": "add", **made}]


async def _answered(
    client: ClusterClient, namespace: str, account: str, request_id: str, within_s: float
) -> Asked | None:
    until_s = time.monotonic() + within_s
    while True:
        with _silence():  # it may speak again before the time is over
            told = await read_account(client, namespace, account)
            if (answer := told.answer(request_id)) is not None:
                return Asked(answer, told)
        if time.monotonic() >= until_s:
            return None
        await asyncio.sleep(_LOOK_S)


async def _take_back(client: ClusterClient, namespace: str, account: str, request_id: str) -> None:
    """Where it is still there."""
    for _ in range(_ATTEMPTS):
        waiting = (await read_account(client, namespace, account)).requests
        if request_id not in waiting:
            return
        path = f"/status/requests/{waiting.index(request_id)}"
        operations = [{"op": "test", "path": f"{path}/id", "value": request_id}, {"op": "remove", "path": path}]
        try:
            await client.json_patch(TRADING_ACCOUNTS, namespace, account, operations, "status")
        except ClusterFault as fault:
            if fault.fault not in {Fault.CONFLICT, Fault.INVALID}:
                raise
        else:
            return
