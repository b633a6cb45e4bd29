import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from phoenix_cli import demo as demo_module
from phoenix_cli.demo import demo, find_configs
from phoenix_cli.local.account import AccountWatch
from phoenix_cli.local.faults import parse_fault
from phoenix_cli.local.report import EmergencyReport
from phoenix_cli.plain import PlainOutput
from phoenix_cli.refusal import Refused
from run_output import Until

READY = "ready, leading"


async def test_a_run_ends_in_order_and_its_report_compares_worker_and_exchange(options):
    output = Until(READY)
    report, problems = await demo(options, output)
    assert problems == []
    assert report.symbols["BTCUSDT"].fills == 3
    assert report.symbols["BTCUSDT"].pnl.fees == Decimal("0.12345678")
    assert report.symbols["BTCUSDT"].restarts == 0
    assert output.said("run SIGINT: stopping in order")


async def test_a_run_ends_when_its_time_is_over(options):
    output = Until("never said")
    report, _ = await demo(replace(options, length_s=0.5), output)
    assert report.duration_s >= 0.5
    assert output.said("the time is over")


async def test_a_cancellation_that_was_lost_on_the_way_does_not_keep_a_run_from_ending(options, monkeypatch):
    """Redis' client loses one that meets a time-out."""

    async def stubborn(_: AccountWatch) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    monkeypatch.setattr(AccountWatch, "follow", stubborn)
    async with asyncio.timeout(30):
        await demo(replace(options, length_s=0.5), Until("never said"))


async def test_the_end_of_a_recording_is_the_end_of_the_run(options, monkeypatch):
    monkeypatch.setenv("STANDIN_ENDED", "BTCUSDT")
    output = Until("never said")
    await demo(replace(options, replay=Path("capture.gz")), output)
    assert output.said("the recording is over")


async def test_the_audit_is_told_what_the_workers_promise_and_when_they_have_ended(options, journal):
    await demo(options, Until(READY))
    (account, _), (audit, promises), (_, end) = journal()
    assert promises["accountLimit"] == {"maxNetNotional": "25000", "maxGrossNotional": "50000"}
    assert account == "/sim/account"
    assert audit == "/sim/audit"
    assert promises["apiKey"] == "the-key"
    assert promises["symbolLimits"] == [{"symbol": "BTCUSDT", "maxPosition": "0.1150"}]
    assert promises["pattern"]["tokenBase"] == 36
    assert end == {"end": {}}


async def test_a_disagreement_is_found(options, monkeypatch):
    monkeypatch.setenv("STANDIN_BOOKS", json.dumps({"BTCUSDT": {"position": "0.004", "fills": 4}}))
    report, problems = await demo(options, Until(READY))
    assert not report.agreement
    assert "BTCUSDT fills: the worker says 3, the exchange 4" in problems


async def test_a_worker_that_does_not_end_in_order_is_a_problem(options, monkeypatch):
    monkeypatch.setenv("STANDIN_WORKER", "fails-late")
    _, problems = await demo(options, Until(READY))
    assert problems == ["BTCUSDT: worker ended with status 1 instead of withdrawing in order: "]


async def test_a_violation_is_told_while_it_runs(options, monkeypatch):
    monkeypatch.setenv("STANDIN_VIOLATIONS", "2")
    output = Until(READY)
    _, problems = await demo(options, output)
    assert problems == ["audit: 2 × leftBehind"]
    assert output.said("run audit: 2 × leftBehind")


async def test_what_the_scenario_expects_and_does_not_hold_is_a_problem(options, monkeypatch):
    told = [{"text": "quoting BTCUSDT", "state": "open", "atSeconds": None, "reason": "no bid"}]
    monkeypatch.setenv("STANDIN_VERDICTS", json.dumps(told))
    _, problems = await demo(options, Until(READY))
    assert problems == ["expected: quoting BTCUSDT: no bid"]


async def test_a_killed_worker_is_started_again_at_once(options):
    output = Until(READY, after="SIGKILL")
    report, problems = await demo(replace(options, faults=(parse_fault("kill@2s"),)), output)
    assert problems == []
    assert report.symbols["BTCUSDT"].restarts == 1
    assert output.said("was ended by SIGKILL, the next starts now")


async def test_a_fault_of_the_venue_goes_to_the_exchange(options, journal):
    await demo(replace(options, faults=(parse_fault("stale@500ms"),)), Until("fault stale"))
    told = [body for path, body in journal() if path == "/sim/fault"]
    assert told == [{"kind": "silence", "symbol": "BTCUSDT", "route": "public", "durationSeconds": 8.0}]


