"""What an account can ask and set, and what happens by itself."""

from decimal import Decimal

import msgspec
import pytest
from phoenix_simulator.exchange.accounts import IncomeType
from phoenix_simulator.exchange.events import AccountUpdated, StatusChanged, UpdateReason
from phoenix_simulator.exchange.orders import NewOrder, OrderRef, OrderStatus, OrderType, Side, TimeInForce
from phoenix_simulator.exchange.symbols import BUILT_IN, E8, SymbolStatus

BUY, SELL = Side.BUY, Side.SELL
DAY_MS = 86_400_000


class TestCancels:
    def test_by_either_id(self, venue):
        first = venue.limit(BUY, "0.010", "59000", client_order_id="px-1")
        second = venue.limit(BUY, "0.010", "59000", client_order_id="px-2")
        exchange = venue.exchange
        assert (
            exchange.cancel("maker", "BTCUSDT", OrderRef(first.order_id, "px-2"), venue.now).order_id == first.order_id
        )
        assert exchange.cancel("maker", "BTCUSDT", OrderRef(None, "px-2"), venue.now).order_id == second.order_id

    @pytest.mark.parametrize("state", ["filled", "cancelled", "never", "another account's", "no id"])
    def test_what_is_not_open_is_an_unknown_order(self, venue, state):
        venue.account("other")
        order = venue.limit(BUY, "0.010", "60000")
        account_id, ref = "maker", OrderRef(order.order_id)
        match state:
            case "filled":
                venue.background_sells(1010)
            case "cancelled":
                venue.cancel(order)
            case "never":
                ref = OrderRef(1)
            case "another account's":
                account_id = "other"
            case "no id":
                ref = OrderRef()
        venue.heard()
        assert venue.refused(venue.exchange.cancel, account_id, "BTCUSDT", ref, venue.now) == -2011

    def test_a_partly_filled_order_keeps_what_it_filled(self, venue):
        order = venue.limit(BUY, "0.010", "60000")
        venue.background_sells(1003)
        cancelled = venue.cancel(order)
        assert (cancelled.status, cancelled.executed_steps) == (OrderStatus.CANCELED, 3)

    def test_all_of_a_symbol_at_once(self, venue):
        for price in ("59000", "58000"):
            venue.limit(BUY, "0.010", price)
        assert venue.exchange.cancel_all("maker", "BTCUSDT", venue.now) == 2
        assert venue.exchange.open_orders("maker") == []
        assert venue.exchange.cancel_all("maker", "BTCUSDT", venue.now) == 0


class TestCountdown:
    def test_it_cancels_once_when_it_is_not_renewed(self, venue):
        order = venue.limit(BUY, "0.010", "59000")
        venue.exchange.set_countdown("maker", "BTCUSDT", 30_000, venue.now)
        venue.exchange.advance(venue.now + 29_999)
        assert venue.query(order).status is OrderStatus.NEW
        venue.exchange.advance(venue.now + 30_000)
        assert venue.query(order).status is OrderStatus.CANCELED
        later = venue.limit(BUY, "0.010", "59000")
        venue.exchange.advance(venue.now + 90_000)
        assert venue.query(later).status is OrderStatus.NEW

    def test_each_call_replaces_the_timer(self, venue):
        order = venue.limit(BUY, "0.010", "59000")
        venue.exchange.set_countdown("maker", "BTCUSDT", 30_000, venue.now)
        venue.exchange.set_countdown("maker", "BTCUSDT", 30_000, venue.now + 20_000)
        venue.exchange.advance(venue.now + 40_000)
        assert venue.query(order).status is OrderStatus.NEW

    def test_zero_disarms(self, venue):
        order = venue.limit(BUY, "0.010", "59000")
        venue.exchange.set_countdown("maker", "BTCUSDT", 30_000, venue.now)
        venue.exchange.set_countdown("maker", "BTCUSDT", 0, venue.now)
        venue.exchange.advance(venue.now + 60_000)
        assert venue.query(order).status is OrderStatus.NEW

    def test_it_is_the_accounts_own(self, venue):
        venue.account("other")
        order = venue.limit(BUY, "0.010", "59000", account_id="other")
        venue.exchange.set_countdown("maker", "BTCUSDT", 30_000, venue.now)
        venue.exchange.advance(venue.now + 60_000)
        assert venue.query(order, "other").status is OrderStatus.NEW


