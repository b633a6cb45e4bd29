"""Stops a run's children when the runner itself was killed. Standard library only: it starts in milliseconds.

The runner holds the other end of this process' standard input. A line `+RANK PID` registers a child (which leads its
own process group), `-PID` forgets it. End of input means that the runner is gone: SIGTERM goes to one rank after the
other (workers before the exchange, so that they can cancel there), and SIGKILL to whoever is left after `GRACE_S`. An
orderly runner forgets each child before it leaves, and nothing happens.

A parent-death signal of the kernel would do on Linux only, and for all children at once.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 20.0
"""A worker withdraws its quotes within 20 s (trading: shutdown)."""


def follow(lines: Iterable[str]) -> dict[int, int]:
    """Reads registrations until the input ends; returns rank by pid of the children that are left."""
    ranks: dict[int, int] = {}
    for line in lines:
        if line.startswith("+"):
            rank, pid = line[1:].split()
            ranks[int(pid)] = int(rank)
        else:
            ranks.pop(int(line[1:]), None)
    return ranks


def alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def send(pid: int, signum: signal.Signals) -> None:
    try:
        os.killpg(pid, signum)
    except ProcessLookupError:
        return  # it ended by itself: what was wanted


def stop_all(ranks: dict[int, int], grace_s: float) -> None:
    """Ends the children, lowest rank first; a rank has ended before the next one is asked."""
    for rank in sorted(set(ranks.values())):
        group = [pid for pid, its_rank in ranks.items() if its_rank == rank]
        for pid in group:
            send(pid, signal.SIGCONT)  # a paused child could not hear the next one
            send(pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while any(map(alive, group)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in group:
            send(pid, signal.SIGKILL)


if __name__ == "__main__":
    # Whoever stops the runner's process group means the runner; it is this process' job to be the last.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    stop_all(follow(sys.stdin), float(sys.argv[1]) if len(sys.argv) > 1 else GRACE_S)
