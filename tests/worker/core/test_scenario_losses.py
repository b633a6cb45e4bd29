"""Loss limits of a whole engine (trading 5): daily loss, stop loss, and that only its own rule resets either."""

import msgspec
import pytest
from core_world import TOKEN, Run, World, of_kind
from hypothesis import given, settings
from hypothesis import strategies as st
from phoenix_coordination.state import Reason
from phoenix_worker.core import actions as ac
from phoenix_worker.core import events as ev
from phoenix_worker.core.day import DAY_MS, start_of_day
from phoenix_worker.core.events import Side
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.memory import read
from samples import BTCUSDT, MAKER, MS, SECOND, changed

LIMITED = changed(MAKER, daily_loss_max=50 * MONEY, stop_loss=100 * MONEY, pnl_stop_ratio=1.0)
"""Without the unrealised loss of one position as a guard of its own."""


def told(world, mark):
    """The mark price; the book stays where it is."""
    world.tell(ev.Mark(0, world.exchange_ms, float(mark), 0.0, 0.0001, 0))
    return world.tick()


def holding(steps, parameters=LIMITED, **world):
    """It has held this position since before the day at a mark of 60 000, and quotes."""
    made = World(parameters, **world)
    made.hold(steps)
    made.start()
    told(made, 60_000)
    made.wait(1.0)
    return made


def before_midnight(seconds, steps=0, parameters=LIMITED):
    """A process that starts so long before 00:00 UTC."""
    world = World(parameters)
    midnight_ms = start_of_day(world.exchange_ms) + DAY_MS
    world.now += (midnight_ms - world.exchange_ms) * MS - int(seconds * SECOND)
    world.run = Run(parameters, BTCUSDT, world.now)
    world.exchange.now_ms = world.exchange_ms
    world.hold(steps)
    world.start()
    told(world, 60_000)
    return world


def reasons(world):
    return world.engine.view().reasons


def day_of(world):
    result = world.engine.view().day_result
    return None if result is None else result / MONEY


def fill_one(world, side):
    """Somebody trades with our nearest order of the side."""
    return world.fill(world.ours(side)[0], 1)


# -- what has been read of the day -----------------------------------------------------------------


def test_nothing_opens_before_the_day_is_known_and_what_reduces_goes_on():
    world = World(LIMITED)
    world.day_answered = False
    world.hold(20)
    world.start()
    world.wait(1.0)
    assert reasons(world) == [Reason.LOSS_UNKNOWN]
    assert {order.side for order in world.ours()} == {Side.SELL}
    assert all(order.reduce_only for order in world.ours())
    world.day_answered = True
    world.wait(20.0)
    assert reasons(world) == []
    assert {order.side for order in world.ours()} == set(Side)


def test_the_day_is_asked_for_once_and_as_soon_as_the_position_is_known(world):
    asked = of_kind(world.done, ac.FetchDay)
    assert [action.start_ms for action in asked] == [start_of_day(world.exchange_ms)]
    world.wait(30.0)
    assert len(of_kind(world.done, ac.FetchDay)) == 1


def test_without_a_limit_nothing_waits_for_it():
    world = World(MAKER)
    world.day_answered = False
    world.start()
    world.wait(1.0)
    assert reasons(world) == []
    assert day_of(world) is None


def test_what_cannot_be_read_is_asked_again_ever_later():
    world = World(LIMITED)
    world.day_answered = False
    world.start()
    world.wait(0.5)
    for pause_s in (2, 4, 8, 16, 32, 60, 60):
        asked = of_kind(world.done, ac.FetchDay)
        world.tell(ev.DayRead(0, asked[-1].request_id, problem="503"))
        world.wait(pause_s - 0.5)
        assert of_kind(world.done, ac.FetchDay) == asked
        world.wait(1.0)
        assert len(of_kind(world.done, ac.FetchDay)) == len(asked) + 1
    assert "could not be read: 503" in world.engine.view().detail


@pytest.mark.parametrize("wrong_id", [0, 99], ids=["an older question", "none of ours"])
def test_an_answer_to_another_question_says_nothing(wrong_id):
    world = World(LIMITED)
    world.day_answered = False
    world.start()
    world.wait(0.5)
    world.tell(ev.DayRead(0, wrong_id, 60_000.0))
    assert Reason.LOSS_UNKNOWN in reasons(world)


