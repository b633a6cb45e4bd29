"""The whole engine takes over: what the leader before has left at the exchange, in memory, and in what is shared."""

import pytest
from core_world import INSTALLATION, OFFSET_NS, TOKEN, Run, World, of_kind, sent
from model_exchange import refused
from phoenix_coordination import order_id
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.events import EmergencyLevel, Refusal, Request, Side, Stream
from samples import MAKER, MS, SECOND, changed

STEPS = (ac.ArmDeadMan, ac.FetchTruth, ac.Cancel, ac.Place)


def steps_of(actions):
    """Runs of the same step are one."""
    kinds = [type(action) for action in of_kind(actions, *STEPS)]
    return [kind for number, kind in enumerate(kinds) if not number or kind is not kinds[number - 1]]


def successor_of(world, age_s=1):
    """Another process, which is to take over what the first one has left; the exchange is the same."""
    successor = World(world.engine.parameters, world.exchange.instrument)
    successor.now = world.now + age_s * SECOND
    successor.run = Run(world.engine.parameters, world.exchange.instrument, successor.now)
    successor.exchange = world.exchange
    successor.levels = successor._levels()
    return successor


# -- the order of a takeover -----------------------------------------------------------------------------------


def test_the_timer_is_armed_and_everything_read_before_the_first_quote():
    world = World().start()
    world.wait(0.5)
    assert steps_of(world.done) == [ac.ArmDeadMan, ac.FetchTruth, ac.Place]


def test_what_older_tokens_left_is_cancelled_and_all_is_read_again_before_the_first_quote():
    world = World()
    for sequence, side in enumerate([Side.BUY, Side.SELL]):
        world.exchange.add(order_id.format(INSTALLATION, TOKEN - 5, "q", sequence), side, 600_000 - 900 * side, 10)
    world.start()
    world.wait(1.0)
    assert steps_of(world.done) == [ac.ArmDeadMan, ac.FetchTruth, ac.Cancel, ac.FetchTruth, ac.Place]


@pytest.mark.parametrize("missing", ["arms", "truths_answered"])
def test_nothing_is_quoted_while_a_step_is_missing(missing):
    world = World()
    setattr(world, missing, False)
    world.start()
    world.wait(5.0)
    assert of_kind(world.done, ac.Place) == []


def test_a_timer_from_leading_before_does_not_count(world):
    world.lease(0)
    world.arms = False
    world.lease(TOKEN + 1)
    world.wait(1.0)
    assert Reason.DEAD_MAN_NOT_ARMED in world.engine.view().not_ready
    assert world.ours() == []


def test_an_order_of_ours_under_an_older_token_is_never_amended_but_goes():
    """Its cancel is refused at first, so it rests on, in the place of a quote that is wanted."""
    world = World(changed(MAKER, failure_window=1_000)).start()
    world.wait(1.0)
    world.exchange.refuse = {Request.CANCEL: [(Refusal.OTHER, -1001)] * 20}
    world.lease(0)
    mark = len(world.done)
    world.lease(TOKEN + 1)
    world.wait(1.0)
    world.market(world.exchange.bid + 400)
    world.wait(4.0)
    amended = {order_id.parse(amend.approved.order.client_id).token for amend in of_kind(world.since(mark), ac.Amend)}
    assert amended <= {TOKEN + 1}
    assert {order_id.parse(order.client_id).token for order in world.ours()} == {TOKEN + 1}
    assert len(world.ours()) == 10


def test_nothing_is_quoted_beside_an_order_of_ours_under_an_older_token_whose_cancel_nobody_has_answered():
    """A worker that was frozen, and then not heard: it leads again while what it left may rest or not."""
    world = World(changed(MAKER, failure_window=1_000)).start()
    world.wait(1.0)
    older = [order.client_id for order in world.ours()]
    world.hold_requests = True
    world.lease(0)
    mark = len(world.done)
    world.lease(TOKEN + 1)
    world.wait(1.0)
    assert {order.client_id for order in world.ours()} == set(older)
    assert of_kind(world.since(mark), ac.Place) == []
    world.hold_requests = False
    world.wait(2.0)
    assert {order_id.parse(order.client_id).token for order in world.ours()} == {TOKEN + 1}
    assert len(world.ours()) == 10


