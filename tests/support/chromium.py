"""A real Chromium without a window, driven through its DevTools protocol: as much of it as a test of a page needs."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_STARTS_WITHIN_S = 30.0
_WITHIN_S = 20.0
_LOOK_S = 0.05
_KEYS = {"Enter": (13, "\r"), "Escape": (27, "")}
"""Code, and what it types."""


def found() -> str | None:
    """The program: what CHROMIUM names, or the first on PATH; None where there is none."""
    named = os.environ.get("CHROMIUM", "")
    return next(filter(None, map(shutil.which, (named,) if named else NAMES)), None)


class Tab:
    """One page of it. `errors`: whatever the page has thrown, or the browser has refused it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.errors: list[str] = []
        self.requests: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._waiting.pop(told["id"]).set_result(told)
            elif told["method"] == "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description", details["text"]))
            elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.errors.append(told["params"]["entry"]["text"])
            elif told["method"] == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_WITHIN_S):
            told = await answer
        assert "error" not in told, told["error"]
        result: dict[str, Any] = told["result"]
        return result

    async def open(self, url: str, *, width: int = 1440, height: int = 900, dark: bool = False) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.ask(f"{domain}.enable")
        await self.look_like(width=width, height=height, dark=dark)
        await self.ask("Page.navigate", url=url)

    async def look_like(self, *, width: int, height: int, dark: bool) -> None:
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])

    async def value(self, expression: str) -> Any:
        told = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, expression: str) -> Any:
        """The first value of it that is true."""
        value = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WITHIN_S):
                while not (value := await self.value(expression)):  # noqa: ASYNC110 - what is waited for is in the page
                    await asyncio.sleep(_LOOK_S)
        assert value, f"never in the page: {expression}; it says: {await self.value('document.body.innerText')}"
        return value

    async def press(self, key: str) -> None:
        code, text = _KEYS[key]
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **typed)

    async def screenshot(self) -> bytes:
        """A PNG of what is seen."""
        return base64.b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])


@contextlib.asynccontextmanager
async def browser(program: str) -> AsyncIterator[Tab]:
    """One that knows nobody, ended afterwards with all its processes."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as home:
        process = await asyncio.create_subprocess_exec(
            program,
            "--headless=new",
            "--no-sandbox",  # it shows pages of ours alone, and containers have no user namespaces for it
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-background-networking",
            "--no-first-run",
            "--remote-debugging-port=0",
            f"--user-data-dir={home}",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"HOME": home},
        )
        try:
            async with asyncio.timeout(_STARTS_WITHIN_S):
                port = await _port(process)
            async with aiohttp.ClientSession() as http:
                async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [each for each in await answer.json() if each["type"] == "page"]
                async with http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    tab = Tab(socket)
                    listening = asyncio.create_task(tab.listen())
                    yield tab
                    listening.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    said = b""
    while line := await process.stderr.readline():
        said += line
        if listening := re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line):
            return int(listening[1])
    raise AssertionError(f"it has ended: {said.decode(errors='replace')}")
