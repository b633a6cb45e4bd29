"""What is free goes back to the system, and what stays is not gone through for garbage.

The C library keeps freed memory that lies below anything younger, and a list or a burst of changes leaves such holes:
at a thousand makers some megabytes, after much coming and going any number.
"""

import asyncio
import ctypes
import gc
from collections.abc import Callable

PERIOD_S = 60.0
_YOUNG = 5_000
"""Objects between two searches for garbage, by default 700: a round makes some hundreds, and hardly any cycles."""


def give_back() -> None:
    """Takes under a millisecond. Nothing happens where the C library is not glibc."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def settle() -> None:
    """What is there now is taken for lasting: the search for garbage, which would go through all of it again and again,
    leaves it out. It goes all the same when nobody needs it, unless it is a cycle by then.
    """
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    gc.collect()
    gc.freeze()


async def keep_giving_back() -> None:
    """Once a minute, until cancelled."""
    while True:
        await asyncio.sleep(PERIOD_S)
        give_back()
