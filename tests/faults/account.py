"""The account's switch, as the operator and a person handle it; how it stands is heard from the server's witness."""

from collections.abc import Sequence

import msgspec
from history import AnyFact, KeysLost, RedisStarted, SwitchWritten
from phoenix_coordination.redis.client import Redis, connect
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.scripts import Script, call
from redis_of_cell import RedisOfCell


class AccountOfCell:
    """`switch` as it was written last. What the world does to a connection, every change of it raises."""

    def __init__(self, keys: AccountKeys, redis: RedisOfCell) -> None:
        self.keys = keys
        self.switch = SwitchWritten(at_ns=0, level=0, epoch=0, seeded=False)
        self._status = (0, 0)
        """What the account's resource would hold: the highest level and epoch, until somebody resumes."""
        self._redis = redis
        self.client: Redis = connect(redis.url, 1.0)

    def hear(self, fact: AnyFact) -> None:
        match fact:
            case SwitchWritten():
                self.switch = fact
                level, epoch = self._status
                self._status = (0 if fact.resumed else max(level, fact.level), max(epoch, fact.epoch))
            case KeysLost() | RedisStarted():
                self.switch = msgspec.structs.replace(self.switch, seeded=False)
            case _:
                pass

    async def seed(self) -> None:
        """What the operator does: the switch as the account's status has it."""
        await self._redis.watched.wait()
        level, epoch = self._status
        arguments = [level, epoch, "as the account's status has it", "operator", 0, 1, self.keys.emergency_changed]
        await call(self.client, Script.MERGE, [self.keys.emergency], arguments)

    async def seed_other(self) -> None:
        """The switch of another installation's own Redis: another database of the same server."""
        other = connect(f"{self._redis.url}?db=1", 1.0)
        try:
            await other.execute_command("FLUSHDB")
            told = [0, 0, "", "operator", 0, 1, self.keys.emergency_changed]
            await call(other, Script.MERGE, [self.keys.emergency], told)
        finally:
            await other.aclose()

    async def stop(self, level: int) -> None:
        """What `phoenix stop` does."""
        await self._redis.watched.wait()
        arguments = [level, self._status[1], "the storm", "a person", 0, self.keys.emergency_changed, 1]
        await call(self.client, Script.RAISE, [self.keys.emergency], arguments)

    async def resume(self) -> bool:
        """What `phoenix resume` does, with the epoch that a person reads; whether there was a stop."""
        return await self._resume(self.keys.emergency, self.keys.emergency_changed, must_be_seeded=True)

    async def resume_symbols(self, symbols: Sequence[str]) -> list[str]:
        """The same for the symbols' own halts; those that were halted."""
        return [
            symbol
            for symbol in symbols
            if await self._resume(self.keys.halt(symbol), self.keys.halt_changed(symbol), must_be_seeded=False)
        ]

    async def _resume(self, key: str, changed: str, *, must_be_seeded: bool) -> bool:
        await self._redis.watched.wait()
        level, epoch = await self.client.execute_command("HMGET", key, "level", "epoch")
        if level in (None, b"0"):
            return False
        await call(self.client, Script.RESUME, [key], [epoch, "", "a person", 0, changed, int(must_be_seeded)])
        return True
