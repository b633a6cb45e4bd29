"""Workers as processes on a simulated exchange that is one, too: for what only a process shows."""

import asyncio
import contextlib
import json
import os
import sys

import aiohttp
from arena_redis import redis_server
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import account_tools
from phoenix_coordination.state import decode
from phoenix_simulator.api.account_data import alias_of
from phoenix_worker.venue.binance.endpoints import Endpoints, account_identity

ENDPOINT = "http://127.0.0.1:8700"


class Process:
    """A program of ours with its output; ended by its id at the latest when the test is over."""

    def __init__(self, process):
        self.process = process
        self.lines: list[str] = []
        self.errors = ""

    @classmethod
    async def start(cls, *arguments, **env):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env=os.environ | env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        return cls(process)

    async def line(self, wanted):
        """The next line of stdout that the condition wants."""
        async with asyncio.timeout(60):
            while text := (await self.process.stdout.readline()).decode():
                self.lines.append(text)
                if wanted(text):
                    return json.loads(text)
        raise AssertionError(f"ended: {self.lines} {(await self.process.stderr.read()).decode()}")

    async def end(self):
        """Exit status, after everything that was said has been read."""
        async with asyncio.timeout(60):
            out, err = await self.process.communicate()
        self.lines += out.decode().splitlines()
        self.errors = err.decode()
        return self.process.returncode


class World:
    def __init__(self, processes, files, credentials, redis, state, exchange, account, identity):
        self.processes = processes
        self.files = files
        self.credentials = credentials
        self.redis = redis
        self.state = state
        self.exchange = exchange
        self.account = account
        self.identity = identity

    async def worker(self, redis="", program=("-m", "phoenix_worker"), **env):
        """One that serves its probes, and where."""
        worker = await self.launch(redis, program, **env)
        port = (await worker.line(lambda text: '"listening"' in text))["port"]
        return worker, f"http://127.0.0.1:{port}"

    async def launch(self, redis="", program=("-m", "phoenix_worker"), **env):
        return await self.processes(
            *(*program, "--maker", str(self.files.maker), "--account", str(self.files.account)),
            *("--credentials", str(self.credentials), "--redis", redis or self.redis.url),
            *("--state-dir", str(self.state), "--http", "127.0.0.1:0"),
            **env,
        )


async def state_of(url, wanted):
    """The worker's state, once it is as wanted."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/state") as response:
                record = decode(await response.read())
            if wanted(record):
                return record
            await asyncio.sleep(0.05)


async def metric_of(url, name, wanted):
    """A metric of the worker, summed over its labels, once it is as wanted."""
    async with asyncio.timeout(60):
        while True:
            _, text = await text_of(f"{url}/metrics")
            value = sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name}{{"))
            if wanted(value):
                return value
            await asyncio.sleep(0.05)


async def text_of(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


@contextlib.asynccontextmanager
async def launcher():
    """Gives a way to start programs of ours; what still runs at the end is killed."""
    started = []

    async def start(*arguments, **env):
        process = await Process.start(*arguments, **env)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            if process.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.process.kill()
                await process.process.communicate()


@contextlib.asynccontextmanager
async def open_world(processes, files, directory):
    """A simulated exchange with an account, its Redis, and the way to start workers on them."""
    exchange = await processes("-m", "phoenix_simulator", "--port", "0", "--symbols", "BTCUSDT", "--seed", "7")
    url = (await exchange.line(lambda text: "url" in text))["url"]
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/sim/account", json={"balances": {"USDT": "100000"}}) as response:
            account = await response.json()
        credentials = directory / "credentials"
        credentials.mkdir()
        for name in ("apiKey", "apiSecret"):
            (credentials / name).write_text(account[name])
        files.edit(files.account, ENDPOINT, url)
        async with redis_server() as redis:
            identity = account_identity(Endpoints.at(url), alias_of(account["account"]))
            async with account_tools(redis.url) as tools:
                await tools.account(identity).seed(EmergencyLevel.NONE, 0, "", "the test")
            yield World(processes, files, credentials, redis, directory / "state", session, account, identity)