def test_what_another_lease_has_asked_for_is_not_believed():
    """Whoever led meanwhile may have traded."""
    world = World(LIMITED)
    world.day_answered = False
    world.start()
    world.wait(0.5)
    (asked,) = of_kind(world.done, ac.FetchDay)
    world.lease(0)
    world.tell(world.exchange.day(asked))
    world.lease(TOKEN + 1)
    world.wait(0.5)
    assert Reason.LOSS_UNKNOWN in reasons(world)
    assert len(of_kind(world.done, ac.FetchDay)) == 2
    world.tell(world.exchange.day(asked))
    assert Reason.LOSS_UNKNOWN in reasons(world)


def test_under_a_new_lease_not_even_the_first_decision_opens_on_what_was_known_under_the_last():
    """Between the truth and the next tick nothing has judged the limits yet."""
    world = holding(0)
    world.lease(0)
    world.settle()
    world.day_answered = False
    mark = len(world.done)
    world.lease(TOKEN + 1)
    assert world.engine.view().not_ready == [], "the truth has been read"
    assert Reason.LOSS_UNKNOWN in reasons(world)
    assert of_kind(world.since(mark), ac.Place) == []


def test_fills_before_during_and_after_the_reading_count_once():
    world = World(MAKER)
    world.day_answered = False
    world.start()
    world.wait(1.0)
    fill_one(world, Side.BUY)
    asked = next(action for action in reversed(world.done) if isinstance(action, ac.FetchDay))
    world.wait(0.5)
    fill_one(world, Side.SELL)
    world.tell(world.exchange.day(asked))
    world.wait(0.5)
    fill_one(world, Side.BUY)
    day = world.engine.losses.day
    assert day.steps == sum(fill.side * fill.qty_steps for fill in world.exchange.fills)
    assert day.notional == sum(
        fill.side * BTCUSDT.notional(fill.price_ticks, fill.qty_steps) for fill in world.exchange.fills
    )


def test_fills_that_only_the_truth_tells_count():
    world = holding(0)
    world.exchange.stream_up = False
    world.exchange.fill(world.ours(Side.BUY)[0], 1)
    world.close(ev.Stream.USER)
    world.open(ev.Stream.USER)
    world.wait(1.0)
    assert world.engine.losses.day.steps == 1


def test_a_fee_in_an_asset_without_a_price_stops_what_opens_until_there_is_one():
    world = holding(0)
    world.exchange.commission = (MONEY // 1_000, "BNB")
    fill_one(world, Side.BUY)
    world.wait(0.5)
    assert reasons(world) == [Reason.LOSS_UNKNOWN]
    assert "fees were paid in BNB" in world.engine.view().detail
    world.exchange.rates["BNB"] = 600.0
    told(world, 60_000)
    world.wait(15.0)
    assert reasons(world) == []
    assert day_of(world) == pytest.approx(
        world.engine.losses.day.result(1, 60_000.0, 0, 0, BTCUSDT) / MONEY - 0.6, abs=0.02
    )


def test_a_mark_of_midnight_that_is_not_known_yet_is_asked_for_again():
    world = World(LIMITED)
    world.exchange.open_mark = 0.0
    world.hold(10)
    world.start()
    world.wait(1.0)
    assert reasons(world) == [Reason.LOSS_UNKNOWN]
    assert "the mark price of 00:00 UTC" in world.engine.view().detail
    world.exchange.open_mark = 60_000.0
    world.wait(5.0)
    assert reasons(world) == []


# -- the daily limit -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "mark", "halts"),
    [(20, 57_500, False), (20, 57_499, True), (-20, 62_500, False), (-20, 62_501, True), (20, 70_000, False)],
    ids=["5 long, at the limit", "5 long, beyond it", "5 short, at the limit", "5 short, beyond it", "5 a gain"],
)
def test_beyond_the_daily_loss_the_symbol_halts(steps, mark, halts):
    world = holding(steps)
    told(world, mark)
    assert (Reason.RISK_HALTED in reasons(world)) is halts
    assert not of_kind(world.done, ac.HaltSymbol), "it ends by itself: nobody has to resume it"


