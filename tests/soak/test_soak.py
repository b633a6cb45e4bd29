"""A soak of some minutes, as a person starts it; what judges it; and the time that it runs in."""

import argparse
import asyncio
import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from flat_market import Ground, differences, ground
from phoenix_coordination import order_id as own_order_id
from phoenix_coordination.redis.client import FAULTS, Redis, connect
from phoenix_coordination.redis.server import find_server
from phoenix_simulator.exchange.accounts import Holding
from phoenix_simulator.exchange.events import Fill
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.exchange.symbols import BUILT_IN
from redis.exceptions import ResponseError
from soak_report import Hour, Report, failures_in, hours_of, slope
from virtual_loop import PROGRAM, VirtualLoop
from virtual_redis import VirtualRedis
from virtual_time import NS, VirtualTime

SOAK = Path(__file__).with_name("soak.py")
MINUTES = 1
FLAT_MINUTES = 8
FLAT_SEED = 51
"""Its worker is told to end once while something is ground."""
SEED = 3228
"""In its first minute answers are lost, connections are cut, and an order is filled in part."""

needs_redis = pytest.mark.skipif(find_server() is None, reason="no redis-server here")


# -- a run ---------------------------------------------------------------------------------------------


@needs_redis
@pytest.mark.timeout(300)  # six seconds of a core, wherever that is
def test_a_minute_over_midnight_with_faults_ends_without_a_violation_and_with_equal_books(tmp_path):
    command = [sys.executable, str(SOAK), "--hours", str(MINUTES / 60), "--seed", str(SEED)]
    run = subprocess.run([*command, "--build", str(tmp_path)], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    last = run.stdout.splitlines()[-1]
    assert re.fullmatch(rf"hours=\S+ faults=[1-9]\d* violations=0 agreement=true rss=unmeasured seed={SEED}", last)
    report = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report)
    assert report.held
    assert sum(report.fills.values()) > 0
    assert report.events["workers ended"] == len(report.symbols)


@needs_redis
@pytest.mark.timeout(300)
def test_who_ends_a_soak_that_runs_behind_gets_its_judgement(tmp_path):
    """As `make soak &` of a script: its shell has Ctrl-C ignored, so all that can end it is a plain `kill`."""
    command = [sys.executable, str(SOAK), "--hours", "72", "--seed", str(SEED), "--build", str(tmp_path)]
    behind = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    with subprocess.Popen([*behind, *command], stdout=subprocess.PIPE, text=True) as run:
        log = tmp_path / "workers.log"
        while run.poll() is None and not (log.exists() and "lease granted" in log.read_text(encoding="utf-8")):
            time.sleep(0.1)
        run.terminate()
        said, _ = run.communicate()
    assert run.returncode == 0, said
    assert re.match(r"hours=0\.\d+ .* violations=0 agreement=true", said.splitlines()[-1])


@needs_redis
@pytest.mark.timeout(300)  # seven seconds of a core
def test_what_grinding_costs_and_saves_in_a_flat_market_is_told_to_the_last_digit(tmp_path):
    command = [
        sys.executable,
        str(SOAK),
        "--scenario",
        "flat",
        "--hours",
        str(FLAT_MINUTES / 60),
        "--seed",
        str(FLAT_SEED),
    ]
    run = subprocess.run([*command, "--build", str(tmp_path)], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    *_, figure, last = run.stdout.splitlines()
    assert re.search(
        r": [1-9]\d* grinds, \S+ USDT saved, [1-9]\d* fills of re-entries, [1-9]\d* workers told to", figure
    )
    assert re.fullmatch(rf"hours=\S+ faults=0 violations=0 agreement=true rss=unmeasured seed={FLAT_SEED}", last)


# -- its judgement -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0", "-1", "1001", "nan", "inf", "3d", ""])
def test_hours_that_cannot_be_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="write a number above 0, and at most 1000"):
        hours_of(text)


GOOD = Report(
    hours=72,
    seed=1,
    symbols=("BTCUSDT",),
    faults={"gap": 3},
    violations={},
    examples=[],
    agreement=True,
    disagreements=[],
    defects=[],
    events={},
    fills={"BTCUSDT": 1},
    rss_mib_per_hour=0.0,
    course=[],
)


