"""The workers of a cell: real processes, each in a slot with a network of its own, forked by one zygote."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from controls import Controls
from launcher import Began, Ended, Launch
from mutations import Mutation
from plots import Plot
from proxy import Link, Weather

OUR_UID, THEIR_UID = "the account of the storm", "the account of somebody else"
_ZYGOTE = Path(__file__).with_name("launcher.py")
_RESTART_S = 0.2
_ENDS_WITHIN_S = 25.0


@dataclass(slots=True)
class Slot:
    """A place for a worker: whenever its process ends, another one is started in it."""

    name: str
    symbol: str
    redis: Link
    exchange: Link
    redis_path: Path
    exchange_port: int
    uid: str = OUR_UID
    database: int = 0
    starts: int = 0
    process: str = ""
    """The name of the present process; its holder begins with it."""
    pid: int = 0
    controls: Controls | None = None
    wanted: bool = True
    directory: Path = field(default_factory=Path)

    def signal(self, number: signal.Signals) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def heal(self) -> None:
        """Fair weather, and no pause."""
        self.redis.change(Weather.FAIR)
        self.exchange.change(Weather.FAIR)
        self.signal(signal.SIGCONT)


class Workers:
    """`slots` by name. `statuses`: how each process ended that has."""

    def __init__(self, cell: str, directory: Path, plot: Plot, redis_socket: Path) -> None:
        self._cell = cell
        self._directory = directory
        self._plot = plot
        self._redis_socket = redis_socket
        self._exchange_port = 0
        self.slots: dict[str, Slot] = {}
        self.statuses: list[Ended] = []
        self.lost = asyncio.Event()
        """The zygote is gone, and all that it has forked with it."""
        self._zygote: asyncio.subprocess.Process | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._ended: dict[int, asyncio.Event] = {}
        self._began: dict[str, asyncio.Future[int]] = {}
        self._keeping: list[asyncio.Task[None]] = []

    async def open(self, exchange_port: int) -> None:
        """Those of the plot, on their way up."""
        self._exchange_port = exchange_port
        self._zygote = await asyncio.create_subprocess_exec(
            *(sys.executable, str(_ZYGOTE)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            limit=1 << 20,
        )
        self._hearing = asyncio.create_task(self._hear_zygote(), name="zygote")
        for symbol in self._plot.symbols:
            for number in range(self._plot.slots):
                await self.start(await self.add(f"{symbol.lower()}-{number}", symbol))

    async def add(self, name: str, symbol: str, *, uid: str = OUR_UID, database: int = 0) -> Slot:
        loop = asyncio.get_running_loop()
        to_redis = Link(lambda make: loop.create_unix_connection(make, str(self._redis_socket)))
        to_exchange = Link(lambda make: loop.create_connection(make, "127.0.0.1", self._exchange_port))
        path = self._directory / f"{name}.sock"
        await to_redis.listen_unix(str(path))
        slot = Slot(name, symbol, to_redis, to_exchange, path, await to_exchange.listen_tcp(), uid, database)
        slot.directory = self._directory / name
        slot.directory.mkdir()
        self.slots[name] = slot
        return slot

    def remove(self, slot: Slot) -> None:
        slot.wanted = False
        slot.redis.close()
        slot.exchange.close()
        del self.slots[slot.name]

    async def start(self, slot: Slot) -> None:
        """A new process in the slot; returns when it runs."""
        assert self._zygote is not None
        assert self._zygote.stdin is not None
        slot.starts += 1
        slot.process = f"{self._cell}-{slot.name}-{slot.starts}"
        controls = slot.directory / f"controls-{slot.starts}"
        slot.controls = Controls.create(controls)
        maker_file, account_file = self._plot.files[slot.symbol]
        launch = Launch(
            name=slot.process,
            resolved=str(self._directory / f"{slot.symbol}.resolved"),
            maker_file=str(maker_file),
            account_file=str(account_file),
            credentials=str(self._directory / "credentials"),
            redis_url=f"unix://{slot.redis_path}?db={slot.database}",
            base_url=f"http://127.0.0.1:{slot.exchange_port}",
            account_uid=slot.uid,
            state_dir=str(slot.directory / "state"),
            controls=str(controls),
            log=str(slot.directory / "log"),
            times=self._plot.times,
            mutation=self._plot.mutation if slot.uid == OUR_UID else Mutation.NONE,
        )
        began = self._began[slot.process] = asyncio.get_running_loop().create_future()
        self._zygote.stdin.write(msgspec.json.encode(launch) + b"\n")
        slot.pid = await began
        self._keeping = [task for task in self._keeping if not task.done()]
        self._keeping.append(asyncio.create_task(self._keep(slot, slot.pid), name=slot.process))

    async def ended(self, pid: int) -> None:
        await self._ended[pid].wait()

    async def stop(self) -> list[Ended]:
        """All of them, in order (SIGTERM); how those ended that have."""
        for slot in self.slots.values():
            slot.wanted = False
        pids = [slot.pid for slot in self.slots.values() if slot.pid]
        for slot in self.slots.values():
            slot.signal(signal.SIGTERM)
        for pid in pids:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ENDS_WITHIN_S):
                    await self.ended(pid)
        last = {message.pid: message for message in self.statuses}
        return [last[pid] for pid in pids if pid in last]

    async def close(self) -> None:
        for slot in self.slots.values():
            slot.wanted = False
            slot.redis.close()
            slot.exchange.close()
        if self._zygote is not None and self._zygote.stdin is not None:
            self._zygote.stdin.close()
            await self._zygote.wait()
        tasks = self._keeping if self._hearing is None else [*self._keeping, self._hearing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, slot: Slot, pid: int) -> None:
        await self.ended(pid)
        slot.pid = 0
        if slot.wanted:
            await asyncio.sleep(_RESTART_S)
            if slot.wanted:
                await self.start(slot)

    async def _hear_zygote(self) -> None:
        assert self._zygote is not None
        assert self._zygote.stdout is not None
        decoder = msgspec.json.Decoder(Began | Ended)
        while line := await self._zygote.stdout.readline():
            match decoder.decode(line):
                case Began(name=name, pid=pid):
                    self._ended[pid] = asyncio.Event()
                    self._began.pop(name).set_result(pid)
                case Ended(pid=pid) as message:
                    self.statuses.append(message)
                    self._ended[pid].set()
        self.lost.set()
