"""Income records about funding: both kinds, page by page, exact."""

import pytest
from phoenix_worker.core.actions import FetchFunding
from phoenix_worker.core.events import FundingKind, FundingRead, FundingRow
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.venue.binance.income import PAGE

INCOME = "/fapi/v1/income"
REGULAR, SPECIAL = FundingKind.REGULAR, FundingKind.SPECIAL
AT = 1_760_000_000_000


def record(record_id, kind=REGULAR, income="-0.37500000", **fields):
    row = {"symbol": "ETHUSDC", "incomeType": kind.value, "income": income, "asset": "USDC", "info": "", "time": AT}
    return {**row, "tranId": record_id, "tradeId": "", **fields}


async def read(running):
    running.venue.perform(FetchFunding(AT - 1_000))
    await running.until(lambda: running.of(FundingRead))
    return running.of(FundingRead)[0]


async def test_records_of_both_kinds_are_read_with_their_ids(run_venue, exchange):
    rows = {REGULAR: [record(7, time=AT + 5)], SPECIAL: [record(7, SPECIAL, "0.00000001")]}
    exchange.answers["GET", INCOME] = lambda _, asked: rows[FundingKind(asked["incomeType"])]
    running = await run_venue()
    told = await read(running)
    assert (told.problem, told.since_ms) == ("", AT - 1_000)
    assert told.rows == [FundingRow(SPECIAL, 7, AT, 1), FundingRow(REGULAR, 7, AT + 5, -375 * MONEY // 1000)]
    asked = [request.parameters for request in exchange.asked("GET", INCOME)]
    assert [(each["symbol"], each["incomeType"]) for each in asked] == [
        ("ETHUSDC", "FUNDING_FEE"),
        ("ETHUSDC", "SPECIAL_FUNDING_FEE"),
    ]
    assert {(each["startTime"], each["endTime"]) for each in asked} == {(str(AT - 1_000), str(told.asked_ms))}


async def test_all_pages_are_read(run_venue, exchange):
    def answer(_, asked):
        if asked["incomeType"] != REGULAR:
            return []
        first = (int(asked["page"]) - 1) * PAGE
        return [record(each, time=AT + each) for each in range(first, min(first + PAGE, PAGE + 3))]

    exchange.answers["GET", INCOME] = answer
    told = await read(await run_venue())
    assert [row.record_id for row in told.rows] == list(range(PAGE + 3))


async def test_what_is_no_funding_of_the_symbol_in_its_quote_asset_is_left_out(run_venue, exchange):
    others = [
        record(1, symbol="SOLUSDC"),
        record(2, asset="BNFCR"),
        record(3, incomeType="COMMISSION"),
        record(4),
    ]
    exchange.answers["GET", INCOME] = lambda _, asked: others if asked["incomeType"] == REGULAR else []
    told = await read(await run_venue())
    assert [row.record_id for row in told.rows] == [4]


@pytest.mark.parametrize(
    ("row", "says"),
    [({"income": "-0.123456789"}, "more than eight decimals"), ({"income": "x"}, "income"), ({"tranId": None}, "")],
    ids=["finer than the exchange books", "no number", "without an id"],
)
async def test_a_record_that_cannot_be_read_exactly_is_told(run_venue, exchange, row, says):
    exchange.answers["GET", INCOME] = lambda *_: [record(1, **row)]
    told = await read(await run_venue())
    assert told.problem
    assert says in told.problem
    assert not told.rows


async def test_an_exchange_that_knows_no_special_funding_has_none(run_venue, exchange, refusal):
    unknown = refusal(400, -1130, "Data sent for parameter 'incomeType' is not valid.")
    exchange.answers["GET", INCOME] = lambda _, asked: [record(1)] if asked["incomeType"] == REGULAR else unknown
    told = await read(await run_venue())
    assert (told.problem, [row.record_id for row in told.rows]) == ("", [1])


async def test_a_refusal_is_told(run_venue, exchange, refusal):
    exchange.answers["GET", INCOME] = lambda *_: refusal(400, -1130, "Data sent for parameter is not valid.")
    told = await read(await run_venue())
    assert "-1130" in told.problem


async def test_it_waits_for_its_part_of_the_request_weight(run_venue, exchange):
    exchange.answers["GET", INCOME] = lambda *_: []
    running = await run_venue(rate=10.0)
    running.venue.budget.share(orders=True)
    running.venue.perform(FetchFunding(AT))
    assert not exchange.asked("GET", INCOME)
    running.venue.budget.granted(0, 500, running.in_one_second())
    await running.until(lambda: running.of(FundingRead))
    assert not running.of(FundingRead)[0].problem