@pytest.mark.parametrize(
    ("token", "after_s", "writes"),
    [(TOKEN - 5, 1.0, False), (TOKEN - 5, 3.0, True), (TOKEN, 3.0, False)],
    ids=["sent before we took over", "sent since", "ours, and forgotten"],
)
def test_who_goes_on_writing_under_an_older_token_is_a_second_writer(token, after_s, writes):
    """It does not know of us, so it would place for ever what we cancel."""
    world = World().start()
    world.wait(after_s)
    other = world.exchange.add(order_id.format(INSTALLATION, token, "q", 900), Side.BUY, 599_000, 10)
    world.settle()
    world.wait(1.0)
    assert other.state is ev.OrderState.CANCELED
    assert len(of_kind(world.done, ac.RaiseEmergency)) == writes
    assert (Reason.SECOND_WRITER in world.engine.view().reasons) is writes
    assert bool(world.ours()) is not writes


def test_a_position_that_the_last_leader_built_is_reduced_by_the_next(world):
    world.fill(world.ours(Side.BUY)[0])
    successor = successor_of(world).start(TOKEN + 1, world.engine.remember())
    successor.wait(2.0)
    view = successor.engine.view()
    assert view.position_steps == world.exchange.position > 0
    assert {order_id.parse(order.client_id).token for order in successor.ours()} == {TOKEN + 1}
    assert len(successor.ours()) == 10


# -- memory ----------------------------------------------------------------------------------------------------


def test_what_the_exchange_cannot_tell_is_remembered():
    world = World()
    world.hold(112)
    world.start()
    world.wait(5.0)
    before = world.engine.view()
    successor = successor_of(world, age_s=2).start(TOKEN + 1, world.engine.remember())
    successor.wait(1.0)
    view = successor.engine.view()
    assert view.pnl.realised == before.pnl.realised
    assert view.pnl.fills == before.pnl.fills == 1
    assert view.reasons == [Reason.COOLDOWN]
    successor.wait(48.0)
    assert successor.engine.view().reasons == [Reason.COOLDOWN]
    successor.wait(10.0)
    assert successor.engine.view().reasons == []


@pytest.mark.parametrize("missed_before", [False, True])
def test_fills_since_the_memory_was_saved_are_booked_once(world, missed_before):
    buys = world.ours(Side.BUY)
    world.fill(buys[0], 2)
    if missed_before:  # the next one is told, this one is not
        world.exchange.stream_up = False
        world.fill(buys[0], 1)
        world.exchange.stream_up = True
        world.fill(buys[0], 1)
    memory = world.engine.remember()
    world.fill(buys[1], 3)
    successor = successor_of(world).start(TOKEN + 1, memory)
    successor.wait(1.0)
    fills = world.exchange.fills
    pnl = successor.engine.view().pnl
    assert (pnl.fills, pnl.bought_steps) == (len(fills), sum(fill.qty_steps for fill in fills))


def test_a_fill_between_the_first_memory_and_a_crash_is_counted_by_the_next_worker():
    """Nothing has ever traded, so no trade id says from where to look: the beginning of the accounts does."""
    world = World().start()
    (asked,) = {action.since_ms for action in of_kind(world.done, ac.FetchTruth)}
    successor = successor_of(world, age_s=30).start(TOKEN + 1, world.engine.remember())
    assert {action.since_ms for action in of_kind(successor.done, ac.FetchTruth)} == {asked}