@pytest.mark.parametrize(
    ("what", "held"),
    [
        ({}, True),
        ({"violations": {"staleQuoting": 1}}, False),
        ({"agreement": False, "disagreements": ["BTCUSDT fills: the worker says 1, the exchange 2"]}, False),
        ({"defects": ["BTCUSDT 1 ended with status 1"]}, False),
    ],
    ids=["clean", "violation", "disagreement", "defect"],
)
def test_a_run_holds_where_nothing_was_violated_nobody_disagrees_and_no_program_failed(what, held):
    assert msgspec.structs.replace(GOOD, **what).held is held


def test_a_log_tells_of_defects_and_of_what_the_world_did(tmp_path):
    log = tmp_path / "workers.log"
    events = ["state", "task failed", "exit", "engine failed", "crash"]
    log.write_text("".join(f'{{"text":"engine failed?","event":"{event}"}}\n' for event in events), encoding="utf-8")

    assert [msgspec.json.decode(line)["event"] for line in failures_in(log)] == [
        "task failed",
        "engine failed",
        "crash",
    ]


@pytest.mark.parametrize(
    ("rss_mib", "expected"),
    [([50, 90, 100, 100, 100], 0.0), ([10, 20, 30, 40, 50, 60], 10.0), ([80], None), ([], None)],
    ids=["a start is no leak", "a leak", "one hour", "none"],
)
def test_growth_is_the_slope_of_the_second_half(rss_mib, expected):
    course = [Hour(number, rss, 0, 0, 0.0, 0.0) for number, rss in enumerate(rss_mib, start=1)]

    assert slope(course) == (expected if expected is None else pytest.approx(expected))


def filled(holding: Holding, order: tuple[int, str, int], *fills: tuple[int, int, int]) -> None:
    """`order`: (id, its purpose, side); each of the fills: (price_ticks, qty_steps, fee in 1e-8)."""
    order_id, purpose, sign = order
    side = Side.BUY if sign > 0 else Side.SELL
    name = own_order_id.format("phoeni", 1, purpose, order_id)
    holding.closed[order_id] = SimpleNamespace(client_order_id=name)
    for price, steps, fee in fills:
        quote = price * steps * 1000
        holding.fills.append(Fill(1, order_id, "ETHUSDT", 0, side, price, steps, quote, fee, "USDT", 0, False))


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([], Ground(0, 0, 0)),
        ([((1, "q", -1), (100, 5, 7))], Ground(0, 0, 0)),
        ([((1, "g", -1), (100, 5, 7))], Ground(1, -7, 0)),
        ([((1, "g", -1), (100, 5, 7)), ((2, "r", 1), (90, 5, 1))], Ground(1, 50_000 - 8, 1)),
        ([((1, "g", 1), (100, 5, 7)), ((2, "r", -1), (110, 5, 1))], Ground(1, 50_000 - 8, 1)),
        ([((1, "g", -1), (100, 2, 0), (101, 1, 0)), ((2, "r", 1), (90, 1, 0))], Ground(1, 10_333, 1)),
        ([((1, "g", -1), (100, 2, 0), (101, 1, 0)), ((2, "r", 1), (111, 1, 0))], Ground(1, -10_667, 1)),
        (
            [
                ((n, p, s), (a, 1, 1))
                for n, p, s, a in ((1, "g", -1, 100), (2, "r", 1, 90), (3, "g", -1, 80), (4, "r", 1, 79))
            ],
            Ground(2, 11_000 - 4, 2),
        ),
    ],
    ids=[
        "nothing",
        "quotes",
        "a taker",
        "long",
        "short",
        "rounded down",
        "down below zero, too",
        "each against its own",
    ],
)
def test_what_grinding_saved_follows_from_the_fills_of_the_exchange(orders, expected):
    holding = Holding(BUILT_IN["ETHUSDT"])
    for order, *fills in orders:
        filled(holding, order, *fills)

    assert ground(holding) == expected


