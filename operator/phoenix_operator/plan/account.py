"""What is to be done for one account: its identity, its switch both ways, what people ask of it.

    spec.emergency   reaches the workers in `account.yaml`, and through Redis (`Declare`) those that no file reaches
    sticky switch    Redis → status whenever Redis is later; status → Redis (`Seed`) where Redis has not been told, or
                     has come back with less. Neither is ever lowered by the other
    requests         carried out on Redis in their order, answered in the status, then removed

Nothing is seeded from a status that cannot be read: the workers stay stopped, and the condition says why. An account
that is gone leaves in Redis what it declared last: whoever looks after it next says anew what holds.
"""

from collections.abc import Sequence

from phoenix_coordination.state import Mode, StateRecord
from phoenix_crds import (
    MOST_ANSWERS,
    AccountStatus,
    Action,
    Answer,
    Condition,
    Emergency,
    EmergencySwitch,
    HaltedSymbol,
    Instant,
    LeftBehind,
    OpenPosition,
    SwitchRequest,
)

from phoenix_operator.names import ConditionReason, ConditionType, EventAction, EventReason, EventType, Finalizer
from phoenix_operator.plan import conditions
from phoenix_operator.plan.conditions import Status, Wish, shortened
from phoenix_operator.plan.facts import AccountFacts, Switch
from phoenix_operator.plan.figures import decimal_of
from phoenix_operator.plan.outcome import AccountPlan, CarryOut, Declare, Event, FinalizerChange, Forget, Refuse, Seed

STALE_REQUEST_MS = 60_000
"""A Resume that has waited for longer is refused: who asked for it no longer looks, and much may have happened. So is
one that is dated further ahead, or not at all: nobody could say when it is stale. A Stop is carried out whenever it was
asked."""
REFUSAL_PATIENCE_MS = 5_000
_MOST_NAMED = 10
_LEVELS = tuple(Emergency)
"""From none to closing everything, as they are declared."""


def plan_account(facts: AccountFacts) -> AccountPlan:
    """Everything that is to be done for one account now."""
    meta, before = facts.account.meta, facts.account.status
    guarded = Finalizer.IN_USE in meta.finalizers
    if meta.deleting and not guarded:
        return AccountPlan()
    if meta.deleting and not facts.needed_by:
        return AccountPlan(remove_finalizer=FinalizerChange(Finalizer.IN_USE))
    status = _status(facts)
    seed = _seed(facts)
    events = list(conditions.transitions(before.conditions, status.conditions))
    events += _news(before, status, seed)
    requests = _requests(facts)
    return AccountPlan(
        add_finalizer=FinalizerChange(Finalizer.IN_USE) if facts.makers and not guarded and not meta.deleting else None,
        declare=_declare(facts),
        seed=seed,
        requests=requests,
        status=None if status == before else status,
        events=tuple(events),
        again_ms=REFUSAL_PATIENCE_MS if before.requests and not requests else None,
    )


