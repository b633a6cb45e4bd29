"""The steward's side of Redis: the office itself, what he sees of the account there, and leases that he borrows.

One worker of the account holds the office, as a lease like a symbol's (`lease:steward`). It is renewed at leisure: what
the steward does to a symbol is fenced by that symbol's own lease, taken for a moment, never by the office.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection

import msgspec
from msgspec.structs import replace
from redis.exceptions import ResponseError

from phoenix_coordination.port import Clock, LeaseLost, LeaseTimes
from phoenix_coordination.redis.beat import Beat
from phoenix_coordination.redis.campaign import Campaign, LeaseMessage
from phoenix_coordination.redis.client import FAULTS, Credentials, Redis, check_server, connect, fault_of
from phoenix_coordination.redis.keys import OFFICE, AccountKeys
from phoenix_coordination.redis.lease import NS, Watch
from phoenix_coordination.redis.ledger import Entry, Holding, read_ledger, settle
from phoenix_coordination.redis.records import read_records
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.state import Mode, Role, StateRecord, SymbolDay

LEISURE = 3
"""The office's lease is so many times longer than a symbol's: nothing rests on a quick succession, and every worker of
the account asks for it.
"""
SCHEMA = 1
_NEVER = "0"
"""In place of when a steward has looked at the account."""
BORROWER = "/steward"
"""Not the process's own name: it may campaign for the same symbol itself, and would find the lease its own."""


class SymbolReport(msgspec.Struct, frozen=True):
    """`liquidation_bps`: how far the mark is from the liquidation price, -1 where there is none. `led`: its lease is
    kept by somebody; `ours`: somebody of ours has ever held it.
    """

    symbol: str
    qty: float
    notional: float
    liquidation_bps: float
    led: bool
    ours: bool


class StewardReport(msgspec.Struct, frozen=True):
    """What the steward saw of the account at `saved_wall_ns` (UTC). `problem`: why it could not be read, or empty.

    `margin_ratio` is maintenance margin / margin balance of the fullest `margin_asset`; `days`: what each maker's UTC
    day has come to, for the next steward, too.
    """

    holder: str
    token: int
    saved_wall_ns: int
    margin_asset: str = ""
    margin_ratio: float = 0.0
    margin_balance: float = 0.0
    maintenance: float = 0.0
    symbols: list[SymbolReport] = []
    problem: str = ""
    days: list[SymbolDay] = []


class Sight(msgspec.Struct, frozen=True):
    """One symbol as Redis shows it. `holder`: who holds its lease, or held it last; empty where nobody is known.

    `leaderless`: the lease has not changed for a whole ttl, whether it was released or not; `for_s` is how long.
    `settled`: what it counts in the ledger was read from the exchange since anybody traded it; so is no entry at all.
    """

    holder: str
    leaderless: bool
    for_s: float
    settled: bool
    entry: Entry | None


async def read_report(client: Redis, keys: AccountKeys) -> StewardReport | None:
    """The newest; `None` where there is none, or none that this build can read."""
    schema, told = await client.execute_command("HMGET", keys.steward, "schema", "memory")
    if schema != str(SCHEMA).encode() or told is None:
        return None
    try:
        return msgspec.json.decode(told, type=StewardReport)
    except msgspec.DecodeError:
        return None