def test_under_it_only_what_reduces_rests_and_a_mark_that_comes_back_ends_nothing():
    world = holding(20)
    told(world, 57_400)
    world.wait(0.5)
    assert {order.side for order in world.ours()} == {Side.SELL}
    told(world, 60_000)
    world.wait(1.0)
    view = world.engine.view()
    assert view.reasons == [Reason.RISK_HALTED]
    assert view.halted == view.detail
    assert view.halted.startswith("daily loss of 52.00 USDT, more than risk.dailyLossMax of 50.00 USDT")


@pytest.mark.parametrize(
    ("limit", "mark", "halted"),
    [(60, 57_400, False), (60, 56_000, True), (50, 60_000, True), (40, 60_000, True), (None, 57_400, False)],
    ids=["raised", "raised, and exceeded again", "the same", "lowered", "none any more"],
)
def test_a_person_may_raise_the_limit(limit, mark, halted):
    world = holding(20)
    told(world, 57_400)
    told(world, mark)
    risk = msgspec.structs.replace(LIMITED.risk, daily_loss_max=limit and limit * MONEY, stop_loss=None)
    world.tell(ev.ParametersSet(0, msgspec.structs.replace(LIMITED, risk=risk), "raised"))
    told(world, mark)
    world.wait(0.5)
    assert (Reason.RISK_HALTED in reasons(world)) is halted


@pytest.mark.parametrize("remembered", [True, False], ids=["with its memory", "without any"])
def test_a_restart_resets_no_daily_loss(remembered):
    world = holding(20)
    told(world, 57_400)
    if remembered:
        told(world, 60_000)  # what the next one reads is within the limit again
    world.take_over(None, TOKEN + 9, world.engine.remember() if remembered else b"", 0)
    if not remembered:
        told(world, 57_400)
    world.wait(1.0)
    assert Reason.RISK_HALTED in reasons(world)


def test_funding_counts_in_the_day():
    world = holding(20)
    world.income.append(ev.FundingRow(ev.FundingKind.REGULAR, 1, world.exchange_ms, -51 * MONEY))
    world.take_over(None, TOKEN + 9, b"", 0)
    told(world, 60_000)
    world.wait(1.0)
    assert day_of(world) == -51
    assert Reason.RISK_HALTED in reasons(world)


# -- midnight --------------------------------------------------------------------------------------


def test_at_midnight_a_new_day_begins_at_once_with_the_position_and_the_mark_of_that_moment():
    world = before_midnight(3, steps=20)
    told(world, 59_000)
    world.wait(1.0)
    assert day_of(world) == -20
    world.wait(3.0)
    assert reasons(world) == []
    told(world, 59_500)
    assert day_of(world) == 10, "from 59 000"
    assert len(of_kind(world.done, ac.FetchDay)) == 1, "not while everybody asks"


def test_it_is_read_a_while_later_with_the_exchange_s_own_first_mark():
    world = before_midnight(1, steps=20)
    world.wait(2.0)
    world.exchange.open_mark = 60_100.0
    for _ in range(13):
        told(world, 60_000)
        world.wait(9.0)
    first, second = of_kind(world.done, ac.FetchDay)
    assert second.start_ms == first.start_ms + DAY_MS
    assert day_of(world) == -2


def test_a_halt_for_the_daily_loss_ends_at_midnight():
    world = before_midnight(4, steps=20)
    told(world, 57_000)
    assert Reason.RISK_HALTED in reasons(world)
    world.wait(4.5)
    assert reasons(world) == []
    told(world, 60_000)
    world.wait(1.0)
    assert {order.side for order in world.ours()} == set(Side)


def test_a_fill_of_the_new_day_that_is_told_before_our_own_midnight_begins_it():
    world = before_midnight(2)
    world.wait(1.0)
    world.exchange.now_ms = world.exchange_ms + 1_000  # its clock is ahead of what we know of it
    fill_one(world, Side.BUY)
    assert world.engine.losses.day.steps == 1
    world.wait(2.0)
    assert world.engine.losses.day.steps == 1
    assert world.engine.losses.day.opened_with(world.engine.account.position.steps) == 0


