"""What the operator knows of its fleet, as its page takes it: every replica knows it, not only the one that acts."""

from phoenix_crds import Emergency
from phoenix_crds.status import Condition

from phoenix_operator.census import Census
from phoenix_operator.names import ConditionType
from phoenix_operator.page.roster import KnownAccount, KnownMaker, Roster
from phoenix_operator.plan.facts import AccountResource, MakerResource


def roster_of(census: Census, place: str, problem: str) -> Roster:
    """`problem`: why the cluster may not be as it was seen last."""
    return Roster(
        place,
        tuple(_account(account) for _, account in sorted(census.accounts, key=lambda each: each[0])),
        tuple(_maker(maker) for _, maker in sorted(census.makers, key=lambda each: each[0])),
        problem,
    )


def _maker(maker: MakerResource) -> KnownMaker:
    spec, status = maker.spec, maker.status
    quoting = _condition(status.conditions, ConditionType.QUOTING)
    position = status.figures.position if status.figures is not None else None
    return KnownMaker(
        namespace=maker.meta.namespace,
        name=maker.meta.name,
        account=maker.account_ref,
        symbol=maker.symbol,
        mode=spec.mode.value if spec is not None else "",
        net_max=f"{spec.net_max:f}" if spec is not None else "0",
        paused=spec is not None and spec.paused,
        deleting=maker.meta.deleting,
        reason=status.reason,
        message=maker.problem or (quoting.message if quoting is not None else ""),
        restarts=status.restarts.total,
        position=f"{position:f}" if position is not None else None,
    )


def _account(account: AccountResource) -> KnownAccount:
    spec = account.spec
    outage = _condition(account.status.conditions, ConditionType.VENUE_OUTAGE)
    return KnownAccount(
        name=f"{account.meta.namespace}/{account.meta.name}",
        environment=spec.environment.value if spec is not None else "",
        declared=(spec.emergency if spec is not None else Emergency.NONE).value,
        net_limit=f"{spec.limits.net_notional:f}" if spec is not None else None,
        gross_limit=f"{spec.limits.gross_notional:f}" if spec is not None else None,
        outage=outage.message if outage is not None and outage.status == "True" else "",
        problem=account.problem,
    )


def _condition(conditions: tuple[Condition, ...], kind: ConditionType) -> Condition | None:
    return next((each for each in conditions if each.type == kind), None)