def answered(
    status: AccountStatus, request: SwitchRequest, *, ok: bool, message: str, now_ms: int, switch: Switch | None = None
) -> AccountStatus:
    """The status with the answer to a request; `switch`: as it is after it."""
    answer = Answer(
        id=request.id,
        ok=ok,
        message=shortened(message),
        at=Instant(now_ms // 1000 * 1000),
        level=switch.level if switch is not None else None,
        epoch=switch.epoch if switch is not None else None,
    )
    others = tuple(each for each in status.answers if each.id != request.id)
    return status.model_copy(update={"answers": (*others, answer)[-MOST_ANSWERS:]})


def answer_event(request: SwitchRequest, *, ok: bool, message: str) -> Event:
    """What the account's Event says about a request."""
    by = request.source or "somebody"
    asked = f"{request.action.value} asked by {by}" + (f" ({request.reason})" if request.reason else "")
    if ok:
        reason, kind = EventReason.REQUEST_CARRIED_OUT, EventType.NORMAL
    else:
        reason, kind = EventReason.REQUEST_REFUSED, EventType.WARNING
    return Event(kind, reason, shortened(f"{asked}: {message}"), EventAction.SWITCH)


# -- the switch --------------------------------------------------------------------------------------


def _declare(facts: AccountFacts) -> Declare | None:
    """Before the seed, which may end a halt. Of two accounts that are one at the exchange the older has the say."""
    spec, shared = facts.account.spec, facts.shared
    if spec is None or facts.older_twin or shared is None or not shared.identity or shared.switch is None:
        return None
    return None if shared.switch.declared is spec.emergency else Declare(shared.identity, spec.emergency)


def _seed(facts: AccountFacts) -> Seed | None:
    """Where Redis has not been told under its present run, or knows less than the status."""
    shared, kept = facts.shared, facts.account.status.emergency
    if facts.account.switch_problem or shared is None or not shared.identity or shared.switch is None:
        return None
    switch = shared.switch
    if switch.seeded and (kept is None or not _is_later(kept, switch)):
        return None
    if kept is None:
        return Seed(shared.identity, Emergency.NONE, 0, "", "operator")
    return Seed(shared.identity, kept.level, kept.epoch, kept.reason, kept.source or "operator")


def _is_later(kept: EmergencySwitch, switch: Switch) -> bool:
    """Whether the status knows of something that Redis has lost. The same epoch with another level was written by two
    that did not know of each other: the higher level counts.
    """
    if kept.epoch != switch.epoch:
        return kept.epoch > switch.epoch
    return _LEVELS.index(kept.level) > _LEVELS.index(switch.level)


def _switch(facts: AccountFacts) -> EmergencySwitch | None:
    """What the status remembers: Redis where that has been told and is not behind, else what it said before."""
    kept, shared = facts.account.status.emergency, facts.shared
    if shared is None or shared.switch is None:
        return kept
    switch = shared.switch
    if not switch.seeded and (kept is not None or switch.epoch == 0):
        # Unseeded says nothing yet; a stop that was raised meanwhile is told with the seed, merged by Redis.
        return kept
    if kept is not None and _is_later(kept, switch):
        return kept
    level = switch.level
    return EmergencySwitch(
        level=level,
        epoch=switch.epoch,
        reason=switch.reason,
        source=switch.source,
        at=Instant(switch.at_ms) if switch.at_ms else None,
        halts=tuple(
            HaltedSymbol(symbol=each.symbol, epoch=each.epoch, reason=each.reason, dry_run=each.dry_run)
            for each in sorted(shared.halts)
        ),
        left=_left(facts, kept, level, switch.epoch) if level is not Emergency.NONE else None,
    )


def _left(facts: AccountFacts, kept: EmergencySwitch | None, level: Emergency, epoch: int) -> LeftBehind:
    """What still rests or is open while the account is stopped, as far as the live makers tell."""
    told = {record.maker: record for record in _leading(facts.records)}
    heard = {
        maker: record
        for maker, record in told.items()
        if record.emergency.level != Emergency.NONE.value and record.emergency.epoch >= epoch
    }
    unheard = tuple(sorted(set(facts.live_makers) - set(heard)))
    orders = sum(len(record.quotes.bids) + len(record.quotes.asks) for record in told.values())
    positions: tuple[OpenPosition, ...] = ()
    if level is Emergency.FLATTEN:
        positions = tuple(
            OpenPosition(symbol=record.symbol, position=quantity)
            for record in sorted(told.values(), key=lambda each: each.symbol)
            if (quantity := decimal_of(record.position.qty)) is not None and quantity != 0
        )
    before = kept.left if kept is not None and kept.epoch == epoch else None
    found = LeftBehind(orders=orders, unheard=unheard, open=positions, at=Instant(facts.now_ms // 1000 * 1000))
    if before is not None and before.model_copy(update={"at": found.at}) == found:
        return before
    return found


def _unheard(facts: AccountFacts, declared: Emergency) -> list[str]:
    """Live makers whose worker tells nothing, or less than what is declared."""
    heard = {
        record.maker
        for record in _leading(facts.records)
        if record.emergency.level in {level.value for level in _LEVELS[_LEVELS.index(declared) :]}
    }
    return sorted(set(facts.live_makers) - heard)


def _leading(records: Sequence[StateRecord]) -> list[StateRecord]:
    """Of each live maker's workers the one that leads, or any: by token, the newest."""
    return sorted(
        (record for record in records if record.mode is Mode.LIVE),
        key=lambda record: (record.role.value == "leading", record.token, record.holder),
    )


# -- requests ----------------------------------------------------------------------------------------


def _requests(facts: AccountFacts) -> tuple[CarryOut | Refuse | Forget, ...]:
    status = facts.account.status
    known = {answer.id for answer in status.answers}
    identity = facts.shared.identity if facts.shared is not None else ""
    planned: list[CarryOut | Refuse | Forget] = [
        Forget(id_) if id_ in known else Refuse(_as_it_seems(facts, id_), f"it cannot be read ({problem}): ask again")
        for id_, problem in facts.account.unreadable_requests.items()
    ]
    for request in status.requests:
        if request.id in known:
            planned.append(Forget(request.id))
        elif request.action is Action.RESUME and (why := _not_of_now(request, facts.now_ms)):
            planned.append(Refuse(request, why))
        elif identity:
            planned.append(CarryOut(identity, request))
        elif facts.shared is not None and request.action is Action.RESUME:
            planned.append(Refuse(request, "no worker has registered the account yet, so there is nothing to resume"))
        # A Stop waits until Redis can be read and a worker has said which account it is.
    return tuple(planned)


def _not_of_now(request: SwitchRequest, now_ms: int) -> str:
    """Why a Resume is not one that somebody waits for now, "" where it is."""
    if request.at is None:
        return "it does not say when it was asked (`at`), so nobody knows whether it is still meant: ask again"
    waited_ms = now_ms - request.at.ms
    if waited_ms > STALE_REQUEST_MS:
        return f"asked {waited_ms // 1000} s ago, and nobody waits for it any more: ask again"
    if waited_ms < -STALE_REQUEST_MS:
        return f"dated {-waited_ms // 1000} s ahead of the operator's clock: set the clocks right, and ask again"
    return ""


def _as_it_seems(facts: AccountFacts, id_: str) -> SwitchRequest:
    """A request that cannot be read, as far as its answer needs it."""
    for each in facts.account.unread:
        if each.field == "requests" and each.value.get("id") == id_:
            source, reason = (str(each.value.get(name) or "") for name in ("source", "reason"))
            return SwitchRequest.model_construct(id=id_, action=Action.RESUME, source=source, reason=reason)
    raise ValueError(f"no request {id_} that cannot be read")


# -- status ------------------------------------------------------------------------------------------


def _status(facts: AccountFacts) -> AccountStatus:
    before, meta = facts.account.status, facts.account.meta
    identity = (facts.shared.identity if facts.shared is not None else "") or before.identity
    switch = _switch(facts)
    wishes = [
        _ready(facts, identity),
        _emergency(facts, switch),
        _outage(facts, before.conditions),
    ]
    if facts.older_twin:
        text = f"account {facts.older_twin} is older and has the same identity {identity}"
        wishes.append(Wish(ConditionType.ACCOUNT_CONFLICT, "True", ConditionReason.ACCOUNT_CONFLICT, text))
    ready = wishes[0]
    if ready.reason in {ConditionReason.CONFIGURATION_INVALID, ConditionReason.ACCOUNT_CONFLICT}:
        wishes.append(Wish(ConditionType.STALLED, "True", ready.reason, ready.message))
    return before.model_copy(
        update={
            "observed_generation": meta.generation,
            "conditions": conditions.conditions(before.conditions, wishes, meta.generation, facts.now_ms),
            "identity": identity,
            "makers": len(facts.makers),
            "emergency": None if facts.account.switch_problem else switch,
        }
    )


def _ready(facts: AccountFacts, identity: str) -> Wish:
    account = facts.account
    if account.meta.deleting:
        text = f"deleted, and kept while makers need its key to withdraw: {_named(sorted(facts.needed_by))}"
        return _not_ready(ConditionReason.IN_USE, text)
    if account.spec is None:
        return _not_ready(ConditionReason.CONFIGURATION_INVALID, account.problem)
    if account.switch_problem:
        text = (
            f"{account.switch_problem}: the switch is not seeded from it, so workers stay stopped;"
            " mend the status (kubectl edit --subresource=status)"
        )
        return _not_ready(ConditionReason.STATUS_UNREADABLE, text)
    if facts.fault:
        return _not_ready(ConditionReason.API_REFUSED, facts.fault)
    if facts.older_twin:
        text = (
            f"account {facts.older_twin} is older and has the same identity {identity}:"
            " the quotes of this account's makers are withdrawn; keep one TradingAccount for one exchange account"
        )
        return _not_ready(ConditionReason.ACCOUNT_CONFLICT, text)
    if facts.shared is None:
        blind = f"; what its makers do is not known: {_named(sorted(facts.makers))}" if facts.makers else ""
        return Wish(ConditionType.READY, "Unknown", ConditionReason.REDIS_UNREACHABLE, facts.fleet_problem + blind)
    if not identity:
        return Wish(
            ConditionType.READY, "True", ConditionReason.NOT_IDENTIFIED, "valid; no worker has named its identity yet"
        )
    return Wish(ConditionType.READY, "True", ConditionReason.IDENTIFIED, f"the exchange calls it {identity}")


def _named(makers: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    rest = len(makers) - _MOST_NAMED
    return ", ".join(makers[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _not_ready(reason: ConditionReason, message: str) -> Wish:
    return Wish(ConditionType.READY, "False", reason, message)


def _emergency(facts: AccountFacts, switch: EmergencySwitch | None) -> Wish:
    """Both sources, the higher one first."""
    spec = facts.account.spec
    declared = spec.emergency if spec is not None else Emergency.NONE
    sticky = switch.level if switch is not None else Emergency.NONE
    if switch is not None and sticky is not Emergency.NONE and _LEVELS.index(sticky) >= _LEVELS.index(declared):
        name = f"{facts.account.meta.namespace}/{facts.account.meta.name}"
        text = (
            f"{sticky.value} by {switch.source or 'somebody'}: {switch.reason};"
            f" `phoenix resume {name} --epoch {switch.epoch}` ends it"
        )
        return Wish(ConditionType.EMERGENCY, "True", ConditionReason.STICKY, text)
    if declared is not Emergency.NONE:
        unheard = _unheard(facts, declared)
        text = f"spec.emergency is {declared.value}" + (f"; not heard yet by {_named(unheard)}" if unheard else "")
        return Wish(ConditionType.EMERGENCY, "True", ConditionReason.DECLARED, text)
    status: Status = "Unknown" if switch is None else "False"
    reason = ConditionReason.REDIS_UNREACHABLE if facts.shared is None else ConditionReason.NOT_STOPPED
    return Wish(ConditionType.EMERGENCY, status, reason)


def _outage(facts: AccountFacts, before: Sequence[Condition]) -> Wish:
    if not facts.outage:
        return Wish(ConditionType.VENUE_OUTAGE, "False", ConditionReason.SERVING)
    was = conditions.find(before, ConditionType.VENUE_OUTAGE)
    # Which symbols are stale changes from second to second; the first word stays until it is over.
    text = was.message if was is not None and was.status == "True" else facts.outage
    return Wish(ConditionType.VENUE_OUTAGE, "True", ConditionReason.SILENT, text)


def _news(before: AccountStatus, after: AccountStatus, seed: Seed | None) -> list[Event]:
    told = []
    if after.identity and after.identity != before.identity:
        text = f"the exchange calls it {after.identity}" + (f", until now {before.identity}" if before.identity else "")
        kind = EventType.WARNING if before.identity else EventType.NORMAL
        told.append(Event(kind, EventReason.IDENTIFIED, text, EventAction.OBSERVE))
    if seed is not None:
        text = f"Redis is told of the switch: {seed.level.value}, epoch {seed.epoch}"
        told.append(Event(EventType.NORMAL, EventReason.SWITCH_SEEDED, text, EventAction.SEED))
    was, now = before.emergency, after.emergency
    if now is not None and was is not None and (was.level, was.epoch) != (now.level, now.epoch):
        kind = EventType.NORMAL if now.level is Emergency.NONE else EventType.WARNING
        text = f"{now.level.value}, epoch {now.epoch}, by {now.source or 'somebody'}: {now.reason}"
        told.append(Event(kind, EventReason.SWITCH_CHANGED, shortened(text), EventAction.SWITCH))
    return told
