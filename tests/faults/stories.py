"""One short story for each safeguard, in which it alone stands between a fault and a violation."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from signal import SIGCONT, SIGKILL

from cell import Cell
from controls import Deed, Failpoint
from history import Booked
from proxy import Weather
from workers import Slot

_MET_WITHIN_S = 60.0
"""A machine that is busy with other things needs its time."""
_LOOK_S = 0.005
_TAKE_EVERY_S = 0.4
_WARM_S = 1.5
_LONGER_THAN_A_LEASE_S = 1.6
"""And shorter than the receive window that people set, which would refuse the order all the same."""

Story = Callable[[Cell], Awaitable[None]]


async def frozen_before_the_bytes(cell: Cell) -> None:
    """A leader sleeps between its last look at the clock and the bytes of an order, for longer than its lease."""
    await _freeze_as_it_begins(cell, cell.plot.symbols[0], Failpoint.CHECKED)


async def frozen_after_the_gate(cell: Cell) -> None:
    """A leader sleeps between the gate and the venue."""
    await _freeze_as_it_begins(cell, cell.plot.symbols[0], Failpoint.APPROVED)


async def frozen_before_an_amend(cell: Cell) -> None:
    """A leader sleeps before the bytes of an amend, and nobody is there to take its orders away meanwhile."""
    symbol = cell.plot.symbols[0]
    await cell.quoting(_MET_WITHIN_S)
    standby = cell.standby(symbol)
    assert standby is not None
    standby.redis.change(Weather.HELD)
    await _freeze_at(cell, symbol, Failpoint.AMENDING)
    standby.redis.change(Weather.FAIR)


async def frozen_before_it_reserves(cell: Cell) -> None:
    """A leader sleeps before its reservation leaves, and wakes when another one has reserved."""
    for symbol in cell.plot.symbols:
        await cell.quoting(_MET_WITHIN_S)
        leader, token = await _leader(cell, symbol), cell.leases[symbol].token
        await _sleeps(cell, leader, Failpoint.RESERVING)
        deadline = time.monotonic() + _MET_WITHIN_S
        while not any(isinstance(fact, Booked) and fact.symbol == symbol and fact.token > token for fact in cell.facts):
            assert time.monotonic() < deadline, f"nobody has reserved for {symbol} after {leader.process}"
            await asyncio.sleep(_LOOK_S)
        await _wakes(leader)


async def deleted_while_one_is_away(cell: Cell) -> None:
    """The ledger is lost, and no lease with it, while one of two makers cannot be reached: what it holds is in nobody's
    sum. The account does not admit what both would like, so each of them is let have more by that, or the other.
    """
    for symbol in cell.plot.symbols * 2:
        await cell.quoting(_MET_WITHIN_S)
        away = await _leader(cell, symbol)
        away.redis.change(Weather.HELD)
        await cell.account.client.execute_command("DEL", cell.account.keys.ledger)
        await asyncio.sleep(_LONGER_THAN_A_LEASE_S)
        away.redis.change(Weather.FAIR)


async def _freeze_at(cell: Cell, symbol: str, failpoint: Failpoint) -> None:
    """The leader, at the next order that it places or moves."""
    await cell.quoting(_MET_WITHIN_S)
    await _meets(cell, await _leader(cell, symbol), failpoint)


async def _freeze_as_it_begins(cell: Cell, symbol: str, failpoint: Failpoint) -> None:
    """The successor, at the first of all the orders that it places: some of them would be taken at any price."""
    await cell.quoting(_MET_WITHIN_S)
    leader, standby = await _leader(cell, symbol), cell.standby(symbol)
    assert standby is not None
    await asyncio.sleep(_WARM_S)
    leader.signal(SIGKILL)
    await _meets(cell, standby, failpoint)


async def _meets(cell: Cell, slot: Slot, failpoint: Failpoint) -> None:
    await _sleeps(cell, slot, failpoint)
    await asyncio.sleep(_LONGER_THAN_A_LEASE_S)
    await _wakes(slot)


async def _wakes(slot: Slot) -> None:
    slot.signal(SIGCONT)
    await asyncio.sleep(0.5)


async def _sleeps(cell: Cell, slot: Slot, failpoint: Failpoint) -> None:
    assert slot.controls is not None
    slot.controls.arm(failpoint, Deed.FREEZE)
    next_take = time.monotonic()
    deadline = next_take + _MET_WITHIN_S
    while not slot.controls.acted:
        assert time.monotonic() < deadline, f"{slot.process} never came by {failpoint.name}"
        if time.monotonic() >= next_take:
            if failpoint is not Failpoint.AMENDING:
                cell.exchange.take(slot.symbol)  # a fill makes it place another order, and reserve for it
            next_take += _TAKE_EVERY_S
        await asyncio.sleep(_LOOK_S)


async def _leader(cell: Cell, symbol: str) -> Slot:
    deadline = time.monotonic() + _MET_WITHIN_S
    while (slot := cell.leader(symbol)) is None:
        assert time.monotonic() < deadline, f"nobody leads {symbol}"
        await asyncio.sleep(_LOOK_S)
    return slot
