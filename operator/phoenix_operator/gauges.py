"""What a scrape is told of each maker and each account, by the process that leads: no other knows it."""

from collections.abc import Iterator

import msgspec
from phoenix_coordination.state import Role
from phoenix_crds import Emergency

from phoenix_operator.census import Census
from phoenix_operator.fleet import Fleet
from phoenix_operator.plan.facts import MakerResource

_SEVERITY = {Emergency.NONE: 0, Emergency.HALT: 1, Emergency.FLATTEN: 2}


class MakerGauges(msgspec.Struct, frozen=True):
    """`maker` is `namespace/name`. `behind`: generations of the spec that no worker runs with yet. `leaders`: workers
    that say they lead; None while nobody knows, or where none is to.
    """

    maker: str
    symbol: str
    behind: int
    leaders: int | None


class AccountGauges(msgspec.Struct, frozen=True):
    """`account` is `namespace/name`; `emergency` is the stricter of what was declared and what somebody did: 0 none,
    1 halt, 2 flatten.
    """

    account: str
    emergency: int


def maker_gauges(census: Census, fleet: Fleet) -> Iterator[MakerGauges]:
    """Of all makers but those that are leaving, or that a person has us leave alone."""
    for (namespace, name), maker in census.makers:
        if maker.meta.deleting or maker.is_disabled:
            continue
        behind = maker.meta.generation - (maker.status.applied_generation or 0)
        leaders = _leaders(maker, fleet) if census.serves(maker) else None
        yield MakerGauges(f"{namespace}/{name}", maker.symbol, max(0, behind), leaders)


def account_gauges(census: Census, fleet: Fleet) -> Iterator[AccountGauges]:
    """Of all accounts. Without Redis the switch is as it was told last."""
    for (namespace, name), account in census.accounts:
        levels = [account.spec.emergency if account.spec is not None else Emergency.NONE]
        switch = None if (shared := fleet.seen((namespace, name)).shared) is None else shared.switch
        if switch is not None:
            levels += [switch.level, switch.declared]
        elif account.status.emergency is not None:
            levels.append(account.status.emergency.level)
        yield AccountGauges(f"{namespace}/{name}", max(_SEVERITY[level] for level in levels))


def _leaders(maker: MakerResource, fleet: Fleet) -> int | None:
    if fleet.problem:
        return None
    records = fleet.records_of((maker.meta.namespace, maker.meta.name))
    return len({record.holder for record in records if record.role is Role.LEADING})
