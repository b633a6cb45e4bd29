"""What the storm can do inside a worker while it runs: one small shared file for each process.

The launcher wraps failpoints round shell, venue and coordinator, none of them in the packages; an armed one acts once,
when the worker comes by.
"""

import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path
from typing import Self

_SIZE = 64
_LAYOUT = struct.Struct("<BBBxxxxxq")
"""Failpoint armed, what it does, whether it has, and the jump of the wall clock in ns."""


class Failpoint(IntEnum):
    """Where a worker can be caught."""

    NOWHERE = 0
    APPROVED = 1
    """Between the gate and the venue: a new order is approved and nothing else has looked at the clock yet."""
    CHECKED = 2
    """After the last look at the clock, before the bytes of a new order."""
    SENT = 3
    """The bytes of a new order have left."""
    CANCEL = 4
    RESERVING = 5
    """Before the reservation is asked for."""
    RESERVED = 6
    """It was answered, and nobody has heard the answer yet."""
    BEATING = 7
    """Before a heartbeat."""
    BEATEN = 8
    """It was answered, and nobody has heard the answer yet."""
    GRANTED = 9
    """The lease was granted, and the shell has not heard of it."""
    REBUILDING = 10
    """The account was read from the exchange, and is not written to the ledger yet."""
    RELEASING = 11
    RAISING = 12
    """An emergency is about to be raised."""
    REMEMBERING = 13
    """The memory is about to be saved."""
    AMENDING = 14
    """After the last look at the clock, before the bytes of an amend."""


class Deed(IntEnum):
    FREEZE = 0
    """It stops itself (SIGSTOP); whoever armed it wakes it."""
    DIE = 1


class Controls:
    """The file as both sides see it."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @classmethod
    def create(cls, path: Path) -> Self:
        path.write_bytes(bytes(_SIZE))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        descriptor = os.open(path, os.O_RDWR)
        try:
            return cls(mmap.mmap(descriptor, _SIZE))
        finally:
            os.close(descriptor)

    # -- the storm's side --------------------------------------------------------------------------

    def arm(self, failpoint: Failpoint, deed: Deed) -> None:
        self._memory[2] = 0
        self._memory[1] = deed
        self._memory[0] = failpoint

    def disarm(self) -> None:
        self._memory[0] = Failpoint.NOWHERE

    @property
    def acted(self) -> bool:
        return self._memory[2] == 1

    def jump(self, by_ns: int) -> None:
        """The wall clock of the process is off by so much from now on."""
        struct.pack_into("<q", self._memory, 8, by_ns)

    # -- the worker's side -------------------------------------------------------------------------

    @property
    def armed(self) -> int:
        return self._memory[0]

    def act(self) -> Deed:
        """The armed failpoint was met: it acts once."""
        self._memory[0] = Failpoint.NOWHERE
        self._memory[2] = 1
        return Deed(self._memory[1])

    @property
    def jump_ns(self) -> int:
        value: int = struct.unpack_from("<q", self._memory, 8)[0]
        return value


assert _LAYOUT.size <= _SIZE
