"""What the makers of one account share, watched by the run: the switch is seeded, remembered and told, sums are shown.

In a cluster the operator does this for the account resource, whose status remembers the switch. Here the state
directory does: a Redis that comes back empty is told again, and until it has been told nobody trades.
"""

import asyncio
import contextlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import Account, AccountError, AccountTools, SwitchState, account_tools
from phoenix_coordination.redis.client import RedisUrlError, read_url
from phoenix_coordination.redis.keys import OFFICE
from phoenix_coordination.redis.ledger import Entry, LedgerView
from phoenix_crds import Emergency, TradingAccount

from phoenix_cli.local.layout import NAMESPACE, write_private
from phoenix_cli.local.maker import Tell
from phoenix_cli.local.view import LEVELS, AccountView, Exposure, HaltView, Mood

SOURCE = "local runner"
_LOOK_S = 0.25
_ANSWER_S = 1.0
_NOT_REBUILT = "its ledger is not rebuilt yet: nothing that opens risk is granted"
MICRO = Decimal("0.000001")
_DECLARES = "its manifest says so (spec.emergency)"
_DECLARED = {
    Emergency.NONE: EmergencyLevel.NONE,
    Emergency.HALT: EmergencyLevel.HALT,
    Emergency.FLATTEN: EmergencyLevel.FLATTEN,
}


class Remembered(msgspec.Struct, frozen=True):
    """A switch as last seen; `source` is who has changed it."""

    level: EmergencyLevel
    epoch: int
    reason: str
    source: str = SOURCE


