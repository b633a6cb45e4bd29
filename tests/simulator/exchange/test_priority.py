"""Price-time priority against a matching engine of thirty lines that anybody can check by eye."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from phoenix_simulator.exchange.events import OrderUpdated, TradePrinted
from phoenix_simulator.exchange.orders import Side, StpMode, TimeInForce
from phoenix_simulator.exchange.symbols import E8

NAMES = ("ada", "bob", "cleo")
MIDDLE = 600_000


class Plain:
    """The rule itself: a taker meets the best price first, at one price the oldest; trades are at the maker's price."""

    def __init__(self):
        self.resting = {Side.BUY: [], Side.SELL: []}
        """[number, ticks, steps], best first."""
        self.trades = []

    def place(self, number, side, ticks, steps, *, rests):
        against = self.resting[Side.SELL if side is Side.BUY else Side.BUY]
        while steps and against and (against[0][1] - ticks) * side.sign <= 0:
            maker = against[0]
            traded = min(steps, maker[2])
            self.trades.append((number, maker[0], maker[1], traded))
            steps -= traded
            maker[2] -= traded
            if not maker[2]:
                against.pop(0)
        if steps and rests:
            own = self.resting[side]
            # sorted() is stable: at one price the newcomer stays behind.
            own.append([number, ticks, steps])
            self.resting[side] = sorted(own, key=lambda entry: -entry[1] * side.sign)

    def cancel(self, number):
        """Whether it was there."""
        for side, entries in self.resting.items():
            kept = [entry for entry in entries if entry[0] != number]
            if len(kept) < len(entries):
                self.resting[side] = kept
                return True
        return False

    def leaves(self, number):
        found = [(side, entry) for side, entries in self.resting.items() for entry in entries if entry[0] == number]
        return found[0] if found else None


placing = st.tuples(
    st.sampled_from(["GTC", "IOC"]),
    st.sampled_from(NAMES),
    st.sampled_from(Side),
    st.integers(-4, 4),
    st.integers(1, 30),
)
cancelling = st.tuples(st.just("cancel"), st.integers(0, 30))
amending = st.tuples(st.just("amend"), st.integers(0, 30), st.integers(-4, 4), st.integers(1, 30))


@settings(max_examples=120, deadline=None)
@given(actions=st.lists(placing | cancelling | amending, min_size=1, max_size=25))
def test_every_trade_is_the_one_that_the_rule_gives(open_venue, actions):
    venue = open_venue(bids=(), asks=())
    for name in NAMES:
        venue.account(name, usdt=1_000_000)
    plain, orders = Plain(), []
    for action in actions:
        match action:
            case ("cancel", pick):
                if orders:
                    number = pick % len(orders)
                    if plain.cancel(number):
                        venue.cancel(*orders[number])
            case ("amend", pick, offset, steps):
                amend(venue, plain, orders, pick, MIDDLE + offset, steps)
            case (tif, name, side, offset, steps):
                price = str(venue.spec.price_to_decimal(MIDDLE + offset))
                quantity = str(venue.spec.quantity_to_decimal(steps))
                rests = tif == "GTC"
                order = venue.limit(side, quantity, price, TimeInForce(tif), name, stp_mode=StpMode.NONE)
                plain.place(len(orders), side, MIDDLE + offset, steps, rests=rests)
                orders.append((order, name))
    assert trades(venue, orders) == plain.trades
    assert resting(venue, orders) == {
        entry[0]: (entry[1], entry[2]) for entries in plain.resting.values() for entry in entries
    }
    assert_nothing_is_lost(venue, plain)


def amend(venue, plain, orders, pick, ticks, total):
    """A new price or total sends the order to the back of the queue; a total that is filled already ends it."""
    if not orders:
        return
    number = pick % len(orders)
    order, name = orders[number]
    if plain.leaves(number) is None:
        return
    side = order.side
    # A copy: what the exchange answers with is the order itself, which the amendment changes.
    now = venue.query(order, name).snapshot()
    if (ticks, total) == (now.price_ticks, now.orig_steps):
        return
    venue.amend(order, Decimal(total) * venue.spec.step_size, venue.spec.price_to_decimal(ticks), name)
    plain.cancel(number)
    if total > now.executed_steps:
        plain.place(number, side, ticks, total - now.executed_steps, rests=True)


def trades(venue, orders):
    """(taker, maker, ticks, steps) in order, by the numbers of the orders."""
    numbers = {order.order_id: number for number, (order, _) in enumerate(orders)}
    sides = {}
    for event in venue.events:
        if isinstance(event, OrderUpdated) and event.fill is not None:
            role = "maker" if event.fill.is_maker else "taker"
            sides.setdefault(event.fill.trade_id, {})[role] = (numbers[event.order.order_id], event.fill)
    printed = [event for event in venue.events if isinstance(event, TradePrinted)]
    assert [event.trade_id for event in printed] == list(sides)
    return [
        (found["taker"][0], found["maker"][0], found["maker"][1].price_ticks, found["maker"][1].qty_steps)
        for found in sides.values()
    ]


def resting(venue, orders):
    numbers = {order.order_id: number for number, (order, _) in enumerate(orders)}
    return {
        numbers[order.order_id]: (order.price_ticks, order.leaves_steps)
        for name in NAMES
        for order in venue.exchange.open_orders(name)
    }


def assert_nothing_is_lost(venue, plain):
    """Positions sum to zero; the wallets changed by the fees and by what closing realised, to the last digit."""
    assert sum(venue.position(name).steps for name in NAMES) == 0
    wallets = sum(venue.exchange.account(name).wallet_e8("USDT") for name in NAMES)
    open_cost = sum(venue.position(name).cost_e8 * (1 if venue.position(name).steps > 0 else -1) for name in NAMES)
    assert wallets == 3_000_000 * E8 - venue.exchange.treasury.fees_e8["USDT"] + open_cost
    assert venue.listing.background.cash_e8 == 0
    volume = sum(venue.spec.notional_e8(ticks, steps) for _, _, ticks, steps in plain.trades)
    traded = sum(fill.quote_e8 for name in NAMES for fill in venue.exchange.fills(name, venue.symbol, limit=1_000))
    assert traded == 2 * volume
