"""A Redis of its own for a benchmark, whose account's switch is seeded as the local runner does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from phoenix_cli.local.account import AccountWatch, SwitchFile
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.process import Guardian
from phoenix_cli.local.redis import own_redis
from phoenix_coordination.redis.tasks import end
from phoenix_crds import TradingAccount


@asynccontextmanager
async def shared(directory: StateDirectory, account: TradingAccount) -> AsyncIterator[str]:
    """Its URL; everything has ended after the block."""

    def tell(*_: object) -> None:
        """Nobody watches."""

    async with Guardian() as guardian, own_redis(directory, guardian, tell) as redis:
        memory = SwitchFile(directory.switch_file)
        watch = AccountWatch(account, redis.url, memory, tell, str, rehearses=False)
        looking = asyncio.create_task(watch.follow())
        try:
            yield redis.url
        finally:
            await end([looking])
