import asyncio
import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from phoenix_cli.local.exchange import QUEUE_MODELS, start_exchange
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.process import Guardian
from phoenix_cli.local.runfile import read_run_file
from phoenix_cli.plain import PlainOutput
from phoenix_cli.refusal import Refused
from phoenix_cli.up import Options, up
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import account_tools
from phoenix_crds import InvalidResourceError
from phoenix_simulator.exchange.book import QueueModel
from run_output import Until

MAKER = {
    "apiVersion": "phoenix.trading/v1alpha1",
    "kind": "MarketMaker",
    "metadata": {"name": "btcusdt"},
    "spec": {"symbol": "BTCUSDT", "netMax": "0.10", "baseSize": "0.004"},
}


def account(**spec) -> dict:
    limits = {"netNotional": 25000, "grossNotional": 50000, "dailyLoss": 500, "makerNetMax": {"BTCUSDT": "0.20"}}
    return {
        "apiVersion": "phoenix.trading/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": "default"},
        "spec": {"limits": limits, **spec},
    }


TESTNET = account(environment="Testnet", credentialsSecretRef={"name": "my-key"})


def written(path: Path, *documents: dict) -> str:
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


@pytest.fixture
async def simulator(tmp_path, standin_exchange):
    """A running simulator that somebody else started: its base URL."""
    async with Guardian() as guardian:
        directory = StateDirectory(tmp_path / "simulator")
        process, url = await start_exchange(standin_exchange, [], directory, guardian, {})
        yield url
        await process.stop(10)


@pytest.fixture
def options(tmp_path, standin_worker):
    def make(manifest: str) -> Options:
        return Options((manifest,), tmp_path / "state", worker=standin_worker)

    return make


async def test_manifests_run_against_a_simulator_with_a_key_made_there(tmp_path, simulator, options, journal):
    manifest = written(tmp_path / "m.yaml", MAKER, account(environment="Simulator", endpoints={"baseUrl": simulator}))
    output = Until("ready, leading")
    assert await up(options(manifest), output) == ""
    assert output.said("SIGINT: stopping in order")
    assert [body["label"] for path, body in journal() if path == "/sim/account"] == ["default"]


async def test_what_only_a_cluster_does_is_said(tmp_path, simulator, options):
    stages = [{"capital": 200, "minTime": "1h", "lossMax": 10}]
    spec = {**MAKER["spec"], "standby": True, "risk": {"capital": 500}, "ramp": {"stages": stages}}
    its_account = account(environment="Simulator", endpoints={"baseUrl": simulator})
    output = Until("ready, leading")
    await up(options(written(tmp_path / "m.yaml", {**MAKER, "spec": spec}, its_account)), output)
    assert output.said("here BTCUSDT begins with its whole risk.capital")
    assert output.said("here BTCUSDT has one worker")


async def test_a_second_run_keeps_the_key_that_the_simulator_still_knows(tmp_path, simulator, options, journal):
    manifest = written(tmp_path / "m.yaml", MAKER, account(environment="Simulator", endpoints={"baseUrl": simulator}))
    for _ in range(2):
        await up(options(manifest), Until("ready, leading"))
    assert len([path for path, _ in journal() if path == "/sim/account"]) == 1


async def test_a_changed_manifest_reaches_the_worker_and_a_bad_one_changes_nothing(tmp_path, simulator, options):
    def manifest(emergency: str) -> str:
        there = account(environment="Simulator", endpoints={"baseUrl": simulator}, emergency=emergency)
        return written(tmp_path / "m.yaml", MAKER, there)

    output = Until("emergency Halt")
    running = asyncio.create_task(up(options(manifest("None")), output))
    for change, answer in (("Perhaps", "ready, leading"), ("Halt", "refused, nothing changes")):
        async with asyncio.timeout(30):
            while not output.said(answer):  # noqa: ASYNC110 - another process says it
                await asyncio.sleep(0.05)
        assert not output.said("BTCUSDT emergency")
        manifest(change)
    await running
    resolved = yaml.safe_load((tmp_path / "state/parameters/btcusdt/account.yaml").read_text())
    assert (resolved["spec"]["emergency"], resolved["metadata"]["generation"]) == ("Halt", 2)


async def test_a_missing_key_is_said_with_where_it_belongs(tmp_path, options):
    there = account(environment="Testnet", credentialsSecretRef={"name": "my-key"})
    with pytest.raises(Refused, match=r"no directory .*/credentials/my-key: make it \(mode 0700\).*apiKey"):
        await up(options(written(tmp_path / "m.yaml", MAKER, there)), PlainOutput())


