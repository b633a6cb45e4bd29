"""`phoenix stop` and `phoenix resume` of a cluster: the operator is asked, and tells what came of it."""

import asyncio
import sys
from collections.abc import Callable

import msgspec
from phoenix_crds import Emergency, EmergencySwitch
from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.names import Label

from phoenix_cli.aftermath import Held, Left, Since
from phoenix_cli.cluster.asking import (
    ANSWER_WITHIN_S,
    LONGEST_REASON,
    Asked,
    Unanswered,
    ask,
    read_account,
    resume_request,
    stop_request,
)
from phoenix_cli.cluster.place import Place
from phoenix_cli.cluster.reading import connected
from phoenix_cli.refusal import Refused
from phoenix_cli.resume import Resumed
from phoenix_cli.stop import OPERATOR, Stopped, with_left
from phoenix_cli.target import whoami

_TELL_WITHIN_S = 8.0
"""The operator reads what the makers tell every second, and they every second what they have."""
_CLOSE_WITHIN_S = 25.0
_LOOK_S = 0.25


async def stop(
    place: Place, name: str, level: Emergency, reason: str, stopped: Callable[[Stopped], None], *, wait: bool
) -> Stopped:
    """Has the operator raise the switch, tells `stopped`; then hears what is left. Raises `Refused`."""
    if len(reason) > LONGEST_REASON:
        raise Refused(f"--reason has {len(reason)} characters: {LONGEST_REASON} at most go through a resource's status")
    place = place.of_name(name)
    async with connected(place) as client:
        namespace, account = place.namespace or client.namespace, name.rpartition("/")[2]
        try:
            asked = await ask(client, namespace, account, stop_request(level, reason, whoami()))
        except Unanswered as silence:
            raise Refused(_stop_waits(f"{namespace}/{account}", silence)) from None
        except asyncio.CancelledError:  # Ctrl-C
            said = "it has been asked, or is just being: an operator that sees it carries it out"
            sys.stderr.write(f"phoenix stop: {said}; `phoenix status` shows what is in force\n")
            raise
        since = Since()
        told = _stopped(f"{namespace}/{account}", asked, level, reason, asked_of=OPERATOR if wait else "")
        stopped(told)
        if not wait:
            return told
        return with_left(told, await _left(client, namespace, account, told, since))


def _stopped(account: str, asked: Asked, level: Emergency, reason: str, *, asked_of: str) -> Stopped:
    answer, switch = asked.answer, asked.account.switch
    if not answer.ok:
        raise Refused(f"the operator refuses: {answer.message}")
    epoch = answer.epoch or (switch.epoch if switch is not None else 0)
    told = Stopped(account, (answer.level or level).value, epoch, reason, whoami(), asked=asked_of)
    if switch is None or switch.epoch != epoch:
        return told
    return msgspec.structs.replace(told, reason=switch.reason, source=switch.source)


async def _left(client: ClusterClient, namespace: str, account: str, told: Stopped, since: Since) -> Left:
    """As soon as the operator says that nothing is, or after a while."""
    closing = told.level == Emergency.FLATTEN.value
    orders_ms = 0
    while True:
        switch = (await read_account(client, namespace, account)).switch
        left = switch.left if switch is not None and switch.epoch >= told.epoch else None
        resting = left.orders if left is not None else 0
        still = [Held(each.symbol, each.position) for each in left.open] if left is not None else []
        unsure = (
            ["the operator does not say what the makers tell"] if left is None else list(map(_unheard, left.unheard))
        )
        orders_ms = since.ms if resting or unsure or not orders_ms else orders_ms
        over = since.s > (_CLOSE_WITHIN_S if closing and still and not (resting or unsure) else _TELL_WITHIN_S)
        if over or not (resting or unsure or (closing and still)):
            held = still if closing else None
            return Left(orders=resting, orders_ms=orders_ms, open=held, open_ms=since.ms, unsure=unsure)
        await asyncio.sleep(_LOOK_S)


def _unheard(maker: str) -> str:
    return f"{maker}: its worker tells nothing, or has not heard of the stop"


async def resume(place: Place, name: str, symbol: str, epoch: int) -> Resumed:
    """Has the operator lower the account's switch, or lift a symbol's halt. Raises `Refused`."""
    place = place.of_name(name)
    async with connected(place) as client:
        namespace, account = place.namespace or client.namespace, name.rpartition("/")[2]
        before = await read_account(client, namespace, account)
        request = resume_request(epoch, symbol, whoami(), dry_run=_is_rehearsal(before.switch, symbol))
        try:
            asked = await ask(client, namespace, account, request)
        except Unanswered as silence:
            raise Refused(_resume_taken_back(f"{namespace}/{account}", epoch, symbol, silence)) from None
        if not asked.answer.ok:
            raise Refused(f"the operator refuses: {asked.answer.message}")
        lowered = epoch if asked.answer.epoch is None else asked.answer.epoch
        return Resumed(f"{namespace}/{account}", symbol, lowered, asked.account.declared)


def _is_rehearsal(switch: EmergencySwitch | None, symbol: str) -> bool:
    """The halt of the live maker is meant, or of the rehearsing one where only that is halted."""
    halts = [] if switch is None else [halt for halt in switch.halts if halt.symbol == symbol]
    return bool(halts) and all(halt.dry_run for halt in halts)


# -- an operator that says nothing -----------------------------------------------------------------


def _stop_waits(account: str, silence: Unanswered) -> str:
    namespace, _, name = account.partition("/")
    waits = "the request has gone"
    if silence.waits:
        waits = "the request waits in the account's status until one does"
    if silence.account is None:
        waits = "whether the request waits there for one is not known"
    scale = f"kubectl -n {namespace} scale deployment -l {Label.ACCOUNT}={name} --replicas=0"
    return (
        f"no operator has answered within {ANSWER_WITHIN_S:g} s, so {account} is NOT known to be stopped"
        f" ({_in_force(silence)}); {waits}. Without the operator: `{scale}` has every worker withdraw and end,"
        f" and `phoenix stop {account} --reason … --redis URL` stops the account wherever its Redis can be reached"
    )


def _resume_taken_back(account: str, epoch: int, symbol: str, silence: Unanswered) -> str:
    which = f" --symbol {symbol}" if symbol else ""
    fate = "has been taken back"
    if silence.waits:
        sure = "still waits" if silence.account is not None else "may wait"
        fate = f"{sure} in the account's status for whoever leads next, who refuses it when it is a minute old"
    return (
        f"no operator has answered within {ANSWER_WITHIN_S:g} s ({_in_force(silence)}); the request {fate}."
        f" Without the operator, wherever its Redis can be reached:"
        f" `phoenix resume {account}{which} --epoch {epoch} --redis URL`"
    )


def _in_force(silence: Unanswered) -> str:
    account = silence.account
    if account is None:
        return silence.lost
    switch = account.switch
    told = "how its switch stands has never been told"
    if switch is not None:
        told = f"last told: emergency {switch.level.value}, epoch {switch.epoch}"
    return f"{told}; of the account the operator says {account.trouble}" if account.trouble else told
