"""Tasks of a coordinator: begun by name, and ended without leaving one behind."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

_AGAIN_SECONDS = 0.1


def begin(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A defect in it is not kept in a future that nobody reads: it goes where the loop's owner hears of it."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_told_when_it_fails)
    return task


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancels until they have ended: a cancellation that meets a time-out inside the client can be lost."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)


def _told_when_it_fails(done: asyncio.Task[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        done.get_loop().call_exception_handler({"message": f"task {done.get_name()}", "exception": error})