class Tenure:
    """A symbol's lease, borrowed."""

    def __init__(self, office: "StewardOffice", symbol: str) -> None:
        self.symbol = symbol
        self._office = office
        self._seen = ""
        self._decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._campaign = office.campaign(symbol, office.holder + BORROWER, office.times, self._heard, self._tell)

    @property
    def token(self) -> int:
        """0 when it is not held (any more), at this very moment."""
        return self._campaign.token

    @property
    def deadline_ns(self) -> int:
        return self._campaign.deadline_ns

    async def take(self) -> bool:
        """Waits until the lease is ours, or somebody else turns out to keep it."""
        self._campaign.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3 * self._office.times.ttl_s / self._office.clock.rate):
                await self._decided
        return self.token != 0

    async def settle(self, holdings: Collection[Holding]) -> bool:
        """Sets the symbol's entry of the ledger to what the exchange holds; raises `FAULTS` or `ValueError`."""
        holding = next((h for h in holdings if h.symbol == self.symbol), Holding(self.symbol, 0.0, 0.0, 0.0))
        office = self._office
        return await settle(office.client, office.keys, office.holder + BORROWER, self.token, holding)

    async def end(self, *, quiescent: bool) -> None:
        """Gives the lease back, or lets it run out where something of ours may still be on its way."""
        if quiescent:
            self._campaign.release()
        await self._campaign.stop()
        self._office.returned(self)

    async def _heard(self, beat: Beat) -> None:
        if not self._seen and not self.token:
            self._seen = beat.fingerprint
        elif beat.status == "watch" and beat.fingerprint != self._seen:
            self._decide()

    def _tell(self, _: LeaseMessage) -> None:
        self._decide()

    def _decide(self) -> None:
        if not self._decided.done():
            self._decided.set_result(None)


