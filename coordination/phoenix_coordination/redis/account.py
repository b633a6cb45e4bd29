"""What a person, a runner or an operator does with an account: reads what is shared, stops it, resumes it.

Nothing of this is a worker: it holds no lease and reserves nothing. Every fault is one `AccountError`.

    async with account_tools(url) as tools:
        account = await tools.open("local/main")
        switch = await account.stop(EmergencyLevel.HALT, "looked odd", "anna")
        await account.resume(switch.epoch, "anna")
"""

import contextlib
import re
import time
from collections.abc import AsyncIterator, Sequence

import msgspec

from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.client import FAULTS, Redis, connect, fault_of, look_at
from phoenix_coordination.redis.keys import AccountKeys, StartingKeys, identity_of
from phoenix_coordination.redis.ledger import LedgerView, read_ledger
from phoenix_coordination.redis.records import Published, published, read_announced, read_records
from phoenix_coordination.redis.scripts import Script, call
from phoenix_coordination.redis.steward import StewardReport, read_report
from phoenix_coordination.redis.switches import UNNAMED

TIMEOUT_S = 5.0
_SCAN_COUNT = 1000
_SWITCH_FIELDS = ("level", "epoch", "reason", "source", "at_ms", "seeded", "declared")


class AccountError(Exception):
    """One sentence for a person: what went wrong, and what to do."""


class SwitchState(msgspec.Struct, frozen=True):
    """A sticky switch as it lies in Redis. `at_ms`: wall time of its last change, 0 where nobody has touched it.

    `seeded` false (the account's alone): every worker reads it as a halt, whatever `level` says. `declared` (likewise):
    what its resource says of it, which counts beside it and is not sticky.
    """

    level: EmergencyLevel
    epoch: int
    reason: str
    source: str
    at_ms: int
    seeded: bool
    declared: EmergencyLevel = EmergencyLevel.NONE


class HaltState(msgspec.Struct, frozen=True):
    """A symbol's own risk halt, or what is left of one that was resumed (level none)."""

    symbol: str
    dry_run: bool
    switch: SwitchState


class LeaseState(msgspec.Struct, frozen=True):
    """Whose a symbol is. A record alone does not say that its holder lives: only one that changes does."""

    symbol: str
    dry_run: bool
    holder: str
    token: int
    beat: int
    released: bool


class Glance(msgspec.Struct, frozen=True):
    """What somebody looks at again and again. `run`: which life of the server this is from; another one may have
    forgotten something, and its switch is not seeded.
    """

    run: str
    switch: SwitchState
    halts: list[HaltState]
    published: Published


class AccountName(msgspec.Struct, frozen=True):
    """`resource`: `namespace/name`; `identity`: the exchange's own name of the account."""

    resource: str
    identity: str