class TestOrderQueries:
    def test_an_open_order_is_found_by_either_query_a_closed_one_only_by_one(self, venue):
        order = venue.limit(BUY, "0.010", "59000", client_order_id="px-1")
        ref = OrderRef(None, "px-1")
        assert venue.exchange.open_order("maker", "BTCUSDT", ref).order_id == order.order_id
        venue.cancel(order)
        assert venue.refused(venue.exchange.open_order, "maker", "BTCUSDT", ref) == -2013
        assert venue.exchange.order("maker", "BTCUSDT", ref, venue.now).status is OrderStatus.CANCELED

    def test_a_reused_client_id_finds_the_latest(self, venue):
        venue.cancel(venue.limit(BUY, "0.010", "59000", client_order_id="px-1"))
        again = venue.limit(BUY, "0.010", "58000", client_order_id="px-1")
        found = venue.exchange.order("maker", "BTCUSDT", OrderRef(None, "px-1"), venue.now)
        assert found.order_id == again.order_id

    def test_an_unfilled_closed_order_is_forgotten_after_three_days_a_filled_one_after_ninety(self, venue):
        unfilled = venue.limit(BUY, "0.010", "59000")
        venue.cancel(unfilled)
        filled = venue.market(BUY, "0.010")
        resting = venue.limit(BUY, "0.010", "59000")
        venue.now += 3 * DAY_MS + 1
        assert venue.refused(venue.query, unfilled) == -2013
        assert venue.query(filled).status is OrderStatus.FILLED
        assert [order.order_id for order in venue.exchange.all_orders("maker", None, venue.now)] == [
            filled.order_id,
            resting.order_id,
        ]
        venue.now += 90 * DAY_MS
        assert venue.refused(venue.query, filled) == -2013
        assert venue.query(resting).status is OrderStatus.NEW

    def test_of_many_unfilled_closed_orders_the_oldest_are_forgotten_whole(self, venue, monkeypatch):
        monkeypatch.setattr("phoenix_simulator.exchange.accounts._UNFILLED_KEPT", 3)
        orders = []
        for index in range(5):
            orders.append(venue.limit(BUY, "0.010", "59000", client_order_id=f"px-{index}"))
            venue.amend(orders[-1], "0.010", "58000")
            venue.cancel(orders[-1])
        kept = [order.order_id for order in venue.exchange.all_orders("maker", "BTCUSDT", venue.now)]
        assert kept == [order.order_id for order in orders[2:]]
        holding = venue.holding()
        assert list(holding.amendments) == kept
        assert list(holding.latest_by_client_id) == ["px-2", "px-3", "px-4"]

    def test_of_many_filled_orders_the_oldest_are_forgotten_whole_with_their_fills_but_not_their_sums(
        self, venue, monkeypatch
    ):
        monkeypatch.setattr("phoenix_simulator.exchange.accounts._FILLED_KEPT", 3)
        monkeypatch.setattr("phoenix_simulator.exchange.accounts._FILLS_KEPT", 5)
        orders = [venue.market(BUY, "0.010", client_order_id=f"px-{index}") for index in range(7)]
        kept = [order.order_id for order in venue.exchange.all_orders("maker", "BTCUSDT", venue.now)]
        assert kept == [order.order_id for order in orders[4:]]
        assert venue.refused(venue.query, orders[0]) == -2013
        holding = venue.holding()
        assert list(holding.latest_by_client_id) == ["px-4", "px-5", "px-6"]
        assert len(holding.fills) <= 6
        assert (holding.totals.fills, holding.totals.steps) == (7, 70)
        assert venue.exchange.fills("maker", "BTCUSDT", order_id=orders[6].order_id)

    def test_cancelled_orders_do_not_wait_for_their_time(self, venue):
        resting = venue.limit(BUY, "0.010", "59000", tif=TimeInForce.GTD, good_till_ms=venue.now + 700_000)
        for _ in range(3_000):
            venue.cancel(venue.limit(BUY, "0.010", "59000", tif=TimeInForce.GTD, good_till_ms=venue.now + 86_400_000))
        assert len(venue.exchange._timers._expiries) < 1_100
        venue.now += 700_000
        venue.exchange.advance(venue.now)
        assert venue.query(resting).status is OrderStatus.EXPIRED

    def test_all_orders_are_ascending_and_the_latest_unless_a_start_is_given(self, venue):
        ids = [venue.limit(BUY, "0.010", "59000").order_id for _ in range(5)]

        def found(**window):
            return [order.order_id for order in venue.exchange.all_orders("maker", "BTCUSDT", venue.now, **window)]

        assert found() == ids
        assert found(limit=2) == ids[3:]
        assert found(from_order_id=ids[1], limit=2) == ids[1:3]
        assert found(start_ms=venue.now + 1) == []

    def test_order_ids_rise(self, venue):
        ids = [venue.limit(BUY, "0.010", "59000").order_id for _ in range(5)]
        assert ids == sorted(set(ids))

    @pytest.mark.parametrize("query", ["order", "open_order", "open_orders", "fills", "depth", "cancel_all"])
    def test_an_unknown_symbol_is_said(self, venue, query):
        ref = OrderRef(1)
        arguments = {
            "order": ("maker", "NOPE", ref, venue.now),
            "open_order": ("maker", "NOPE", ref),
            "open_orders": ("maker", "NOPE"),
            "fills": ("maker", "NOPE"),
            "depth": ("NOPE", 5),
            "cancel_all": ("maker", "NOPE", venue.now),
        }
        assert venue.refused(getattr(venue.exchange, query), *arguments[query]) == -1121


