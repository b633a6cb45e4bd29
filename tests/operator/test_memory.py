"""Holes in the heap go back to the system."""

import platform
from pathlib import Path

import pytest
from phoenix_operator.memory import give_back

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