def test_a_fill_of_yesterday_that_is_told_after_midnight_belongs_to_the_opening_position():
    world = before_midnight(1)
    world.wait(0.5)
    order = world.ours(Side.BUY)[0]
    yesterday = start_of_day(world.exchange_ms) + DAY_MS - 1
    world.automatic = False
    world.exchange.fill(order, 1)
    late = world.exchange.stream[0]
    world.exchange.stream[0] = msgspec.structs.replace(late, fill=msgspec.structs.replace(late.fill, time_ms=yesterday))
    world.tick(20)
    world.automatic = True
    world.settle()
    assert world.engine.losses.day.opened_with(world.engine.account.position.steps) == 1


def test_a_standby_that_takes_over_after_midnight_reads_the_day_first():
    world = World(LIMITED)
    world.hold(20)
    world.start(token=0)
    world.wait(1.0)
    assert not of_kind(world.done, ac.FetchDay)
    world.day_answered = False
    world.lease(TOKEN)
    world.wait(1.0)
    assert Reason.LOSS_UNKNOWN in reasons(world)


# -- the stop loss ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("mark", "halts"), [(55_000, False), (54_999, True)], ids=["5 at the limit", "5 beyond it"])
def test_beyond_the_stop_loss_the_symbol_halts_until_a_person_resumes(mark, halts):
    world = holding(20)
    told(world, mark)
    world.wait(0.5)
    assert bool(of_kind(world.done, ac.HaltSymbol)) is halts
    if halts:
        assert world.halt.startswith("stop loss: 100.02 USDT lost, more than risk.stopLoss of 100.00 USDT")
        assert Reason.RISK_HALTED in reasons(world)


def has_paid_a_fee_in_quote(world):
    world.exchange.commission = (60 * MONEY, "USDT")
    fill_one(world, Side.BUY)
    return {"USDT": 60 * MONEY}


