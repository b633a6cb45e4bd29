import asyncio
import time

import pytest
from phoenix_worker.runtime.loop_lag import LoopWatch


@pytest.fixture
async def watched():
    stalls = []
    watch = LoopWatch(stalls.append)
    watch.start()
    yield watch, stalls
    watch.stop()


def a_function_that_blocks(seconds):
    time.sleep(seconds)


async def test_what_holds_the_loop_is_counted_and_named(watched, eventually):
    watch, stalls = watched
    await asyncio.sleep(0.15)
    a_function_that_blocks(0.8)
    await eventually(lambda: stalls)
    assert watch.stalls == 1
    assert stalls[0].seconds > 0.2
    assert "a_function_that_blocks (test_loop_lag.py:" in stalls[0].where
    assert watch.max_lag_seconds >= stalls[0].seconds


async def test_a_loop_that_turns_is_no_stall(watched):
    watch, stalls = watched
    for _ in range(40):
        await asyncio.sleep(0.01)
    assert stalls == []
    assert watch.is_watching


async def test_a_watch_that_was_stopped_says_so(watched, eventually):
    watch, _ = watched
    watch.stop()
    await eventually(lambda: not watch.is_watching)
