"""Holes in the heap go back to the system; what stays is not gone through again and again."""

import gc
import platform
from pathlib import Path

import pytest
from phoenix_operator.memory import give_back, settle

HOLE = 4096


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to")
def test_holes_between_what_stays_are_given_back():
    told = [bytes(HOLE) + str(each).encode() for each in range(10_000)]
    kept = told[::100]
    told.clear()
    before = resident_pages()

    give_back()

    assert before - resident_pages() > 5_000, f"beside {len(kept)} that stay"


def test_what_stays_is_not_gone_through_for_garbage():
    kept = [[] for _ in range(1_000)]
    before = gc.get_threshold()
    settle()
    try:
        assert not any(each is kept for each in gc.get_objects())
        assert gc.get_freeze_count() > len(kept)
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