async def test_a_named_place_of_keys_that_no_account_asks_for_is_refused(tmp_path, options):
    """Else a simulator would make another account, and somebody would watch the wrong one."""
    there = account(environment="Simulator", endpoints={"baseUrl": "http://127.0.0.1:1"})
    named = dataclasses.replace(options(written(tmp_path / "m.yaml", MAKER, there)), credentials=tmp_path)
    with pytest.raises(Refused, match=r"--credentials: no account has a spec.credentialsSecretRef"):
        await up(named, PlainOutput())


async def test_a_queue_model_is_set_at_the_simulator_before_anything_trades(tmp_path, simulator, options, journal):
    manifest = written(tmp_path / "m.yaml", MAKER, account(environment="Simulator", endpoints={"baseUrl": simulator}))
    await up(dataclasses.replace(options(manifest), queue_model="optimistic"), Until("ready, leading"))
    told = [body for path, body in journal() if path == "/sim/market" and body]
    assert told == [{"symbol": "BTCUSDT", "queueModel": "optimistic"}]


async def test_a_queue_model_of_a_real_venue_is_refused(tmp_path, options):
    there = account(environment="Testnet", credentialsSecretRef={"name": "my-key"})
    typed = dataclasses.replace(options(written(tmp_path / "m.yaml", MAKER, there)), queue_model="optimistic")
    with pytest.raises(Refused, match=r"--queue-model: BTCUSDT trade at a venue whose queues are its own"):
        await up(typed, PlainOutput())


def test_the_queue_models_are_those_of_the_exchange():
    assert tuple(model.value for model in QueueModel) == QUEUE_MODELS


async def test_a_simulator_that_is_not_there_is_said(tmp_path, options):
    there = account(environment="Simulator", endpoints={"baseUrl": "http://127.0.0.1:1"})
    with pytest.raises(Refused, match=r"http://127.0.0.1:1 does not answer.*phoenix exchange"):
        await up(options(written(tmp_path / "m.yaml", MAKER, there)), PlainOutput())


@pytest.mark.parametrize(
    ("documents", "error", "said"),
    [
        pytest.param([MAKER], Refused, "TradingAccount default is not among these files", id="no-account"),
        pytest.param([TESTNET], Refused, "nothing to run", id="no-maker"),
        pytest.param([{**MAKER, "spec": {"symbol": "BTCUSDT"}}], InvalidResourceError, "netMax", id="invalid"),
    ],
)
async def test_what_cannot_be_run_is_refused(tmp_path, options, documents, error, said):
    with pytest.raises(error, match=said):
        await up(options(written(tmp_path / "m.yaml", *documents)), PlainOutput())


async def test_the_redis_that_is_named_is_the_one_that_the_makers_share(
    tmp_path, simulator, options, shared_redis, redis_url
):
    (tmp_path / "redis-url").write_text(f"{redis_url}\n")
    manifest = written(tmp_path / "m.yaml", MAKER, account(environment="Simulator", endpoints={"baseUrl": simulator}))
    output = Until("ready, leading")
    assert await up(replace(options(manifest), redis=f"@{tmp_path / 'redis-url'}"), output) == ""
    assert shared_redis.keys("mm:account:*") == [b"mm:account:local/default"]
    run = read_run_file(tmp_path / "state" / "run.json")
    assert run.redis == f"@{tmp_path / 'redis-url'}", "what may hold a password stays in its file"
    assert not (tmp_path / "state" / "redis").exists()


async def test_a_stop_outlives_a_run_with_a_redis_of_its_own(tmp_path, simulator, options):
    manifest = written(tmp_path / "m.yaml", MAKER, account(environment="Simulator", endpoints={"baseUrl": simulator}))
    output = Until("emergency Halt, epoch 1", after="ready, leading")
    running = asyncio.create_task(up(options(manifest), output))
    async with asyncio.timeout(30):
        while not output.said("ready, leading"):  # noqa: ASYNC110 - another process says it
            await asyncio.sleep(0.05)
        async with account_tools(read_run_file(tmp_path / "state" / "run.json").redis) as tools:
            await (await tools.open("default")).stop(EmergencyLevel.HALT, "looked odd", "anna")
        await running
    later = Until("emergency Halt, epoch 1, by anna: looked odd")
    async with asyncio.timeout(30):
        await up(options(manifest), later)


async def test_a_redis_that_cannot_be_used_is_said_before_anything_trades(tmp_path, simulator, options):
    manifest = written(tmp_path / "m.yaml", MAKER, account(environment="Simulator", endpoints={"baseUrl": simulator}))
    output = PlainOutput()
    with pytest.raises(Refused, match="--redis: Redis cannot be reached"):
        await up(replace(options(manifest), redis="redis://127.0.0.1:1/0"), output)
