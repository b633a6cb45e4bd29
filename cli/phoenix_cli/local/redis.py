"""The Redis of a run: a server of its own below the state directory, started again when it dies, and stopped last."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import Signals

from phoenix_coordination.redis.client import FAULTS, RedisUrlError, check_server, connect, fault_of, read_url
from phoenix_coordination.redis.server import MISSING, find_server, server_arguments, server_url

from phoenix_cli.local.describe import ending
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.maker import Tell, restart_delay_s
from phoenix_cli.local.process import REDIS_RANK, Guardian, Process
from phoenix_cli.local.view import Mood
from phoenix_cli.refusal import Refused

NAME = "redis"
_START_S = 30.0
"""Reading a long append-only file takes seconds on a busy machine; more than this is a hang."""
_STOP_S = 10.0
_LOOK_S = 0.02
_ANSWER_S = 2.0
_HEALTHY_S = 60.0


class LocalRedis:
    """One server, kept running between `start` and `stop`. A demo removes at its start what an earlier one held."""

    def __init__(self, directory: StateDirectory, guardian: Guardian, tell: Tell) -> None:
        program = find_server()
        if program is None:
            raise Refused(MISSING)
        try:
            self.url = server_url(directory.redis)
            self._argv = server_arguments(program, directory.redis)
        except ValueError as error:
            raise Refused(f"{error}: give a shorter --state-dir") from None
        self._directory = directory
        self._guardian = guardian
        self._tell = tell
        self._process: Process | None = None

    async def start(self) -> None:
        """Returns when it answers; raises `Refused` with its own words where it does not."""
        process = self._process = await Process.start(
            NAME,
            self._argv,
            log=self._directory.log(NAME),
            guardian=self._guardian,
            rank=REDIS_RANK,
            env={},
        )
        try:
            async with asyncio.timeout(_START_S):
                while process.exit_code is None:
                    if await self._answers():
                        return
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            await process.stop(_STOP_S)
        await process.wait()
        said = process.last_words() or f"see {self._directory.log(NAME)}"
        raise Refused(f"redis-server did not start: {said}")

    async def _answers(self) -> bool:
        client = connect(self.url, _ANSWER_S)
        try:
            await client.execute_command("PING")
        except FAULTS:
            return False
        else:
            return True
        finally:
            await client.aclose()

    async def supervise(self) -> None:
        """Starts it again whenever it ends, with what it had; until it is cancelled."""
        deaths = 0
        while True:
            if self._process is None:
                raise RuntimeError("start() comes first")
            began_s = time.monotonic()
            code = await self._process.wait()
            deaths = 1 if time.monotonic() - began_s >= _HEALTHY_S else deaths + 1
            self._tell(NAME, f"redis-server {ending(code)}, is started again with what it had", Mood.BAD)
            await asyncio.sleep(restart_delay_s(deaths))
            try:
                await self.start()
            except Refused as refused:
                self._tell(NAME, str(refused), Mood.BAD)
            else:
                self._tell(NAME, "redis-server answers again", Mood.GOOD)

    def kill(self) -> None:
        if self._process is not None:
            self._process.signal(Signals.SIGKILL)

    async def forget(self) -> None:
        """FLUSHALL: what it held is gone, and so is its memory on disk. Raises `Refused` where it does not answer."""
        client = connect(self.url, _ANSWER_S)
        try:
            await client.execute_command("FLUSHALL")
        except FAULTS as error:
            raise Refused(f"redis-server: {fault_of(error)}") from None
        finally:
            await client.aclose()

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop(_STOP_S)

    def rotate_log(self) -> None:
        if self._process is not None:
            self._process.rotate_log()


@asynccontextmanager
async def own_redis(directory: StateDirectory, guardian: Guardian, tell: Tell) -> AsyncIterator[LocalRedis]:
    """A server that answers, until the end of the block. Raises `Refused` where this machine has none that starts."""
    redis = LocalRedis(directory, guardian, tell)
    try:
        await redis.start()
        yield redis
    finally:
        await redis.stop()


async def check_redis(argument: str) -> None:
    """Looks at the Redis of `--redis` before anything trades; raises `Refused` with what is wrong with it."""
    client = None
    try:
        client = connect(read_url(argument), _ANSWER_S)
        await check_server(client)
    except RedisUrlError as error:
        raise Refused(f"--redis: {error}") from None
    except FAULTS as error:
        raise Refused(f"--redis: {fault_of(error)}") from None
    finally:
        if client is not None:
            with contextlib.suppress(*FAULTS):
                await client.aclose()


def absolute_file(argument: str | None) -> str | None:
    """`@FILE` for programs that may be started elsewhere."""
    return f"@{Path(argument[1:]).absolute()}" if argument is not None and argument.startswith("@") else argument
