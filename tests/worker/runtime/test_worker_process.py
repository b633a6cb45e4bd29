"""The worker as a process: what it refuses, and one life against the simulated exchange over real sockets."""

import asyncio
import signal

import pytest
from phoenix_coordination.state import Reason, Role
from phoenix_worker import __main__ as program
from phoenix_worker.runtime.replay import replay
from phoenix_worker.runtime.worker import Options, Worker
from worker_world import ENDPOINT, metric_of, state_of, text_of

SECRET_REDIS = "redis://user:hunter2hunter2@redis:6379/0"


class Refused:
    """Runs the command line in this process, for what ends before anything is opened."""

    def __init__(self, files, tmp_path, capfd):
        self.capfd = capfd
        self.arguments = {
            "--maker": str(files.maker),
            "--account": str(files.account),
            "--credentials": str(tmp_path / "credentials"),
            "--redis": "unix:///nowhere/redis.sock",
            "--state-dir": str(tmp_path / "state"),
            "--http": "127.0.0.1:0",
        }

    def with_(self, **changes):
        arguments = self.arguments | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        status = program.main([text for pair in arguments.items() for text in pair])
        captured = self.capfd.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.err


@pytest.fixture
def refused(files, tmp_path, capfd):
    return Refused(files, tmp_path, capfd)


@pytest.mark.parametrize(
    ("redis", "says"),
    [
        pytest.param("nowhere", "--redis: the URL is none of redis://", id="no URL"),
        pytest.param("http://redis:6379", "--redis: the URL is none of redis://", id="another service's URL"),
        pytest.param("redis://redis:port/0", "--redis: the URL is none: write redis://HOST:PORT", id="no port"),
        pytest.param("redis+sentinel://redis", "--redis: the URL names no service", id="a Sentinel without a service"),
        pytest.param("@/run/no-such-file", "--redis: /run/no-such-file cannot be read", id="no file"),
        pytest.param(SECRET_REDIS, "--redis: a password in an argument", id="a password in an argument"),
        pytest.param(
            "unix:///run/redis.sock?password=hunter2hunter2", "a password in an argument", id="a password in a query"
        ),
    ],
)
def test_a_redis_that_cannot_be_named_is_refused_and_a_password_never_shown(refused, redis, says):
    status, told = refused.with_(redis=redis)
    assert status == 1
    assert says in told
    assert told.count("\n") == 1
    assert "hunter2" not in told


@pytest.mark.parametrize("text", ["", "\n\n", "hunter2hunter2", "http://user:hunter2hunter2@redis"])
def test_a_file_that_holds_no_url_is_named_and_what_it_holds_is_not(refused, tmp_path, text):
    file = tmp_path / "redis-url"
    file.write_text(text)
    status, told = refused.with_(redis=f"@{file}")
    assert status == 1
    assert f"--redis: the URL in {file} is none of" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("url", ["redis://redis:6379/0", "redis+sentinel://redis:6379/main"])
def test_production_demands_a_redis_over_tls(refused, files, url):
    files.edit(files.account, "environment: Simulator\n", "environment: Production\n")
    files.edit(files.account, f"endpoints:\n    baseUrl: {ENDPOINT}\n", "credentialsSecretRef:\n    name: key\n")
    status, told = refused.with_(redis=url)
    assert status == 1
    assert "--redis: the URL has no TLS" in told


def test_an_address_that_is_none_is_refused(refused):
    status, told = refused.with_(http="nowhere")
    assert status == 1
    assert "--http: 'nowhere' is no address" in told


def test_a_usage_that_is_wrong_ends_with_2(capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(["--maker"])
    assert ended.value.code == 2
    assert "usage: phoenix worker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        pytest.param(["--flatten"], "--flatten is for --withdraw: a worker quotes", id="what a worker never does"),
        pytest.param(["--deadline", "9s"], "--deadline is for --withdraw: a worker quotes", id="a deadline for ever"),
        pytest.param(["--withdraw", "--deadline", "9"], "'9' is no time: write for example 90s or 2m", id="no unit"),
        pytest.param(["--withdraw", "--deadline", "0s"], "'0s' is no time", id="no time at all"),
    ],
)
def test_options_of_a_withdrawal_that_make_no_sense_are_a_wrong_usage(refused, more, says):
    with pytest.raises(SystemExit) as ended:
        program.main([text for pair in refused.arguments.items() for text in pair] + more)
    assert ended.value.code == 2
    assert says in refused.capfd.readouterr().err