class Account:
    """One account by the exchange's identity of it. Methods raise `AccountError`."""

    def __init__(self, client: Redis, identity: str) -> None:
        self.identity = identity
        self._client = client
        try:
            self._keys = {dry_run: AccountKeys(identity, dry_run) for dry_run in (False, True)}
        except ValueError as error:
            raise AccountError(f"{error}") from None
        self._live = self._keys[False]

    # -- the switch --------------------------------------------------------------------------------

    async def switch(self) -> SwitchState:
        """The account's switch: the sticky one, and what was last declared beside it."""
        (switch,) = await self._read_switches([self._live.emergency])
        return switch

    async def seed(self, level: EmergencyLevel, epoch: int, reason: str, source: str) -> SwitchState:
        """Has the switch know what the account's status (locally the runner's file) remembers: it is in force from now
        on. Nothing that is newer or higher is lost.
        """
        key = self._live.emergency
        told = [level.value, epoch, reason, source, _now_ms(), 1, self._live.emergency_changed]
        async with _faults(key):
            await call(self._client, Script.MERGE, [key], told)
        return await self.switch()

    async def declare(self, level: EmergencyLevel) -> SwitchState:
        """Has every worker heed what the account's resource says (`spec.emergency`), also one that its own files do not
        reach; until something else is declared. The sticky switch stays as it is.
        """
        key = self._live.emergency
        async with _faults(key):
            await call(self._client, Script.DECLARE, [key], [level.value, self._live.emergency_changed])
        return await self.switch()

    async def stop(self, level: EmergencyLevel, reason: str, source: str) -> SwitchState:
        """A person's stop: a new epoch, whatever stood there; the level never falls. Gives the switch as it is now."""
        key = self._live.emergency
        told = [level.value, 0, reason or f"{UNNAMED} by {source}", source, _now_ms(), self._live.emergency_changed, 1]
        async with _faults(key):
            await call(self._client, Script.RAISE, [key], told)
        return await self.switch()

    async def resume(self, epoch: int, source: str) -> SwitchState:
        """Lowers the switch; refused unless `epoch` is the present one of a switch that is seeded and raised."""
        channel = self._live.emergency_changed
        return await self._resume(self._live.emergency, channel, epoch, source, "the account", seeded=True)

    async def halts(self) -> list[HaltState]:
        """Of every symbol that was ever halted, by name."""
        halted = [
            (symbol, dry_run)
            for dry_run, keys in self._keys.items()
            for symbol in await _rest_of_names(self._client, keys.halt(""))
        ]
        switches = await self._read_switches([self._keys[dry_run].halt(symbol) for symbol, dry_run in halted])
        found = [HaltState(*which, switch) for which, switch in zip(halted, switches, strict=True)]
        return sorted(found, key=lambda halt: (halt.symbol, halt.dry_run))

    async def resume_symbol(self, symbol: str, epoch: int, source: str, *, dry_run: bool = False) -> SwitchState:
        """Lowers a symbol's own risk halt; refused unless `epoch` is the present one of a halt that is in force."""
        keys = self._keys[dry_run]
        return await self._resume(keys.halt(symbol), keys.halt_changed(symbol), epoch, source, symbol, seeded=False)

    # -- what is shared ----------------------------------------------------------------------------

    async def glance(self, makers: Sequence[tuple[str, bool]]) -> Glance:
        """Switch, state records, and the halts of `makers` (symbol, rehearsal) that were ever halted: in two round
        trips, however much else is in Redis.
        """
        keys = [self._live.emergency, *(self._keys[dry_run].halt(symbol) for symbol, dry_run in makers)]
        async with _faults(*keys, self._live.records):
            async with self._client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.execute_command("HMGET", key, *_SWITCH_FIELDS)
                pipeline.execute_command("INFO", "server")
                pipeline.execute_command("ZRANGE", self._live.records, 0, -1)
                emergency, *rows, info, names = await pipeline.execute()
            told = await published(self._client, names)
        run = str(info.get("run_id", ""))
        halts = [
            HaltState(symbol, dry_run, self._switch_of(key, row, run))
            for (symbol, dry_run), key, row in zip(makers, keys[1:], rows, strict=True)
            if any(field is not None for field in row)
        ]
        return Glance(run, self._switch_of(keys[0], emergency, run), halts, told)

    async def records(self) -> Published:
        """What the workers of the account tell, rehearsals included; those that cannot be read are named."""
        async with _faults(self._live.records):
            return await read_records(self._client, self._live)

    async def leases(self) -> list[LeaseState]:
        """By symbol; a lease that nobody has taken since its record was lost is left out."""
        found = [
            lease
            for dry_run, keys in self._keys.items()
            for symbol in await _rest_of_names(self._client, keys.lease(""))
            if (lease := await self._read_lease(symbol, dry_run=dry_run)) is not None
        ]
        return sorted(found, key=lambda lease: (lease.symbol, lease.dry_run))

    async def ledger(self, *, dry_run: bool = False) -> LedgerView:
        """What each symbol counts, and the account's three sums beside their limits."""
        async with _faults(self._keys[dry_run].ledger):
            return await read_ledger(self._client, self._keys[dry_run])

    async def steward(self, *, dry_run: bool = False) -> StewardReport | None:
        """What the account's steward saw last; `None` where nobody has been it yet."""
        async with _faults(self._keys[dry_run].steward):
            return await read_report(self._client, self._keys[dry_run])

    # -- helpers -----------------------------------------------------------------------------------

    async def _read_switches(self, keys: Sequence[str]) -> list[SwitchState]:
        """With the server's run of the same moment: it may have been restarted since anything was asked before."""
        async with _faults(*keys), self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.execute_command("HMGET", key, *_SWITCH_FIELDS)
            pipeline.execute_command("INFO", "server")
            *rows, info = await pipeline.execute()
        run = str(info.get("run_id", ""))
        return [self._switch_of(key, row, run) for key, row in zip(keys, rows, strict=True)]

    @staticmethod
    def _switch_of(key: str, row: Sequence[bytes | None], run: str) -> SwitchState:
        level, epoch, reason, source, at_ms, seeded, declared = (field or b"" for field in row)
        try:
            return SwitchState(
                EmergencyLevel(int(level or 0)),
                int(epoch or 0),
                reason.decode(errors="replace"),
                source.decode(errors="replace"),
                int(at_ms or 0),
                bool(run) and seeded.decode(errors="replace") == run,
                EmergencyLevel(int(declared or 0)),
            )
        except ValueError:
            raise AccountError(f"{key} in Redis holds no switch: move it away, it is not ours") from None

    async def _read_lease(self, symbol: str, *, dry_run: bool) -> LeaseState | None:
        key = self._keys[dry_run].lease(symbol)
        async with _faults(key):
            fields = await self._client.execute_command("HMGET", key, "holder", "token", "beat", "released")
        holder, token, beat, released = (field or b"" for field in fields)
        if not holder:
            return None
        try:
            return LeaseState(symbol, dry_run, holder.decode(errors="replace"), int(token), int(beat), bool(released))
        except ValueError:
            raise AccountError(f"{key} in Redis holds no lease: move it away, it is not ours") from None

    async def _resume(self, key: str, channel: str, epoch: int, source: str, what: str, *, seeded: bool) -> SwitchState:
        told = (epoch, f"resumed by {source}", source, _now_ms(), channel, int(seeded))
        async with _faults(key):
            lowered, *_ = await call(self._client, Script.RESUME, [key], told)
        (now,) = await self._read_switches([key])
        if lowered:
            return now
        if now.level is EmergencyLevel.NONE and (now.seeded or not seeded):
            raise AccountError(f"{what} is not stopped (epoch {now.epoch}): there is nothing to resume")
        if seeded and not now.seeded:
            raise AccountError(f"the switch of {what} has not been seeded: start the runner, or the operator, first")
        raise AccountError(
            f"{what} is stopped under epoch {now.epoch}, not {epoch} ({now.reason}): "
            f"look at why, then resume it with --epoch {now.epoch}"
        )


