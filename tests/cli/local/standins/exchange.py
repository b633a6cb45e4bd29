"""A stand-in for the simulated exchange: its announcement and its control interface, with books that are given.

STANDIN_BOOKS is what GET /sim/account says by symbol, STANDIN_VIOLATIONS what the audit counts, STANDIN_VERDICTS what
is said of the scenario; what was declared and scheduled goes to the file STANDIN_JOURNAL, one JSON line each.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

JOURNAL = Path(os.environ["STANDIN_JOURNAL"])


def remember(entry: dict[str, object]) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(json.dumps(entry) + "\n")


async def note(request: web.Request) -> web.Response:
    body = await request.json()
    remember({"path": request.path, "body": body})
    if request.path == "/sim/account":
        return web.json_response({"apiKey": "the-key", "apiSecret": "the-secret"})
    return web.json_response({})


async def books(_: web.Request) -> web.Response:
    return web.json_response({"symbols": json.loads(os.environ.get("STANDIN_BOOKS", "{}"))})


async def market(_: web.Request) -> web.Response:
    return web.json_response({"ended": os.environ.get("STANDIN_ENDED", "").split()})


async def audit(_: web.Request) -> web.Response:
    return web.json_response(
        {"violations": {"leftBehind": int(os.environ.get("STANDIN_VIOLATIONS", "0")), "exposure": 0}, "examples": []}
    )


async def verdicts(_: web.Request) -> web.Response:
    return web.json_response(json.loads(os.environ.get("STANDIN_VERDICTS", "[]")))


async def serve() -> None:
    app = web.Application()
    app.router.add_post("/sim/account", note)
    app.router.add_post("/sim/audit", note)
    app.router.add_post("/sim/fault", note)
    app.router.add_post("/sim/market", note)
    app.router.add_get("/sim/account/{key}", books)
    app.router.add_get("/sim/audit", audit)
    app.router.add_get("/sim/market", market)
    app.router.add_get("/sim/scenario", verdicts)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    sys.stdout.write(json.dumps({"url": f"http://{host}:{port}"}) + "\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    if "STANDIN_EXCHANGE_ENDS" in os.environ:
        sys.exit("the tape has run out")
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    if "STANDIN_EXCHANGE_FAILS" in os.environ:
        sys.exit("capture.gz: line 3 is no message of the venue")
    asyncio.run(serve())
