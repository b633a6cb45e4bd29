import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from phoenix_cli.local import guardian, process
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.process import EXCHANGE_RANK, WORKER_RANK, Guardian, Process, spoken
from phoenix_cli.local.runfile import is_held

PATIENT = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('up'); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"


async def start(code, tmp_path, guard, rank=WORKER_RANK, **options):
    return await Process.start(
        "child",
        [sys.executable, "-u", "-c", code],
        log=tmp_path / "child.log",
        guardian=guard,
        rank=rank,
        env=options.pop("env", {}),
        announces=options.pop("announces", True),
    )


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def test_a_child_that_ends_on_sigterm_is_stopped_in_order(tmp_path):
    async with Guardian() as guard:
        child = await start(PATIENT, tmp_path, guard)
        assert await child.announcement() == "up"
        assert await child.stop(within_s=20)
        assert child.exit_code == 0


async def test_a_child_that_ignores_sigterm_is_killed_when_its_time_is_over(tmp_path):
    async with Guardian() as guard:
        child = await start(DEAF, tmp_path, guard)
        await child.announcement()
        assert not await child.stop(within_s=0.2)
        assert child.exit_code == -signal.SIGKILL


async def test_a_frozen_child_can_be_stopped(tmp_path):
    async with Guardian() as guard:
        child = await start(PATIENT, tmp_path, guard)
        await child.announcement()
        child.signal(signal.SIGSTOP)
        assert await child.stop(within_s=20)


async def test_a_child_leads_its_own_group_so_that_ctrl_c_reaches_only_the_runner(tmp_path):
    async with Guardian() as guard:
        child = await start(PATIENT, tmp_path, guard)
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
        await child.stop(within_s=20)


async def test_the_last_words_are_of_this_child_not_of_the_one_before(tmp_path):
    async with Guardian() as guard:
        first = await start("import sys; sys.exit('first: out of luck')", tmp_path, guard, announces=False)
        await first.wait()
        second = await start("", tmp_path, guard, announces=False)
        await second.wait()
        assert first.last_words() == "first: out of luck"
        assert second.last_words() == ""


async def test_a_child_that_has_ended_before_anybody_could_look_is_still_heard(tmp_path, monkeypatch):
    begin = asyncio.create_subprocess_exec

    async def seen_late(*argv, **options):
        child = await begin(*argv, **options)
        if options["stdin"] == asyncio.subprocess.DEVNULL:  # the guardian waits for its input
            await child.wait()
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", seen_late)
    async with Guardian() as guard:
        for words in ("first: out of luck", "second: out of luck, too"):
            child = await start(f"import sys; sys.exit({words!r})", tmp_path, guard, announces=False)
            await child.wait()
            assert child.last_words() == words


async def test_the_last_words_are_found_in_a_log_that_was_put_aside_meanwhile(tmp_path, monkeypatch):
    (tmp_path / "child.log").write_text("of an earlier one, longer than all that follows\n")
    async with Guardian() as guard:
        code = "import sys; print('up', flush=True); sys.stdin = open('go'); sys.exit(sys.stdin.readline())"
        os.mkfifo(tmp_path / "go")
        monkeypatch.chdir(tmp_path)
        child = await start(code, tmp_path, guard)
        await child.announcement()
        monkeypatch.setattr(process, "LOG_LIMIT_BYTES", 1)
        child.rotate_log()
        (tmp_path / "go").write_text("out of luck")
        await child.wait()
        assert child.last_words() == "out of luck"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("plain words", "plain words", id="a-plain-line"),
        pytest.param('{"event": "exit", "code": 1, "reason": "not withdrawn"}', "exit: not withdrawn", id="why"),
        pytest.param('{"event": "refused", "text": "set apply"}', "refused: set apply", id="a-text"),
        pytest.param('{"event": "exit"}', '{"event": "exit"}', id="structured-without-a-reason"),
        pytest.param('"a string"', '"a string"', id="json-that-is-no-line-of-a-log"),
    ],
)
def test_a_line_of_a_log_is_told_in_words(line, said):
    assert spoken(line) == said


async def test_the_environment_is_added_to_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("OURS", "1")
    async with Guardian() as guard:
        code = "import os; print(os.environ['OURS'] + os.environ['ITS'])"
        child = await start(code, tmp_path, guard, env={"ITS": "2"})
        assert await child.announcement() == "12"
        await child.wait()


