"""One look at one account, and what of it a plan heeds: prices that move and records that age are no news."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from phoenix_coordination.state import StateRecord
from phoenix_crds import Emergency

from phoenix_operator.plan.facts import AccountShared, Switch
from phoenix_operator.plan.workers import UNTIL_MENDED

Named = TypeVar("Named")


class Seen(msgspec.Struct, frozen=True):
    """One look at one account. `uid`: of the resource that bore the name then. `problem`: why there is none."""

    uid: str = ""
    records: tuple[StateRecord, ...] = ()
    shared: AccountShared | None = None
    run: str = ""
    problem: str = ""


def differing(before: Mapping[Named, object], now: Mapping[Named, object]) -> set[Named]:
    """Those of which something else is known now, be it nothing any more."""
    return {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}


def gist_of_record(record: StateRecord) -> object:
    return (
        record.holder,
        record.role,
        record.mode,
        record.ready,
        record.reason,
        record.reasons_not_ready,
        record.detail if record.reason in UNTIL_MENDED else "",
        record.token,
        record.build,
        record.configuration,
        record.emergency,
        record.halt,
    )


def _is_stopped(switch: Switch) -> bool:
    return switch.level is not Emergency.NONE or switch.declared is not Emergency.NONE


def gist_of_account(seen: Seen) -> object:
    """While the account is stopped, also who has heard of it and what it has left: that ends in the status, too."""
    shared = seen.shared
    left: Sequence[object] = ()
    if shared is not None and shared.switch is not None and _is_stopped(shared.switch):
        left = [
            (each.holder, len(each.quotes.bids) + len(each.quotes.asks), each.position.qty, each.emergency)
            for each in sorted(seen.records, key=lambda one: one.holder)
        ]
    return seen.uid, shared, seen.run, seen.problem, left
