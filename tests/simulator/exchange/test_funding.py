import msgspec
import pytest
from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.events import AccountUpdated, FundingSettled, MarkChanged, UpdateReason
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.exchange.symbols import BUILT_IN, E8

HOUR_MS = 3_600_000
NEXT_MS = 1_760_025_600_000  # 2025-10-09 16:00 UTC, the settlement after the venue's start


def wallet(venue):
    return venue.exchange.account("maker").wallet_e8("USDT")


@pytest.mark.parametrize(
    ("side", "rate_e8", "paid_e8"),
    [
        (Side.BUY, 10_000, -6_000_000),
        (Side.SELL, 10_000, 6_000_000),
        (Side.BUY, -10_000, 6_000_000),
        (Side.SELL, -10_000, -6_000_000),
    ],
    ids=["long pays", "short receives", "negative: long receives", "negative: short pays"],
)
def test_a_settlement_moves_position_times_mark_times_rate(venue, side, rate_e8, paid_e8):
    """0.010 BTC × 60 000 × 0.01 % = 0.06."""
    venue.market(side, "0.010")
    venue.mark("60000", rate_e8)
    before = wallet(venue)
    venue.heard()
    venue.exchange.advance(NEXT_MS)
    assert wallet(venue) - before == paid_e8
    (event,) = venue.heard(AccountUpdated)
    assert (event.reason, event.symbol, event.positions) == (UpdateReason.FUNDING_FEE, "BTCUSDT", ())
    assert (event.balances[0].wallet_e8, event.balances[0].change_e8) == (wallet(venue), paid_e8)
    (row,) = venue.exchange.income("maker", kind=IncomeType.FUNDING_FEE)
    assert (row.amount_e8, row.symbol, row.time_ms) == (paid_e8, "BTCUSDT", NEXT_MS)


def test_it_happens_at_eight_hours_of_utc_once_each(venue):
    assert venue.listing.next_funding_ms == NEXT_MS
    venue.exchange.advance(NEXT_MS - 1)
    assert not venue.heard(FundingSettled)
    venue.exchange.advance(NEXT_MS)
    venue.exchange.advance(NEXT_MS + 1)
    (settled,) = venue.heard(FundingSettled)
    assert (settled.time_ms, settled.rate_e8) == (NEXT_MS, 10_000)
    assert venue.listing.next_funding_ms == NEXT_MS + 8 * HOUR_MS
    assert [record.time_ms for record in venue.listing.funding_history] == [NEXT_MS]


def test_a_late_timer_settles_every_stamp_it_missed(venue):
    venue.exchange.advance(NEXT_MS + 16 * HOUR_MS)
    assert [event.time_ms for event in venue.heard(FundingSettled)] == [
        NEXT_MS,
        NEXT_MS + 8 * HOUR_MS,
        NEXT_MS + 16 * HOUR_MS,
    ]


def test_the_interval_is_the_symbols(open_venue):
    venue = open_venue(spec=msgspec.structs.replace(BUILT_IN["BTCUSDT"], funding_interval_ms=HOUR_MS))
    assert venue.listing.next_funding_ms == 1_760_000_400_000


def test_who_is_flat_at_the_stamp_pays_nothing(venue):
    venue.market(Side.BUY, "0.010")
    venue.market(Side.SELL, "0.010")
    before = wallet(venue)
    venue.exchange.advance(NEXT_MS)
    assert wallet(venue) == before


def test_the_rate_stays_within_the_symbols_cap(venue):
    venue.mark("60000", 5_000_000)
    (event,) = venue.heard(MarkChanged)
    assert event.funding_rate_e8 == venue.listing.funding_rate_e8 == 300_000
    assert event.next_funding_ms == NEXT_MS


def test_an_amount_is_cut_to_eight_decimals_towards_zero(venue):
    venue.market(Side.SELL, "0.001")
    venue.mark("60000.12345678", 333)
    before = wallet(venue)
    venue.exchange.advance(NEXT_MS)
    assert wallet(venue) - before == 60_000_12345678 * 333 // 1000 // E8


@pytest.mark.parametrize("hours", [1, 2, 4, 8], ids=lambda hours: f"every {hours} h")
def test_every_interval_is_counted_from_midnight_utc(venue, hours):
    """The venue's start is 08:53 UTC."""
    venue.exchange.set_funding_interval(venue.symbol, hours * HOUR_MS, venue.now)
    venue.exchange.advance(venue.now + 24 * HOUR_MS)
    stamps = [event.time_ms for event in venue.heard(FundingSettled)]
    assert len(stamps) == 24 // hours
    assert all(stamp_ms % (24 * HOUR_MS) % (hours * HOUR_MS) == 0 for stamp_ms in stamps)
    assert stamps == sorted(set(stamps))
