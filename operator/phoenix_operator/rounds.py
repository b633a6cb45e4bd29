"""The workers: each takes the resource that has waited longest, has it reconciled, and says when it is due again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from phoenix_coordination.redis.account import AccountError

from phoenix_operator.calm import Calm
from phoenix_operator.cluster.faults import ClusterFault
from phoenix_operator.queue import Key, WorkQueue

_log = structlog.stdlib.get_logger()

FINISHES_WITHIN_S = 5.0


class Rounds:
    """`count` workers. `observe` is told kind, result and seconds of each round, `calm` whether any waits."""

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[float | None]],
        observe: Callable[[str, str, float], None],
        count: int,
        calm: Calm,
    ) -> None:
        self._reconcile = reconcile
        self._observe = observe
        self._count = count
        self._calm = calm
        self._woken = asyncio.Event()
        self._stopping = False
        self.queue = WorkQueue(time.monotonic, self._woken.set)

    async def run(self) -> None:
        """Works until `stop`; each round that has begun is finished."""
        async with asyncio.TaskGroup() as workers:
            for number in range(self._count):
                workers.create_task(self._work(), name=f"worker {number}")

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()

    async def _work(self) -> None:
        while not self._stopping:
            key = self.queue.take()
            if key is not None:
                if self.queue.depth:
                    self._calm.ends()
                await self._round(key)
                continue
            self._calm.begins()
            self._woken.clear()
            try:
                async with asyncio.timeout(self.queue.next_due_s()):
                    await self._woken.wait()
            except TimeoutError:
                continue  # an appointment

    async def _round(self, key: Key) -> None:
        began_s = time.monotonic()
        result = "ok"
        try:
            again_s = await self._reconcile(key)
        except ClusterFault as fault:
            result = fault.fault.value
            wait_s = self.queue.failed(key, fault.retry_after_s)
            _log.warning("again", resource=str(key), reason=str(fault), in_s=round(wait_s, 1))
        except AccountError as error:
            result = "Redis"
            wait_s = self.queue.failed(key)
            _log.warning("again", resource=str(key), reason=str(error), in_s=round(wait_s, 1))
        except Exception:  # noqa: BLE001 - a defect that one resource shows must not stop the others: counted, told
            result = "Defect"
            self.queue.failed(key)
            _log.exception("defect", resource=str(key))
        except BaseException:
            self.queue.done(key)
            raise
        else:
            self.queue.done(key, again_s)
        self._observe(key.kind.value, result, time.monotonic() - began_s)