@pytest.mark.parametrize(("age_s", "kept"), [(59, True), (61, False)], ids=["young", "old"])
def test_statistics_are_kept_only_while_they_are_of_this_market(world, age_s, kept):
    world.wait(15.0)
    fresh = World().engine
    fresh.on(ev.Restored(fresh.now_ns, world.engine.remember(), age_s * SECOND))
    assert fresh.statistics.warm is kept


@pytest.mark.parametrize(("position", "cools"), [(30, True), (-30, True), (0, False)])
def test_without_a_memory_a_position_cools_down_and_a_flat_symbol_does_not(position, cools):
    world = World()
    world.hold(position)
    world.start(memory=b"")
    world.wait(1.0)
    assert (Reason.COOLDOWN in world.engine.view().reasons) is cools
    grows = Side.BUY if position >= 0 else Side.SELL
    assert bool(world.ours(grows)) is not cools
    assert all(order.reduce_only for order in world.ours()) is cools
    world.wait(60.0)
    assert world.ours(grows)


def test_a_position_that_was_built_since_does_not_cool_down_at_the_next_reading():
    world = World().start(memory=b"")
    world.wait(1.0)
    world.fill(world.ours(Side.BUY)[0])
    world.close(Stream.USER)
    world.open(Stream.USER)
    world.wait(1.0)
    assert world.engine.view().reasons == []


def test_a_worker_that_was_never_told_of_a_memory_fails_closed_too():
    world = World()
    world.hold(30)
    tell = world.tell
    world.tell = lambda event: [] if isinstance(event, ev.Restored) else tell(event)
    world.start()
    world.wait(1.0)
    assert world.engine.view().reasons == [Reason.COOLDOWN]


def test_a_worker_that_led_before_takes_over_what_the_leader_between_knew(world):
    """Two fills for the first leader, which loses the lease; one for the second; then the first leads again."""
    world.fill(world.ours(Side.BUY)[0], 2)
    world.lease(0)
    between = successor_of(world).start(TOKEN + 1, world.engine.remember())
    between.wait(1.0)
    between.fill(between.ours(Side.SELL)[0], 3)
    between.lease(0)
    world.now = between.now + SECOND
    world.exchange.now_ms = world.exchange_ms
    world.update_id, world.levels = between.update_id, between.levels
    for stream in (Stream.BOOK, Stream.USER):
        world.close(stream)
        world.open(stream)
    world.tell(ev.Restored(0, between.engine.remember(), SECOND))
    world.lease(TOKEN + 2)
    world.wait(1.0)
    view = world.engine.view()
    assert (view.pnl.fills, view.pnl.bought_steps, view.pnl.sold_steps) == (2, 2, 3)
    assert view.position_steps == world.exchange.position
    assert len(world.ours()) == 10


def test_an_own_order_counts_whole_until_fills_that_are_told_again_are_known(world):
    """Its fill is booked here and not in the memory of the leader between, who died before he read anything."""
    world.automatic = False
    blank = World().engine.remember()
    buy = world.ours(Side.BUY)[0]
    world.exchange.fill(buy, 3)
    while world.exchange.stream:
        world.tell(world.exchange.stream.popleft())
    world.lease(0)
    world.tell(ev.Restored(0, blank, SECOND))
    world.lease(TOKEN + 2)
    asked = of_kind(world.pending, ac.FetchTruth)[-1]
    world.tell(world.exchange.truth(asked))
    assert world.engine.view().pnl.fills == 1
    assert world.engine.account.worst_long == world.exchange.worst(Side.BUY)


# -- switches --------------------------------------------------------------------------------------------------


def failing(world, times=60):
    for _ in range(times):
        world.tell(refused(Request.PLACE, "x", Refusal.OTHER, -1100))


def test_a_halt_is_shared_once_and_survives_the_process(world):
    failing(world)
    (shared,) = of_kind(world.done, ac.HaltSymbol)
    assert "-1100" in shared.reason
    assert world.engine.view().halted == shared.reason
    successor = successor_of(world)
    successor.start(TOKEN + 1, world.engine.remember())
    successor.wait(1.0)
    assert successor.engine.view().halted == shared.reason
    assert of_kind(successor.done, ac.HaltSymbol) == [shared], "what is shared has forgotten it"
    assert successor.ours() == []


