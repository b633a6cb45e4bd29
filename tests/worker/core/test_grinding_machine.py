"""What holds of grinding whatever happens: answers and fills late, lost or in parts, refusals, halts, new leaders.

A plain model beside the whole engine: it knows what was sent and what the exchange has filled, and nothing else.
"""

from fractions import Fraction

import msgspec
from core_world import World, client_id_of, kind_of
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from model_exchange import unanswered
from phoenix_coordination import order_id
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import EmergencyLevel, Refusal, Request, Side
from phoenix_worker.core.grinding import HOUR_NS
from samples import GRINDING, MAKER, SECOND, changed

PER_HOUR = 4
INTERVAL_NS = 30 * SECOND
BLOCK = 95
GRINDS = changed(
    msgspec.structs.replace(
        MAKER,
        grinding=msgspec.structs.replace(GRINDING, interval_ns=INTERVAL_NS, per_hour=PER_HOUR, ratio=0.75),
    ),
    failure_window=10_000,
    cooldown_ns=SECOND,
    vol_multiplier=0.0,
)
LEGS = (Purpose.GRIND, Purpose.REENTRY)
SOON = st.sampled_from([0.5, 3.0, 35.0])


class Watched(World):
    """Notes each order of a grind as it is sent, and judges it by what the exchange knows at that moment."""

    def __init__(self):
        super().__init__(GRINDS)
        self.exchange.maker_bps, self.exchange.taker_bps = 1.7, 4.3
        self.takers: list[tuple[int, str]] = []
        self.memory = b""
        """As the shell keeps it: with each order of a grind."""

    def _begin(self, action):
        if isinstance(action, ac.Place) and action.approved.order.purpose in LEGS:
            self._judge(action.approved.order)
        super()._begin(action)

    def tell(self, event):
        actions = super().tell(event)
        if any(isinstance(a, ac.Place) and a.approved.order.purpose in LEGS for a in actions):
            self.memory = self.engine.remember()
        return actions

    def _judge(self, order):
        exchange, position = self.exchange, self.exchange.position
        alive = [purpose_of(client_id) for client_id in self._alive()]
        assert Purpose.GRIND not in alive, "one taker at a time, and nothing while it may still fill"
        assert Purpose.REENTRY not in alive, "the re-entry before is gone first"
        assert self.engine.account.position.steps == position, "every fill has been told"
        assert not self.halt
        if order.purpose is Purpose.REENTRY:
            direction = 1 if position > 0 else -1
            assert order.side == direction
            assert exchange.worst(order.side) + order.qty_steps <= BLOCK, "never beyond Block"
            return
        assert order.reduce_only
        assert order.side * position < 0
        reducing = exchange.pending(order.side)
        assert reducing + order.qty_steps <= abs(position), "the exchange would refuse it"
        if self.takers:
            assert self.now - self.takers[-1][0] >= INTERVAL_NS, "an interval apart, whoever led"
        bound = [sent for sent, taker in self.takers if sent > self.now - HOUR_NS and self._got_something(taker)]
        assert len(bound) < PER_HOUR
        self.takers.append((self.now, order.client_id))

    def _alive(self):
        """What rests, or is on its way and may arrive."""
        for request in self.exchange.requests:
            if isinstance(request, ac.Place):
                yield request.approved.order.client_id
        for order in self.exchange.open_orders:
            yield order.client_id

    def _got_something(self, client_id):
        order = self.exchange.orders.get(client_id)
        return order is not None and order.filled > 0


def purpose_of(client_id):
    ident = order_id.parse(client_id)
    return Purpose(ident.purpose) if ident else None