class StewardOffice:
    """Campaigns for the office. It has a connection of its own, so that nothing that is asked here ever stands before a
    worker's own lease. `doubt` is called where Redis lets nobody hold it: the worker may find out why.
    """

    def __init__(
        self,
        url: str,
        identity: str,
        holder: str,
        clock: Clock,
        times: LeaseTimes,
        *,
        dry_run: bool,
        credentials: Credentials | None = None,
        doubt: Callable[[], None] | None = None,
    ) -> None:
        self.holder = holder
        self.clock = clock
        self.times = times
        self.keys = AccountKeys(identity, dry_run)
        self._answer_s = max(0.05, (times.ttl_s - times.margin_s) / clock.rate / 2)
        self.client = connect(url, self._answer_s, credentials)
        self._watches: dict[str, Watch] = {}
        self._borrowed: set[Tenure] = set()
        self._office: Campaign | None = None
        self._doubt = doubt
        self._looked = Watch(_NEVER, clock.monotonic_ns())
        self.refused = ""
        """Why Redis lets nobody hold the office, in a sentence; empty where it does, or cannot be reached."""

    @property
    def held(self) -> bool:
        return self._token != 0

    @property
    def unseen_ns(self) -> int:
        """For how long this process has not seen that a steward, itself or another, has looked at the account."""
        return self.clock.monotonic_ns() - self._looked.since_ns

    def start(self) -> None:
        leisurely = LeaseTimes(*(LEISURE * s for s in (self.times.ttl_s, self.times.renew_s, self.times.margin_s)))
        self._office = self.campaign(OFFICE, self.holder, leisurely, self._heard, self._tell)
        self._office.start()

    async def resign(self) -> None:
        """Leaves the office to somebody else, who may do better, and does not campaign until `start`."""
        if self._office is not None:
            self._office.release()
            await self._office.stop()
            self._office = None

    async def stop(self) -> None:
        for tenure in list(self._borrowed):  # whose visit was cut short: the lease runs out
            await tenure.end(quiescent=False)
        await self.resign()
        with contextlib.suppress(*FAULTS):
            await self.client.aclose()

    def campaign(
        self,
        symbol: str,
        holder: str,
        times: LeaseTimes,
        heard: Callable[[Beat], Awaitable[None]],
        tell: Callable[[LeaseMessage], None],
    ) -> Campaign:
        return Campaign(
            self.client,
            self.keys,
            symbol,
            holder,
            self.clock,
            times,
            answer_s=self._answer_s,
            prepare=self._check,
            heard=heard,
            tell=tell,
            failed=self._failed,
            settle=_settle_nothing,
        )

    # -- what is seen ------------------------------------------------------------------------------

    async def look(self, symbols: Collection[str]) -> dict[str, Sight]:
        """These symbols and all that count in the ledger, with how long this process has seen each unchanged; raises
        `FAULTS`. Only a first sight: whoever acts on it borrows the symbol's lease, which watches for itself.
        """
        entries = {entry.symbol: entry for entry in (await read_ledger(self.client, self.keys)).entries}
        names = sorted({*symbols, *entries})
        async with self.client.pipeline(transaction=False) as pipeline:
            for symbol in names:
                pipeline.execute_command("HMGET", self.keys.lease(symbol), "holder", "token", "beat", "released")
            rows = await pipeline.execute()
        now_ns = self.clock.monotonic_ns()
        self._watches = {symbol: self._watches.get(symbol) or Watch() for symbol in names}
        ttl_ns = int(self.times.ttl_s * NS)
        sights = {}
        for symbol, row in zip(names, rows, strict=True):
            watch, entry = self._watches[symbol], entries.get(symbol)
            watch.saw(repr(row), now_ns)
            holder, token = ((field or b"").decode(errors="replace") for field in row[:2])
            borrowed = holder.endswith(BORROWER) and entry is not None and str(entry.token) == token
            sights[symbol] = Sight(
                holder,
                watch.left_ns(now_ns, ttl_ns) == 0,
                (now_ns - watch.since_ns) / NS,
                entry is None or entry.token == 0 or borrowed,
                entry,
            )
        return sights

    async def leaders(self) -> list[StateRecord]:
        """What those tell who lead a symbol now, in the office's own mode; raises `FAULTS`. After a change of hands the
        former leader's record may live on: the higher token counts.
        """
        mode = Mode.DRY_RUN if self.keys.dry_run else Mode.LIVE
        newest: dict[str, StateRecord] = {}
        for record in (await read_records(self.client, self.keys)).records:
            if record.role is not Role.LEADING or record.mode is not mode:
                continue
            if record.symbol not in newest or newest[record.symbol].token < record.token:
                newest[record.symbol] = record
        return list(newest.values())

    async def last_report(self) -> StewardReport | None:
        """Whoever's it is; raises `FAULTS`."""
        return await read_report(self.client, self.keys)

    def borrow(self, symbol: str) -> Tenure:
        tenure = Tenure(self, symbol)
        self._borrowed.add(tenure)
        return tenure

    def returned(self, tenure: Tenure) -> None:
        self._borrowed.discard(tenure)

    async def publish(self, report: StewardReport) -> StewardReport | None:
        """The report as it was published, or `None` where the office is somebody else's by now; raises `FAULTS`."""
        report = replace(report, holder=self.holder, token=self._token, saved_wall_ns=self.clock.wall_ns())
        # By this the others see that somebody has looked: who could not leaves it as it is.
        looked = self._looked.what if report.problem else str(report.saved_wall_ns)
        answer = await call(
            self.client,
            Script.SNAPSHOT,
            [self.keys.steward, self.keys.lease(OFFICE)],
            [self.holder, report.token, SCHEMA, looked, msgspec.json.encode(report)],
        )
        if not answer:
            return None
        self._looked.saw(looked, self.clock.monotonic_ns())
        return report

    # -- the campaign ------------------------------------------------------------------------------

    async def _check(self) -> str:
        return (await check_server(self.client)).run

    @property
    def _token(self) -> int:
        return self._office.token if self._office is not None else 0

    async def _heard(self, beat: Beat) -> None:
        """The switches are the worker's own campaign's to hear."""
        self.refused = ""
        if beat.saved is not None and beat.saved[1]:
            self._looked.saw(beat.saved[1], self.clock.monotonic_ns())

    def _failed(self, error: Exception) -> None:
        """The worker's own campaign tells that Redis is away."""
        if isinstance(error, ResponseError):
            self.refused = fault_of(error)
            if self._doubt is not None:
                self._doubt()
        for watch in self._watches.values():
            watch.restart()

    def _tell(self, message: LeaseMessage) -> None:
        if isinstance(message, LeaseLost):
            self._watches.clear()


async def _settle_nothing() -> None:
    """Nothing is written under a borrowed lease that its release would have to wait for."""