@pytest.mark.parametrize(
    ("count", "saved", "by_exchange", "found"),
    [
        (2, 0.00012345, Ground(2, 12_345, 3), []),
        (3, 0.00012345, Ground(2, 12_345, 3), ["ETHUSDT grinds: the worker says 3, the exchange 2"]),
        (
            2,
            0.00012346,
            Ground(2, 12_345, 3),
            ["ETHUSDT saved by grinding, in 1e-8 quote: the worker says 12346, the exchange 12345"],
        ),
        (1, -0.1, Ground(1, -10_000_000, 0), ["no re-entry was filled: nothing is shown"]),
    ],
    ids=["alike", "a grind more", "the last digit", "nothing shown"],
)
def test_what_a_worker_tells_of_grinding_and_the_exchange_does_not_is_found(count, saved, by_exchange, found):
    told = {"mm_grind_count_total": float(count), "mm_grind_cost_saved": saved}

    assert list(differences(told, by_exchange)) == found


# -- its time ------------------------------------------------------------------------------------------


def in_virtual_time(work: Callable[[VirtualTime], Coroutine[object, object, object]]) -> VirtualTime:
    time = VirtualTime(wall_ns=0)
    loop = VirtualLoop(time)
    try:
        loop.run_until_complete(work(time))
    finally:
        loop.close()
    assert loop.defects == []
    return time


def test_who_has_ended_hears_no_signal_and_is_held_by_nothing():
    async def end(_: VirtualTime) -> None:
        class Program:
            def stop(self) -> None:
                heard.append("stop")

        loop = asyncio.get_running_loop()
        heard: list[str] = []
        program = Program()
        held = weakref.ref(program)
        PROGRAM.set("a program")
        loop.add_signal_handler(signal.SIGTERM, program.stop)
        loop.set_exception_handler(lambda *_, program=program: program)
        assert loop.send_signal("a program", signal.SIGTERM)
        await asyncio.sleep(0)
        assert heard == ["stop"]
        loop.forget("a program")
        assert not loop.send_signal("a program", signal.SIGTERM)
        del program
        gc.collect()
        assert held() is None

    in_virtual_time(end)


def test_a_day_passes_while_nothing_is_to_do():
    async def sleep(_: VirtualTime) -> None:
        await asyncio.gather(asyncio.sleep(86_400), asyncio.sleep(3_600))

    assert in_virtual_time(sleep).passed_ns == pytest.approx(86_400 * NS, abs=10)


def test_bytes_under_way_are_not_overtaken():
    """A hundred questions and answers, beside a timer that is due in a nanosecond: no time passes for them."""

    async def talk(time: VirtualTime) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line)
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        asyncio.get_running_loop().call_later(1e-9, lambda: None)
        for number in range(100):
            writer.write(b"%d\n" % number)
            assert await reader.readline() == b"%d\n" % number
        assert time.passed_ns == 0
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    in_virtual_time(talk)


