"""RPI orders: post-only, out of sight, met by retail flow alone and after everybody else at their price."""

import pytest
from phoenix_simulator.exchange.events import DepthChanged, TouchChanged
from phoenix_simulator.exchange.orders import OrderStatus, Side, TimeInForce

BUY, SELL = Side.BUY, Side.SELL
RPI, IOC, FOK = TimeInForce.RPI, TimeInForce.IOC, TimeInForce.FOK


def test_the_public_book_does_not_show_it(venue):
    book = venue.public_book()
    venue.limit(BUY, "0.500", "60000", RPI)
    assert venue.public_book() == book
    assert not venue.heard(DepthChanged, TouchChanged)
    assert venue.listing.retail_depth(5).bids[0] == (600_000, 1500)


def test_it_is_post_only(venue):
    assert venue.refused(venue.limit, BUY, "0.010", "60000.1", RPI) == -5022


def test_retail_flow_comes_to_it_after_the_others_at_its_price_and_before_worse_prices(venue):
    venue.account("other")
    retail = venue.limit(BUY, "0.500", "60000", RPI)
    plain = venue.limit(BUY, "0.500", "60000", account_id="other")
    venue.background_sells(1500)
    assert (venue.query(plain, "other").status, venue.query(retail).executed_steps) == (OrderStatus.FILLED, 0)
    venue.background_sells(500)
    assert venue.query(retail).status is OrderStatus.FILLED
    assert venue.public_book()[0][0] == (599_999, 1000)


def test_a_better_price_than_the_public_book_comes_first(venue):
    venue.depth(asks=[(600_001, 0)])
    retail = venue.limit(BUY, "0.010", "60000.1", RPI)
    venue.background_sells(10)
    assert venue.query(retail).status is OrderStatus.FILLED
    assert venue.public_book()[0][0] == (600_000, 1000)


@pytest.mark.parametrize("tif", [TimeInForce.GTC, IOC])
def test_an_order_of_the_api_passes_it_by(venue, tif):
    venue.account("taker")
    retail = venue.limit(BUY, "0.010", "59999", RPI)
    venue.limit(SELL, "1.010", "59999", tif, account_id="taker")
    assert venue.query(retail).executed_steps == 0
    assert venue.position("taker").steps == -1010
    assert venue.public_book()[0][0] == (599_999, 990)


def test_a_fill_or_kill_does_not_count_on_it(venue):
    venue.limit(BUY, "1.000", "60000", RPI)
    venue.account("taker")
    assert venue.refused(venue.limit, SELL, "1.001", "60000", FOK, "taker") == -5021


def test_background_flow_stops_at_its_limit(venue):
    retail = venue.limit(BUY, "0.010", "59999", RPI)
    venue.background_sells(5000, limit_ticks=600_000)
    assert venue.query(retail).executed_steps == 0


def test_an_amendment_keeps_it_where_it_belongs(venue):
    order = venue.limit(BUY, "0.010", "59999", RPI)
    book = venue.public_book()
    venue.amend(order, "0.020", "60000")
    assert venue.public_book() == book
    assert venue.listing.retail_depth(5).bids[0] == (600_000, 1020)
    assert venue.amend(order, "0.020", "60000.1").status is OrderStatus.CANCELED
    assert venue.listing.retail_depth(5).bids[0] == (600_000, 1000)


def test_one_that_the_public_book_has_run_over_is_not_shown(venue):
    venue.limit(BUY, "0.500", "60000", RPI)
    venue.depth(bids=[(600_000, 0)], asks=[(600_000, 700)])
    assert venue.listing.retail_depth(5).bids[0] == (599_999, 1000)


def test_a_reduce_only_one_goes_with_its_position_in_the_middle_of_a_sweep(venue):
    venue.long("0.010")
    venue.depth(asks=[(600_001, 0), (600_002, 0), (600_003, 0), (600_004, 0), (600_005, 0)])
    plain = venue.limit(SELL, "0.010", "60000.1")
    retail = venue.limit(SELL, "0.010", "60000.2", RPI, reduce_only=True)
    venue.background_buys(100)
    assert venue.query(plain).status is OrderStatus.FILLED
    assert venue.query(retail).status is OrderStatus.EXPIRED
    assert venue.position().steps == 0
