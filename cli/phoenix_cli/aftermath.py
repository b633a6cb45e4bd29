"""What is left of an account after its stop: orders that rest and, where it is flattened, positions that are open.

The exchange is asked, where a run on this machine has the key; else the makers, who tell every second. Of a symbol
whose leader tells nothing nobody can say what rests: that is told, and is no "nothing".
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
from phoenix_coordination.order_id import parse
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.redis.account import Account, LeaseState, SwitchState
from phoenix_coordination.redis.keys import OFFICE
from phoenix_coordination.redis.records import Published
from phoenix_coordination.state import Mode, Role, StateRecord

from phoenix_cli.local.runfile import AccountFiles, RunFile

if TYPE_CHECKING:
    from phoenix_worker.venue.binance.account import AccountReader  # half a second

_TELL_WITHIN_S = 5.0
_CLOSE_WITHIN_S = 20.0
"""From the stop: quotes go first, then one reducing order after the other fills, as fast as the book allows."""
_LISTEN_S = 0.1
_LOOKS_S = (0.0, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0)
"""Pauses between looks at the exchange: each costs the egress request weight that the makers' cancels want too."""


class Held(msgspec.Struct, frozen=True):
    """A position: base units, signed."""

    symbol: str
    quantity: Decimal


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen last, and how long after the stop that was. `orders`: of ours, that rest.

    `open`: positions that the makers close; None where the stop closes none. `apart`: those in symbols that no maker
    of ours has ever led, which are a person's and stay. `unsure`: why there may be more than that, in clauses.
    """

    orders: int
    orders_ms: int
    open: list[Held] | None = None
    open_ms: int = 0
    apart: list[Held] = []
    unsure: list[str] = []


class Since:
    """Milliseconds and seconds since the stop."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    @property
    def s(self) -> float:
        return time.monotonic() - self._began_s

    @property
    def ms(self) -> int:
        return round(self.s * 1000)


async def on_exchange(run: RunFile, files: AccountFiles, account: Account, switch: SwitchState, since: Since) -> Left:
    """As soon as nothing is left there, or after the last look; raises `Refused` where it cannot be asked."""
    # What reads the exchange takes half a second to import: the stop has left by now, and that is why it is here.
    from phoenix_cli.local.signed import reader_of  # noqa: PLC0415 - see above

    closing = switch.level is EmergencyLevel.FLATTEN
    async with reader_of(run, files) as reader:
        resting = 0
        for pause_s in _LOOKS_S:
            await asyncio.sleep(pause_s)
            resting = await _resting_there(reader, closing=closing)
            if not resting:
                break
        orders_ms = since.ms
        if not closing:
            return Left(orders=resting, orders_ms=orders_ms)
        led = {lease.symbol for lease in await account.leases() if not lease.dry_run}
        led |= {maker.symbol for maker in run.view.makers}  # also where Redis has forgotten who led
        pauses_s = iter(_LOOKS_S)
        while True:
            if resting:  # of a worker that hangs: they are withdrawn by its successor, or the steward
                resting, orders_ms = await _resting_there(reader, closing=closing), since.ms
            held = [Held(row.symbol, row.qty) for row in await reader.positions() if row.qty]
            still = [each for each in held if each.symbol in led]
            if not (resting or still) or since.s > _CLOSE_WITHIN_S:
                apart = [each for each in held if each.symbol not in led]
                return Left(orders=resting, orders_ms=orders_ms, open=still, open_ms=since.ms, apart=apart)
            await asyncio.sleep(next(pauses_s, _LOOKS_S[-1]))


async def _resting_there(reader: "AccountReader", *, closing: bool) -> int:
    """Orders of ours; where positions are closed without those that close, which may rest a while."""
    ours = [order for order in await reader.open_orders() if parse(order.client_id) is not None]
    return sum(not (closing and order.reduce_only) for order in ours)


async def told_by_makers(account: Account, switch: SwitchState, since: Since) -> Left:
    """As soon as all have heard of the stop and have nothing, or after a while."""
    closing = switch.level is EmergencyLevel.FLATTEN
    orders_ms = 0
    while True:
        leases = await account.leases()
        published = await account.records()
        records = [record for record in published.records if record.mode is Mode.LIVE]
        unsure = _unsure(published, [lease for lease in leases if not lease.dry_run and lease.symbol != OFFICE])
        resting = sum(_resting(record, switch.epoch) for record in records)
        still = _positions(records) if closing else None
        orders_ms = since.ms if resting or not orders_ms else orders_ms
        over = since.s > (_CLOSE_WITHIN_S if still and not (resting or unsure) else _TELL_WITHIN_S)
        if over or not (resting or still or unsure):
            return Left(orders=resting, orders_ms=orders_ms, open=still, open_ms=since.ms, unsure=unsure)
        await asyncio.sleep(_LISTEN_S)


def _unsure(published: Published, leases: Sequence[LeaseState]) -> list[str]:
    """Why more may be left than the makers tell: a record lives 15 s, the orders of a worker that hangs live on.

    A symbol is known where its leader tells, or where who led it last has given it up, which it does once nothing of
    its own rests.
    """
    lease_of = {lease.symbol: lease for lease in leases}
    live = [record for record in published.records if record.mode is Mode.LIVE]
    unsure = [*published.problems] if published.records else ["no maker tells anything", *published.problems]
    for symbol in sorted({*lease_of, *(record.symbol for record in live)}):
        lease = lease_of.get(symbol)
        if lease is not None and lease.released:
            continue
        if not any(_tells(record, lease) for record in live if record.symbol == symbol):
            leader = "nobody is known to lead it" if lease is None else f"its leader {lease.holder} tells nothing of it"
            unsure.append(f"{symbol}: {leader}")
    return unsure


def _tells(record: StateRecord, lease: LeaseState | None) -> bool:
    """Whether it is the leader's word, of one who has read what the exchange has of the symbol."""
    if record.role not in (Role.LEADING, Role.DRAINING) or not record.token:
        return False
    return lease is None or (record.holder, record.token) == (lease.holder, lease.token)


def _resting(record: StateRecord, epoch: int) -> int:
    """Of a worker that has not heard yet it is not known: at least one."""
    return max(len(record.quotes.bids) + len(record.quotes.asks), int(record.emergency.epoch < epoch))


def _positions(records: Iterable[StateRecord]) -> list[Held]:
    """Of each symbol what its leader tells, or who was heard last: a standby may know an older one."""
    latest: dict[str, StateRecord] = {}
    for record in sorted(records, key=lambda record: (record.role is Role.LEADING, record.published_ms)):
        latest[record.symbol] = record
    held = [Held(symbol, Decimal(record.position.qty)) for symbol, record in sorted(latest.items())]
    return [each for each in held if each.quantity]


def listed(positions: Sequence[Held]) -> str:
    """`BTCUSDT 0.012, ETHUSDT -0.3`."""
    return ", ".join(f"{each.symbol} {each.quantity:f}" for each in positions)