@pytest.mark.scenario
async def test_a_withdrawal_leaves_its_last_words_whichever_way_it_went(world, tmp_path):
    """The first waits for a worker that quotes, the second finds it gone."""
    words = tmp_path / "termination-log"
    words.touch()
    told = f"import pathlib, phoenix_worker.__main__ as m; m.TERMINATION_LOG = pathlib.Path({str(words)!r}); "
    withdraw = ("-c", f"import sys; {told}sys.exit(m.main([*sys.argv[1:], '--withdraw', '--deadline', '6s']))")
    worker, url = await world.worker()
    await state_of(url, lambda record: record.quotes.bids)
    withdrawing = await world.launch(program=withdraw)
    assert await withdrawing.end() == 1
    said = words.read_text()
    assert said.startswith("BTCUSDT is not withdrawn: not done within 6 s: ")
    assert withdrawing.errors == f"phoenix worker: {said}\n"
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.end() == 0
    withdrawing = await world.launch(program=withdraw)
    assert await withdrawing.end() == 0, withdrawing.errors
    assert words.read_text().startswith("BTCUSDT is withdrawn: no order of ours, ")
    assert withdrawing.errors == ""


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(["--help"])
    assert ended.value.code == 0
    assert "example:\n  phoenix worker --maker" in capsys.readouterr().out


def test_a_manifest_that_does_not_validate_is_refused_by_line_and_field(refused, files):
    files.edit(files.maker, "minSpreadBps: 5", "minSpreadBps: -1")
    status, told = refused.with_()
    assert status == 1
    assert "maker.yaml:" in told
    assert "spec.minSpreadBps" in told


def test_live_on_an_address_of_the_real_exchange_needs_an_account_that_says_so(refused, files):
    files.edit(files.account, ENDPOINT, "https://fapi.binance.com")
    status, told = refused.with_()
    assert status == 1
    assert "is the real exchange's" in told


def test_a_clock_that_does_not_parse_is_refused(refused, monkeypatch):
    monkeypatch.setenv("PHOENIX_CLOCK", "fast")
    status, told = refused.with_()
    assert status == 1
    assert "PHOENIX_CLOCK" in told


def test_the_reason_is_the_termination_message_of_the_pod(refused, tmp_path, monkeypatch):
    words = tmp_path / "termination-log"
    words.touch()
    monkeypatch.setattr(program, "TERMINATION_LOG", words)
    refused.with_(redis=SECRET_REDIS)
    assert "a password in an argument" in words.read_text()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param(
            {"--state-dir": "/dev/null/state"}, "--state-dir /dev/null/state: cannot be used", id="no directory"
        ),
        pytest.param({"--http": "192.0.2.1:80"}, "--http 192.0.2.1:80: cannot listen there", id="not our address"),
    ],
)
async def test_what_the_machine_does_not_give_is_refused_with_the_option(processes, files, tmp_path, changes, says):
    arguments = {
        "--maker": str(files.maker),
        "--account": str(files.account),
        "--credentials": str(tmp_path),
        "--redis": "unix:///nowhere/redis.sock",
        "--state-dir": str(tmp_path / "state"),
        "--http": "127.0.0.1:0",
    } | changes
    worker = await processes("-m", "phoenix_worker", *(text for pair in arguments.items() for text in pair))
    assert await worker.end() == 1
    assert says in worker.errors
    assert "Traceback" not in worker.errors


@pytest.mark.scenario
async def test_a_worker_quotes_takes_new_parameters_stops_and_can_be_replayed(world):
    worker, url = await world.worker()
    record = await state_of(url, lambda record: record.reason is Reason.QUOTING and record.quotes.bids)
    assert record.role is Role.LEADING
    assert record.quotes.asks

    world.files.edit(world.files.maker, "minSpreadBps: 5", "minSpreadBps: 5\n  paused: true")
    await state_of(url, lambda record: record.reason is Reason.PAUSED and not record.quotes.bids)
    world.files.edit(world.files.maker, "paused: true", "paused: maybe")
    record = await state_of(url, lambda record: record.configuration.refused)
    assert record.reason is Reason.PAUSED, "the old file stays in force"
    world.files.edit(world.files.maker, "paused: maybe", "paused: false")
    await state_of(url, lambda record: record.reason is Reason.QUOTING and record.quotes.bids)

    shadow = 'paused: false\n  shadow: {netMax: "0.05", baseSize: "0.004", risk: {capital: 500}}'
    world.files.edit(world.files.maker, "paused: false", shadow)
    await metric_of(url, "mm_shadow_grid_layers", lambda layers: layers > 4)

    world.files.edit(world.files.account, "emergency: None", "emergency: Halt")
    await state_of(url, lambda record: record.reason is Reason.EMERGENCY and not record.quotes.bids)
    world.files.edit(world.files.account, "emergency: Halt", "emergency: None")
    await state_of(url, lambda record: record.reason is Reason.QUOTING and record.quotes.bids)

    shown = [await text_of(f"{url}{path}") for path in ("/state", "/metrics", "/readyz?verbose", "/livez", "/startupz")]
    assert [status for status, _ in shown] == [200] * 5
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.end() == 0, worker.errors
    everything = "\n".join([*(text for _, text in shown), *worker.lines, worker.errors])
    for name in ("apiKey", "apiSecret"):
        assert world.account[name] not in everything

    (run,) = (world.state / "recordings" / "default.btcusdt").iterdir()
    report = replay(run)
    assert report.same, report.differences
    assert report.complete, report.notes
    assert report.decisions > 10
    assert report.shadow is not None
    assert report.shadow.orders.places > 4
    async with world.exchange.get(f"/sim/account/{world.account['apiKey']}") as response:
        assert "pxshadow" not in await response.text(), "what the shadow asks for reaches nobody"
    for path in world.state.rglob("*"):
        if path.is_file():
            assert world.account["apiSecret"].encode() not in path.read_bytes()


