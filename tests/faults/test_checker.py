"""The judge, on written histories: each rule with one that breaks it and one that just does not."""

import itertools

import pytest
from checker import Rule, Terms, check
from history import (
    Accepted,
    AtRest,
    Booked,
    Filled,
    Gone,
    KeysLost,
    KeysOld,
    LeaseReleased,
    LeaseRenewed,
    LeaseTaken,
    LedgerLost,
    LedgerRebuilt,
    Marked,
    RedisDied,
    RedisStarted,
    SwitchWritten,
    Told,
    read,
    write,
)
from phoenix_coordination import order_id

SYMBOL, OTHER = "ETHUSDT", "SOLUSDT"
OURS, THEIRS = "k3f9a0", "zzzzz9"
STEP_MICRO = 1_000_000
USABLE_MS = 800
TERMS = Terms(
    OURS,
    net_micro=100 * STEP_MICRO,
    gross_micro=150 * STEP_MICRO,
    usable_ns=USABLE_MS * 1_000_000,
    ttl_ns=1_000_000_000,
)

numbers = itertools.count(1)


def ns(ms):
    return 10_000_000_000 + int(ms * 1_000_000)


def order(ms, token=1, *, side=1, qty=10, symbol=SYMBOL, holder=None, number=None, reduce_only=False, by=OURS):
    number = next(numbers) if number is None else number
    client_id = order_id.format(by, token, "q", number)
    holder = f"pod/{token}" if holder is None else holder
    return Accepted(
        at_ns=ns(ms),
        symbol=symbol,
        order=number,
        client_id=client_id,
        holder=holder,
        side=side,
        leaves=qty,
        reduce_only=reduce_only,
    )


def taken(ms, token=1, symbol=SYMBOL, holder=""):
    return LeaseTaken(at_ns=ns(ms), symbol=symbol, holder=holder or f"pod/{token}", token=token)


def released(ms, symbol=SYMBOL):
    return LeaseReleased(at_ns=ns(ms), symbol=symbol)


def handed(ms, token, symbol=SYMBOL):
    """Released, and taken by the next."""
    return [released(ms - 1, symbol), taken(ms, token, symbol)]


def renewed(ms, symbol=SYMBOL):
    return LeaseRenewed(at_ns=ns(ms), symbol=symbol)


def booked(ms, token=1, sequence=1, *, position=0, buys=20, sells=20, symbol=SYMBOL, **more):
    """An entry as a worker would ask for it, at one micro a step and without the price buffer."""
    value = STEP_MICRO
    return Booked(
        at_ns=ns(ms),
        symbol=symbol,
        token=token,
        sequence=sequence,
        long=(position + buys) * value,
        short=(sells - position) * value,
        gross=max(abs(position + buys), abs(position - sells)) * value,
        buys=buys * value,
        sells=sells * value,
        size=position * value,
        **more,
    )


def switch(ms, level=0, *, epoch=1, seeded=True, resumed=False):
    return SwitchWritten(at_ns=ns(ms), level=level, epoch=epoch, seeded=seeded, resumed=resumed)


def filled(ms, accepted, steps):
    return Filled(at_ns=ns(ms), symbol=accepted.symbol, order=accepted.order, side=accepted.side, steps=steps)


def gone(ms, accepted):
    return Gone(at_ns=ns(ms), symbol=accepted.symbol, order=accepted.order)


def rebuilt(ms):
    return LedgerRebuilt(at_ns=ns(ms))


START = [
    Marked(at_ns=ns(0), symbol=SYMBOL, step_micro=STEP_MICRO),
    Marked(at_ns=ns(0), symbol=OTHER, step_micro=STEP_MICRO),
    RedisStarted(at_ns=ns(0)),
    switch(0),
    taken(0),
    taken(0, symbol=OTHER),
    rebuilt(1),
    booked(2),
    booked(2, symbol=OTHER),
]
"""Token 1 leads both symbols, the ledger is whole, nothing is stopped."""


def at_rest(ms):
    return AtRest(at_ns=ns(ms))


