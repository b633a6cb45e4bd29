"""One look at everything that Redis knows of the accounts of a roster: a handful of round trips for each."""

import msgspec
from phoenix_coordination.redis.account import AccountError, AccountTools, HaltState, SwitchState
from phoenix_coordination.redis.ledger import LedgerView
from phoenix_coordination.state import StateRecord

from phoenix_operator.page.roster import KnownAccount, Roster


class Told(msgspec.Struct, frozen=True):
    """Of one account. `switch` is None where no worker has named the account yet; `problem`: why nothing is known.

    `unreadable`: records of another build.
    """

    records: tuple[StateRecord, ...] = ()
    switch: SwitchState | None = None
    halts: tuple[HaltState, ...] = ()
    ledger: LedgerView | None = None
    unreadable: tuple[str, ...] = ()
    problem: str = ""


async def look(tools: AccountTools, roster: Roster) -> dict[str, Told]:
    """By account. Raises `AccountError` where Redis as a whole cannot be asked."""
    names = [account.name for account in roster.accounts]
    identities = await tools.identities(names)
    starting = await tools.starting(names)
    told: dict[str, Told] = {}
    for account in roster.accounts:
        waiting = starting.get(account.name)
        records = tuple(waiting.records) if waiting is not None else ()
        unreadable = tuple(waiting.problems) if waiting is not None else ()
        before = Told(records, unreadable=unreadable)
        identity = identities.get(account.name, "")
        try:
            told[account.name] = await _registered(tools, identity, roster, account, before) if identity else before
        except AccountError as error:
            told[account.name] = msgspec.structs.replace(before, problem=str(error))
    return told


async def _registered(tools: AccountTools, identity: str, roster: Roster, known: KnownAccount, before: Told) -> Told:
    """Two accounts of one identity meet in one place: each is told of its own workers."""
    makers = roster.makers_of(known.name)
    account = tools.account(identity)
    glance = await account.glance(sorted({(maker.symbol, maker.rehearses) for maker in makers if maker.symbol}))
    ledger = await account.ledger(dry_run=bool(makers) and all(maker.rehearses for maker in makers))
    own = (record for record in glance.published.records if record.account == known.name)
    return Told(
        records=(*own, *before.records),
        switch=glance.switch,
        halts=tuple(halt for halt in glance.halts if halt.switch.level),
        ledger=ledger,
        unreadable=(*glance.published.problems, *before.unreadable),
    )
