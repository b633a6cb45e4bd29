"""The page of a run on this machine: the operator's, told of the run's makers."""

import argparse
import asyncio
import os
import signal
import socket
from decimal import Decimal

import aiohttp
import pytest
from phoenix_cli.__main__ import main
from phoenix_cli.demo import add_arguments, demo
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.page import page_of
from phoenix_cli.local.process import Guardian
from phoenix_cli.local.runner import Runner, http_session
from phoenix_cli.local.view import RunView
from phoenix_cli.plain import PlainOutput
from phoenix_cli.refusal import Refused
from phoenix_worker.runtime.clock import Clock


class Shown(PlainOutput):
    """Knows where the page is as soon as the run's view says so."""

    def __init__(self) -> None:
        super().__init__()
        self.page: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def update(self, view: RunView) -> None:
        if view.page and not self.page.done():
            self.page.set_result(view.page)


async def test_a_demo_serves_it_at_a_free_port_of_this_machine_alone_as_long_as_it_runs(options):
    output = Shown()
    run = asyncio.create_task(demo(options, output))
    url = await output.page
    assert url.startswith("http://127.0.0.1:")
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/api/fleet") as answer:
            fleet = await answer.json()
        assert (fleet["place"], fleet["problem"]) == ("demo, synthetic, seed 7", "")
        told = [(each["name"], each["symbol"], Decimal(each["netMax"])) for each in fleet["makers"]]
        assert told == [("btcusdt", "BTCUSDT", Decimal("0.1"))], "the manifest's, or by now the worker's"
        assert [(each["name"], each["environment"]) for each in fleet["accounts"]] == [("local/default", "Simulator")]
        os.kill(os.getpid(), signal.SIGINT)
        await run
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(url)


async def test_a_port_that_is_taken_is_refused_by_its_name(tmp_path):
    async with http_session() as http:
        blurb = RunView(title="demo", elapsed_s=0)
        runner = Runner(StateDirectory(tmp_path), Clock(), Guardian(), http, PlainOutput(), blurb)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(Refused, match=f"--page-port {port}: cannot listen there: .*leave it out"):
                async with page_of(runner, (), port):
                    pytest.fail("it serves")


def test_a_run_can_go_without_it():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert [parser.parse_args(typed).page_port for typed in ([], ["--page-port", "8080"], ["--page-port", "none"])] == [
        *(0, 8080, None)
    ]


@pytest.mark.parametrize("typed", ["http", "-1", "65536", ""])
def test_what_is_no_port_is_a_mistake_of_usage(typed, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["demo", f"--page-port={typed}"])
    assert ended.value.code == 2
    assert "write a port up to 65535, or none" in capsys.readouterr().err
