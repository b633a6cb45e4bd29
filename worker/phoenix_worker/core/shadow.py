"""A second engine beside the live one, under other parameters: it hears what the live engine hears and sends nothing.

Its orders are paper (see `paper`): they rest, and are never filled. The position is the account's own, moved by the
live orders' fills, so both engines answer the same market from the same inventory, and what differs is what the
parameters make of it. What it asks (the truth, the day, funding, a book) it is answered from what the live engine
knows: nothing is asked of the exchange for it, and what it would share with the account's workers nobody hears.

All that it does follows from the events and the state of the live engine, at the same moment: a recording of the live
engine replays both.
"""

from collections import deque

import msgspec

from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import (
    Amend,
    AnyAction,
    ArmDeadMan,
    Cancel,
    CancelAll,
    FetchDay,
    FetchFunding,
    FetchSnapshot,
    FetchTouch,
    FetchTruth,
    Place,
    QueryOrder,
    Reconnect,
    Reserve,
)
from phoenix_worker.core.engine import Engine
from phoenix_worker.core.events import Stream
from phoenix_worker.core.paper import Paper, is_ours, only_fills
from phoenix_worker.core.parameters import Parameters

INSTALLATION = "shadow"
"""In its orders' ids, so that nobody takes one for a live order, nor the engine a live one for its own."""
MOST_TURNS = 1_000
"""Answers to one event. An engine that asks for more has no end to it: a defect, and the end of this shadow."""


class EndlessError(RuntimeError):
    """What one event led to had no end."""


class Shadow(msgspec.Struct):
    """The engine, its paper, and what it has asked and has not been answered yet. Its encoding is a keyframe."""

    engine: Engine
    paper: Paper = msgspec.field(default_factory=Paper)
    truth: FetchTruth | None = None
    day: FetchDay | None = None
    wants_funding: bool = False
    wants_snapshot: bool = False
    wants_touch: bool = False
    wants_book_stream: bool = False

    @classmethod
    def beside(cls, live: Engine, parameters: Parameters, revision: str) -> "Shadow":
        """Made, and not told of anything yet: see `begin`."""
        return cls(Engine.new(parameters, live.instrument, live.now_ns, dry_run=True, revision=revision))

    @classmethod
    def from_keyframe(cls, data: bytes) -> "Shadow":
        """Raises `msgspec.DecodeError` where the bytes are no keyframe of this build."""
        return msgspec.msgpack.decode(data, type=cls)

    def keyframe(self) -> bytes:
        return msgspec.msgpack.encode(self)

    def begin(self, live: Engine) -> list[AnyAction]:
        """It learns what the live engine knows, as the next leader of the symbol would; returns what it asks for."""
        return self._run(deque(_known(live)), live, None)

    def on(self, event: ev.AnyEvent, live: Engine) -> list[AnyAction]:
        """One event that the live engine has just handled; returns all that the shadow asks for. Raises whatever a
        defect raises: the live engine is not touched.
        """
        heard = _heard(event)
        read = event if type(event) is ev.Truth else None
        if type(event) is ev.FundingRead:
            self.wants_funding = False  # that is its answer, whoever asked
        return self._run(deque(() if heard is None else (heard,)), live, read)

    def _run(self, waiting: deque[ev.AnyEvent], live: Engine, read: ev.Truth | None) -> list[AnyAction]:
        done: list[AnyAction] = []
        self._answer(waiting, live, read)
        for _ in range(MOST_TURNS):
            if not waiting:
                return done
            actions = self.engine.on(waiting.popleft())
            for action in actions:
                self._do(action, waiting)
            done += actions
            if not waiting:
                self._answer(waiting, live, read)
        raise EndlessError(f"more than {MOST_TURNS} answers to one event")

    def _do(self, action: AnyAction, waiting: deque[ev.AnyEvent]) -> None:
        """Paper, or a question; everything else stays without effect."""
        engine = self.engine
        match action:
            case Place() | Amend() | Cancel() | CancelAll() | ArmDeadMan() | QueryOrder():
                now_ns = engine.now_ns
                waiting.extend(self.paper.perform(action, now_ns, engine.session.exchange_ms(now_ns)))
            case Reserve():
                waiting.append(ev.Reserved(engine.now_ns, action.sequence, action.buy_steps, action.sell_steps))
            case FetchTruth():
                self.truth = action
            case FetchDay():
                self.day = action
            case FetchFunding():
                self.wants_funding = True
            case FetchSnapshot():
                self.wants_snapshot = True
            case FetchTouch():
                self.wants_touch = True
            case Reconnect(stream=Stream.BOOK):
                self.wants_book_stream = True
            case _:
                pass

    # -- what the live engine knows ----------------------------------------------------------------

    def _answer(self, waiting: deque[ev.AnyEvent], live: Engine, told: ev.Truth | None) -> None:
        """What has been asked, as soon as the live engine knows it. `told`: what that has just been told itself."""
        if self.wants_book_stream and live.session.streams.get(Stream.BOOK):
            self.wants_book_stream = False
            waiting.append(ev.StreamOpened(live.now_ns, Stream.BOOK))
        if self.wants_snapshot and live.book.synced:
            self.wants_snapshot = False
            waiting.append(_snapshot(live))
        if self.wants_touch and live.book.synced and live.freshness.fresh:
            self.wants_touch = False
            bid, ask = (ticks * live.instrument.tick for ticks in (live.book.touch_bid, live.book.touch_ask))
            waiting.append(ev.TouchAnswer(live.now_ns, live.now_ns, bid, ask))
        if self.truth is not None and live.reconciliation.reconciled:
            waiting.append(self._truth(self.truth, live, told))
            self.truth = None
        if self.wants_funding and self._knows_less_of_funding(live):
            self.wants_funding = False
            rows = [record.row for record in live.funding.records]
            waiting.append(ev.FundingRead(live.now_ns, live.funding.since_ms, live.funding.through_ms, rows))
        if self.day is not None and (read := _day(self.day, live)) is not None:
            waiting.append(read)
            self.day = None

    def _knows_less_of_funding(self, live: Engine) -> bool:
        """Otherwise it waits for the live engine's next reading, which it hears."""
        mine, theirs = self.engine.funding, live.funding
        return theirs.since_ms > 0 and (not mine.since_ms or mine.through_ms < theirs.through_ms)

    def _truth(self, asked: FetchTruth, live: Engine, read: ev.Truth | None) -> ev.Truth:
        position = live.account.position
        return ev.Truth(
            at=live.now_ns,
            request_id=asked.request_id,
            read_ms=live.session.exchange_ms(live.now_ns),
            position_steps=position.steps,
            entry_price=position.entry_price,
            open_orders=list(self.paper.orders.values()),
            fills=read.fills if read else [],
            last_trade_id=position.newest_trade_id,
            owners=[order for order in read.owners if not is_ours(order)] if read else [],
        )