def told(ms, position, symbol=SYMBOL):
    return Told(at_ns=ns(ms), symbol=symbol, holder="pod/1", position=position)


def rules(*facts):
    return {violation.rule for violation in check([*START, *facts], TERMS)}


def test_a_run_in_which_nothing_happens_is_clean():
    first = order(10)
    assert rules(first, renewed(200), filled(300, first, 4), order(400, side=-1), gone(500, first)) == set()


# -- 1: one trader per symbol ----------------------------------------------------------------------

LEFT = order(10)
THEIR_ORDER = order(10, 5, by=THEIRS)

ONE_TRADER = {
    "an order at the deadline": ([order(USABLE_MS)], False),
    "an order after the deadline": ([order(USABLE_MS + 20)], True),
    "an order after the deadline of the last renewal": ([renewed(500), order(500 + USABLE_MS + 20)], True),
    "an order before the deadline of the last renewal": ([renewed(500), order(500 + USABLE_MS)], False),
    "a renewal of what was lost is none": ([KeysLost(at_ns=ns(100)), renewed(700), order(1000)], True),
    "a token that was never given": ([order(10, token=7)], True),
    "a token that a dying server may have given": (
        [RedisDied(at_ns=ns(100)), RedisStarted(at_ns=ns(200)), order(300, token=7)],
        False,
    ),
    "a token that was never given, long after a death": (
        [RedisDied(at_ns=ns(100)), RedisStarted(at_ns=ns(200)), order(950, token=7)],
        True,
    ),
    "a renewal that a dying server may have heard": ([RedisDied(at_ns=ns(300)), order(300 + USABLE_MS)], False),
    "a server that died after the lease had run out": (
        [RedisDied(at_ns=ns(1500)), order(1500 + 100)],
        True,
    ),
    "another process under the same token": ([order(10, holder="pod/2")], True),
    "the successor": ([*handed(100, 2), booked(101, 2), order(102, 2)], False),
    "taken from who has just renewed": ([renewed(300), taken(1290, 2)], True),
    "taken after its ttl": ([renewed(300), taken(1300, 2)], False),
    "taken when it was released": ([renewed(300), *handed(310, 2)], False),
    "taken by the same process": ([renewed(300), taken(310, 2, holder="pod/1")], False),
    "taken on the word of an earlier run of the server": (
        [renewed(300), released(310), RedisStarted(at_ns=ns(320)), taken(1300, 2)],
        True,
    ),
    "watched for a ttl of the present run": ([renewed(300), RedisStarted(at_ns=ns(320)), taken(1320, 2)], False),
    "taken at once after a loss": ([KeysLost(at_ns=ns(100)), taken(1050, 2)], True),
    "watched for a ttl after a loss": ([KeysLost(at_ns=ns(100)), taken(1100, 2)], False),
    "an older token": ([taken(1000, 2), taken(2000, 1)], True),
    "after the own release": ([released(100), order(110)], True),
    "as it is released": ([released(100), order(104)], False),
    "the older token after its successor was given": ([*handed(100, 2), order(120)], True),
    "the older token as its successor is given": ([*handed(100, 2), order(101)], False),
    "the older token after its successor's first order": (
        [*handed(100, 2), booked(100, 2), order(101, 2), order(102)],
        True,
    ),
    "another symbol's successor": ([*handed(100, 2, OTHER), order(120)], False),
    "beside another installation for a while": ([order(10, 5, by=THEIRS), renewed(600), order(700)], False),
    "beside another installation for too long": (
        [order(10, 5, by=THEIRS), *(renewed(ms) for ms in range(600, 6000, 600)), order(6000)],
        True,
    ),
    "after another installation's order that was gone in time": (
        [THEIR_ORDER, gone(2000, THEIR_ORDER), *(renewed(ms) for ms in range(600, 6000, 600)), order(6000)],
        False,
    ),
    "beside another order of the other installation": (
        [
            THEIR_ORDER,
            order(11, 5, by=THEIRS),
            gone(2000, THEIR_ORDER),
            *(renewed(ms) for ms in range(600, 6000, 600)),
            order(6000),
        ],
        True,
    ),
    "after another installation's order and a resume": (
        [
            order(10, 5, by=THEIRS),
            *(renewed(ms) for ms in range(600, 6000, 600)),
            switch(3000, 1),
            switch(4000, 0, epoch=2, resumed=True),
            booked(4500, sequence=2),
            order(6000),
        ],
        False,
    ),
}