class SwitchFile:
    """The switches of the run's accounts on disk, by the exchange's identity of the account."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Remembered] = {}
        self._unread = Remembered(EmergencyLevel.NONE, 0, "")
        try:
            self._known = msgspec.json.decode(path.read_bytes(), type=dict[str, Remembered])
        except FileNotFoundError:
            pass  # the first run here
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            # It may have held a stop of any account. Where Redis still knows, it knows better: its epochs are higher.
            self._unread = Remembered(EmergencyLevel.HALT, 1, f"{path} cannot be read: {error}")

    def read(self, identity: str) -> Remembered:
        """What was seen last; nothing seen is none."""
        return self._known.get(identity, self._unread)

    def write(self, identity: str, switch: Remembered) -> None:
        if self._known.get(identity) != switch:
            self._known[identity] = switch
            write_private(self._path, msgspec.json.encode(self._known).decode())


class AccountWatch:
    """One account of the run. `rehearses`: all its makers do. `redis_argument` is read for each connection: what its
    file says may change.

    `maker_of`: the maker whose worker a holder is or was; None where it is no worker of this run.
    """

    def __init__(
        self,
        account: TradingAccount,
        redis_argument: str,
        memory: SwitchFile,
        tell: Tell,
        maker_of: Callable[[str], str | None],
        *,
        rehearses: bool,
    ) -> None:
        self.name = account.metadata.name
        self.identity = ""
        """The exchange's own name of it; empty until a worker of the run has told it."""
        self._redis = redis_argument
        self._memory = memory
        self._tell = tell
        self._maker_of = maker_of
        self._rehearses = rehearses
        self._told = (EmergencyLevel.NONE, 0)
        self.declare(account)
        self.peak = Exposure(Decimal(0), Decimal(0), Decimal(0))
        """The largest of each sum that was seen."""
        self._view = AccountView(
            name=self.name,
            trouble="waits for a worker to name the account",
            net_limit=account.spec.limits.net_notional,
            gross_limit=account.spec.limits.gross_notional,
        )

    def declare(self, account: TradingAccount) -> None:
        """What its manifest says of the switch, now and whenever it has changed."""
        self._declared = _DECLARED[account.spec.emergency]

    def view(self) -> AccountView:
        return self._view

    async def follow(self) -> None:
        """Looks again and again, until it is cancelled. Of what cannot be read it says why, and not what it was."""
        while True:
            try:
                async with account_tools(read_url(self._redis), _ANSWER_S) as tools:
                    while True:
                        await self._look(tools)
                        await asyncio.sleep(_LOOK_S)
            except (AccountError, RedisUrlError) as error:
                self._view = msgspec.structs.replace(self._view, level="", trouble=str(error))
            await asyncio.sleep(_LOOK_S)

    async def stop(self, level: EmergencyLevel, reason: str) -> None:
        """Raises the switch, as soon as the account is known and Redis answers; returns when it is raised."""
        while True:
            if self.identity:
                # `follow` says why; a stop is not given up for that.
                with contextlib.suppress(AccountError, RedisUrlError):
                    async with account_tools(read_url(self._redis), _ANSWER_S) as tools:
                        await tools.account(self.identity).stop(level, reason, SOURCE)
                        return
            await asyncio.sleep(_LOOK_S)

    async def _look(self, tools: AccountTools) -> None:
        await self._identify(tools)
        if not self.identity:
            return
        account = tools.account(self.identity)
        switch = await self._settled(account)
        self._tell_change(switch)
        leases = await account.leases()
        halts = [halt for halt in await account.halts() if halt.switch.level > EmergencyLevel.NONE]
        ledger, office = await account.ledger(dry_run=self._rehearses), (OFFICE, self._rehearses)
        exposure = exposure_of(ledger)
        self.peak = larger_of(self.peak, exposure)
        is_declared = switch.declared > switch.level
        self._view = msgspec.structs.replace(
            self._view,
            trouble=tools.unfit or ("" if ledger.rebuilt else _NOT_REBUILT),
            level=LEVELS[max(switch.level, switch.declared)],
            epoch=switch.epoch,
            reason=_DECLARES if is_declared else switch.reason,
            halts=tuple(HaltView(halt.symbol, halt.switch.epoch, halt.switch.reason) for halt in halts),
            steward=next(
                (
                    self._maker_of(each.holder) or each.holder
                    for each in leases
                    if (each.symbol, each.dry_run) == office
                ),
                "",
            ),
            exposure=exposure,
            symbols={entry.symbol: exposure_of(entry) for entry in ledger.entries},
        )

    async def _identify(self, tools: AccountTools) -> None:
        """The name alone does not say whose the account is: an earlier run may have left it, or another run have it.
        It is ours where a worker of ours tells of itself under it.
        """
        resource = f"{NAMESPACE}/{self.name}"
        named = await tools.identity(resource)
        if named in {"", self.identity}:
            return
        records = (await tools.account(named).records()).records
        if any(self._maker_of(record.holder) is not None for record in records):
            self.identity = named
        elif not self.identity and records:
            trouble = f"{resource} is {named} in this Redis, where no worker of this run has told of itself"
            self._view = msgspec.structs.replace(self._view, trouble=trouble)

    async def _settled(self, account: Account) -> SwitchState:
        """What Redis holds, once it knows what the manifest declares and what the state directory remembers; which from
        then on remembers that.
        """
        switch, known = await account.switch(), self._memory.read(self.identity)
        if switch.declared is not self._declared:
            switch = await account.declare(self._declared)
        if not switch.seeded or (switch.epoch, switch.level) < (known.epoch, known.level):
            switch = await account.seed(known.level, known.epoch, known.reason, known.source)
        self._memory.write(self.identity, Remembered(switch.level, switch.epoch, switch.reason, switch.source))
        return switch

    def _tell_change(self, switch: SwitchState) -> None:
        before, self._told = self._told, (switch.level, switch.epoch)
        if before == self._told:
            return
        if switch.level is EmergencyLevel.NONE:
            self._tell(self.name, f"no emergency, epoch {switch.epoch}: {switch.reason}", Mood.GOOD)
            return
        resume = f"`phoenix resume {self.name} --epoch {switch.epoch}` lets it trade again"
        self._tell(
            self.name,
            f"emergency {LEVELS[switch.level]}, epoch {switch.epoch}, by {switch.source}: {switch.reason}; {resume}",
            Mood.BAD,
        )


def exposure_of(counted: LedgerView | Entry) -> Exposure:
    """Micro quote → quote."""
    return Exposure(counted.long_micro * MICRO, counted.short_micro * MICRO, counted.gross_micro * MICRO)


def larger_of(one: Exposure, other: Exposure) -> Exposure:
    """Sum by sum."""
    return Exposure(max(one.net_long, other.net_long), max(one.net_short, other.net_short), max(one.gross, other.gross))
