"""Whether what is shared can be read and written, as one worker knows it: told when it changes, with the reason."""

from collections.abc import Callable

from phoenix_coordination.port import Message, Reachable, Unreachable
from phoenix_coordination.redis.client import fault_of

BEAT = "beat"


class Reachability:
    """Hears how each kind of request ended: what fails makes it unreachable until that kind is done again.

    Not reachable before the first beat.
    """

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._reachable = False
        self._trouble = ""
        self._troubles: dict[str, str] = {}

    def ended(self, kind: str, error: Exception | None) -> None:
        if error is None:
            self._troubles.pop(kind, None)
        else:
            self._troubles[kind] = fault_of(error)
        trouble = self._troubles.get(BEAT) or next(iter(self._troubles.values()), "")  # the beat's check names the key
        if trouble and trouble != self._trouble:
            self._tell(Unreachable(trouble))
            self._reachable = False
        elif not trouble and not self._reachable and (kind == BEAT or self._trouble):
            self._tell(Reachable())
            self._reachable = True
        self._trouble = trouble