async def test_a_signal_to_a_child_that_has_ended_is_no_fault(tmp_path):
    async with Guardian() as guard:
        child = await start("", tmp_path, guard)
        await child.wait()
        child.signal(signal.SIGKILL)
        assert await child.stop(within_s=1)


async def test_kill_all_does_not_wait(tmp_path):
    async with Guardian() as guard:
        children = [await start(DEAF, tmp_path, guard) for _ in range(2)]
        guard.kill_all()
        assert [await child.wait() for child in children] == [-signal.SIGKILL] * 2


async def test_without_its_guardian_no_child_is_started_unwatched():
    guard = Guardian()
    with pytest.raises(RuntimeError, match="guardian of this run has died"):
        guard.watch(os.getpid(), WORKER_RANK)


RUNNER = """
import asyncio, sys
from pathlib import Path
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.process import Guardian, Process, WORKER_RANK, EXCHANGE_RANK, REDIS_RANK

async def main():
    directory = StateDirectory(Path(sys.argv[1]))
    with directory.locked() as lock:
      async with Guardian(grace_s=5.0, lock=lock) as guard:
        for name, rank in (("redis", REDIS_RANK), ("worker", WORKER_RANK), ("exchange", EXCHANGE_RANK)):
            code = (
                "import os, signal, sys, time\\n"
                "def end(*_):\\n"
                f"    open({sys.argv[1]!r} + '/ended', 'a').write('{name} ')\\n"
                "    time.sleep(0.3)\\n"
                "    sys.exit(0)\\n"
                "signal.signal(signal.SIGTERM, end)\\n"
                "print('up', flush=True)\\n"
                "time.sleep(60)"
            )
            child = await Process.start(name, [sys.executable, "-c", code], log=Path(sys.argv[1]) / name,
                guardian=guard, rank=rank, env={}, announces=True)
            await child.announcement()
            print(child.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_killed_runner_leaves_no_child_behind_and_each_ends_before_what_it_needs(tmp_path):
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(entry for entry in sys.path if entry)},
    )
    with runner:
        pids = [int(runner.stdout.readline()) for _ in range(3)]
        runner.kill()
    deadline = time.monotonic() + 20
    held = True
    while held and time.monotonic() < deadline:
        held = is_held(StateDirectory(tmp_path))
        assert held or not any(map(is_alive, pids)), "nobody begins where the last run is still being stopped"
        time.sleep(0.02)
    assert not any(map(is_alive, pids))
    assert (tmp_path / "ended").read_text() == "worker exchange redis "


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param(["+0 11\n", "+1 12\n"], {11: WORKER_RANK, 12: EXCHANGE_RANK}, id="two-children"),
        pytest.param(["+0 11\n", "-11\n", "+0 13\n"], {13: WORKER_RANK}, id="one-has-ended"),
        pytest.param(["-11\n"], {}, id="unknown-child"),
    ],
)
def test_the_guardian_knows_who_is_left(lines, left):
    assert guardian.follow(lines) == left


def test_a_log_that_has_grown_too_large_is_put_aside_and_the_oldest_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LOG_LIMIT_BYTES", 10)
    log = tmp_path / "log"
    for generation in range(5):
        log.write_text(f"generation {generation}")
        process.rotate(log)
    assert log.read_text() == ""
    assert {file.name: file.read_text() for file in tmp_path.iterdir() if file != log} == {
        "log.1": "generation 4",
        "log.2": "generation 3",
        "log.3": "generation 2",
    }


def test_a_small_log_stays(tmp_path):
    log = tmp_path / "log"
    log.write_text("short")
    process.rotate(log)
    assert log.read_text() == "short"
    process.rotate(tmp_path / "absent")


async def has_content(log):
    async with asyncio.timeout(20):
        while log.stat().st_size == 0:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)


async def test_children_keep_writing_to_a_log_that_was_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LOG_LIMIT_BYTES", 1)
    async with Guardian() as guard:
        code = "import sys, time; [(print('line', file=sys.stderr, flush=True), time.sleep(0.05)) for _ in range(200)]"
        child = await start(code, tmp_path, guard, announces=False)
        log = tmp_path / "child.log"
        await has_content(log)
        child.rotate_log()
        await has_content(log)
        assert set(log.read_text().split()) == {"line"}
        await child.stop(within_s=5)
