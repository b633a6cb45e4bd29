"""`python -m phoenix_simulator` as a process: says where it listens, ends in order, refuses in one sentence."""

import asyncio
import json
import os
import signal
import sys
import time

import aiohttp
import pytest
from phoenix_simulator.__main__ import main
from phoenix_simulator.market.upstream.questions import UpstreamRestartedError


async def start(*arguments, **environment):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "phoenix_simulator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


async def test_it_announces_its_url_serves_and_stops_on_sigterm():
    process = await start("--port", "0", "--symbols", "ETHUSDC", "--speed", "5")
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    url = json.loads(line)["url"]
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/fapi/v1/exchangeInfo") as response:
            symbols = {row["symbol"] for row in (await response.json())["symbols"]}
        # BTCUSDT is always there: clients tell a quiet symbol from a dead connection by it.
        assert symbols == {"BTCUSDT", "ETHUSDC"}
        async with http.get(f"{url}/sim/clock") as response:
            assert (await response.json())["rate"] == 5.0
        async with http.ws_connect(f"{url}/public/ws/btcusdt@bookTicker") as socket:
            assert json.loads((await socket.receive(timeout=10)).data)["e"] == "bookTicker"
            process.send_signal(signal.SIGTERM)
            out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_it_shares_the_clock_of_the_run():
    text = f"{1_760_000_000_000_000_000}:{time.monotonic_ns()}:2.0"
    process = await start("--port", "0", "--symbols", "BTCUSDT", PHOENIX_CLOCK=text)
    url = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["url"]
    async with aiohttp.ClientSession() as http, http.get(f"{url}/fapi/v1/time") as response:
        served_ms = (await response.json())["serverTime"]
    assert 1_760_000_000_000 <= served_ms < 1_760_000_600_000
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0


async def test_a_scenario_that_expects_something_is_judged_at_the_end(tmp_path):
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "apiVersion: phoenix.trading/v1alpha1\nkind: Scenario\nspec:\n"
        "  expect:\n    - {kind: audit-clean}\n    - {kind: traded, symbol: BTCUSDT}\n",
        encoding="utf-8",
    )
    process = await start("--port", "0", "--symbols", "BTCUSDT", "--scenario", str(scenario))
    url = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["url"]
    async with aiohttp.ClientSession() as http, http.get(f"{url}/sim/scenario") as response:
        told = {row["text"]: (row["state"], row["reason"]) for row in await response.json()}
    assert told == {"audit-clean": ("held", ""), "traded BTCUSDT 1 times": ("open", "0 fills")}
    process.send_signal(signal.SIGTERM)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert err.decode().splitlines() == [
        "phoenix exchange: expected: audit-clean: held",
        "phoenix exchange: expected: traded BTCUSDT 1 times: 0 fills",
    ]


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        pytest.param(["--symbols", "NOPE"], {}, ["--symbols", "NOPE", "BTCUSDT"], id="unknown symbol"),
        pytest.param(["--symbols", ","], {}, ["--symbols", "none given", "BTCUSDT"], id="no symbol"),
        pytest.param(["--port", "70000"], {}, ["--port"], id="no port"),
        pytest.param(["--speed", "0"], {}, ["rate"], id="no speed"),
        pytest.param(["--seed", "-1"], {}, ["--seed"], id="negative seed"),
        pytest.param(["--scenario", "nowhere.yaml"], {}, ["nowhere.yaml", "cannot be read"], id="no scenario"),
        pytest.param(["--replay", "nowhere.gz"], {}, ["nowhere.gz"], id="no capture"),
        pytest.param([], {"PHOENIX_CLOCK": "noon"}, ["PHOENIX_CLOCK"], id="no clock"),
        pytest.param(["--latency", "all=soon"], {}, ["--latency", "no distribution"], id="no latency"),
        pytest.param(["--upstream", "http://127.0.0.1:9"], {}, ["127.0.0.1:9", "reached"], id="no upstream"),
        pytest.param(["--upstream", "nowhere"], {}, ["nowhere", "https://"], id="no URL"),
        pytest.param(["--upstream", "http://x", "--replay", "y.gz"], {}, ["--replay", "one of"], id="two markets"),
        pytest.param(["--upstream", "http://x", "--speed", "2"], {}, ["life's rate"], id="a live market made faster"),
        pytest.param(["--speed", "3"], {"PHOENIX_CLOCK": "1:1:2.0"}, ["--speed"], id="two speeds"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_one_sentence(arguments, environment, words):
    process = await start("--port", "0", *arguments, **environment)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    text = err.decode()
    assert (process.returncode, out) == (1, b"")
    assert text.count("\n") == 1
    assert "Traceback" not in text
    assert all(word in text for word in words), text


def test_an_upstream_that_is_lost_for_good_is_said_in_one_sentence(monkeypatch, capsys):
    async def lose(*_):
        raise ExceptionGroup("run", [ExceptionGroup("tasks", [UpstreamRestartedError("it has begun a new life")])])

    monkeypatch.setattr("phoenix_simulator.__main__._run", lose)
    assert main(["--port", "0"]) == 1
    assert capsys.readouterr().err == "phoenix exchange: it has begun a new life\n"


def test_a_market_that_fails_beside_a_lost_upstream_is_not_hidden_by_it(monkeypatch):
    async def fail(*_):
        raise ExceptionGroup("run", [UpstreamRestartedError("it has begun a new life"), ZeroDivisionError()])

    monkeypatch.setattr("phoenix_simulator.__main__._run", fail)
    with pytest.raises(ExceptionGroup) as failure:
        main(["--port", "0"])
    assert failure.group_contains(ZeroDivisionError)


async def test_a_port_in_use_is_said():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = await start("--symbols", "BTCUSDT", "--port", str(port))
    _, err = await asyncio.wait_for(process.communicate(), 30)
    server.close()
    await server.wait_closed()
    assert process.returncode == 1
    assert err.decode().count("\n") == 1
    assert "in use" in err.decode()