def test_a_writer_waits_for_a_reader_that_lags_and_what_it_wrote_comes_before_the_end():
    sent = b"x" * 300_000

    async def flood(_: VirtualTime) -> None:
        async def write(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for at in range(0, len(sent), 1000):
                writer.write(sent[at : at + 1000])
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(write, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1024)
        await asyncio.sleep(1)
        assert len(reader._buffer) < len(sent)
        assert await reader.read() == sent
        writer.close()

    in_virtual_time(flood)


def test_nobody_listens_where_nobody_has_begun_to():
    async def call(_: VirtualTime) -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", 9)

    in_virtual_time(call)


def test_time_stands_still_while_a_thread_or_a_child_works():
    async def work(time: VirtualTime) -> None:
        timer = asyncio.get_running_loop().call_later(0.001, lambda: None)
        await asyncio.to_thread(os.getpid)
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(1)", stdout=subprocess.PIPE)
        assert await child.communicate() == (b"1\n", None)
        assert time.passed_ns == 0
        timer.cancel()

    in_virtual_time(work)


@contextlib.asynccontextmanager
async def redis_of(time: VirtualTime) -> AsyncIterator[tuple[VirtualRedis, Redis]]:
    server = VirtualRedis(time)
    await server.open()
    client = connect(server.url, timeout_s=5.0)
    try:
        yield server, client
    finally:
        await client.aclose()
        server.close()


@needs_redis
def test_a_key_of_redis_lives_as_long_as_the_loop_says_and_longer_than_the_server():
    async def keep(time: VirtualTime) -> None:
        async with redis_of(time) as (server, client):
            await client.execute_command("SET", "key", "value", "PX", 60_000)
            await asyncio.sleep(40)
            assert await client.execute_command("PTTL", "key") == 20_000
            assert await client.execute_command("TIME") == (40, 0)
            await server.restart()
            with pytest.raises(FAULTS):  # of the connection that was cut
                await client.execute_command("GET", "key")
            assert await client.execute_command("GET", "key") == b"value"
            await asyncio.sleep(19.999)
            assert await client.execute_command("GET", "key") == b"value"
            await asyncio.sleep(0.001)
            assert await client.execute_command("GET", "key") is None

    in_virtual_time(keep)


@needs_redis
@pytest.mark.parametrize(
    ("then", "left"),
    [
        (["PEXPIRE", "key", 5_000], 5_000),
        (["SET", "key", "other"], -1),
        (["SET", "key", "other", "PX", 7_000], 7_000),
        (["SET", "key", "other", "NX", "PX", 7_000], 60_000),
        (["DEL", "key"], -2),
        ("redis.call('PEXPIRE', 'key', 5000)", 5_000),
        ("redis.call('SET', 'key', 'other')", -1),
        ("redis.call('DEL', 'key')", -2),
        ("redis.call('PEXPIRE', 'key', 5000) redis.call('ZADD', 'key', 1, 'wrong')", 5_000),
        ("redis.call('PEXPIRE', 'nowhere', 5000) redis.call('SET', 'nowhere', 1)", 60_000),
    ],
    ids=[
        "longer",
        "for good",
        "again",
        "not again",
        "not at all",
        "by a script",
        "for good, by a script",
        "not at all, by a script",
        "by a script that fails",
        "of another",
    ],
)
def test_how_long_a_key_lives_is_what_was_said_last(then, left):
    async def keep(time: VirtualTime) -> None:
        async with redis_of(time) as (_, client):
            await client.execute_command("SET", "key", "value", "PX", 60_000)
            if isinstance(then, str):
                digest = await client.execute_command("SCRIPT LOAD", then)
                with contextlib.suppress(ResponseError):
                    await client.execute_command("EVALSHA", digest, 0)
            else:
                await client.execute_command(*then)
            assert await client.execute_command("PTTL", "key") == left
            await asyncio.sleep(61)
            assert await client.execute_command("EXISTS", "key") == (left == -1)

    in_virtual_time(keep)


@needs_redis
@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("return redis.call('TIME')", [b"40", b"0"]),
        ("return {KEYS[1], ARGV[1], #ARGV}", [b"key", b"argument", 1]),
        ("return nil", None),
        ("return false", None),
        ("return 7", 7),
        ("return {{}, {'a', {1}}}", [[], [b"a", [1]]]),
        ("return redis.call('GET', 'nowhere')", None),
        ("return {redis.call('GET', 'nowhere'), 'behind'}", [None, b"behind"]),
        ("return ('x'):rep(300000)", b"x" * 300_000),
        ("return redis.error_reply('FOREIGN it is')", "FOREIGN it is"),
        ("return redis.call('INCRBY', 'a', 'b')", "not an integer"),
    ],
    ids=["time", "arguments", "nil", "false", "number", "nested", "none", "none inside", "long", "refused", "failed"],
)
def test_a_script_answers_what_it_would_without_us(source, answer):
    async def ask(time: VirtualTime) -> None:
        async with redis_of(time) as (_, client):
            await asyncio.sleep(40)
            digest = await client.execute_command("SCRIPT LOAD", source)
            asked = client.execute_command("EVALSHA", digest, 1, "key", "argument")
            if isinstance(answer, str):
                with pytest.raises(ResponseError, match=answer):
                    await asked
            else:
                assert await asked == answer

    in_virtual_time(ask)


@needs_redis
def test_what_a_script_says_on_a_channel_is_heard_by_who_listens_there():
    async def talk(time: VirtualTime) -> None:
        async with redis_of(time) as (_, client):
            news = client.pubsub()
            await news.subscribe("ours")
            assert (await news.get_message(timeout=1.0))["type"] == "subscribe"
            source = "redis.call('PUBLISH', 'theirs', 'no') return redis.call('PUBLISH', 'ours', ARGV[1])"
            digest = await client.execute_command("SCRIPT LOAD", source)
            await client.execute_command("EVALSHA", digest, 0, "yes")
            heard = await news.get_message(timeout=1.0)
            assert (heard["channel"], heard["data"]) == (b"ours", b"yes")
            assert await news.get_message(timeout=1.0) is None
            await news.aclose()

    in_virtual_time(talk)