@pytest.mark.parametrize(("facts", "violated"), ONE_TRADER.values(), ids=ONE_TRADER.keys())
def test_one_trader_per_symbol(facts, violated):
    assert (Rule.ONE_TRADER in rules(*facts)) is violated


# -- 2: the account's limits -----------------------------------------------------------------------

LONG = order(10, qty=60)
WIDE = [booked(3, sequence=2, buys=60, sells=60), LONG, filled(20, LONG, 60)]

SHORT = order(10, side=-1, qty=40)
FLIPPING = [
    booked(3, sequence=2, symbol=OTHER, buys=0, sells=0),
    booked(4, sequence=2, buys=20, sells=40),
    SHORT,
    filled(20, SHORT, 40),
    booked(21, sequence=3, position=-40, buys=190, sells=0, buy_floor=190 * STEP_MICRO),
]
"""Short by 40, with buys that may rest: what they buy first only closes the position."""

LIMITS = {
    "as much as the limit": (
        [booked(5, sequence=2, buys=80), order(10, qty=80), order(11, symbol=OTHER, qty=20)],
        False,
    ),
    "one step more": ([booked(5, sequence=2, buys=80), order(10, qty=80), order(11, symbol=OTHER, qty=21)], True),
    "the other side is another sum": (
        [booked(5, sequence=2, buys=80), order(10, qty=80), order(11, symbol=OTHER, side=-1, qty=20)],
        False,
    ),
    "gross, though the net is small": (
        [
            booked(5, sequence=2, buys=80),
            booked(5, sequence=2, symbol=OTHER, sells=80),
            order(10, qty=80),
            order(11, symbol=OTHER, side=-1, qty=71),
        ],
        True,
    ),
    "what rests no more does not count": (
        [booked(5, sequence=2, buys=80), LONG, gone(20, LONG), order(30, qty=80), order(31, symbol=OTHER, qty=20)],
        False,
    ),
    "what was bought counts": ([*WIDE, order(30, symbol=OTHER, qty=41)], True),
    "what was bought fits": ([*WIDE, order(30, symbol=OTHER, qty=40)], False),
    "reducing beyond a limit": (
        # A third maker is short by 100 in another symbol, so that this position only offsets it.
        [*WIDE, order(30, side=-1, qty=60, reduce_only=True), order(31, side=-1, qty=60)],
        False,
    ),
    "through flat to the limit on the other side": ([*FLIPPING, order(30, qty=140)], False),
    "through flat, one step beyond the limit on the other side": ([*FLIPPING, order(30, qty=141)], True),
    "an amend to more": (
        [booked(5, sequence=2, buys=80), order(10, qty=80, number=901), order(11, qty=101, number=901)],
        True,
    ),
    "granted as much as the limit": ([booked(5, sequence=2, buys=80)], False),
    "granted one step more": ([booked(5, sequence=2, buys=81)], True),
    "what may rest already is booked beyond the limit": (
        [booked(5, sequence=2, buys=81, buy_floor=81 * STEP_MICRO)],
        False,
    ),
    "one side that may rest already, beyond the limit, beside another that is granted": (
        [
            booked(4, sequence=2, symbol=OTHER, buys=0, sells=0, position=70),
            booked(5, sequence=2, buys=81, sells=10, buy_floor=81 * STEP_MICRO),
        ],
        False,
    ),
    "both sides granted, gross beyond the limit by the one": (
        [
            booked(4, sequence=2, symbol=OTHER, buys=0, sells=0, position=-70),
            booked(5, sequence=2, buys=81, sells=10),
        ],
        True,
    ),
    "what only reduces is booked beyond the limit": ([booked(5, sequence=2, position=-81, buys=81, sells=0)], False),
    "granted before the ledger was rebuilt": ([KeysLost(at_ns=ns(5)), booked(6, sequence=2)], True),
    "granted from a ledger that somebody deleted": ([LedgerLost(at_ns=ns(5)), booked(6, sequence=2)], True),
    "granted under another run of the server": ([RedisStarted(at_ns=ns(5)), booked(6, sequence=2)], True),
    "what may rest, before it was rebuilt": (
        [KeysLost(at_ns=ns(5)), booked(6, sequence=2, buy_floor=20 * STEP_MICRO, sell_floor=20 * STEP_MICRO)],
        False,
    ),
    "granted after it was rebuilt": ([KeysLost(at_ns=ns(5)), rebuilt(6), booked(7, sequence=2)], False),
}


