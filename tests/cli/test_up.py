import argparse
import asyncio
from pathlib import Path

import pytest
import yaml
from phoenix_cli.local.exchange import start_exchange
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.process import Guardian
from phoenix_cli.plain import PlainOutput
from phoenix_cli.refusal import Refused
from phoenix_cli.up import Options, add_arguments, run, up
from phoenix_crds import InvalidResourceError
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
        return Options((manifest,), tmp_path / "credentials", tmp_path / "state", worker=standin_worker)

    return make


async def test_manifests_run_against_a_simulator_with_a_key_made_there(tmp_path, simulator, options, journal):
    manifest = written(tmp_path / "m.yaml", MAKER, account(environment="Simulator", endpoints={"baseUrl": simulator}))
    output = Until("ready, leading")
    assert await up(options(manifest), output) == ""
    assert output.said("SIGINT: stopping in order")
    assert [body["label"] for path, body in journal() if path == "/sim/account"] == ["default"]


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


def test_shared_redis_is_refused_with_the_reason():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(Refused, match="not part of this release"):
        run(parser.parse_args(["-f", "x.yaml", "--redis", "redis://localhost"]))
