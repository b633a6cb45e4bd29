"""Twenty makers that reserve at the same instant: coordinators without a worker, on the cell's own ledger."""

import asyncio
from collections.abc import Sequence

from cell import TIMES, Cell
from phoenix_coordination.port import AccountTerms, EmergencyLevel, LeaseGranted, Message, Reservation, Reserved
from phoenix_coordination.redis.coordinator import RedisCoordinator
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
            cell.installation,
            limits,
            Clock(),
            dry_run=False,
            read_holdings=cell.read_holdings,
            times=TIMES,
        )
        self.leads = asyncio.Event()
        self.answer: Reserved | None = None
        self.answered = asyncio.Event()
        self.sequence = 0

    def hear(self, message: Message) -> None:
        match message:
            case LeaseGranted():
                self.leads.set()
            case Reserved(sequence=sequence) if sequence == self.sequence:
                self.answer = message
                self.answered.set()
            case _:
                pass

    def ask(self, steps: int) -> None:
        self.sequence += 1
        self.answered.clear()
        self.coordinator.reserve(Reservation(self.sequence, 0, steps, steps, _STEP_VALUE, 0, 0))


async def reserve_at_once(cell: Cell, size: int = SIZE) -> int:
    """How many had an answer. Each asks for a fifth of the account; the judge sees what was booked."""
    members = [Member(cell, number) for number in range(size)]
    for member in members:
        await member.coordinator.join(cell.keys.account)
        await member.coordinator.start(member.hear)
    try:
        leading = await _until(members, "leads", _LEADS_WITHIN_S)
        for member in leading:
            member.ask(int(cell.plot.net / 5))
        answered = await _until(leading, "answered", _ANSWERS_WITHIN_S)
        for _ in range(_GIVES_BACK):
            for member in leading:
                member.ask(0)
            if len(await _until(leading, "answered", _ANSWERS_WITHIN_S)) == len(leading):
                break
        return len(answered)
    finally:
        for member in members:
            member.coordinator.release()
        await asyncio.gather(*(member.coordinator.stop() for member in members))


async def _until(members: Sequence[Member], event: str, within_s: float) -> list[Member]:
    """Those for whom it happened in time."""
    waiting = [asyncio.create_task(getattr(member, event).wait()) for member in members]
    if waiting:
        await asyncio.wait(waiting, timeout=within_s)
    for task in waiting:
        task.cancel()
    return [member for member in members if getattr(member, event).is_set()]