@pytest.mark.scenario
async def test_a_second_worker_of_the_symbol_stands_by_until_the_first_is_gone(world):
    first, first_url = await world.worker()
    leader = await state_of(first_url, lambda record: record.reason is Reason.QUOTING)
    _, second_url = await world.worker()
    standby = await state_of(second_url, lambda record: record.reason is Reason.STANDBY)
    assert standby.ready
    assert standby.token == 0
    first.process.send_signal(signal.SIGKILL)
    await first.end()
    successor = await state_of(second_url, lambda record: record.reason is Reason.QUOTING and record.quotes.bids)
    assert successor.token > leader.token
    assert successor.installation == leader.installation


@pytest.mark.scenario
async def test_a_rehearsal_decides_and_sends_nothing_nor_does_a_shadow_beside_it(world):
    shadow = 'mode: DryRun\n  shadow: {netMax: "0.05", baseSize: "0.004", risk: {capital: 500}}'
    world.files.edit(world.files.maker, "mode: Live", shadow)
    _, url = await world.worker()
    record = await state_of(url, lambda record: record.quotes.bids)
    assert record.mode.value == "DryRun"
    await metric_of(url, "mm_shadow_grid_layers", lambda layers: layers > 4)
    async with world.exchange.get(f"/sim/account/{world.account['apiKey']}") as response:
        assert "px" not in await response.text(), "no order of ours reached the exchange"


@pytest.mark.scenario
async def test_a_rehearsal_beside_a_live_maker_neither_halts_it_nor_is_halted(world):
    world.files.edit(world.files.maker, "mode: Live", "mode: DryRun")
    _, rehearsal_url = await world.worker()
    await state_of(rehearsal_url, lambda record: record.quotes.bids)
    world.files.edit(world.files.maker, "mode: DryRun", "mode: Live")
    _, live_url = await world.worker()
    live = await state_of(live_url, lambda record: record.quotes.bids and record.quotes.asks)
    rehearsal = await state_of(rehearsal_url, lambda record: record.published_ms > live.published_ms + 3_000)
    assert rehearsal.token < live.token
    for url in (rehearsal_url, live_url):
        record = await state_of(url, lambda record: record.quotes.bids)
        assert record.emergency.level == "None"
        assert record.reason is Reason.QUOTING


@pytest.mark.scenario
async def test_an_exchange_that_does_not_answer_is_waited_for_and_a_stop_still_works(world):
    world.files.edit(world.files.account, str(world.exchange._base_url).rstrip("/"), "http://127.0.0.1:9")
    worker, url = await world.worker()
    record = await state_of(url, lambda record: record.reason is Reason.VENUE_UNREACHABLE)
    assert not record.ready
    assert (await text_of(f"{url}/startupz"))[0] == 200, "nobody has to kill it for that"
    assert (await text_of(f"{url}/readyz"))[0] == 503
    assert (await text_of(f"{url}/livez"))[0] == 200
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.end() == 0


@pytest.mark.scenario
async def test_a_worker_that_ends_for_a_fault_says_why_on_stderr(world):
    worker, url = await world.worker()
    await state_of(url, lambda record: record.quotes.bids)
    worker.process.send_signal(signal.SIGTERM)
    worker.process.send_signal(signal.SIGINT)
    assert await worker.end() == 1
    told = "phoenix worker: {}, again: ended without waiting for the withdrawal\n"
    assert worker.errors in {told.format("SIGINT"), told.format("SIGTERM")}, (
        "of two at once the kernel delivers either first"
    )


async def test_from_the_moment_that_the_key_is_read_nothing_of_it_can_be_told(files, logged, redact, clock, tmp_path):
    """Whatever leaks it later: a library's warning, a crash."""
    files.edit(files.account, ENDPOINT, "http://127.0.0.1:9")
    (tmp_path / "apiKey").write_text("the-key-of-the-account")
    (tmp_path / "apiSecret").write_text("the-secret-of-the-account")
    url = "unix:///nowhere/redis.sock"
    options = Options(files.maker, files.account, tmp_path, url, tmp_path / "state", ("127.0.0.1", 0))
    worker = Worker(options, files.resolve(), url, clock, logged.log, logged.writer, redact)
    running = asyncio.create_task(worker.run())
    leak = "the-secret-of-the-account, the-key-of-the-account"
    async with asyncio.timeout(20):
        while redact(leak) == leak:  # noqa: ASYNC110 - the worker reads it when it comes to it
            await asyncio.sleep(0.02)
    assert redact(leak) == "[hidden], [hidden]"
    worker.stop("the test is over")
    assert await running == 0