def test_a_halt_that_another_leader_has_raised_halts_this_one(world):
    world.tell(ev.SymbolHalt(0, 2, "losses"))
    assert Reason.RISK_HALTED in world.engine.view().reasons
    assert (world.engine.view().halted, world.engine.view().halt_epoch) == ("losses", 2)
    assert world.ours() == []
    assert of_kind(world.done, ac.HaltSymbol) == []


def test_a_halt_of_ours_holds_before_it_is_shared_and_against_what_does_not_know_it(world):
    world.automatic = False
    failing(world)
    halted = world.engine.view().halted
    mark = len(world.done)
    for _ in range(3):
        world.tell(ev.SymbolHalt(0, 1, ""))
    assert world.engine.view().halted == halted
    assert of_kind(world.since(mark), ac.HaltSymbol) == [ac.HaltSymbol(halted)] * 3


@pytest.mark.parametrize(("epoch", "resumes"), [(1, False), (2, True), (3, True)])
def test_only_a_resume_of_its_epoch_ends_a_halt(world, epoch, resumes):
    """A halt under epoch 2; the resume makes it 3."""
    world.automatic = False
    world.tell(ev.SymbolHalt(0, 2, "losses"))
    world.tell(ev.SymbolHalt(0, epoch, ""))
    assert (world.engine.view().halted == "") is resumes


def test_after_a_resume_quoting_goes_on_and_the_old_failures_do_not_count(world):
    failing(world)
    world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, ""))
    world.wait(1.0)
    assert len(world.ours()) == 10
    failing(world, 1)
    assert world.engine.view().halted == ""


def test_under_a_shared_halt_reducing_quotes_stay_alive(world):
    world.fill(world.ours(Side.BUY)[0])
    world.tell(ev.SymbolHalt(0, 2, "losses"))
    world.wait(1.0)
    assert {order.side for order in world.ours()} == {Side.SELL}
    assert all(order.reduce_only for order in world.ours())


def test_a_ban_raises_the_emergency_once_and_not_for_each_request(world):
    for _ in range(20):
        world.tell(refused(Request.CANCEL, "x", Refusal.BANNED, -1003))
    (raised,) = of_kind(world.done, ac.RaiseEmergency)
    assert raised.level is EmergencyLevel.HALT
    assert raised.reason.startswith("banned by the exchange")
    assert Reason.EMERGENCY in world.engine.view().reasons


def test_a_ban_after_a_resume_raises_it_again(world):
    for _ in range(2):
        world.tell(refused(Request.CANCEL, "x", Refusal.BANNED, -1003))
        world.switch_epoch += 1
        world.tell(ev.Emergency(0, EmergencyLevel.NONE, world.switch_epoch, ""))
    assert len(of_kind(world.done, ac.RaiseEmergency)) == 2


def test_an_emergency_of_ours_counts_before_it_is_shared(world):
    world.automatic = False
    actions = world.tell(refused(Request.PLACE, "x", Refusal.DENIED, -2015))
    assert world.engine.view().emergency is EmergencyLevel.HALT
    assert len(of_kind(actions, ac.Cancel)) == 10


def test_a_switch_that_has_forgotten_an_emergency_does_not_lift_it(world):
    world.tell(ev.Emergency(0, EmergencyLevel.HALT, 5, "a person"))
    world.automatic = False
    mark = len(world.done)
    world.tell(ev.Emergency(0, EmergencyLevel.NONE, 0, ""))
    assert of_kind(world.since(mark), ac.RaiseEmergency) == [ac.RaiseEmergency(EmergencyLevel.HALT, "a person")]
    assert world.engine.view().emergency is EmergencyLevel.HALT
    world.tell(ev.Emergency(0, EmergencyLevel.HALT, 1, "a person"))  # raised again, under an epoch of its own
    world.tell(ev.Emergency(0, EmergencyLevel.NONE, 2, ""))
    assert world.engine.view().emergency is EmergencyLevel.NONE


