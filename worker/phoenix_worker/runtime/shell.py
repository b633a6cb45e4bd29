"""The shell round the engine: the one place where events come in, actions go out, and time passes.

Everything runs on the event loop and nothing waits: an event is taken, its actions are begun, what they lead to comes
back as events. What is told while an event is being handled is handled right after it, in the order of telling.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from phoenix_coordination.port import (
    BudgetGranted,
    Coordinator,
    EmergencyChanged,
    HaltChanged,
    LeaseGranted,
    LeaseLost,
    LeaseRenewed,
    Message,
    Reachable,
    Reservation,
    Reserved,
    Snapshot,
    Unreachable,
)
from phoenix_coordination.port import EmergencyLevel as SharedLevel

from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import (
    Amend,
    AnyAction,
    ArmDeadMan,
    Cancel,
    CancelAll,
    Exit,
    FetchDay,
    FetchFunding,
    FetchMinutes,
    FetchSnapshot,
    FetchTouch,
    FetchTruth,
    HaltSymbol,
    HandOver,
    Note,
    NoteKind,
    Place,
    Purpose,
    QueryOrder,
    RaiseEmergency,
    Reconnect,
    ReleaseLease,
    Reserve,
)
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.instrument import Instrument
from phoenix_worker.runtime.beside import Beside
from phoenix_worker.runtime.clock import Clock
from phoenix_worker.runtime.logs import SAMPLED, Log
from phoenix_worker.runtime.meters import Meters
from phoenix_worker.runtime.recorder import Recorder
from phoenix_worker.runtime.redaction import stack_of
from phoenix_worker.venue.port import Venue

TICK_SECONDS = 0.05
_LEAST_TICK_S = 0.005
"""Life's: a clock that is more than ten times as fast as life makes each tick do more, not more of them."""
WITHDRAW_SECONDS = 17.0
"""Life's seconds that an orderly stop may take before it is given up; closing needs the rest of the 20."""
FAILED_SECONDS = 3.0
"""After the engine failed or gave up: how long its last cancels may take."""
_BINDS_THE_NEXT = frozenset({Purpose.GRIND, Purpose.REENTRY, Purpose.LIQUIDATE})
"""What whoever leads next is bound by: a grind that it continues and counts, a cool-down that follows."""
_NEVER_SAMPLED = frozenset({NoteKind.FILL, NoteKind.HALT, NoteKind.PARAMETERS, NoteKind.SHUTDOWN})