def _heard(event: ev.AnyEvent) -> ev.AnyEvent | None:
    """What the shadow hears of it; None of what is about the live engine's own requests."""
    match event:
        case ev.Answer() | ev.OrderAnswer() | ev.Truth() | ev.DayRead() | ev.Reserved() | ev.DeadManArmed():
            return None
        case ev.OrderReport():
            return only_fills(event)
        case ev.Lease():
            return msgspec.structs.replace(event, installation=INSTALLATION)
        case ev.ParametersSet(shadow=parameters):
            return None if parameters is None else ev.ParametersSet(event.at, parameters, event.revision)
        case _:
            return event


def _known(live: Engine) -> list[ev.AnyEvent]:
    """All that has been told to the live engine and counts for another one, in the order in which a worker hears it."""
    at, session = live.now_ns, live.session
    known: list[ev.AnyEvent] = []
    if live.mark:
        mark = (live.mark, live.index, live.funding_rate, live.next_funding_ms)
        known.append(ev.Mark(live.mark_ns, session.exchange_ms(live.mark_ns), *mark))
    known += [
        ev.FeesSet(at, live.maker_fee_bps, live.taker_fee_bps),
        ev.Emergency(at, session.emergency.level, session.emergency.epoch, session.emergency.reason),
        ev.SymbolHalt(at, session.halt.epoch, session.halt.reason if session.halt.on else ""),
        ev.Coordination(at, session.reachable, session.unreachable_reason),
        ev.VenueMaintenance(at, session.maintenance),
    ]
    if session.clock_known:
        known.append(ev.ClockSynced(at, session.clock_offset_ns, session.clock_error_ns))
    if session.budget is not None:
        known.append(session.budget)
    known += [ev.StreamOpened(at, stream) for stream, is_open in session.streams.items() if is_open]
    known.append(ev.Restored(at, live.remember(), 0))
    known.append(ev.Lease(at, session.token, session.deadline_ns, INSTALLATION))
    return known


def _snapshot(live: Engine) -> ev.Snapshot:
    book, tick = live.book, live.instrument.tick
    return ev.Snapshot(
        live.now_ns,
        book.last_id,
        [(ticks * tick, book.bids[ticks]) for ticks in sorted(book.bids, reverse=True)],
        [(ticks * tick, book.asks[ticks]) for ticks in sorted(book.asks)],
    )


def _day(asked: FetchDay, live: Engine) -> ev.DayRead | None:
    """The day as the live engine counts it; None while it does not know it under its lease."""
    day, losses = live.losses.day, live.losses
    if not losses.read_token or losses.read_token != live.session.token or day.start_ms != asked.start_ms:
        return None
    return ev.DayRead(
        live.now_ns, asked.request_id, day.open_mark, day.steps, day.notional, dict(day.fees), dict(losses.rates)
    )