@pytest.mark.parametrize(("facts", "violated"), LIMITS.values(), ids=LIMITS.keys())
def test_the_accounts_limits_hold(facts, violated):
    assert (Rule.LIMITS in rules(*facts)) is violated


# -- 3: a stop stops -------------------------------------------------------------------------------

BOUGHT = order(10)
HELD = [BOUGHT, filled(20, BOUGHT, 10)]

STOP = {
    "before the stop": ([order(90), switch(100, 1)], False),
    "within the deadline of a renewal before the stop": ([switch(100, 1), order(700)], False),
    "after the deadline of the last renewal before the stop": (
        [renewed(90), switch(100, 1), renewed(500), order(900)],
        True,
    ),
    "a lease that was given after the stop": ([switch(100, 1), taken(200, 2), booked(201, 2), order(210, 2)], True),
    "reducing after the stop": ([renewed(90), switch(100, 1), renewed(500), order(900, reduce_only=True)], False),
    "after the resume": ([switch(100, 1), renewed(500), switch(600, 0, epoch=2, resumed=True), order(1000)], False),
    "a switch that was lost is a stop": (
        [renewed(90), KeysLost(at_ns=ns(100)), taken(1200, 2), rebuilt(1300), booked(1310, 2), order(1400, 2)],
        True,
    ),
    "a switch that was seeded again": (
        [
            renewed(90),
            KeysLost(at_ns=ns(100)),
            taken(1200, 2),
            switch(1250),
            rebuilt(1300),
            booked(1310, 2),
            order(1400, 2),
        ],
        False,
    ),
    "a stop that a loss lifted": ([switch(100, 1), KeysLost(at_ns=ns(200)), switch(300, 0)], True),
    "a stop that outlives a loss": ([switch(100, 1), KeysLost(at_ns=ns(200)), switch(300, 1)], False),
    "a lower level without a resume": ([switch(100, 2), switch(300, 1)], True),
    "a higher level": ([switch(100, 1), switch(300, 2)], False),
    "a higher level of the same epoch, as two memories come together": (
        [switch(100, 1, epoch=2), switch(300, 2, epoch=2)],
        False,
    ),
    "a resume that has no epoch of its own": ([switch(100, 1, epoch=2), switch(300, 0, epoch=2, resumed=True)], True),
    "an epoch that falls": ([switch(100, 1, epoch=3), switch(300, 0, epoch=2, resumed=True)], True),
    "an epoch that grows": ([switch(100, 1, epoch=3), switch(300, 0, epoch=4, resumed=True)], False),
    "an older epoch after a loss": ([switch(100, 0, epoch=5), KeysLost(at_ns=ns(200)), switch(300, epoch=4)], False),
    "an older epoch of older data": ([switch(100, 0, epoch=5), KeysOld(at_ns=ns(200)), switch(300, epoch=4)], False),
    "an order that rests under a stop": ([order(10), switch(100, 1), at_rest(5000)], True),
    "an order that rests under a switch that nobody has seeded": (
        [order(10), KeysLost(at_ns=ns(100)), at_rest(5000)],
        True,
    ),
    "a book that is empty under a stop": ([LEFT, switch(100, 1), gone(150, LEFT), at_rest(5000)], False),
    "what reduces rests under a stop": (
        [*HELD, order(30, side=-1, reduce_only=True), switch(100, 1), at_rest(5000)],
        False,
    ),
    "another symbol's order under a stop": ([order(10, symbol=OTHER), switch(100, 1), at_rest(5000)], True),
    "another installation's order under a stop": ([order(10, 5, by=THEIRS), switch(100, 1), at_rest(5000)], False),
    "an order that rests while nothing is stopped": ([order(10), at_rest(5000)], False),
}