def has_paid_a_fee_in_bnb(world):
    world.exchange.commission, world.exchange.rates["BNB"] = (MONEY // 10, "BNB"), 600.0
    fill_one(world, Side.BUY)
    world.wait(3.0)
    return {"BNB": MONEY // 10}


def has_paid_funding(world):
    world.income.append(ev.FundingRow(ev.FundingKind.REGULAR, 1, world.exchange_ms, -60 * MONEY))
    world.take_over(None, TOKEN + 9, world.engine.remember(), 0)
    world.wait(1.0)
    return {}


def has_realised_a_loss(world):
    order = world.ours(Side.SELL)[0]
    world.automatic = False
    world.exchange.fill(order, 1)
    told = world.exchange.stream[0]
    world.exchange.stream[0] = msgspec.structs.replace(
        told, fill=msgspec.structs.replace(told.fill, realised=-60 * MONEY)
    )
    world.automatic = True
    world.settle()
    return {}


@pytest.mark.parametrize(
    "lost", [has_realised_a_loss, has_paid_a_fee_in_quote, has_paid_a_fee_in_bnb, has_paid_funding]
)
@pytest.mark.parametrize(("open_loss", "halts"), [(39, False), (41, True)], ids=["5 within it", "5 beyond it"])
def test_the_stop_loss_is_of_all_that_was_lost_beside_the_open_position(lost, open_loss, halts):
    """60 were lost, by each of the ways in which one loses: of a limit of 100 so much more is left."""
    world = holding(20, changed(LIMITED, daily_loss_max=None))
    lost(world)
    position = world.engine.account.position
    told(world, position.entry_price - open_loss / (position.steps * BTCUSDT.step))
    world.wait(0.5)
    assert bool(of_kind(world.done, ac.HaltSymbol)) is halts
    assert world.engine.view().total_result == pytest.approx(-(60 + open_loss) * MONEY, rel=0.005)


@pytest.mark.parametrize("paid", [has_paid_a_fee_in_quote, has_paid_a_fee_in_bnb])
def test_fees_are_told_in_quote_and_as_they_were_paid(paid):
    world = holding(20)
    amounts = paid(world)
    view = world.engine.view()
    assert view.fees == 60 * MONEY
    assert {**view.pnl.other_fees, **({"USDT": view.pnl.fees} if view.pnl.fees else {})} == amounts


def test_a_fee_without_a_price_is_no_fee_of_nothing():
    world = holding(20, changed(LIMITED, daily_loss_max=None))
    world.exchange.commission = (MONEY // 10, "BNB")
    fill_one(world, Side.BUY)
    world.wait(0.5)
    assert (world.engine.view().fees, world.engine.view().total_result) == (None, None)
    assert reasons(world) == [Reason.LOSS_UNKNOWN]


def resume(world):
    world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, ""))


def test_it_counts_from_the_result_at_which_a_person_resumed():
    no_day = changed(LIMITED, daily_loss_max=None)
    world = holding(20, no_day)
    told(world, 54_900)
    resume(world)
    told(world, 54_900)
    assert reasons(world) == []
    told(world, 50_000)
    assert reasons(world) == []
    told(world, 49_800)
    assert Reason.RISK_HALTED in reasons(world)
    assert len(of_kind(world.done, ac.HaltSymbol)) == 2


def test_a_resume_of_another_halt_forgives_no_loss():
    no_day = changed(LIMITED, daily_loss_max=None)
    world = holding(20, no_day)
    told(world, 55_500)
    world.tell(ev.SymbolHalt(0, world.halt_epoch + 1, "orders fail"))
    resume(world)
    told(world, 55_500)
    told(world, 54_900)
    assert Reason.RISK_HALTED in reasons(world)


@pytest.mark.parametrize("resumed", ["while it ran", "while nobody led"])
def test_a_restart_resets_no_stop_loss_and_undoes_no_resume(resumed):
    no_day = changed(LIMITED, daily_loss_max=None)
    world = holding(20, no_day)
    told(world, 54_900)
    if resumed == "while it ran":
        resume(world)
        told(world, 54_900)
    memory = world.engine.remember()
    if resumed == "while nobody led":
        world.halt, world.halt_epoch = "", world.halt_epoch + 1
    world.take_over(None, TOKEN + 9, memory, 0)
    told(world, 54_900)
    world.wait(1.0)
    assert reasons(world) == []
    told(world, 49_800)
    assert Reason.RISK_HALTED in reasons(world)
    assert read(world.engine.remember(), "BTCUSDT").stop_base == pytest.approx(-102 * MONEY, abs=MONEY)


# -- all together ----------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.sampled_from(["buy", "sell", "wait", "reconnect", "takeover", "amnesia"]),
        st.integers(-300, 300),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(STEPS, st.sampled_from([-30, 0, 30]), st.booleans())
def test_the_day_is_what_a_plain_model_finds_in_the_exchange_s_books(steps, held, over_midnight):
    """However often it was taken over, reconnected, and whatever the marks were."""
    world = before_midnight(2.0 if over_midnight else 3_600.0, held, MAKER)
    world.exchange.commission = (700, "USDT")
    world.wait(0.5)
    token, mark = TOKEN, 60_000
    for step in steps:
        match step:
            case "buy" | "sell":
                side = Side.BUY if step == "buy" else Side.SELL
                if orders := world.ours(side):
                    world.fill(orders[0], 1)
            case "wait":
                world.wait(0.5)
            case "reconnect":
                world.exchange.stream_up = False
                if orders := world.ours():
                    world.exchange.fill(orders[0], 1)
                world.close(ev.Stream.USER)
                world.open(ev.Stream.USER)
            case "takeover" | "amnesia":
                token += 1
                world.take_over(None, token, world.engine.remember() if step == "takeover" else b"", 0)
            case int():
                mark = 60_000 + step
                told(world, mark)
    told(world, mark)
    world.wait(1.0)
    told(world, mark)

    today = start_of_day(world.exchange_ms)
    engine, fills = world.engine, [fill for fill in world.exchange.fills if fill.time_ms >= today]
    opened = world.exchange.position - sum(fill.side * fill.qty_steps for fill in fills)
    first_mark = engine.losses.day.open_mark
    plain = (
        world.exchange.position * mark * 0.001
        - opened * first_mark * 0.001
        - sum(fill.side * fill.qty_steps * fill.price_ticks for fill in fills) * 0.0001
        - sum(fill.commission for fill in fills) / MONEY
    )
    assert day_of(world) == pytest.approx(plain, abs=1e-6)
    assert first_mark == 60_000 or over_midnight
    world.replay()
