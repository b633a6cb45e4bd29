"""What the documentation leaves open: a client meets each reading of it, as the scenario's `venue` says."""

import msgspec
import pytest
from phoenix_simulator.scenario import Scenario, VenueChoices

NOTHING_YET = ("0.00", "0.00000")
TURNED_OVER = ("61800.10000", "618.00100")


@pytest.fixture
def venue_of(venues):
    """Opens a venue by choices as a scenario file has them."""

    def opened(**choices):
        return venues(Scenario(venue=msgspec.convert(choices, type=VenueChoices)))

    return opened


def turnover(body):
    return body.get("avgPrice"), body.get("cumQuote")


@pytest.mark.parametrize(
    ("choices", "resting", "taken"),
    [
        pytest.param({}, (None, None), (None, None), id="as documented since mid-2026"),
        pytest.param({"ackTurnover": True}, NOTHING_YET, TURNED_OVER, id="as before"),
    ],
)
async def test_answers_tell_what_was_turned_over_or_do_not(venue_of, choices, resting, taken):
    async with venue_of(**choices) as venue:
        maker = await venue.account()
        _, placed = await maker.place(newClientOrderId="a")
        _, amended = await maker.ask(
            "PUT",
            "/fapi/v1/order",
            symbol="BTCUSDT",
            side="BUY",
            origClientOrderId="a",
            quantity="0.011",
            price="61000",
        )
        _, ended = await maker.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="a")
        _, received = await maker.market()
        _, filled = await maker.market(newOrderRespType="RESULT")
    assert [turnover(body) for body in (placed, amended, ended, received)] == [resting] * 4
    assert (filled["status"], turnover(filled)) == ("FILLED", taken)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        pytest.param({}, (-1106, "Parameter 'timeInForce' sent when not required."), id="as of any parameter"),
        pytest.param(
            {"strayTimeInForce": -1114}, (-1114, "TimeInForce parameter sent when not required."), id="as of this one"
        ),
    ],
)
async def test_a_market_order_with_a_time_in_force_is_refused(venue_of, choices, told):
    async with venue_of(**choices) as venue:
        maker = await venue.account()
        status, body = await maker.market(timeInForce="IOC")
    assert (status, body["code"], body["msg"]) == (400, *told)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        pytest.param({}, (-4032, "Exceed the maximum cancel order size of 10."), id="as a size"),
        pytest.param(
            {"cancelBatchSize": -1130}, (-1130, "Data sent for parameter 'orderIdList' is not valid."), id="as a value"
        ),
    ],
)
async def test_a_batch_of_too_many_cancels_is_refused(venue_of, choices, told):
    async with venue_of(**choices) as venue:
        maker = await venue.account()
        status, body = await maker.ask(
            "DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=str(list(range(1, 12))).replace(" ", "")
        )
    assert (status, body["code"], body["msg"]) == (400, *told)


@pytest.mark.parametrize(
    ("choices", "countdown", "good_till"),
    [
        pytest.param({}, "CANCELED", "EXPIRED", id="as assumed"),
        pytest.param({"countdownEnd": "expired", "goodTillEnd": "canceled"}, "EXPIRED", "CANCELED", id="the other way"),
    ],
)
async def test_what_ends_by_the_clock_ends_as_chosen(venue_of, choices, countdown, good_till):
    async with venue_of(**choices) as venue:
        maker = await venue.account()
        stream = await maker.user_stream()
        until_ms = venue.server.clock.now_ms() + 700_000
        _, dated = await maker.place(tif="GTD", goodTillDate=until_ms)
        await stream.event("ORDER_TRADE_UPDATE", x="NEW")
        venue.server.clock.jump(701)
        ended = (await stream.event("ORDER_TRADE_UPDATE", i=dated["orderId"]))["o"]
        assert (ended["x"], ended["X"]) == (good_till, good_till)
        _, resting = await maker.place()
        await stream.event("ORDER_TRADE_UPDATE", x="NEW")
        await maker.ask("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=1_000)
        venue.server.clock.jump(2)
        ended = (await stream.event("ORDER_TRADE_UPDATE", i=resting["orderId"]))["o"]
        assert (ended["x"], ended["X"]) == (countdown, countdown)


@pytest.mark.parametrize(
    "choices",
    [{"strayTimeInForce": -1100}, {"cancelBatchSize": 4032}, {"countdownEnd": "gone"}, {"ackTurnover": "yes"}],
    ids=lambda choices: next(iter(choices)),
)
def test_a_choice_that_nobody_can_read_out_of_the_documentation_is_refused(choices):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(choices, type=VenueChoices)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        pytest.param({}, -2022, id="refused"),
        pytest.param({"reduceOnlyExcess": "reduce"}, "0.010", id="shrunk"),
    ],
)
@pytest.mark.parametrize("kind", ["market", "place"])
async def test_a_reduce_only_order_for_more_than_the_position_is_refused_or_shrunk(venue_of, choices, told, kind):
    async with venue_of(**choices) as venue:
        maker = await venue.account()
        await maker.market(side="BUY", quantity="0.010")
        more = {"side": "SELL", "quantity": "0.015", "reduceOnly": "true"}
        _, body = await (maker.market(**more) if kind == "market" else maker.place(**more, price="62500"))
        assert body.get("origQty", body.get("code")) == told
        flat = await venue.account()
        _, refused = await flat.market(**more)
    assert refused["code"] == -2022, "of nothing there is nothing to shrink to"