def test_an_emergency_that_was_raised_again_and_resumed_between_two_looks_is_over(world):
    world.tell(ev.Emergency(0, EmergencyLevel.HALT, 5, "a person"))
    world.automatic = False
    for epoch in (0, 2):  # forgotten; 1 was the halt that we raised again
        world.tell(ev.Emergency(0, EmergencyLevel.NONE, epoch, ""))
    assert world.engine.view().emergency is EmergencyLevel.NONE


# -- making room -----------------------------------------------------------------------------------------------


def book_lost(world):
    world.snapshots_answered = False
    world.gap()


def stale(world):
    world.reconnects = False


def user_stream_lost(world):
    world.close(Stream.USER)


def truth_unread(world):
    world.truths_answered = False
    world.close(Stream.USER)
    world.open(Stream.USER)


def clock_lost(world):
    world.tell(refused(Request.CANCEL, "x", Refusal.CLOCK, -1021))


def timer_lost(world):
    world.arms = False
    world.lease(TOKEN + 1)


def renewing(world, seconds, **heard):
    """Time passes, and the lease is kept whatever else is lost."""
    return world.wait(seconds, **heard)


@pytest.mark.parametrize(
    ("cause", "heard"),
    [
        (book_lost, {}),
        (stale, {"frames": False, "canary": False}),
        (user_stream_lost, {}),
        (truth_unread, {}),
        (clock_lost, {}),
        (timer_lost, {}),
    ],
)
def test_a_leader_that_cannot_quote_makes_room_after_three_seconds_and_says_so_again(world, cause, heard):
    cause(world)
    assert of_kind(renewing(world, 2.8, **heard), ac.HandOver) == []
    first = 2.5 if heard else 0.5
    assert len(of_kind(renewing(world, first, **heard), ac.HandOver)) == 1
    assert len(of_kind(renewing(world, 6.0, **heard), ac.HandOver)) == 2
    assert world.engine.view().warm is (cause in (truth_unread, timer_lost))


def test_once_it_can_quote_again_it_keeps_the_lease(world):
    book_lost(world)
    renewing(world, 2.0)
    world.snapshots_answered = True
    renewing(world, 2.0)
    book_lost(world)
    assert of_kind(renewing(world, 2.5), ac.HandOver) == []


def test_a_leader_has_three_seconds_from_when_it_leads(world):
    book_lost(world)
    renewing(world, 2.8)
    world.lease(0)
    world.lease(TOKEN + 1)
    assert of_kind(renewing(world, 2.5), ac.HandOver) == []
    assert len(of_kind(renewing(world, 1.0), ac.HandOver)) == 1


@pytest.mark.parametrize(
    "event",
    [
        ev.VenueMaintenance(0, down=True),
        ev.Coordination(0, reachable=False, reason="refused"),
        ev.Stop(0, "SIGTERM"),
    ],
    ids=["maintenance", "coordination", "stopping"],
)
def test_nobody_makes_room_for_what_a_standby_could_not_do_better(world, event):
    book_lost(world)
    world.automatic = False  # or the stop would be over in a moment
    world.tell(event)
    assert of_kind(renewing(world, 10.0), ac.HandOver) == []


def test_a_standby_has_nothing_to_hand_over(world):
    world.lease(0)
    book_lost(world)
    assert of_kind(renewing(world, 10.0), ac.HandOver) == []


def test_nobody_makes_room_while_something_of_ours_may_rest(world):
    world.hold_requests = True
    book_lost(world)
    assert of_kind(renewing(world, 5.0), ac.HandOver) == []
    world.hold_requests = False
    world.settle()
    assert len(of_kind(renewing(world, 0.1), ac.HandOver)) == 1


