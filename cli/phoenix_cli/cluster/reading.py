"""Asks a cluster for what a command shows. A part that cannot be read is named, and hides no other."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from phoenix_coordination.state import StateRecord
from phoenix_operator.cluster.client import ClusterClient, connect
from phoenix_operator.cluster.faults import ClusterFault
from phoenix_operator.cluster.resources import CORE_EVENTS, MARKET_MAKERS, PODS, TRADING_ACCOUNTS
from phoenix_operator.names import Label

from phoenix_cli.cluster.place import Place, current_context, kubeconfig_files
from phoenix_cli.cluster.resources import event_views, figures_of, fleet_of, pod_views
from phoenix_cli.cluster.view import AccountView, FleetView, MakerView
from phoenix_cli.refusal import Refused

TIMEOUT_S = 5.0
_EVENTS = 12

Part = TypeVar("Part")


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[ClusterClient]:
    """A client of the cluster; raises `Refused` where there is none, and what it refuses that nobody catches."""
    # Said rather than left to the library, which takes another of several files' current contexts than kubectl does.
    context = place.context or current_context(place.kubeconfig)
    files = os.pathsep.join(map(str, kubeconfig_files(place.kubeconfig))) or place.kubeconfig
    if place.context is not None and files is None:
        raise Refused(f"--context {place.context}: there is no kubeconfig to look it up in: name one with --kubeconfig")
    try:
        async with connect(files, context, TIMEOUT_S, field_manager="phoenix-cli") as client:
            yield client
    except ClusterFault as fault:
        raise Refused(str(fault)) from None


async def read_fleet(client: ClusterClient, place: Place, records: Sequence[StateRecord] = ()) -> FleetView:
    """Every account and maker of the namespace, or of all; with the live figures of `records`, where there are any.

    Raises `Refused` where neither makers nor accounts can be read.
    """
    namespace = None if place.everywhere else place.namespace or client.namespace
    (accounts, makers), unread = await _parts(
        client.list(TRADING_ACCOUNTS, namespace), client.list(MARKET_MAKERS, namespace)
    )
    if accounts is None and makers is None:
        raise Refused(unread[0])
    found = [with_records(account, records) for account in fleet_of(accounts or [], makers or [], _now_ms())]
    if accounts is None:
        found = [msgspec.structs.replace(account, there=True) for account in found]  # nobody knows
    return FleetView(cluster=client.place, namespace=namespace or "", accounts=found, unread=unread)


async def with_details(client: ClusterClient, fleet: FleetView) -> FleetView:
    """The same with the pods and events of every maker: a few requests for each."""
    unread = list(fleet.unread)
    accounts = []
    for account in fleet.accounts:
        makers = [await _detailed(client, maker, unread) for maker in account.makers]
        accounts.append(msgspec.structs.replace(account, makers=makers))
    return msgspec.structs.replace(fleet, accounts=accounts, unread=list(dict.fromkeys(unread)))


async def _detailed(client: ClusterClient, maker: MakerView, unread: list[str]) -> MakerView:
    about = f"involvedObject.kind=MarketMaker,involvedObject.name={maker.name}"
    (pods, events), faults = await _parts(
        client.list(PODS, maker.namespace, label_selector=f"{Label.MAKER}={maker.name}"),
        client.list(CORE_EVENTS, maker.namespace, field_selector=about),
    )
    unread += faults
    return msgspec.structs.replace(
        maker,
        pods=None if pods is None else pod_views(pods, _now_ms()),
        events=None if events is None else event_views(events, _EVENTS, _now_ms()),
    )


def of_maker(fleet: FleetView, name: str) -> FleetView:
    """Only the maker of that `[namespace/]name`, or those of that symbol; raises `Refused` where there is none."""
    wanted = name.lower().rpartition("/")[2]
    accounts = [
        msgspec.structs.replace(account, makers=makers)
        for account in fleet.accounts
        if (makers := [maker for maker in account.makers if wanted in (maker.name, maker.symbol.lower())])
    ]
    if not accounts:
        if fleet.unread:  # it may be among what could not be read
            raise Refused("; ".join(fleet.unread))
        there = ", ".join(maker.full_name for maker in fleet.makers) or "none"
        where = f"in namespace {fleet.namespace}" if fleet.namespace else "in any namespace"
        raise Refused(f"no maker {wanted} {where} of {fleet.cluster}; there are: {there}")
    return msgspec.structs.replace(fleet, accounts=accounts)


def with_records(account: AccountView, records: Sequence[StateRecord]) -> AccountView:
    """What the workers tell right now, in place of the figures of the status."""
    of_key: dict[tuple[str, str], list[StateRecord]] = {}
    for record in records:
        of_key.setdefault((record.namespace, record.maker), []).append(record)
    makers = [
        msgspec.structs.replace(maker, workers=told, figures=figures_of(told) or maker.figures)
        if (told := of_key.get(maker.key))
        else maker
        for maker in account.makers
    ]
    return msgspec.structs.replace(account, makers=makers)


async def _parts(*parts: Awaitable[Part]) -> tuple[list[Part | None], list[str]]:
    """Side by side: each part, None where it could not be read; and why, once each, in the order of the parts."""
    found: list[Part | None] = []
    unread: list[str] = []
    for told in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(told, ClusterFault):
            found.append(None)
            unread.append(str(told))
        elif isinstance(told, BaseException):
            raise told
        else:
            found.append(told)
    return found, list(dict.fromkeys(unread))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
