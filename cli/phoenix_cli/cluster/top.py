"""`phoenix top` of a cluster: read again every other second, shown until the person leaves."""

import asyncio
import sys
import time

from rich.console import Console

from phoenix_cli.cluster.place import Place
from phoenix_cli.cluster.reading import connected
from phoenix_cli.cluster.screen import FleetScreen
from phoenix_cli.cluster.status import read_live
from phoenix_cli.cluster.text import age, fleet_text
from phoenix_cli.cluster.view import FleetView
from phoenix_cli.printing import as_json, one_line
from phoenix_cli.refusal import Refused
from phoenix_cli.screen import ScreenOutput

_REFRESH_S = 2.0
"""Two lists each time: a screen must not cost the API server more than a person's glance is worth."""

_READING_SHARE = 5
"""Of a large fleet one reading takes long: then it pauses for so many times as long."""


def run(place: Place, redis_url: str | None, *, json: bool, plain: bool) -> int:
    """Once as JSON or text, with 1 where a part could not be read; else the screen, which Ctrl-C ends."""
    if not (json or plain):
        asyncio.run(_follow(place, redis_url))
        return 0
    fleet = asyncio.run(_once(place, redis_url))
    sys.stdout.write(as_json(fleet) if json else fleet_text(fleet, place))
    sys.stderr.writelines(f"phoenix top: {one_line(problem)}\n" for problem in fleet.unread)
    return 1 if fleet.unread else 0


async def _once(place: Place, redis_url: str | None) -> FleetView:
    async with connected(place) as client:
        return await read_live(client, place, redis_url)


async def _follow(place: Place, redis_url: str | None) -> None:
    """What cannot be read for a while stays on the screen, marked as old; what cannot be read at first is refused."""
    async with connected(place) as client:
        fleet, told_s = await read_live(client, place, redis_url), time.monotonic()
        with ScreenOutput(Console()) as screen:
            stale, took_s = "", 0.0
            while True:
                screen.show(FleetScreen(fleet, stale))
                await asyncio.sleep(max(_REFRESH_S, _READING_SHARE * took_s))
                began_s = time.monotonic()
                try:
                    fleet, stale = await read_live(client, place, redis_url), ""
                    told_s = time.monotonic()
                    took_s = told_s - began_s
                except Refused as refusal:
                    stale = f"{age(time.monotonic() - told_s)} old: {refusal}"
