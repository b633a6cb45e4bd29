"""Twenty makers that reserve at the same instant: coordinators without a worker, on an account of their own at the
cell's server, so that what they may have is theirs alone to fight for.
"""

import asyncio
from collections.abc import Sequence

from cell import CROWDED, INSTALLATION, Cell
from phoenix_coordination.port import AccountTerms, EmergencyLevel, LeaseGranted, Message, Reservation, Reserved
from phoenix_coordination.redis.coordinator import RedisCoordinator
from phoenix_coordination.redis.ledger import Holding
from phoenix_worker.runtime.clock import Clock

SIZE = 20
_LEADS_WITHIN_S = 4.0
_ANSWERS_WITHIN_S = 1.5
_STEP_VALUE = 1.0
_GIVES_BACK = 4
"""Attempts: a storm may be raging, and what stays booked is room that nobody has."""


class Member:
    """One of them: it leads a symbol that nobody trades."""

    def __init__(self, cell: Cell, number: int) -> None:
        limits = AccountTerms(cell.terms.net_micro, cell.terms.gross_micro, EmergencyLevel.NONE)
        self.coordinator = RedisCoordinator(
            cell.redis.url,
            f"CROWD{number:02d}USDT",
            f"{cell.name}-crowd-{number}/0",
            "local/crowd",
            INSTALLATION,
            limits,
            Clock(),
            dry_run=False,
            read_holdings=_nothing,
            times=cell.plot.times,
        )
        self.leads = asyncio.Event()
        self.granted = 0
        self.answered = asyncio.Event()
        self.sequence = self.asked = 0

    def hear(self, message: Message) -> None:
        match message:
            case LeaseGranted():
                self.leads.set()
            case Reserved(sequence=sequence) if sequence == self.sequence:
                self.granted = message.buy_steps
                if message.buy_steps or not self.asked:  # before the ledger is rebuilt nothing is to be had
                    self.answered.set()
            case _:
                pass

    def ask(self, steps: int) -> None:
        self.sequence += 1
        self.asked = steps
        self.answered.clear()
        self.coordinator.reserve(Reservation(self.sequence, 0, steps, steps, _STEP_VALUE, 0, 0))


async def reserve_at_once(cell: Cell, size: int = SIZE) -> bool:
    """Each asks for a third of the account. Whether some were granted it, and others less: a fight, to be judged."""
    members = [Member(cell, number) for number in range(size)]
    for member in members:
        await member.coordinator.join(CROWDED)
        await member.coordinator.start(member.hear)
    try:
        leading = await _until(members, "leads", _LEADS_WITHIN_S)
        steps = int(cell.plot.net / 3)
        for member in leading:
            member.ask(steps)
        await _until(leading, "answered", _ANSWERS_WITHIN_S)
        granted = [member.granted for member in leading]
        for _ in range(_GIVES_BACK):
            for member in leading:
                member.ask(0)
            if len(await _until(leading, "answered", _ANSWERS_WITHIN_S)) == len(leading):
                break
        return max(granted, default=0) > 0 and min(granted, default=0) < steps
    finally:
        for member in members:
            member.coordinator.release()
        await asyncio.gather(*(member.coordinator.stop() for member in members))


async def _nothing() -> list[Holding]:
    return []


async def _until(members: Sequence[Member], event: str, within_s: float) -> list[Member]:
    """Those for whom it happened in time."""
    waiting = [asyncio.create_task(getattr(member, event).wait()) for member in members]
    if waiting:
        await asyncio.wait(waiting, timeout=within_s)
    for task in waiting:
        task.cancel()
    return [member for member in members if getattr(member, event).is_set()]