class Shell:
    """Runs one engine, and the shadow beside it. `ended` is the exit status, once there is one, and `ending` why.

    `granted` hears what of the shared budgets may be used, which is the venue's business.
    """

    def __init__(
        self,
        engine: Engine,
        instrument: Instrument,
        venue: Venue,
        coordinator: Coordinator,
        granted: Callable[[BudgetGranted], None],
        recorder: Recorder,
        clock: Clock,
        meters: Meters,
        log: Log,
        beside: Beside | None = None,
    ) -> None:
        self.engine = engine
        self.beside = beside or Beside(log)
        self._instrument = instrument
        self._venue = venue
        self._coordinator = coordinator
        self._granted = granted
        self.recorder = recorder
        self._clock = clock
        self._meters = meters
        self._log = log
        self._handling = False
        self._waiting: deque[ev.AnyEvent] = deque()
        self._tick_handle: asyncio.TimerHandle | None = None
        self._bound: asyncio.TimerHandle | None = None
        self.failure = ""
        self.ending = ""
        self._led = 0
        """The token under which this worker led last."""
        self._warm = False
        self._releasing = False
        self._released = False
        self._exit: tuple[int, str] | None = None
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    # -- in ----------------------------------------------------------------------------------------

    def sink(self, event: ev.AnyEvent) -> None:
        """Everything that happens comes in here: from the venue, the coordinator, the files, the clock."""
        if self._handling:
            self._waiting.append(event)
            return
        if self.ended.done() or self.failure:
            return
        self._handling = True
        try:
            self._step(event)
            while self._waiting:
                self._step(self._waiting.popleft())
        finally:
            self._handling = False

    def hear(self, message: Message) -> None:
        """What the account's workers share, as events of the engine."""
        now_ns = self._clock.monotonic_ns()
        match message:
            case LeaseGranted(token=token, deadline_ns=deadline_ns, memory=memory):
                self._log.info("lease granted", token=token)
                self._restore(memory, now_ns)
                self._led = token
                self.sink(ev.Lease(now_ns, token, deadline_ns, self._coordinator.installation))
                self.save_memory()  # before anything can fill: the next process counts from where this one began
            case LeaseRenewed(token=token, deadline_ns=deadline_ns):
                self.sink(ev.Lease(now_ns, token, deadline_ns, self._coordinator.installation))
            case LeaseLost(token=token, reason=reason):
                tell = self._log.info if self._released else self._log.warning
                tell("lease lost", token=token, reason=reason)
                self.sink(ev.Lease(now_ns, 0, 0, self._coordinator.installation))
            case Reserved(sequence=sequence, buy_steps=buy_steps, sell_steps=sell_steps):
                self.sink(ev.Reserved(now_ns, sequence, buy_steps, sell_steps))
            case EmergencyChanged(level=level, epoch=epoch, reason=reason):
                self.sink(ev.Emergency(now_ns, ev.EmergencyLevel(level), epoch, reason))
            case HaltChanged(epoch=epoch, reason=reason):
                self.sink(ev.SymbolHalt(now_ns, epoch, reason))
                self.save_memory()
            case BudgetGranted():
                self._granted(message)
            case Reachable():
                self.sink(ev.Coordination(now_ns, reachable=True))
            case Unreachable(reason=reason):
                self._log.error("coordination unreachable", reason=reason)
                self.sink(ev.Coordination(now_ns, reachable=False, reason=reason))

    def _restore(self, memory: Snapshot | None, now_ns: int) -> None:
        """The engine takes over what a later leader than itself remembered; its own state is newer than its own memory.

        Where there is none it is told so, unless it has led before and so knows more than nothing.
        """
        if memory is not None and memory.token > self._led:
            age_ns = max(0, self._clock.wall_ns() - memory.saved_wall_ns)
            self._log.info("memory taken over", saved_under=memory.token, age_s=age_ns // 1_000_000_000)
            self.sink(ev.Restored(now_ns, memory.memory, age_ns, memory.observed_ns))
        elif memory is None and not self._led:
            self._log.info("no memory of an earlier leader")
            self.sink(ev.Restored(now_ns, b"", 0))

    def start_ticking(self) -> None:
        self._tick()

    def stop(self, reason: str) -> None:
        """Withdraws in order, and ends with status 1 where that takes too long. Asked twice, it ends at once."""
        if self._bound is not None:
            self._end(1, f"{reason}, again: ended without waiting for the withdrawal")
            return
        self._bound = asyncio.get_running_loop().call_later(
            WITHDRAW_SECONDS,
            self._end,
            1,
            f"not withdrawn after {WITHDRAW_SECONDS:.0f} s: orders may rest until the exchange's timer",
        )
        self.sink(ev.Stop(self._clock.monotonic_ns(), reason))

    def save_memory(self) -> None:
        """Keeps what the exchange cannot tell the next process; only a leader's counts."""
        if self.engine.session.token:
            self._coordinator.save_snapshot(self.engine.session.token, self.engine.remember())

    # -- one event ---------------------------------------------------------------------------------

    def _step(self, event: ev.AnyEvent) -> None:
        self.recorder.before()
        began_ns = time.perf_counter_ns()
        try:
            actions = self.engine.on(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be quoted by an engine that raised
            self._engine_failed(event, error)
            return
        self._meters.decision.observe(time.perf_counter_ns() - began_ns)
        for action in actions:
            self._perform(action)
        if type(event) is ev.Answer and event.sent_ns:
            self._meters.order_round_trip.observe(int((event.at - event.sent_ns) / self._clock.rate))
        # What is sent has left: the shadow costs the next event a moment, and this one nothing.
        self.recorder.record(event, actions, self.beside.step(event, self.engine))

    def _perform(self, action: AnyAction) -> None:
        match action:
            case Place(approved=approved) | Amend(approved=approved):
                self._venue.perform(action)
                waited_ns = self._clock.monotonic_ns() - approved.trigger_ns
                self._meters.tick_to_order.observe(int(waited_ns / self._clock.rate))
                if approved.order.purpose in _BINDS_THE_NEXT:
                    self.save_memory()
            case (
                Cancel()
                | CancelAll()
                | QueryOrder()
                | FetchTruth()
                | FetchSnapshot()
                | FetchTouch()
                | FetchMinutes()
                | FetchFunding()
                | FetchDay()
                | Reconnect()
                | ArmDeadMan()
            ):
                self._venue.perform(action)
            case Note():
                self._note(action)
            case Reserve() | ReleaseLease() | HandOver() | HaltSymbol() | RaiseEmergency():
                self._share(action)
            case Exit(code=code, reason=reason):
                self._exit = (code, reason)
                self._leave()

    def _share(self, action: Reserve | ReleaseLease | HandOver | HaltSymbol | RaiseEmergency) -> None:
        """What concerns the account's other workers."""
        match action:
            case Reserve():
                self._coordinator.reserve(self._reservation(action))
            case ReleaseLease():
                self._release()
            case HandOver(reason=reason):
                self._hand_over(reason)
            case HaltSymbol(reason=reason):
                self._log.error("symbol halted", reason=reason)
                self._coordinator.halt_symbol(reason)
                self.save_memory()
            case RaiseEmergency(level=level, reason=reason):
                self._log.error("emergency raised", level=level.name, reason=reason)
                self._coordinator.raise_emergency(SharedLevel(level), reason)

    def _reservation(self, asked: Reserve) -> Reservation:
        return Reservation(
            asked.sequence,
            asked.position_steps,
            asked.buy_steps,
            asked.sell_steps,
            asked.mark * self._instrument.step,
            asked.buy_live_steps,
            asked.sell_live_steps,
        )

    def _note(self, note: Note) -> None:
        fields = {"text": note.text}
        if note.kind not in _NEVER_SAMPLED:
            fields[SAMPLED] = note.kind.value
        if note.kind is NoteKind.HALT:
            self.save_memory()  # a loss that has halted the day is known to nobody else
        if note.kind in (NoteKind.HALT, NoteKind.REFUSED):
            self._log.warning(note.kind.value, **fields)
        else:
            self._log.info(note.kind.value, **fields)

    def _tick(self) -> None:
        self._tick_handle = self._clock.call_later(max(TICK_SECONDS, _LEAST_TICK_S * self._clock.rate), self._tick)
        self.sink(ev.Tick(self._clock.monotonic_ns()))
        self._tell_warmth()

    def _tell_warmth(self) -> None:
        warm = not self.failure and self.engine.warm()
        if warm is not self._warm:
            self._warm = warm
            self._coordinator.warm(warm=warm)

    def _hand_over(self, reason: str) -> None:
        """Not while a request is under way: it would reach the exchange after the next leader's. The engine asks again
        as long as it cannot quote.
        """
        if self._venue.quiescent:
            self._log.warning("a warm standby may lead", reason=reason)
            self.save_memory()
            self._coordinator.hand_over()

    def _release(self) -> None:
        """Waits until each request has its answer: one that is executed later would hit the next holder's orders."""
        self._releasing = not self._venue.quiescent
        if self.ended.done():
            return
        if self._releasing:
            self._clock.call_later(TICK_SECONDS, self._release)
            return
        self._released = True
        self.save_memory()
        self._coordinator.release()
        if self._exit is not None:
            self._end(*self._exit)

    def _leave(self) -> None:
        """Whoever gives up gives the lease up too, so that a standby need not wait for it to run out: once its last
        cancels have their answers, and without them where these take too long.
        """
        if self._exit is None or self._releasing:
            return
        if self._released or not self.engine.session.token:
            self._end(*self._exit)
            return
        if self._bound is None:
            self._bound = asyncio.get_running_loop().call_later(FAILED_SECONDS, self._end, *self._exit)
        self._release()

    # -- the end -----------------------------------------------------------------------------------

    def _engine_failed(self, event: ev.AnyEvent, error: Exception) -> None:
        """A defect: the engine decides nothing more; what rests is cancelled, and the process ends."""
        self.failure = f"the engine failed: {type(error).__name__}: {error}"
        self._waiting.clear()
        self._log.error("engine failed", event_kind=type(event).__name__, stack=stack_of(error))
        self.recorder.record_failure(event, error)
        if self.engine.session.token:
            self._venue.perform(CancelAll(self.failure, self.engine.session.deadline_ns))
        asyncio.get_running_loop().call_later(FAILED_SECONDS, self._end, 1, self.failure)

    def _end(self, code: int, reason: str) -> None:
        if self.ended.done():
            return
        self.ending = reason
        self._log.info("exit", code=code, reason=reason)
        for handle in (self._tick_handle, self._bound):
            if handle is not None:
                handle.cancel()
        self.ended.set_result(code)