class AccountTools:
    """All accounts of one Redis. Methods raise `AccountError`."""

    def __init__(self, client: Redis, unfit: str = "") -> None:
        self._client = client
        self.unfit = unfit
        """Why no worker would use this Redis, or empty. A stop is none of them: makers may rely on it still."""

    def account(self, identity: str) -> Account:
        """By the exchange's identity."""
        return Account(self._client, identity)

    async def open(self, resource: str) -> Account:
        """By the resource's `[namespace/]name`, as a worker has registered it; a bare name must be the only one."""
        return Account(self._client, (await self.find(resource)).identity)

    async def find(self, resource: str) -> AccountName:
        """The whole name and the identity of what `open` opens."""
        known = await self.accounts()
        found = [name for name in known if name.resource == resource or name.resource.endswith(f"/{resource}")]
        if len(found) == 1:
            return found[0]
        told = ", ".join(name.resource for name in found or known) or "none"
        if found:
            raise AccountError(f"account {resource!r} is in several namespaces: name one of {told}")
        raise AccountError(f"no worker has registered account {resource!r} in this Redis; registered: {told}")

    async def identity(self, resource: str) -> str:
        """Of exactly that `namespace/name`; empty where no worker has registered it."""
        async with _faults(identity_of(resource)):
            found = await self._client.execute_command("GET", identity_of(resource))
        return (found or b"").decode(errors="replace")

    async def identities(self, resources: Sequence[str]) -> dict[str, str]:
        """Of exactly those `namespace/name`; those that no worker has registered are left out. One round trip."""
        keys = [identity_of(resource) for resource in resources]
        async with _faults(*keys):
            found = await self._client.execute_command("MGET", *keys) if keys else []
        named = zip(resources, found, strict=True)
        return {resource: identity.decode(errors="replace") for resource, identity in named if identity is not None}

    async def starting(self, resources: Sequence[str]) -> dict[str, Published]:
        """What workers of exactly those `namespace/name` tell that do not know the exchange's identity of the account
        yet: they wait for its key, or for the exchange. Accounts without such workers are left out. Two round trips.
        """
        async with _faults(*(StartingKeys(resource).records for resource in resources)):
            return await read_announced(self._client, resources)

    async def accounts(self) -> list[AccountName]:
        """Every account that a worker has registered, by resource."""
        names = await _rest_of_names(self._client, identity_of(""))
        async with _faults():
            found = await self._client.execute_command("MGET", *map(identity_of, names)) if names else []
        return [
            AccountName(name, identity.decode(errors="replace"))
            for name, identity in zip(names, found, strict=True)
            if identity is not None
        ]


@contextlib.asynccontextmanager
async def account_tools(url: str, timeout_s: float = TIMEOUT_S) -> AsyncIterator[AccountTools]:
    """A connection for as long as it takes, to a Redis whose word counts; raises `AccountError`.

    `url` has passed `client.check_url`.
    """
    client = connect(url, timeout_s)
    try:
        async with _faults():
            server = await look_at(client)
        yield AccountTools(client, server.unfit)
    finally:
        with contextlib.suppress(*FAULTS):
            await client.aclose()


@contextlib.asynccontextmanager
async def _faults(*keys: str) -> AsyncIterator[None]:
    """`keys`: what is asked for. Of a value of another type Redis says that it is there, and (but for a pipeline) not
    where.
    """
    try:
        yield
    except FAULTS as error:
        if keys and "WRONGTYPE" in str(error):
            key = max((key for key in keys if key in str(error)), key=len, default=keys[0])
            raise AccountError(f"{key} in Redis holds a foreign value: move it away, it is not ours") from None
        raise AccountError(fault_of(error)) from None


async def _rest_of_names(client: Redis, prefix: str) -> list[str]:
    """What follows the prefix, in every key that begins with it, in order."""
    pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", prefix) + "*"
    names: set[str] = set()
    cursor = 0
    async with _faults():
        while True:
            told, page = await client.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            names.update(name.decode(errors="replace").removeprefix(prefix) for name in page)
            cursor = int(told)
            if not cursor:
                return sorted(names)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
