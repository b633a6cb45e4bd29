"""The resources as people read them: a table like kubectl's, or one maker and why it does not quote."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec
from phoenix_operator.names import ConditionType

from phoenix_cli.cluster.place import Place
from phoenix_cli.cluster.view import (
    NOT_TOLD,
    AccountView,
    ConditionView,
    EventView,
    FiguresView,
    FleetView,
    MakerView,
    PodView,
)
from phoenix_cli.printing import aligned, one_line

_LONGEST_REMARK = 160
_YES = "True"
_NONE = "None"
# Of these True is the good answer; of all others (Stalled, SymbolConflict, VenueOutage …) False.
_GOOD = frozenset({ConditionType.READY, ConditionType.QUOTING, ConditionType.LEASE_HELD, ConditionType.PRICE_FRESH})


def fleet_text(fleet: FleetView, place: Place) -> str:
    """Every account with its makers; or that there are none, and where they were looked for."""
    if not fleet.accounts:
        where = f"in namespace {fleet.namespace}" if fleet.namespace else "in any namespace"
        hint = " (-A looks in all of them)" if fleet.namespace else ""
        return f"no account and no maker {where} of {fleet.cluster}{hint}\n"
    return "\n".join(_account_text(account, place) for account in fleet.accounts)


def _account_text(account: AccountView, place: Place) -> str:
    told = ", ".join(filter(None, (account.environment, account.identity)))
    lines = [f"account {account.account}" + (f" ({told})" if told else "")]
    lines += [f"  {line}" for line in account_lines(account, place)]
    return "\n".join([*lines, _table(account.makers) if account.makers else "  no maker names it\n"])


def account_lines(account: AccountView, place: Place) -> Iterator[str]:
    """What counts for all its makers."""
    if not account.there:
        yield "there is no TradingAccount of this name: apply one, or no maker of it trades"
        return
    yield emergency_line(account, place)
    if account.declared != _NONE:
        yield f"spec.emergency is {account.declared}: in force until the resource says None"
    for halt in account.halts:
        what = f"{halt.symbol} (rehearsal)" if halt.dry_run else halt.symbol
        resume = f"phoenix resume {account.account} --symbol {halt.symbol} --epoch {halt.epoch}{place.typed}"
        yield f"{what} is halted, epoch {halt.epoch}: {_one_line(halt.reason)}; to lift it: {resume}"
    if account.waiting:
        since = "" if account.waiting_s is None else f", the oldest for {age(account.waiting_s)}"
        yield f"the operator has not answered {_counted(account.waiting, 'request')} yet{since}"
    if account.problem:
        yield f"not readable: {account.problem}"
    for condition in account.conditions:
        if condition.type != ConditionType.EMERGENCY and not _is_good(condition):
            yield _complaint(condition)


def emergency_line(account: AccountView, place: Place) -> str:
    """The switch, and how a person lifts it."""
    if not account.emergency:
        return "emergency not known: the operator has not told how the switch stands"
    if account.emergency == _NONE:
        return f"emergency none, epoch {account.epoch}"
    when = "" if account.age_s is None else f" {age(account.age_s)} ago"
    who, why = _one_line(account.source), _one_line(account.reason)
    told = f"emergency {account.emergency}, epoch {account.epoch}, by {who}{when}: {why}"
    return f"{told}; to lift it: phoenix resume {account.account} --epoch {account.epoch}{place.typed}"


def _table(makers: Sequence[MakerView]) -> str:
    header = ("maker", "symbol", "mode", "ready", "quoting", "position", "mid", "pnl", "figures", "restarts", "age", "")
    return aligned(header, [_row(maker) for maker in makers])


def _row(maker: MakerView) -> tuple[str, ...]:
    figures = maker.figures or NOT_TOLD
    return (
        maker.name,
        maker.symbol,
        maker.mode,
        maker.ready or "–",
        maker.quoting or "–",
        number(figures.position),
        number(figures.mid),
        money(figures.pnl),
        figures_age(figures),
        str(maker.restarts.total),
        age(maker.age_s),
        remark(maker),
    )


def remark(maker: MakerView) -> str:
    """Why it does not quote, or is not Ready, in short: what a person looks for in a list; empty where all is well."""
    told = _one_line(_remark(maker))
    return told if len(told) <= _LONGEST_REMARK else f"{told[:_LONGEST_REMARK]} …"


def _remark(maker: MakerView) -> str:
    if maker.problem:
        return f"not readable: {maker.problem}"
    words = ["being deleted"] if maker.deleting else []
    if maker.quoting != _YES:
        words.append(_said(maker.reason, maker.message) or "the operator has not told anything yet")
    unready = _condition(maker, ConditionType.READY)
    if unready is not None and unready.status != _YES and unready.reason != maker.reason:
        words.append(f"not Ready: {_said(unready.reason, unready.message)}")
    return "; ".join(words)


# -- one maker -------------------------------------------------------------------------------------


def maker_text(maker: MakerView, account: AccountView, place: Place) -> str:
    return "\n".join([*maker_lines(maker, account, place), *_pods_text(maker.pods), *_events_text(maker.events), ""])


def maker_lines(maker: MakerView, account: AccountView, place: Place) -> Iterator[str]:
    what = ", ".join(filter(None, (maker.symbol, f"account {maker.account}", maker.mode)))
    yield f"{maker.full_name} ({what}) {_verdict(maker)}"
    if maker.deleting:
        yield "  is being deleted: what it withdraws and leaves is told below"
    if maker.problem:
        yield f"  not readable: {maker.problem}"
    own = msgspec.structs.replace(account, halts=[halt for halt in account.halts if halt.symbol == maker.symbol])
    shared = account_lines(own, place)
    if account.there and account.emergency == _NONE:
        next(shared)  # that nothing is stopped is no news of one maker
    yield from (f"  {line}" for line in shared)
    if maker.halt is not None and not own.halts:
        resume = f"phoenix resume {account.account} --symbol {maker.symbol} --epoch {maker.halt.epoch}{place.typed}"
        yield f"  halted under epoch {maker.halt.epoch}: {_one_line(maker.halt.reason)}; to lift it: {resume}"
    if maker.paused:
        yield "  spec.paused is true: it quotes when the resource says false"
    yield f"  {_generations(maker)}"
    yield f"  {_figures_line(maker)}"
    restarts = maker.restarts
    if restarts.total:
        last = "" if restarts.age_s is None else f", the last {age(restarts.age_s)} ago"
        waits = ", whose worker is not ready yet" if restarts.awaiting_ready else ""
        yield f"  {_counted(restarts.total, 'restart')} by the operator{last}{waits}"
    if maker.ramp_stage is not None:
        yield f"  ramp stage {maker.ramp_stage}"
    if maker.conditions:
        header = ("condition", "status", "for", "reason", "message")
        rows = [(c.type, c.status, age(c.age_s), c.reason, _one_line(c.message)) for c in maker.conditions]
        yield "\n" + aligned(header, rows).rstrip("\n")


def _verdict(maker: MakerView) -> str:
    quoting = _condition(maker, ConditionType.QUOTING)
    since = "" if quoting is None or quoting.age_s is None else f" (for {age(quoting.age_s)})"
    match maker.quoting:
        case "True":
            return f"quotes{since}"
        case "False":
            return f"does not quote: {_said(maker.reason, maker.message)}{since}"
        case "Unknown":
            return f"may quote or not: {_said(maker.reason, maker.message)}{since}"
        case _:
            return "has not been seen by the operator yet: is it running? (`phoenix status` names nothing of it)"


def _generations(maker: MakerView) -> str:
    """Whether what the resource says is what the worker does."""
    if maker.applied_generation == maker.generation:
        return f"generation {maker.generation}, in force"
    in_force = "none is" if maker.applied_generation is None else f"{maker.applied_generation} is"
    seen = "" if maker.seen_generation == maker.generation else ", and the operator has not seen it yet"
    return f"generation {maker.generation}, but {in_force} in force{seen}"


def _figures_line(maker: MakerView) -> str:
    figures = maker.figures
    if figures is None:
        return "position not told yet"
    net_max = "" if maker.net_max is None else f" of {maker.net_max:f}"
    worst = f", worst case {number(figures.worst_case)}"
    told = "live" if figures.live else "age not known" if figures.age_s is None else f"{age(figures.age_s)} old"
    return (
        f"position {number(figures.position)}{net_max}{worst}, mid {number(figures.mid)},"
        f" pnl {money(figures.pnl)} ({told})"
    )


def _pods_text(pods: Sequence[PodView] | None) -> Iterator[str]:
    if pods is None:
        return
    if not pods:
        yield "\nno pod"
        return
    rows = [
        (
            pod.name,
            pod.phase,
            _YES if pod.ready else "False",
            str(pod.restarts),
            age(pod.age_s),
            pod.node,
            _one_line(pod.says),
        )
        for pod in pods
    ]
    yield "\n" + aligned(("pod", "phase", "ready", "restarts", "age", "node", ""), rows).rstrip("\n")


def _events_text(events: Sequence[EventView] | None) -> Iterator[str]:
    if events:
        rows = [
            (age(e.age_s), e.type, e.reason + (f" ×{e.count}" if e.count > 1 else ""), _one_line(e.message))
            for e in events
        ]
        yield "\n" + aligned(("ago", "event", "reason", "message"), rows).rstrip("\n")


def _counted_reason(event: EventView) -> str:
    return event.reason if event.count <= 1 else f"{event.reason} ×{event.count}"


# -- words -----------------------------------------------------------------------------------------


def age(seconds: float | None) -> str:
    """As kubectl writes it: `42s`, `5m`, `3h`, `2d`."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    for unit, size, least in (("d", 86_400, 2 * 86_400), ("h", 3600, 2 * 3600), ("m", 60, 120)):
        if whole >= least:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def _said(reason: str, message: str) -> str:
    return _one_line(": ".join(filter(None, (reason, message))))


def _one_line(text: str) -> str:
    """Last words have many lines: here they stand in one."""
    return one_line(" ".join(text.split()))


def _is_good(condition: ConditionView) -> bool:
    return condition.status == (_YES if condition.type in _GOOD else "False")


def _complaint(condition: ConditionView) -> str:
    since = "" if condition.age_s is None else f" (for {age(condition.age_s)})"
    verb = {_YES: "", "False": "not "}.get(condition.status, "not known whether ")
    return f"{verb}{condition.type}{since}: {_said(condition.reason, condition.message)}"


def _condition(maker: MakerView, kind: ConditionType) -> ConditionView | None:
    return next((each for each in maker.conditions if each.type == kind), None)


def figures_age(figures: FiguresView) -> str:
    """`live` of what was read from Redis just now."""
    return "live" if figures.live else age(figures.age_s)


def number(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:f}"


def money(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:+.2f}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
