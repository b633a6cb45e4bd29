"""What is known of this worker at this moment, for whoever asks: the probes, the publisher, a scrape."""

import math

from msgspec import Struct, structs
from phoenix_coordination.state import Reason, StateRecord

from phoenix_worker.core.instrument import Instrument
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.hot import HotParameters, InForce
from phoenix_worker.runtime.logs import LineWriter
from phoenix_worker.runtime.loop_lag import LoopWatch
from phoenix_worker.runtime.meters import Meters
from phoenix_worker.runtime.metrics import Sample
from phoenix_worker.runtime.peers import Peers
from phoenix_worker.runtime.publisher import Identity, ReasonClock, running_record, starting_record
from phoenix_worker.runtime.recorder import Recorder
from phoenix_worker.runtime.rotation import Rotation
from phoenix_worker.runtime.shell import Shell
from phoenix_worker.venue.binance.gateway import BinanceVenue


class Running(Struct, frozen=True):
    """The parts of a worker whose engine runs."""

    shell: Shell
    instrument: Instrument
    client: BinanceVenue
    recorder: Recorder
    peers: Peers
    rotation: Rotation


class Status:
    """`starting` says why the engine does not run yet; `running` is set once it does."""

    def __init__(
        self,
        identity: Identity,
        hot: HotParameters,
        clock: Clock,
        meters: Meters,
        watch: LoopWatch,
        lines: LineWriter,
    ) -> None:
        self._identity = identity
        self._hot = hot
        self._clock = clock
        self._meters = meters
        self._watch = watch
        self._lines = lines
        self._reasons = ReasonClock()
        self.starting = (Reason.STARTING, "reading the account")
        self.running: Running | None = None

    def wait_for(self, reason: Reason, detail: str) -> None:
        """Why the engine does not run yet, from now on."""
        self.starting = (reason, detail)
        self._reasons.age_ms(reason, self._clock.monotonic_ns())

    def record(self) -> StateRecord:
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        if self.running is None:
            reason, detail = self.starting
            age_ms = self._reasons.age_ms(reason, now_ns)
            return starting_record(
                self._identity, self._hot.in_force, reason, detail, age_ms=age_ms, now_ns=now_ns, wall_ns=wall_ns
            )
        return running_record(
            self._identity,
            self._in_force(self.running.rotation.refused),
            self.running.shell.engine.view(),
            self.running.instrument,
            self._meters,
            self._reasons,
            steward_unseen_ns=self.running.peers.steward_unseen_ns,
            now_ns=now_ns,
            wall_ns=wall_ns,
        )

    def _in_force(self, key_refused: str) -> InForce:
        """A key that lies there and is not used is told beside the parameters of which this can be said."""
        in_force = self._hot.in_force
        if not key_refused:
            return in_force
        return structs.replace(in_force, refused="; ".join(filter(None, (in_force.refused, key_refused))))

    def sample(self) -> Sample:
        """Everything that a scrape looks at."""
        running = self.running
        return Sample(
            self.record(),
            self._meters,
            self._watch,
            view=running.shell.engine.view() if running else None,
            instrument=running.instrument if running else None,
            venue=running.client.statistics() if running else None,
            recorder=running.recorder.statistics() if running else None,
            log_lines_dropped=self._lines.dropped,
            parameters_refused=self._hot.in_force.refusals,
            capital=self._hot.in_force.resolved.capital,
            steward=running.peers.steward_report if running else None,
            beat_s=running.peers.beat_s if running else math.nan,
            beside=running.shell.beside if running else None,
        )

    def not_alive(self) -> str:
        """Why the process cannot make progress. That this is answered at all shows that the loop turns."""
        if not self._watch.is_watching:
            return "the thread that watches the event loop has died"
        if self.running is not None:
            return self.running.shell.failure
        return ""

    def not_started(self) -> str:
        """Why the start is not over. One that waits for the world (a key, the exchange, Redis) has come as far as it
        can by itself: to kill it would heal nothing, and `/readyz` says what it waits for.
        """
        reason, detail = self.starting
        return f"{reason.value}: {detail}" if self.running is None and reason is Reason.STARTING else ""
