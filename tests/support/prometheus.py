"""A real Prometheus that scrapes what a test runs, and what it answers to the queries of a dashboard."""

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml

FILES = Path(__file__).resolve().parents[2] / "charts/phoenix/files"
SCRAPED_EVERY_S = 0.5
WINDOW = "3s"
"""For `$__rate_interval`: some scrapes."""
ANSWERS_WITHIN_S = 30.0


def program(name: str) -> str:
    """Path of one of Prometheus' programs; skips the test where it is not there."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}{sys.prefix}/prometheus")
    if found is None:
        pytest.skip(f"no {name}: requirements/bring-promtool .venv")
    return found


@dataclass(frozen=True, slots=True)
class Query:
    """One line of one panel."""

    dashboard: str
    panel: str
    text: str


def queries(dashboard: str, **variables: str) -> Iterator[Query]:
    """All of a committed dashboard, with its variables in place."""
    given = {"__rate_interval": WINDOW, **variables}
    for panel in json.loads((FILES / f"dashboards/{dashboard}.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"]
            for name, value in given.items():
                text = text.replace(f"${name}", value)
            yield Query(dashboard, panel["title"], text)


class Prometheus:
    """Asks one that runs; see `scraping`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def series(self, query: str) -> list[dict[str, object]]:
        """What the query has at this moment. Fails the test where Prometheus refuses it."""
        async with self._session.get("/api/v1/query", params={"query": query}) as answer:
            told = await answer.json()
        assert told["status"] == "success", f"{query}: {told}"
        found: list[dict[str, object]] = told["data"]["result"]
        return found

    async def until(self, query: str) -> None:
        """Until it has data."""
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while not await self.series(query):  # noqa: ASYNC110 - another process says it
                await asyncio.sleep(SCRAPED_EVERY_S / 2)

    async def empty(self, asked: Sequence[Query]) -> list[Query]:
        """Those that have no data: each is asked until it has, or the time is over for all of them."""
        left = list(asked)
        deadline = asyncio.get_running_loop().time() + ANSWERS_WITHIN_S
        while left and asyncio.get_running_loop().time() < deadline:
            left = [query for query in left if not await self.series(query.text)]
            await asyncio.sleep(SCRAPED_EVERY_S)
        return left


@asynccontextmanager
async def scraping(directory: Path, *addresses: str) -> AsyncIterator[Prometheus]:
    """A Prometheus with our alerts that scrapes these (HOST:PORT), once it has seen all of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = f"127.0.0.1:{free.getsockname()[1]}"
    configuration = _configured(directory, addresses)
    command = [program("prometheus"), f"--config.file={configuration}", f"--web.listen-address={own}"]
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, f"--storage.tsdb.path={directory}/data", stdout=log, stderr=log
        )
    try:
        async with aiohttp.ClientSession(f"http://{own}") as session:
            await _ready(session, process, directory / "log")
            prometheus = Prometheus(session)
            await prometheus.until(f"sum(up) == {len(addresses)}")
            yield prometheus
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _configured(directory: Path, addresses: Sequence[str]) -> Path:
    every = f"{int(SCRAPED_EVERY_S * 1000)}ms"
    configuration = {
        "global": {"scrape_interval": every, "evaluation_interval": "1s"},
        "rule_files": [str(FILES / "alerts.yaml")],
        "scrape_configs": [{"job_name": "phoenix", "static_configs": [{"targets": list(addresses)}]}],
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    return path


async def _ready(session: aiohttp.ClientSession, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(ANSWERS_WITHIN_S):
        while True:
            assert process.returncode is None, _words(log)
            try:
                async with session.get("/-/ready") as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


def _words(log: Path) -> str:
    return log.read_text()
