import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest
from phoenix_cli.demo import find_configs
from phoenix_cli.local import maker as maker_module
from phoenix_cli.local.fleet import load_fleet
from phoenix_cli.local.layout import StateDirectory, write_key
from phoenix_cli.local.maker import Launch, Maker, restart_delay_s
from phoenix_cli.local.parameters import Parameters
from phoenix_cli.local.process import Guardian
from phoenix_cli.local.runner import http_session


@pytest.mark.parametrize(
    ("deaths", "delay_s"), [(0, 0.0), (1, 0.0), (2, 1.0), (3, 2.0), (4, 4.0), (7, 32.0), (8, 60.0), (1000, 60.0)]
)
def test_the_first_restart_is_at_once_and_each_further_one_waits_twice_as_long(deaths, delay_s):
    assert restart_delay_s(deaths) == delay_s


class Watched:
    """A maker that is supervised and watched, with what was told of it."""

    def __init__(self, maker: Maker, told: list[str]) -> None:
        self.maker = maker
        self.told = told

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():  # noqa: ASYNC110 - processes are waited for
                await asyncio.sleep(0.02)

    async def is_ready(self) -> None:
        await self.until(lambda: bool(self.maker.worker and self.maker.worker.record))


@pytest.fixture
async def watched(tmp_path, standin_worker, redis_url, monkeypatch):
    """Starts the maker in a body: `async with` would hide what happens when it is stopped."""
    monkeypatch.setattr(maker_module, "POLL_S", 0.05)
    configs = find_configs()
    assignment = load_fleet([configs / "accounts", configs / "makers" / "btcusdt.yaml"])[0]
    directory = StateDirectory(tmp_path / "state")
    write_key(directory.credentials("default"), "the-key", "the-secret")
    told: list[str] = []

    async def run(body: Callable[[Watched], Awaitable[None]]) -> Watched:
        async with Guardian() as guardian, http_session() as http, asyncio.TaskGroup() as group:
            launch = Launch(
                program=standin_worker,
                parameters=Parameters(directory).put(assignment.maker, assignment.account),
                credentials=directory.credentials("default"),
                redis=redis_url,
                state=directory.state,
                log=directory.log("btcusdt"),
                env={},
            )
            maker = Maker(assignment.maker, assignment.venue, launch, guardian, lambda _, text, __: told.append(text))
            supervision = group.create_task(maker.supervise())
            watch = group.create_task(maker.watch(http))
            found = Watched(maker, told)
            await body(found)
            await maker.stop()
            await supervision
            watch.cancel()
        return found

    return run


async def test_a_worker_that_dies_is_started_again_and_its_last_record_is_kept(watched):
    async def body(found):
        await found.is_ready()
        found.maker.kill()
        await found.until(lambda: found.maker.restarts == 1)
        await found.is_ready()

    found = await watched(body)
    assert [record.activity.fills for record in found.maker.records] == [3, 3]
    assert len({record.holder for record in found.maker.records}) == 2
    assert found.told.count("ready, leading") == 2


async def test_an_orderly_stop_starts_nothing_and_keeps_what_the_worker_said_last(watched):
    async def body(found):
        await found.is_ready()

    found = await watched(body)
    assert found.maker.restarts == 0
    assert found.maker.worker is None
    assert found.maker.records[-1].role == "draining"


async def test_a_replaced_worker_is_ended_in_order_and_the_next_one_starts_at_once(watched):
    async def body(found):
        await found.is_ready()
        await found.maker.replace("its price is stale for 60 s")
        await found.until(lambda: found.maker.worker is not None and found.maker.worker.record is not None)

    found = await watched(body)
    assert (found.maker.restarts, found.maker.deaths) == (1, 0)
    assert "worker is replaced: its price is stale for 60 s" in found.told


async def test_a_worker_that_answers_nobody_is_killed(watched, monkeypatch):
    monkeypatch.setattr(maker_module, "LIVENESS_S", 1.5)
    monkeypatch.setenv("STANDIN_WORKER", "mute")

    async def body(found):
        await found.until(lambda: found.maker.restarts == 1)

    found = await watched(body)
    assert any("has not answered" in text for text in found.told)


async def test_a_runner_that_stood_still_itself_kills_no_worker_for_it(watched, monkeypatch):
    slept_s = [0.0]
    monkeypatch.setattr(maker_module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + slept_s[0]))
    ask, asked = Maker._ask, []

    async def suspended_once(self, worker, http):
        asked.append(worker)
        if len(asked) == 2:
            slept_s[0] = 3600.0
        else:
            await ask(self, worker, http)

    monkeypatch.setattr(Maker, "_ask", suspended_once)

    async def body(found):
        await found.until(lambda: len(asked) > 3)
        await found.is_ready()

    found = await watched(body)
    assert found.maker.restarts == 0
    assert not any("has not answered" in text for text in found.told)


async def test_a_worker_that_ignores_the_stop_is_killed_when_its_time_is_over(watched, monkeypatch):
    monkeypatch.setattr(maker_module, "STOP_S", 0.5)
    monkeypatch.setenv("STANDIN_WORKER", "deaf")

    async def body(found):
        await found.is_ready()

    found = await watched(body)
    assert any("did not end within" in text for text in found.told)


async def test_a_worker_that_ends_with_an_error_while_stopping_is_said(watched, monkeypatch):
    monkeypatch.setenv("STANDIN_WORKER", "fails-late")

    async def body(found):
        await found.is_ready()

    found = await watched(body)
    assert any("ended with status 1 instead of withdrawing in order" in text for text in found.told)


async def test_a_stop_while_waiting_for_the_next_start_ends_at_once(watched, monkeypatch):
    monkeypatch.setenv("STANDIN_WORKER", "refuses")

    async def body(found):
        await found.until(lambda: found.maker.deaths == 2)

    found = await watched(body)
    assert found.maker.last_words == "leverage of BTCUSDT is 20, the account declares 10: set settings.apply"


async def test_a_worker_that_is_stopped_before_it_has_begun_had_nothing_to_withdraw(watched):
    async def body(found):
        await found.until(lambda: found.maker.worker is not None)

    found = await watched(body)
    assert found.maker.stop_problem == ""
