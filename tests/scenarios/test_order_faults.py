"""What the exchange can answer to an order, or not answer: nothing is sent blind again, nothing is lost count of."""

import pytest
from phoenix_coordination.state import Reason
from phoenix_worker.core.events import Refusal

EVERY_REQUEST_ABOUT_AN_ORDER = "order.*"
REFUSED = 2


async def met_and_survived(arena, fault):
    """The fault has acted as often as it was to; then the worker agrees with the exchange, quotes and is filled."""
    await arena.spend(fault)
    mark = arena.mark
    await arena.agreed()
    await arena.quoting(since=mark)
    await arena.fill()


@pytest.mark.parametrize("endpoint", ["order.place", "order.modify", "order.cancel"])
@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])
async def test_a_lost_answer_is_found_out_about(lively, endpoint, executed):
    """Quotes go on round what is unknown; the exchange never gets an order twice (its exposure is audited)."""
    arena = lively
    fault = await arena.venue.fault("answer-lost", endpoint=endpoint, executed=executed, count=2)
    await met_and_survived(arena, fault)
    await arena.ends_in_order()


@pytest.mark.parametrize(
    "outcome", ["unknown-executed", "unknown-not-executed", "unavailable", "internal", "throttled"]
)
async def test_every_kind_of_503_is_survived(lively, outcome):
    """Twice: a third refusal of this kind within fifty requests is above 5 % and halts the symbol, by the rule."""
    arena = lively
    fault = await arena.venue.fault("unavailable", endpoint=EVERY_REQUEST_ABOUT_AN_ORDER, outcome=outcome, count=2)
    await met_and_survived(arena, fault)
    await arena.ends_in_order()


@pytest.mark.parametrize(
    ("endpoint", "code", "counted"),
    [
        pytest.param("order.place", -5022, Refusal.WOULD_TAKE, id="post-only would take"),
        pytest.param("order.place", -4164, Refusal.FILTER, id="below the minimum notional"),
        pytest.param("order.place", -2019, Refusal.MARGIN, id="margin is insufficient"),
        pytest.param("order.modify", -5027, Refusal.UNCHANGED, id="an amend that changes nothing"),
        pytest.param("order.cancel", -2011, Refusal.GONE, id="a cancel of an order that rests all the same"),
    ],
)
async def test_a_refusal_is_counted_by_its_reason_and_quoting_goes_on(lively, endpoint, code, counted):
    arena = lively
    fault = await arena.venue.fault("reject", endpoint=endpoint, code=code, count=REFUSED)
    await met_and_survived(arena, fault)
    rejected = (await arena.worker.state()).activity.orders_rejected
    assert rejected.get(counted, 0) >= REFUSED, rejected
    await arena.ends_in_order()


async def test_what_limits_the_rate_is_heeded_until_retry_after(lively):
    """The audit counts every request of ours before then; nobody is asked for anything."""
    arena = lively
    fault = await arena.venue.fault(
        "rate-limit", status=429, retryAfterSeconds=3, endpoint="order.*", durationSeconds=4
    )
    await arena.spend(fault, gaps=False)
    (limited,) = [item for item in arena.venue.asked if item.status == 429][:1]
    await arena.worker.until(lambda record: record.reason is Reason.RATE_LIMITED, "it knows that it is limited")
    mark = arena.mark
    await arena.quoting(since=mark)
    first = arena.venue.accepted[mark]
    assert first.at_ns - limited.at_ns >= 3_000_000_000, "by the exchange's own clock"
    await arena.fill()
    await arena.ends_in_order()


async def test_a_ban_halts_the_account_until_a_person_has_looked(lively):
    """Whoever is banned was not heeding something: what, a person has to find."""
    arena = lively
    fault = await arena.venue.fault("rate-limit", status=418, retryAfterSeconds=3, endpoint="order.*", count=1)
    await arena.spend(fault, gaps=False)
    record = await arena.worker.until(lambda record: record.emergency.level == "Halt", "it raises the emergency")
    assert "banned by the exchange" in record.emergency.reason
    out = await arena.quotes_out()
    await arena.worker.until(lambda record: Reason.RATE_LIMITED not in record.reasons_not_ready, "the ban is over")
    async with arena.shared() as account:
        await account.resume(record.emergency.epoch, "anna")
    await arena.quoting(since=out)
    await arena.fill()
    await arena.ends_in_order()


async def test_acknowledgements_that_come_after_the_events_they_announce(lively):
    arena = lively
    fault = await arena.venue.fault("delay", endpoint="order.*", afterSeconds=0.7, count=30)
    await arena.spend(fault)
    mark = arena.mark
    await arena.fill()
    await arena.agreed()
    await arena.quoting(since=mark)
    await arena.ends_in_order()


async def test_requests_that_arrive_late_are_refused_by_the_exchange_or_counted(lively):
    arena = lively
    fault = await arena.venue.fault("delay", endpoint="order.*", beforeSeconds=3.0, count=10)
    await met_and_survived(arena, fault)
    await arena.ends_in_order()


@pytest.mark.parametrize("refused", [False, True], ids=["comes back at once", "is refused for a while"])
async def test_a_cut_order_connection_falls_back_to_rest(lively, refused):
    arena = lively
    if refused:
        await arena.venue.fault("refuse", route="ws-api")
    mark = arena.mark
    await arena.venue.fault("disconnect", route="ws-api")
    if refused:
        await arena.worker.until_metric("mm_rest_fallback_count_total", lambda count: count > 3)
        await arena.quoting(since=mark)
        await arena.fill()
        await arena.venue.heal()
    await arena.worker.until_metric("mm_orders_connected", lambda connected: connected == 1)
    await arena.quoting(since=arena.mark)
    await arena.fill()
    await arena.ends_in_order()
