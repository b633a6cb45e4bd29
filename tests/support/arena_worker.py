"""One real worker process of a scenario: its log, its HTTP, its signals."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from phoenix_coordination.state import StateRecord, decode

# How long a condition is waited for, in life's seconds on a machine that is busy with something else. They bound a
# defect, they measure nothing: a scenario that meets its conditions never waits so long.
STARTS_WITHIN_S = 60.0
WITHDRAWN_WITHIN_S = 15.0
RECOVERS_WITHIN_S = 45.0
TOLD_WITHIN_S = 15.0
ENDS_WITHIN_S = 25.0

LOOK_S = 0.02


class WorkerProcess:
    """One `phoenix worker` as a process, its log and its HTTP."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, http: aiohttp.ClientSession) -> None:
        self.process = process
        self._log = log
        self._http = http
        self.url = ""

    def lines(self) -> list[dict[str, Any]]:
        """The log so far. The last line may be in the middle of being written."""
        whole = [line for line in self._log.read_bytes().split(b"\n")[:-1] if line.startswith(b"{")]
        return [json.loads(line) for line in whole]

    def said(self, text: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if text in json.dumps(line)]

    async def listening(self) -> None:
        """Until it has a port; raises with its last words where it ends instead."""
        async with asyncio.timeout(STARTS_WITHIN_S):
            while not self.url:
                for line in self.lines():
                    if line.get("event") == "listening":
                        self.url = f"http://127.0.0.1:{line['port']}"
                if not self.url and self.process.returncode is not None:
                    raise AssertionError(f"the worker ended: {self._log.read_text()}")
                await asyncio.sleep(LOOK_S)

    async def get(self, path: str) -> tuple[int, str]:
        async with self._http.get(f"{self.url}{path}") as response:
            return response.status, await response.text()

    async def state(self) -> StateRecord:
        async with self._http.get(f"{self.url}/state") as response:
            return decode(await response.read())

    async def metric(self, sample: str) -> float:
        """One sample of `/metrics`, by its name without labels; summed over labels."""
        _, text = await self.get("/metrics")
        found = [line for line in text.splitlines() if line.startswith((f"{sample}{{", f"{sample} "))]
        assert found, f"no metric {sample}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    async def until(
        self, wanted: Callable[[StateRecord], object], what: str, within_s: float = RECOVERS_WITHIN_S
    ) -> StateRecord:
        """The state, once it is as wanted; `what` names the condition where it never is."""
        last: StateRecord | None = None
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            last = await self.state()
            if wanted(last):
                return last
            await asyncio.sleep(LOOK_S)
        raise AssertionError(f"not within {within_s} s: {what}; last: {last}; log: {self.tail()}")

    async def until_metric(
        self, sample: str, wanted: Callable[[float], bool], within_s: float = RECOVERS_WITHIN_S
    ) -> None:
        """Until a sample of `/metrics` (see `metric`) is as wanted."""
        deadline = time.monotonic() + within_s
        while not wanted(value := await self.metric(sample)):
            assert time.monotonic() < deadline, f"not within {within_s} s: {sample} is {value}\n{self.tail()}"
            await asyncio.sleep(LOOK_S)

    def everything(self) -> str:
        """All that it has printed, what is no line of its log too."""
        return self._log.read_text()

    def tail(self) -> str:
        return "\n".join(self.everything().splitlines()[-25:])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(ENDS_WITHIN_S):
            return await self.process.wait()
