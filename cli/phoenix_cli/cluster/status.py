"""`phoenix status` of a cluster: from the resources, and from Redis where its URL is given as well."""

import asyncio
import sys

import msgspec
from phoenix_operator.cluster.client import ClusterClient

from phoenix_cli.cluster.place import Place
from phoenix_cli.cluster.reading import connected, of_maker, read_fleet, with_details
from phoenix_cli.cluster.text import fleet_text, maker_text
from phoenix_cli.cluster.view import FleetView
from phoenix_cli.printing import as_json, one_line
from phoenix_cli.status import read_all, worker_lines


def run(place: Place, redis_url: str | None, name: str | None, *, json: bool) -> int:
    """Everything, or one maker with its pods and events; 1 where a part could not be read."""
    fleet = asyncio.run(_read(place, redis_url, name))
    if json:
        sys.stdout.write(as_json(fleet))
    elif name is None:
        sys.stdout.write(fleet_text(fleet, place))
    else:
        sys.stdout.write(_makers_text(fleet, place))
    sys.stderr.writelines(f"phoenix status: {one_line(problem)}\n" for problem in fleet.unread)
    return 1 if fleet.unread else 0


async def _read(place: Place, redis_url: str | None, name: str | None) -> FleetView:
    if name is not None:
        place = place.of_name(name)
    async with connected(place) as client:
        fleet = await read_live(client, place, redis_url)
        return fleet if name is None else await with_details(client, of_maker(fleet, name))


async def read_live(client: ClusterClient, place: Place, redis_url: str | None) -> FleetView:
    """The fleet, with what the workers tell right now where there is a Redis; raises `Refused` for one that is away."""
    if redis_url is None:
        return await read_fleet(client, place)
    accounts = await read_all(redis_url)
    fleet = await read_fleet(client, place, [record for account in accounts for record in account.makers])
    unread = [problem for account in accounts for problem in account.unread]
    return msgspec.structs.replace(fleet, unread=[*fleet.unread, *unread])


def _makers_text(fleet: FleetView, place: Place) -> str:
    texts = []
    for account in fleet.accounts:
        for maker in account.makers:
            live = [f"  {line}" for record in maker.workers for line in worker_lines(record)]
            texts.append(maker_text(maker, account, place) + "".join(f"{line}\n" for line in ["", *live] if live))
    return "\n".join(texts)