def test_nobody_makes_room_while_it_works_off_an_emergency():
    world = World()
    world.hold(112)
    world.exchange.taker_share = 0.0
    world.start()
    book_lost(world)
    actions = renewing(world, 10.0)
    assert world.engine.liquidation.active
    assert of_kind(actions, ac.HandOver) == []


@pytest.mark.parametrize(
    ("lacks", "warm"),
    [(None, True), (Stream.BOOK, False), (Stream.USER, False), ("clock", False), ("klines", False)],
)
def test_a_standby_is_warm_when_only_the_lease_is_missing(lacks, warm):
    world = World()
    world.closes_answered = lacks != "klines"
    world.start(token=0)
    world.wait(0.5)
    if isinstance(lacks, Stream):
        world.close(lacks)
    elif lacks == "clock":
        clock_lost(world)
    assert world.engine.view().warm is warm
    assert sent(world.done) == []


# -- what the account's ledger counts --------------------------------------------------------------------------


def test_what_is_live_is_told_with_each_reservation_reduce_only_too():
    world = World()
    world.hold(75)
    world.start()
    world.wait(11.0)
    asked = of_kind(world.done, ac.Reserve)[-1]
    assert world.purposes() == {"PIN"}
    assert asked.position_steps == 75
    assert (asked.buy_live_steps, asked.sell_live_steps) == (0, sum(order.qty for order in world.ours()))


@pytest.fixture
def touched(world):
    """The quotes were moved a moment ago, and must not be again so soon; the market has gone on since."""
    world.now += SECOND
    world.renew()
    world.tell(world.next_diff())
    mark = len(world.done)
    world.market(600_400)
    assert of_kind(world.since(mark), ac.Amend)
    world.automatic = False
    assert sent(world.market(600_800)) == []
    return world


def left_of(world, side, actions):
    """Steps that rest once these have been done, by layer."""
    sizes = {order.client_id: order.qty for order in world.ours(side)}
    for cancel in of_kind(actions, ac.Cancel):
        sizes.pop(cancel.client_id, None)
    moved = {amend.approved.order.client_id: amend.approved.order.qty_steps for amend in of_kind(actions, ac.Amend)}
    return [moved.get(client_id, qty) for client_id, qty in sizes.items()]


@pytest.mark.parametrize("granted", range(0, 21, 2))
def test_a_grant_below_what_is_live_withdraws_at_once_however_lately_quotes_were_touched(touched, granted):
    world = touched
    before = {order.client_id: order.qty for order in world.ours()}
    assert sum(order.qty for order in world.ours(Side.BUY)) == 21
    actions = world.tell(ev.Reserved(0, world.engine.reservation.sequence, granted, 200))
    assert sum(left_of(world, Side.BUY, actions)) <= granted
    assert left_of(world, Side.SELL, actions) == [order.qty for order in world.ours(Side.SELL)]
    for amend in of_kind(actions, ac.Amend):
        order = amend.approved.order
        assert order.qty_steps < before[order.client_id], "whatever does not shrink waits"


@pytest.mark.parametrize("granted", range(2, 21, 2))
def test_what_a_grant_still_admits_goes_on_resting_nearest_first(world, granted):
    world.automatic = False
    actions = world.tell(ev.Reserved(0, world.engine.reservation.sequence, granted, 200))
    left = left_of(world, Side.BUY, actions)
    assert granted - 1 <= sum(left) <= granted, "all but what would be too small for an order"
    assert left[:-1] == [order.qty for order in world.ours(Side.BUY)][: len(left) - 1]


