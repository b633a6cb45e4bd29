"""Who else wants our fields. A correction now and then is drift; one after the other is a fight, which nobody wins by
being faster: then we say who it is, and correct ever more seldom.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from phoenix_operator.names import FIELD_MANAGER, Annotation

FREE = 3
"""Corrections of one object within `FORGOTTEN_S` that are drift."""
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 600.0
FORGOTTEN_S = 1200.0
_REMEMBERED = 1000


class _Corrections(msgspec.Struct):
    count: int = 0
    last_s: float = 0.0


class Fights:
    """Corrections of children, by kind, namespace and name. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._corrections: dict[tuple[str, str, str], _Corrections] = {}

    def wait_s(self, child: tuple[str, str, str], now_s: float) -> float:
        """How long the next correction has to wait; 0 where it may be made now."""
        known = self._corrections.get(child)
        if known is None or known.count <= FREE:
            return 0.0
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (known.count - FREE - 1))
        return max(0.0, known.last_s + wait - now_s)

    def corrected(self, child: tuple[str, str, str], now_s: float) -> bool:
        """Whether this correction makes it a fight that is worth a word."""
        if len(self._corrections) > _REMEMBERED:
            self._corrections = {name: each for name, each in self._corrections.items() if _is_fresh(each, now_s)}
        known = self._corrections.setdefault(child, _Corrections())
        if not _is_fresh(known, now_s):
            known.count = 0
        known.count, known.last_s = known.count + 1, now_s
        return known.count == FREE + 1


def _is_fresh(corrections: _Corrections, now_s: float) -> bool:
    return now_s - corrections.last_s <= FORGOTTEN_S


def is_correction(wished: Mapping[str, Any], live: Mapping[str, Any] | None) -> bool:
    """Whether somebody else has changed what we wrote: what is wished is what was wished, and yet it differs."""
    if live is None:
        return False
    key = Annotation.WISHED.value
    annotations = live["metadata"].get("annotations") or {}
    return key in annotations and annotations[key] == wished["metadata"]["annotations"].get(key)


def other_manager(live: Mapping[str, Any]) -> str:
    """Who wrote last and is not us, "somebody" where the API server does not say."""
    others = [each for each in live["metadata"].get("managedFields") or () if each.get("manager") != FIELD_MANAGER]
    latest = max(others, key=lambda each: str(each.get("time", "")), default=None)
    return str(latest["manager"]) if latest is not None and latest.get("manager") else "somebody"