async def test_stop_raises_the_switch_says_how_to_lift_it_and_holds_the_workers_to_it_for_a_while(options, journal):
    output = Until("the audit held every worker to the stop")
    report, _ = await demo(replace(options, faults=(parse_fault("stop@1s"),)), output)
    told = [body["stop"] for path, body in journal() if path == "/sim/audit" and "stop" in body]
    assert told == [{}, {"lift": True}]
    assert output.said("BTCUSDT emergency Halt fault of the demo")
    assert output.said("`phoenix resume default --epoch 1` lets it trade again")
    assert report.account.emergency == EmergencyReport("Halt", 1, "fault of the demo")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param("redis-restart@2s", "redis-server answers again", id="restart"),
        pytest.param("redis-flush@2s", "fault redis-flush: the run's Redis forgets everything", id="flush"),
    ],
)
async def test_a_stop_outlives_what_happens_to_redis_and_to_a_worker(options, fault, told):
    faults = tuple(map(parse_fault, ("stop@1s", fault, "kill@4s")))
    of_a_worker = "emergency Halt fault of the demo"
    output = Until(of_a_worker, after="worker was ended by SIGKILL")
    report, _ = await demo(replace(options, faults=faults), output)
    assert output.said(told)
    assert report.account.emergency.level == "Halt"
    assert [line for line in output.lines if "BTCUSDT emergency" in line][-1] == f"BTCUSDT {of_a_worker}"


async def test_a_worker_that_cannot_start_ends_the_run_with_its_own_words(options, monkeypatch):
    monkeypatch.setenv("STANDIN_WORKER", "refuses")
    with pytest.raises(
        Refused, match=r"BTCUSDT: the worker does not start: leverage of BTCUSDT is 20.*set settings.apply"
    ):
        await demo(options, PlainOutput())


async def test_an_exchange_that_cannot_start_ends_the_run_with_its_own_words(options, monkeypatch):
    monkeypatch.setenv("STANDIN_EXCHANGE_FAILS", "1")
    with pytest.raises(Refused, match=r"exchange did not start: capture.gz: line 3 is no message of the venue"):
        await demo(options, PlainOutput())


async def test_an_exchange_that_ends_is_the_end_of_the_run(options, monkeypatch):
    monkeypatch.setenv("STANDIN_EXCHANGE_ENDS", "1")
    with pytest.raises(Refused, match=r"the tape has run out|does not answer"):
        await demo(options, PlainOutput())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"symbols": ("DOGEUSDT",)}, "no maker in configs/makers; there are: .*BTCUSDT", id="symbol"),
        pytest.param(
            {"faults": ("kill:SOLUSDT@1s",)}, "no maker of this run trades it; there are: BTCUSDT", id="fault"
        ),
    ],
)
async def test_what_cannot_be_run_is_refused(options, changes, said):
    if "faults" in changes:
        changes = {"faults": tuple(map(parse_fault, changes["faults"]))}
    with pytest.raises(Refused, match=said):
        await demo(replace(options, **changes), PlainOutput())


async def test_an_account_of_another_world_is_refused(options, tmp_path):
    shutil.copytree(options.configs, tmp_path / "configs")
    file = tmp_path / "configs/accounts/simulator.yaml"
    account = yaml.safe_load(file.read_text())
    del account["spec"]["endpoints"]
    account["spec"] |= {"environment": "Testnet", "credentialsSecretRef": {"name": "my-key"}}
    file.write_text(yaml.safe_dump(account))
    with pytest.raises(Refused, match=r"environment Testnet: the demo .*`phoenix up`"):
        await demo(replace(options, configs=tmp_path / "configs"), PlainOutput())


@pytest.mark.parametrize("speed", [4.0])
async def test_at_speed_the_runs_own_time_is_what_counts(options, speed):
    report, _ = await demo(replace(options, speed=speed, length_s=8.0), PlainOutput())
    assert report.speed == speed
    assert report.duration_s >= 8.0


def phoenix(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "phoenix_cli", "demo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["--help"], 0, "example:", id="help"),
        pytest.param(["--fault", "redis-burn@1s"], 2, "there are: stale, gap", id="fault"),
        pytest.param(["--speed", "0"], 2, "above 0", id="speed"),
        pytest.param(["--for", "60"], 2, "60s|1m", id="time-without-unit"),
        pytest.param(["--replay", "/nowhere.gz"], 1, "there is no such file", id="capture"),
        pytest.param(["--report", "/nowhere/r.json"], 1, "there is no directory", id="report"),
    ],
)
def test_the_command_line_answers_without_a_stack_trace(arguments, status, said):
    done = phoenix(*arguments)
    assert done.returncode == status, done.stderr
    assert any(word in done.stdout + done.stderr for word in said.split("|"))
    assert "Traceback" not in done.stderr


def test_it_says_when_there_are_no_configs(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_module, "__file__", str(tmp_path / "a" / "b" / "c" / "demo.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match="phoenix up -f PATH"):
        find_configs()