@pytest.mark.parametrize("fits", Side)
def test_what_rests_on_the_side_that_fits_is_not_disturbed_by_the_other(world, fits):
    before = [order.qty for order in world.ours(fits)]
    grants = (9, sum(before)) if fits is Side.SELL else (sum(before), 9)
    world.automatic = False
    world.tell(ev.Reserved(0, world.engine.reservation.sequence, *grants))
    larger = changed(MAKER, base_size_steps=3 * MAKER.base_size_steps)
    mark = len(world.done)
    world.tell(ev.ParametersSet(0, larger, "larger"))
    world.wait(0.5)
    assert left_of(world, fits, world.since(mark)) == before


def test_a_grant_that_fell_is_kept_to_while_a_newer_request_is_unanswered(world):
    """Redis hangs right after the grant was lowered."""
    world.automatic = False
    world.tell(ev.Reserved(0, world.engine.reservation.sequence, 0, 0))
    assert len(of_kind(world.done[-12:], ac.Cancel)) == 10


@pytest.mark.parametrize("granted", range(0, 21, 2))
def test_what_cannot_be_made_smaller_is_cancelled(world, granted):
    """No order may be sent any more, so none can be amended either; a cancel always may."""
    world.tell(ev.Budget(0, 0, 0, 2_000))
    world.automatic = False
    actions = world.tell(ev.Reserved(0, world.engine.reservation.sequence, granted, 200))
    assert of_kind(actions, ac.Amend) == []
    assert sum(left_of(world, Side.BUY, actions)) <= granted


@pytest.mark.parametrize(
    ("position", "grant", "told"),
    [
        (0, (200, 200), False),
        (0, (0, 0), True),
        (0, (0, 200), True),
        (0, (2, 200), False),
        (0, (1, 200), True),
        (0, (200, 1), True),
        (30, (0, 30), True),
        (30, (200, 30), False),
        (-30, (30, 0), True),
        (75, (0, 75), False),
    ],
    ids=[
        "all is granted",
        "nothing is",
        "buys are not",
        "the smallest order is",
        "less than that is",
        "sells are not",
        "long: only what reduces",
        "long: what opens, too",
        "short: only what reduces",
        "pinned: nothing is to be opened",
    ],
)
def test_it_is_told_when_a_side_that_would_open_risk_has_no_room(position, grant, told):
    world = World()
    world.hold(position)
    world.grant = lambda asked: (min(grant[0], asked.buy_steps), min(grant[1], asked.sell_steps))
    world.start()
    world.wait(1.0)
    assert (Reason.NOT_RESERVED in world.engine.view().reasons) is told


def test_it_is_the_nearest_order_of_a_side_that_has_to_fit():
    """Below 50 000 an order of two steps is too small: the outer layers are there, the nearest is not."""
    world = World(bid=500_400)
    world.grant = lambda asked: (min(2, asked.buy_steps), asked.sell_steps)
    world.start()
    world.wait(1.0)
    assert world.engine.view().reasons == []
    assert [order.qty for order in world.ours(Side.BUY)] == [2]


def test_a_fill_and_its_successor_stay_within_the_grant(world):
    """The account has room for 21 steps, the position included."""
    world.grant = lambda asked: (max(0, 21 - asked.position_steps), 200)
    world.wait(12.0)
    world.fill(world.ours(Side.BUY)[0])
    for _ in range(60):
        world.wait(0.05)
        assert world.exchange.position + sum(order.qty for order in world.ours(Side.BUY)) <= 21


def test_reducing_orders_need_no_grant():
    world = World()
    world.hold(75)
    world.grant = lambda _: (0, 0)
    world.start()
    world.wait(1.0)
    assert {order.side for order in world.ours()} == {Side.SELL}


@pytest.mark.parametrize("mark", [60_000.0, 60_290.0, 60_320.0])
def test_the_entry_is_renewed_when_the_mark_has_moved_by_half_the_buffer(world, mark):
    assert of_kind(world.done, ac.Reserve)[-1].mark == 60_000.0
    world.wait(1.5)
    first = len(world.done)
    world.tell(ev.Mark(0, world.exchange_ms, mark, 0.0, 0.0001, 0))
    world.wait(1.0)
    assert bool(of_kind(world.since(first), ac.Reserve)) is (mark > 60_000.0 * 1.005)