@pytest.mark.parametrize(("facts", "violated"), STOP.values(), ids=STOP.keys())
def test_a_stop_stops(facts, violated):
    assert (Rule.STOP in rules(*facts)) is violated


# -- 4: nothing is forgotten -----------------------------------------------------------------------

CLOSING = order(90, side=-1, qty=10, reduce_only=True)
HELD_TEN = booked(1199, 0, 0, position=10, buys=0, sells=0)

FORGOTTEN = {
    "the successor quotes while an older order rests": ([LEFT, taken(900, 2), booked(901, 2), order(910, 2)], True),
    "the successor closes a position while an older order rests": (
        [LEFT, taken(900, 2), booked(901, 2), order(910, 2, side=-1, reduce_only=True)],
        False,
    ),
    "the successor quotes after it was cancelled": (
        [LEFT, taken(900, 2), gone(905, LEFT), booked(906, 2), order(910, 2)],
        False,
    ),
    "the successor quotes after it was filled": (
        [LEFT, taken(900, 2), filled(905, LEFT, 10), booked(906, 2, position=10), order(910, 2)],
        False,
    ),
    "the successor has not heard of a fill": (
        [LEFT, taken(900, 2), filled(905, LEFT, 10), booked(906, 2), order(910, 2, qty=20)],
        True,
    ),
    "an order that is not booked": ([order(10, qty=21)], True),
    "two orders that together are not": ([order(10, qty=11), order(11, qty=10)], True),
    "the sides are booked each": ([order(10, qty=20), order(11, side=-1, qty=20)], False),
    "reducing needs no entry": ([*WIDE, order(30, side=-1, qty=60, reduce_only=True)], False),
    "through flat to what is booked on the other side": (
        [*FLIPPING, booked(25, sequence=4, position=-40, buys=60, sells=0), order(30, qty=60)],
        False,
    ),
    "through flat, beyond what is booked on the other side": (
        [*FLIPPING, booked(25, sequence=4, position=-40, buys=60, sells=0), order(30, qty=61)],
        True,
    ),
    "an entry below what rests": ([order(10, qty=20), booked(20, sequence=2, buys=19)], True),
    "an entry of what rests": ([order(10, qty=20), booked(20, sequence=2, buys=20)], False),
    "an older sequence": ([booked(20, sequence=3), booked(30, sequence=2)], True),
    "an older token": ([taken(900, 2), booked(910, 2), booked(920, 1, sequence=9)], True),
    "a newer sequence": ([booked(20, sequence=3), booked(30, sequence=4)], False),
    "the first entry after a loss": ([booked(20, sequence=3), KeysLost(at_ns=ns(25)), rebuilt(26), booked(30)], False),
    "the old grant after a loss, to its deadline": ([KeysLost(at_ns=ns(25)), order(700)], False),
    "a renewed lease after a loss needs a new entry": (
        [KeysOld(at_ns=ns(25)), renewed(500), order(900)],
        True,
    ),
    "with a new entry after a loss": (
        [KeysOld(at_ns=ns(25)), renewed(500), rebuilt(600), booked(610), order(900)],
        False,
    ),
    "an older order that rests for good": ([LEFT, taken(1000, 2), at_rest(5000)], True),
    "an older order that was cancelled": ([LEFT, taken(1000, 2), gone(1100, LEFT), at_rest(5000)], False),
    "an order of who leads rests": ([LEFT, at_rest(5000)], False),
    "a leader that knows its position": ([*HELD, told(4000, 10)], False),
    "a leader that has not heard of a fill": ([*HELD, told(4000, 0)], True),
    "a leader that knows of too much": ([told(4000, 10)], True),
    "rebuilt without what rests": ([order(10), KeysLost(at_ns=ns(100)), rebuilt(1200)], True),
    "rebuilt without what is held": ([*HELD, KeysLost(at_ns=ns(100)), rebuilt(1200)], True),
    "rebuilt without another symbol": (
        [order(10, symbol=OTHER), KeysLost(at_ns=ns(100)), booked(1100, 2), rebuilt(1200)],
        True,
    ),
    "rebuilt with less than what rests": (
        [order(10), order(11, side=-1), KeysLost(at_ns=ns(100)), booked(1199, 0, 0, buys=10, sells=9), rebuilt(1200)],
        True,
    ),
    "rebuilt with what rests": (
        [order(10), order(11, side=-1), KeysLost(at_ns=ns(100)), booked(1199, 0, 0, buys=10, sells=10), rebuilt(1200)],
        False,
    ),
    "rebuilt with what is held": (
        [*HELD, KeysLost(at_ns=ns(100)), booked(1199, 0, 0, position=10, buys=0, sells=0), rebuilt(1200)],
        False,
    ),
    "rebuilt with what an emergency has closed since it was read": (
        [*HELD, CLOSING, KeysLost(at_ns=ns(100)), filled(1198, CLOSING, 10), HELD_TEN, rebuilt(1200)],
        False,
    ),
    "rebuilt with what was closed long before": (
        [*HELD, CLOSING, KeysLost(at_ns=ns(100)), filled(150, CLOSING, 10), HELD_TEN, rebuilt(1200)],
        True,
    ),
    "rebuilt with nothing, as nothing is there": ([KeysLost(at_ns=ns(100)), rebuilt(1200)], False),
    "rebuilt while another installation trades": (
        [order(10, 5, by=THEIRS), KeysLost(at_ns=ns(100)), rebuilt(1200)],
        False,
    ),
    "what was read while it was rebuilt covers": (
        [KeysOld(at_ns=ns(25)), renewed(500), rebuilt(600), booked(599, 0, 0), order(900)],
        False,
    ),
}


