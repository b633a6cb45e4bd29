"""What tests of the flight recorder share."""

import time

from phoenix_worker.runtime.recorder import Recorder


def drained(recorder: Recorder) -> None:
    """Waits until the thread has written what it was given: a market is slower than a disk, a test is not. Without it a
    segment is full when the thread comes to it, which may be after the run.
    """
    recorder.flush()
    while recorder._writer.pending_bytes:
        time.sleep(0.0005)