class Grinds(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.world = Watched()

    @initialize(position=st.sampled_from([76, -80, 90, 94, -99]))
    def stuck(self, position):
        self.world.hold(position)
        self.world.start()
        self.world.pass_time(1.0)
        self.world.memory = self.world.engine.remember()

    @property
    def exchange(self):
        return self.world.exchange

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def time_passes(self, seconds):
        self.world.pass_time(seconds)

    @rule(moment=st.sampled_from([0.5, 3.0]), returns=st.integers(0, 14))
    def an_interval_passes(self, moment, returns):
        """And somebody trades with the re-entry, if there is one."""
        self.world.pass_time(30.0 + moment)
        for order in self._reentries():
            self.world.fill(order, min(returns, order.leaves)) if returns else None

    @rule(minutes=st.sampled_from([1, 10, 40]))
    def the_process_sleeps(self, minutes):
        self.world.now += minutes * 60 * SECOND
        self.exchange.now_ms = max(self.exchange.now_ms, self.world.exchange_ms)
        self._drop()
        self.world.pass_time(1.0)

    @rule(share=st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    def somebody_else_takes_from_the_book(self, share):
        self.exchange.taker_share = share

    @rule(move=st.integers(-400, 400))
    def the_market_moves(self, move):
        self.world.market(max(590_000, min(610_000, self.exchange.bid + move)))

    @precondition(lambda self: self.world.ours())
    @rule(qty=st.integers(1, 6))
    def somebody_trades_with_us(self, qty):
        """Against the position; where it is not stuck any more, with it."""
        side = -1 if self.exchange.position > 0 else 1
        while abs(self.exchange.position) < 76 and (more := self.world.ours(Side(-side))):
            self.world.fill(more[0])
            self.world.pass_time(2.0)
        if orders := self.world.ours(Side(side)):
            self.world.fill(orders[0], qty)

    def _reentries(self):
        return [order for order in self.world.ours() if purpose_of(order.client_id) is Purpose.REENTRY]

    @rule(
        kind=st.sampled_from([Request.PLACE, Request.PLACE, Request.CANCEL]),
        refusal=st.sampled_from([Refusal.WOULD_TAKE, Refusal.RATE_LIMIT, Refusal.NOT_SENT, Refusal.OTHER]),
    )
    def the_next_request_is_refused(self, kind, refusal):
        self.exchange.refuse = {kind: [(refusal, -1)]}

    # -- requests that take their time ---------------------------------------------------------------

    @rule(
        pick=st.none() | st.integers(0, 3),
        executed=st.booleans(),
        told=st.booleans(),
        wait=st.sampled_from([0.5, 3.0, 31.0]),
        seconds=st.sampled_from([0.5, 1.0, 3.0]),
    )
    def requests_take_their_time(self, pick, executed, told, wait, seconds):
        """One of them is lost: the answer alone, or with the reports; or the request itself."""
        self.world.hold_requests = True
        self.world.pass_time(wait)
        if self.exchange.requests and pick is not None:
            self.exchange.stream_up = told
            self.world.lose_answer(pick % len(self.exchange.requests), executed=executed)
            self.exchange.stream_up = True
            self.world.pass_time(seconds)
        self.world.hold_requests = False
        self.world.settle()

    def _drop(self):
        """Nothing arrives after its receive window."""
        for request in list(self.exchange.requests):
            self.exchange.requests.remove(request)
            self.world.tell(unanswered(kind_of(request), client_id_of(request)))

    # -- people, and other leaders -------------------------------------------------------------------

    @rule(seconds=SOON)
    def the_symbol_is_halted_for_a_while(self, seconds):
        self.world.tell(ev.SymbolHalt(0, self.world.halt_epoch + 1, "a test"))
        self.world.pass_time(seconds)
        self.world.tell(ev.SymbolHalt(0, self.world.halt_epoch + 1, ""))

    @rule(seconds=SOON)
    def the_account_is_halted_for_a_while(self, seconds):
        self.world.tell(ev.Emergency(0, EmergencyLevel.HALT, self.world.switch_epoch + 1, "a test"))
        self.world.pass_time(seconds)
        self.world.tell(ev.Emergency(0, EmergencyLevel.NONE, self.world.switch_epoch + 1, ""))

    @rule(fields=st.sampled_from([{"enabled": False}, {"deviation": 1e-9}]), seconds=SOON)
    def people_forbid_it_for_a_while(self, fields, seconds):
        forbidden = msgspec.structs.replace(GRINDS.grinding, **fields)
        self.world.tell(ev.ParametersSet(0, msgspec.structs.replace(GRINDS, grinding=forbidden), "changed"))
        self.world.pass_time(seconds)
        self.world.tell(ev.ParametersSet(0, GRINDS, "changed again"))

    @rule()
    def the_memory_is_saved(self):
        self.world.memory = self.world.engine.remember()

    @rule(arrives=st.booleans(), seconds=st.integers(0, 90))
    def another_worker_takes_over(self, arrives, seconds):
        """The leader has died: what it had sent has arrived, or never will."""
        world = self.world
        memory, saved_ns = world.memory, world.now
        world.lease(0)
        for request in list(self.exchange.requests):
            if arrives:
                self.exchange.execute(request)
            else:
                self.exchange.requests.remove(request)
        self.exchange.answers.clear()
        world.now += seconds * SECOND
        self.exchange.now_ms = max(self.exchange.now_ms, world.exchange_ms)
        world.run.replay()
        world.take_over(None, world.newest_token + 1, memory, world.now - saved_ns)
        world.pass_time(1.0)
        world.memory = world.engine.remember()

    # -- what comes of it ----------------------------------------------------------------------------

    def teardown(self):
        if self.world.run.events:
            self._heal()
            self._compare()
            self.world.replay()

    def _heal(self):
        world = self.world
        world.hold_requests = False
        self.exchange.refuse.clear()
        world.tell(ev.Emergency(0, EmergencyLevel.NONE, world.switch_epoch + 1, ""))
        world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, ""))
        world.tell(ev.ParametersSet(0, GRINDS, "healed"))
        world.pass_time(8.0)

    def _compare(self):
        """Savings and count are those of the exchange's own fills, to the last digit."""
        legs = {order.venue_id: client_id for client_id, order in self.exchange.orders.items()}
        runs: dict[str, tuple[list[ev.Fill], list[ev.Fill]]] = {}
        fees = 0
        for fill in self.exchange.fills:
            client_id = legs[fill.venue_id]
            leg = purpose_of(client_id)
            if leg not in LEGS:
                continue
            fees += fill.commission
            if leg is Purpose.GRIND:
                runs.setdefault(client_id, ([], []))[0].append(fill)
            else:
                runs[next(reversed(runs))][1].append(fill)
        view = self.world.engine.view()
        assert view.grinds == len(runs)
        assert view.grind_saved == sum(self._earned(*run) for run in runs.values()) - fees
        assert view.position_steps == self.exchange.position

    def _earned(self, taken, returned):
        def notional(fill):
            return self.exchange.instrument.notional(fill.price_ticks, fill.qty_steps)

        average = Fraction(sum(map(notional, taken)), sum(fill.qty_steps for fill in taken))
        exact = sum((average * fill.qty_steps - notional(fill)) * fill.side for fill in returned)
        return exact.__floor__()


def test_grinding_holds_its_limits_and_its_accounts_whatever_happens():
    run_state_machine_as_test(
        Grinds,
        # Not shrunk: that takes minutes here, and the failing run is printed in any case.
        settings=settings(
            settings.get_profile("core"), max_examples=20, stateful_step_count=30, phases=[Phase.generate]
        ),
    )