@pytest.mark.parametrize(("facts", "violated"), FORGOTTEN.values(), ids=FORGOTTEN.keys())
def test_nothing_is_forgotten(facts, violated):
    assert (Rule.NOTHING_FORGOTTEN in rules(*facts)) is violated


def test_another_installations_fills_are_in_nobodys_ledger():
    theirs = order(10, 5, by=THEIRS, qty=60)
    assert rules(theirs, filled(11, theirs, 60), order(20, qty=20)) == set()


def test_another_installations_order_is_in_nobodys_ledger_while_it_rests():
    theirs = order(10, 5, by=THEIRS, qty=60)
    over = [switch(30, 1), switch(40, 0, epoch=2, resumed=True), booked(50, sequence=2)]
    assert rules(theirs, *over, order(60, qty=20)) == set()
    gone_and_booked = [gone(65, theirs), booked(70, sequence=3), order(80, qty=20)]
    assert Rule.NOTHING_FORGOTTEN in rules(theirs, *over, order(60, qty=20), *gone_and_booked)


def test_what_another_installation_holds_counts_from_the_first_entry_after_the_resume():
    theirs = order(10, 5, by=THEIRS, qty=60)
    over = [switch(30, 1), switch(40, 0, epoch=2, resumed=True), booked(50, sequence=2)]
    assert Rule.NOTHING_FORGOTTEN in rules(theirs, filled(11, theirs, 60), *over, order(60, qty=20))


def test_a_history_that_was_written_is_read_as_it_was(tmp_path):
    write([*START, LEFT], tmp_path / "history.jsonl")
    assert read(tmp_path / "history.jsonl") == sorted([*START, LEFT], key=lambda fact: fact.at_ns)
