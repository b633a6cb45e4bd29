"""What a pod expects of the worker in it: a read-only root, files that are mounted, and news without delay."""

import asyncio
import json
import signal
from pathlib import Path

import pytest
from phoenix_coordination.redis.account import account_tools
from phoenix_coordination.state import pod_uid_of
from phoenix_worker.runtime import worker as worker_module
from worker_world import state_of

pytestmark = pytest.mark.scenario

UID = "3f1c9d52-8a07-4e1b-9c44-0d6f5b1a2e37"
AUDIT = """
import json, os, sys
_to = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_CHANGES = {{"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod"}}
def _hook(event, args):
    path = args[0] if args else None
    if event == "open":
        flags = args[2]
        if not isinstance(path, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            os.write(_to, (json.dumps([event, os.fsdecode(path)]) + "\\n").encode())
    elif event in _CHANGES:
        os.write(_to, (json.dumps([event, os.fsdecode(path)]) + "\\n").encode())
sys.addaudithook(_hook)
"""
SELDOM = f"import sys, {worker_module.__name__} as w; w.PUBLISH_SECONDS = 3600.0; import phoenix_worker.__main__ as m; "


async def published(world, wanted):
    """What the worker has told Redis, once it is as wanted."""
    async with asyncio.timeout(60), account_tools(world.redis.url) as tools:
        while True:
            records = (await tools.account(world.identity).records()).records
            if any(wanted(record) for record in records):
                return records
            await asyncio.sleep(0.02)


async def test_nothing_is_written_outside_the_state_directory(world, tmp_path):
    """By the worker and by the process that validates for it; what Python itself keeps is told off by the image."""
    log = tmp_path / "written"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(AUDIT.format(log=str(log)))
    worker, url = await world.worker(PYTHONPATH=str(hooks), PYTHONDONTWRITEBYTECODE="1")
    await state_of(url, lambda record: record.quotes.bids)
    world.files.edit(world.files.maker, "minSpreadBps: 5", "minSpreadBps: 8")
    await state_of(url, lambda record: record.configuration.hash == world.files.resolve().hash)
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.end() == 0
    written = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(path.endswith(".json") for _, path in written), "it keeps its last record"
    elsewhere = {
        (event, path)
        for event, path in written
        if not Path(path).is_relative_to(world.state) and Path(path) != Path("/dev/null")
    }
    assert elsewhere == set()


async def test_what_is_in_force_is_told_at_once_and_not_with_the_next_record(world):
    """Here the next one would come in an hour."""
    world.files.edit(world.files.maker, "  name: btcusdt\n", "  name: btcusdt\n  generation: 1\n")
    worker, _url = await world.worker(program=("-c", f"{SELDOM}sys.exit(m.main(sys.argv[1:]))"), POD_UID=UID)
    (first,) = await published(world, lambda record: record.configuration.generation == 1)
    assert pod_uid_of(first.holder) == UID
    world.files.edit(world.files.maker, "generation: 1\n", "generation: 3\n")
    (second,) = await published(world, lambda record: record.configuration.generation == 3)
    assert second.configuration.hash == first.configuration.hash, "as when something was changed and changed back"
    world.files.edit(world.files.maker, "minSpreadBps: 5", "minSpreadBps: -5")
    (third,) = await published(world, lambda record: "spec.minSpreadBps" in record.configuration.refused)
    assert third.configuration.generation == 3
    worker.process.send_signal(signal.SIGTERM)
    await worker.end()