@pytest.mark.parametrize("why", ["paused", "halted", "book lost"])
def test_while_nothing_may_rest_the_entry_is_kept_true(world, why):
    """The position stays counted, what no longer rests is given back, and the mark it is valued at follows."""
    world.fill(world.ours(Side.BUY)[0])
    match why:
        case "paused":
            world.tell(ev.ParametersSet(0, changed(MAKER, paused=True), "paused"))
        case "halted":
            world.tell(ev.Emergency(0, EmergencyLevel.HALT, 5, "a person"))
        case _:
            book_lost(world)
    mark = len(world.done)
    world.wait(12.0)
    asked = of_kind(world.since(mark), ac.Reserve)
    assert {(r.position_steps, r.buy_steps, r.sell_steps) for r in asked} == {(world.exchange.position, 0, 0)}
    assert len(asked) >= 2, "once more after the grant fell: until then the ledger counts the higher one"
    assert len(asked) <= 3, "then every 10 s"
    assert world.engine.reservation.buy_granted == 0


def test_an_entry_is_not_lowered_by_what_is_not_confirmed(world):
    world.hold_requests = True
    world.tell(ev.ParametersSet(0, changed(MAKER, paused=True), "paused"))
    mark = len(world.done)
    world.wait(12.0)
    resting = [sum(order.qty for order in world.ours(side)) for side in Side]
    asked = of_kind(world.since(mark), ac.Reserve)
    assert asked
    assert {(r.buy_live_steps, r.sell_live_steps) for r in asked} == {tuple(resting)}
    assert all(r.buy_steps >= resting[0] and r.sell_steps >= resting[1] for r in asked)


@pytest.mark.parametrize("lost", ["user stream", "lease", "coordination"])
def test_an_entry_stays_as_it_is_while_its_position_or_the_ledger_is_unknown(world, lost):
    match lost:
        case "user stream":
            world.close(Stream.USER)
        case "lease":
            world.lease(0)
        case _:
            world.tell(ev.Coordination(0, reachable=False, reason="refused"))
    mark = len(world.done)
    world.wait(12.0)
    assert of_kind(world.since(mark), ac.Reserve) == []


def test_without_any_price_nothing_is_asked_for():
    world = World()
    tell = world.tell
    world.tell = lambda event: [] if isinstance(event, ev.Mark) else tell(event)
    world.snapshots_answered = False
    world.start()
    world.wait(2.0)
    assert of_kind(world.done, ac.Reserve) == []


# -- a machine that stood still --------------------------------------------------------------------------------


def stand_still(world, ms):
    """A host was suspended after the last renewal: its monotonic clock shows less than has passed, and so does the
    lease's deadline; then the exchange's clock is measured anew.
    """
    world.tell(ev.ClockSynced(0, OFFSET_NS - ms * MS, MS))
    world.lease(TOKEN, seconds=30.0)
    world.tick(10)
    world.tell(ev.ClockSynced(0, OFFSET_NS, MS))


@pytest.mark.parametrize(("ms", "sends"), [(0, True), (200, True), (300, False), (60_000, False)])
def test_after_the_machine_stood_still_nothing_is_sent_under_a_deadline_from_before(world, ms, sends):
    """By the new offset the exchange itself would take it, from beside the next leader."""
    stand_still(world, ms)
    mark = len(world.done)
    world.market(600_500)
    world.tick(10)
    assert bool(of_kind(world.since(mark), ac.Place, ac.Amend)) is sends
    assert (Reason.LEASE_NOT_HELD in world.engine.view().not_ready) is not sends


def test_the_next_renewal_ends_that(world):
    stand_still(world, 60_000)
    assert of_kind(world.done, ac.Cancel)
    world.renew()
    world.wait(1.0)
    assert world.engine.view().not_ready == []
    assert len(world.ours()) == 10
