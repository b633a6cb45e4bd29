"""What holds of the whole engine in any interleaving: requests, answers and reports in any order, lost, late or twice.

`World` audits each order when it is sent and the worst case after each event; see `tests/support/core_world.py`.
"""

import msgspec
from core_world import TICK_NS, Run, World, client_id_of, kind_of, of_kind, sent
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model_exchange import unanswered
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel, Refusal, Request, Side, Stream, SymbolStatus
from phoenix_worker.core.orders import Life
from samples import GRINDING, MAKER, SECOND, changed

RECEIVE_WINDOW_NS = 2 * SECOND
PICK = st.integers(0, 30)
QUICK = changed(MAKER, vol_multiplier=0.0, cooldown_ns=SECOND, give_up_after_ns=600 * SECOND, failure_window=10_000)
GRINDS = msgspec.structs.replace(
    QUICK, grinding=msgspec.structs.replace(GRINDING, ratio=0.75, interval_ns=SECOND, per_hour=10_000)
)


class Interleavings(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.world = World(GRINDS)
        self.sent_at: dict[int, int] = {}
        self.zombies: set[int] = set()
        """Requests that were reported as unanswered, and may still arrive within their receive window."""
        self.told: list[ev.AnyEvent] = []
        self.read: list[ev.Truth] = []
        """Truths that have been read, and are on their way."""
        self.others: list[Run] = []
        """Processes that have led before, and may again."""
        self.saved: tuple[int, int, bytes] = (0, 0, b"")
        """The newest memory that a leader has saved: its token, when, and what."""
        self.knows = True
        """The present leader has seen, since it took over, what there is at the exchange."""

    @initialize(position=st.sampled_from([0, 0, 30, -60, 85, -112]))
    def quoting(self, position):
        self.world.hold(position)
        self.world.start()
        self.world.wait(0.5)
        self.world.automatic = False

    @property
    def exchange(self):
        return self.world.exchange

    def request(self, pick):
        return self.exchange.requests[pick % len(self.exchange.requests)]

    # -- requests ----------------------------------------------------------------------------------

    @precondition(lambda self: self.exchange.requests)
    @rule(pick=PICK)
    def a_request_arrives(self, pick):
        request = self.request(pick)
        answer = self.exchange.execute(request)
        if id(request) not in self.zombies:
            self.exchange.answers.append(answer)
        self.zombies.discard(id(request))

    @precondition(lambda self: self.exchange.answers)
    @rule(pick=PICK)
    def an_answer_arrives(self, pick):
        self.world.tell(self.exchange.answers.pop(pick % len(self.exchange.answers)))

    @precondition(lambda self: self.exchange.answers)
    @rule(pick=PICK)
    def an_answer_is_lost(self, pick):
        answer = self.exchange.answers.pop(pick % len(self.exchange.answers))
        self.world.tell(unanswered(answer.request, answer.client_id))

    @precondition(lambda self: self.exchange.requests)
    @rule(pick=PICK, arrives=st.booleans())
    def a_request_times_out(self, pick, arrives):
        request = self.request(pick)
        if id(request) in self.zombies:
            return
        if arrives:
            self.zombies.add(id(request))
        else:
            self.exchange.requests.remove(request)
        self.world.tell(unanswered(kind_of(request), client_id_of(request)))

    @rule(
        kind=st.sampled_from(list(Request)),
        refusal=st.sampled_from([Refusal.WOULD_TAKE, Refusal.RATE_LIMIT, Refusal.NOT_SENT, Refusal.OTHER]),
    )
    def the_next_request_is_refused(self, kind, refusal):
        self.exchange.refuse.setdefault(kind, []).append((refusal, -1))

    # -- the user stream -----------------------------------------------------------------------------

    @precondition(lambda self: self.exchange.stream)
    @rule(times=st.sampled_from([1, 1, 1, 2]))
    def a_report_arrives(self, times):
        report = self.exchange.stream.popleft()
        self.told = [*self.told[-8:], report]
        for _ in range(times):
            self.world.tell(report)

    @precondition(lambda self: self.told and self.exchange.stream_up)
    @rule(pick=PICK)
    def an_old_report_arrives_again(self, pick):
        self.world.tell(self.told[pick % len(self.told)])

    @precondition(lambda self: self.exchange.stream)
    @rule()
    def a_report_is_lost(self):
        self.exchange.stream.popleft()

    @precondition(lambda self: self.exchange.stream_up)
    @rule()
    def the_user_stream_is_cut(self):
        self.world.close(Stream.USER)

    @rule()
    def the_user_stream_opens(self):
        self.world.open(Stream.USER)

    # -- trading ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.ours())
    @rule(pick=PICK, qty=st.integers(1, 9))
    def somebody_trades_with_us(self, pick, qty):
        orders = [order for order in self.world.ours() if not order.reduce_only or self.exchange.position]
        if orders:
            self.world.fill(orders[pick % len(orders)], qty)

    @rule(move=st.integers(-900, 900), spread=st.integers(1, 60))
    def the_market_moves(self, move, spread):
        bid = max(500_000, min(700_000, self.exchange.bid + move))
        self.world.move_unseen(bid, bid + spread)
        if self.world.book_known:
            self.world.tell(self.world.next_diff())

    @rule(move=st.integers(-200, 200))
    def the_market_moves_unseen(self, move):
        self.world.move_unseen(self.exchange.bid + move)

    # -- time ------------------------------------------------------------------------------------------

    @rule(ticks=st.sampled_from([1, 1, 4, 6, 25, 50]), alive=st.sampled_from([True, True, True, False]))
    def time_passes(self, ticks, alive):
        for _ in range(ticks):
            self._expire()
            if alive:
                self.world.tell(ev.Canary(0))
                self.world.frame()
            self.world.renew()
            self.world.tick()

    def _expire(self):
        """Nothing arrives after its receive window; who lives has been answered by then."""
        for request in list(self.exchange.requests):
            first_seen = self.sent_at.setdefault(id(request), self.world.now)
            if self.world.now + TICK_NS - first_seen < RECEIVE_WINDOW_NS:
                continue
            if id(request) in self.zombies:
                self.exchange.requests.remove(request)
                self.zombies.discard(id(request))
            else:
                self.world.tell(self.exchange.execute(request))

    # -- everything else ----------------------------------------------------------------------------------

    @precondition(lambda self: self.world.pending)
    @rule(pick=PICK)
    def a_question_is_answered(self, pick):
        self.world.answer(self.world.pending.pop(pick % len(self.world.pending)))

    @precondition(lambda self: self.world.pending)
    @rule()
    def all_questions_are_answered(self):
        for question in list(self.world.pending):
            self.world.pending.remove(question)
            self.world.answer(question)

    @precondition(lambda self: of_kind(self.world.pending, ac.FetchTruth))
    @rule()
    def a_truth_is_read(self):
        asked = of_kind(self.world.pending, ac.FetchTruth)[0]
        self.world.pending.remove(asked)
        self.read.append(self.exchange.truth(asked))

    @precondition(lambda self: self.read)
    @rule()
    def a_truth_arrives(self):
        self.world.tell(self.read.pop(0))

    @precondition(lambda self: self.world.book_known)
    @rule()
    def a_diff_is_lost(self):
        self.world.gap()

    @rule()
    def the_lease_is_lost(self):
        self.world.lease(0)

    @rule()
    def the_lease_is_gained(self):
        if not self.world.token:
            self.world.lease(self.world.newest_token + 1)

    @rule(level=st.sampled_from([EmergencyLevel.NONE, *EmergencyLevel]))
    def the_switch_is_told(self, level):
        self.world.tell(ev.Emergency(0, level, self.world.switch_epoch + 1, "a test"))

    @rule(reason=st.sampled_from(["", "a test"]))
    def the_symbol_is_halted_or_resumed(self, reason):
        self.world.tell(ev.SymbolHalt(0, self.world.halt_epoch + 1, reason))

    # -- other leaders -------------------------------------------------------------------------------

    @precondition(lambda self: self.world.token)
    @rule()
    def the_memory_is_saved(self):
        """At any instant: what happens afterwards, the next leader must find out by itself."""
        self.saved = (self.world.token, self.world.now, self.world.engine.remember())

    @rule(pick=PICK, arrives=st.booleans(), seconds=st.integers(0, 90))
    def another_worker_takes_over(self, pick, arrives, seconds):
        """The leader has died, or has lost the lease and learns so only later; then it may lead again itself."""
        world = self.world
        left = world.run
        world.lease(0)
        for request in list(self.exchange.requests):
            if id(request) not in self.zombies:
                world.tell(unanswered(kind_of(request), client_id_of(request)))
            if arrives:
                self.exchange.execute(request)
            else:
                self.exchange.requests.remove(request)
        for answer in self.exchange.answers:
            world.tell(unanswered(answer.request, answer.client_id))
        for gone in (self.exchange.answers, self.zombies, self.read, self.told):
            gone.clear()
        world.now += seconds * SECOND
        self.exchange.now_ms = max(self.exchange.now_ms, world.exchange_ms)
        candidates = [None, *self.others]
        by = candidates[pick % len(candidates)]
        token, saved_ns, memory = self.saved
        if by is not None and by.last_token >= token:
            memory = b""  # what it knows itself is newer
        self.knows = False
        self.others = [run for run in [*self.others, left] if run is not by]
        world.take_over(by, world.newest_token + 1, memory, world.now - saved_ns)
        self.the_memory_is_saved()

    @rule(buys=st.integers(0, 200), sells=st.integers(0, 200))
    def the_ledger_has_so_much_room(self, buys, sells):
        self.world.grant = lambda asked: (min(buys, asked.buy_steps), min(sells, asked.sell_steps))

    @precondition(lambda self: self.world.asked)
    @rule(buys=st.integers(0, 40), sells=st.integers(0, 40))
    def the_ledger_admits_less_than_before(self, buys, sells):
        """Another symbol that only reduces has put the account over its limit; or the ledger is trusted no more."""
        granted = self.world.granted
        less = (min(buys, granted[Side.BUY]), min(sells, granted[Side.SELL]))
        self.world.tell(ev.Reserved(0, self.world.asked.sequence, *less))

    @rule(seconds=st.integers(0, 3), orders=st.integers(0, 60))
    def the_exchange_backs_us_off(self, seconds, orders):
        until = self.world.now + seconds * SECOND if seconds else 0
        self.world.tell(ev.Budget(0, orders, 1_000, 2_000, until))

    @rule(status=st.sampled_from([SymbolStatus.TRADING, *SymbolStatus]))
    def the_symbol_changes(self, status):
        self.world.tell(ev.StatusSet(0, status))

    @rule(near=st.integers(0, 4), far=st.integers(1, 3), paused=st.sampled_from([False, False, True]))
    def people_change_parameters(self, near, far, paused):
        parameters = msgspec.structs.replace(GRINDS, near_layers=near, far_layers=far, paused=paused)
        self.world.tell(ev.ParametersSet(0, parameters, "changed"))

    # -- what holds -----------------------------------------------------------------------------------------

    @invariant()
    def what_may_fill_is_counted(self):
        """Every order of ours that rests or may still arrive is known to the engine as live, at its full size."""
        self.knows = self.knows or self.world.engine.reconciliation.reconciled
        if not self.knows:
            return
        account = self.world.engine.account
        amends = {
            r.approved.order.client_id: r.approved.order.qty_steps
            for r in self.exchange.requests
            if isinstance(r, ac.Amend)
        }
        for order in self.world.ours():
            own = account.orders.get(order.client_id)
            assert own is not None, f"{order} is forgotten"
            assert own.exposure_steps >= max(order.qty, amends.get(order.client_id, 0)) - max(
                order.filled, own.filled_steps
            )
        for request in self.exchange.requests:
            if isinstance(request, ac.Place):
                own = account.orders.get(request.approved.order.client_id)
                assert own is not None
                assert own.life is not Life.CLOSED
                assert own.exposure_steps >= request.approved.order.qty_steps

    def teardown(self):
        if self.world.run.events:
            self._heal()
            for run in (self.world.run, *self.others):
                run.replay()

    def _heal(self):
        """Whatever happened: healed, the ladder settles, and both sides hold the same."""
        world = self.world
        world.exchange.refuse.clear()
        world.grant = lambda asked: (asked.buy_steps, asked.sell_steps)
        for _ in range(45):
            self._expire()
            world.tick()
        world.automatic = True
        world.settle()
        world.tell(ev.Emergency(0, EmergencyLevel.NONE, world.switch_epoch + 1, ""))
        world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, ""))
        world.tell(ev.StatusSet(0, SymbolStatus.TRADING))
        world.tell(ev.Budget(0, 1_000, 10_000, 2_000, 0))
        world.tell(ev.ParametersSet(0, QUICK, "healed"))
        world.open(Stream.USER)
        if not world.token:
            world.lease(world.newest_token + 1)
        world.open(Stream.BOOK)
        world.wait(8.0)
        world.tell(world.next_diff())
        world.wait(8.0)
        view = world.engine.view()
        assert view.not_ready == [], view.not_ready
        assert view.position_steps == world.exchange.position
        fills = world.exchange.fills
        assert view.pnl.fills == len(fills), "every fill is in the accounts once, whoever led when it happened"
        assert view.pnl.bought_steps - view.pnl.sold_steps == sum(fill.side * fill.qty_steps for fill in fills)
        assert {order.client_id for order in view.orders} == {order.client_id for order in world.ours()}
        assert {order.client_id for order in world.exchange.open_orders} == {o.client_id for o in world.ours()}
        slots = [(order.side, order.layer) for order in view.orders]
        assert len(slots) == len(set(slots)), "one order a slot"
        mark = len(world.done)
        world.wait(4.0)
        assert sent(world.since(mark)) == [], (
            f"a still market needs no order actions; mode {view.mode.name}, not {sent(world.since(mark))[:4]}"
        )
        assert not of_kind(world.since(mark), ac.Exit)
        assert all(world.exchange.worst(side) <= max(world.limit, side * world.exchange.position) for side in Side)


def test_the_invariants_hold_in_any_interleaving():
    run_state_machine_as_test(
        Interleavings,
        # Not shrunk: that takes minutes here, and the failing run is printed in any case.
        settings=settings(
            settings.get_profile("core"), max_examples=40, stateful_step_count=60, phases=[Phase.generate]
        ),
    )
