"""The place beside the live engine: a shadow stands there while parameters for one are in force, and fails alone.

Whatever it raises is counted, logged and recorded, and ends it until parameters change; the live engine goes on.
"""

import time

from phoenix_worker.core.actions import AnyAction, encode_actions
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.events import AnyEvent, ParametersSet
from phoenix_worker.core.shadow import Shadow
from phoenix_worker.core.view import View
from phoenix_worker.runtime.histogram import Histogram
from phoenix_worker.runtime.logs import Log
from phoenix_worker.runtime.recording import failure_of
from phoenix_worker.runtime.redaction import stack_of


class Beside:
    """`step` after each event of the live engine. `failures` counts shadows that ended by a defect; `cost` is what one
    event takes there. Without a log (a replay) nothing is said.
    """

    def __init__(self, log: Log | None = None, keyframe: bytes = b"") -> None:
        """Raises `msgspec.DecodeError` where the keyframe is of another build."""
        self.shadow = Shadow.from_keyframe(keyframe) if keyframe else None
        self.failures = 0
        self.cost = Histogram()
        self._log = log

    def step(self, event: AnyEvent, live: Engine) -> bytes:
        """What the shadow asks for because of `event`, which `live` has handled: encoded, as it is recorded."""
        if self.shadow is None and type(event) is not ParametersSet:
            return b""
        began_ns = time.perf_counter_ns()
        try:
            actions = self._step(event, live)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the live engine
            self._failed(event, error)
            return failure_of(error)
        self.cost.observe(time.perf_counter_ns() - began_ns)
        return encode_actions(actions) if actions else b""

    def keyframe(self) -> bytes:
        """Of the shadow as it is; empty while there is none."""
        return self.shadow.keyframe() if self.shadow is not None else b""

    def view(self) -> View | None:
        return self.shadow.engine.view() if self.shadow is not None else None

    def _step(self, event: AnyEvent, live: Engine) -> list[AnyAction]:
        if type(event) is ParametersSet:
            if event.shadow is None:
                if self.shadow is not None:
                    self._say("shadow ended", hash=event.revision)
                self.shadow = None
                return []
            if self.shadow is None:
                self.shadow = Shadow.beside(live, event.shadow, event.revision)
                self._say("shadow begins", hash=event.revision)
                return self.shadow.begin(live)
        return self.shadow.on(event, live) if self.shadow is not None else []

    def _failed(self, event: AnyEvent, error: Exception) -> None:
        self.shadow = None
        self.failures += 1
        if self._log is not None:
            text = "the shadow failed and is off until parameters change; the live engine is not touched"
            self._log.error("shadow failed", text=text, event_kind=type(event).__name__, stack=stack_of(error))

    def _say(self, what: str, **fields: object) -> None:
        if self._log is not None:
            self._log.info(what, **fields)