class TestFillsAndIncome:
    def test_user_trades_by_id_by_time_by_order_and_the_latest(self, venue):
        orders = []
        for _ in range(4):
            orders.append(venue.market(BUY, "0.010"))
            venue.now += 1000

        def ids(**window):
            return [fill.trade_id for fill in venue.exchange.fills("maker", "BTCUSDT", **window)]

        assert ids() == [501, 502, 503, 504]
        assert ids(limit=2) == [503, 504]
        assert ids(from_trade_id=502, limit=2) == [502, 503]
        assert ids(start_ms=venue.now - 3000, limit=1) == [502]
        assert ids(end_ms=venue.now - 3000) == [501, 502]
        assert ids(order_id=orders[2].order_id) == [503]

    @pytest.mark.parametrize(
        ("rate_e8", "commission_e8"),
        [(50_000, 30_000_050), (12_345, 7_407_012), (-12_345, -7_407_012), (0, 0)],
        ids=["exact", "cost is cut", "rebate is cut", "free"],
    )
    def test_commission_is_notional_times_rate_cut_to_eight_decimals(self, open_venue, rate_e8, commission_e8):
        """0.010 × 60 000.1 = 600.001."""
        venue = open_venue(spec=msgspec.structs.replace(BUILT_IN["BTCUSDT"], taker_rate_e8=rate_e8))
        venue.account()
        venue.market(BUY, "0.010")
        (fill,) = venue.exchange.fills("maker", "BTCUSDT")
        assert (fill.commission_e8, fill.commission_asset) == (commission_e8, "USDT")
        assert venue.exchange.account("maker").wallet_e8("USDT") == 100_000 * E8 - commission_e8

    def test_each_movement_is_an_income_row_with_its_own_id(self, venue):
        venue.market(BUY, "0.010")
        venue.market(SELL, "0.010")
        rows = venue.exchange.income("maker")
        assert [row.kind for row in rows] == [
            IncomeType.TRANSFER,
            IncomeType.COMMISSION,
            IncomeType.REALIZED_PNL,
            IncomeType.COMMISSION,
        ]
        assert len({row.transaction_id for row in rows}) == len(rows)
        assert sum(row.amount_e8 for row in rows) == venue.exchange.account("maker").wallet_e8("USDT")
        (realised,) = venue.exchange.income("maker", kind=IncomeType.REALIZED_PNL)
        assert (realised.amount_e8, realised.trade_id, realised.info) == (-100_000, 502, "502")

    def test_income_pages_cover_every_row_once(self, venue):
        for _ in range(5):
            venue.market(BUY, "0.010")
        window = {"start_ms": 0, "kind": IncomeType.COMMISSION}
        pages = [venue.exchange.income("maker", page=page, limit=2, **window) for page in (1, 2, 3, 4)]
        assert [len(page) for page in pages] == [2, 2, 1, 0]
        assert [row.trade_id for page in pages for row in page] == [501, 502, 503, 504, 505]
        assert [row.trade_id for row in venue.exchange.income("maker", limit=2)] == [504, 505]

    def test_a_deposit_is_told_with_its_change(self, venue):
        venue.heard()
        venue.exchange.transfer("maker", "USDT", 5 * E8, venue.now)
        venue.exchange.transfer("maker", "USDT", -2 * E8, venue.now)
        deposit, withdrawal = venue.heard(AccountUpdated)
        assert (deposit.reason, deposit.balances[0].change_e8) == (UpdateReason.DEPOSIT, 5 * E8)
        assert (withdrawal.reason, withdrawal.balances[0].change_e8) == (UpdateReason.WITHDRAW, -2 * E8)


def test_an_account_opens_once(venue):
    with pytest.raises(ValueError, match="'maker' is open already"):
        venue.account("maker")


def test_a_change_of_status_is_told(venue):
    venue.exchange.set_status("BTCUSDT", SymbolStatus.SETTLING, venue.now)
    assert venue.heard(StatusChanged) == [StatusChanged("BTCUSDT", venue.now, SymbolStatus.SETTLING)]


def test_test_orders_leave_no_trace(venue):
    request = NewOrder(
        symbol="BTCUSDT",
        side=BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.010"),
        price=Decimal(61_000),
        time_in_force=TimeInForce.GTX,
    )
    venue.heard()
    assert venue.exchange.test("maker", request, venue.now).order_id == 0
    assert not venue.events
    assert venue.exchange.all_orders("maker", "BTCUSDT", venue.now) == []


def test_the_same_requests_give_the_same_events(open_venue):
    def run():
        venue = open_venue()
        venue.account()
        order = venue.limit(BUY, "0.010", "60000")
        venue.background_sells(1003)
        venue.amend(order, "0.020", "59999")
        venue.market(SELL, "0.003")
        venue.mark("60010")
        return venue.events

    assert run() == run()
