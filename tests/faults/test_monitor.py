"""What the witness makes of the server's own words, line by line."""

import pytest
from history import (
    Booked,
    KeysLost,
    LeaseReleased,
    LeaseRenewed,
    LeaseTaken,
    LedgerLost,
    LedgerRebuilt,
    SwitchWritten,
    Unbooked,
)
from monitor import Reader

OFFSET_NS = 1_000_000_000
AT_NS = 1_795_251_664_824_780_000 - OFFSET_NS
ACCOUNT = "mm:{binance-usdm:simulator:abc}"
RUN = "ab12"


def line(words, source="lua"):
    text = " ".join(f'"{word}"' for word in words)
    return f"+1795251664.824780 [0 {source}] {text}".encode()


def told(*lines):
    reader = Reader(OFFSET_NS, "binance-usdm:simulator:abc")
    return [fact for each in lines for fact in reader.read(each)]


LEASE = f"{ACCOUNT}:lease:ETHUSDT"
LEDGER = f"{ACCOUNT}:ledger"
ENTRY = f"{RUN} 17 3 100 -50 100 80 40"
ASKED = [
    *("EVALSHA", "digest", 2, LEDGER, LEASE, "ETHUSDT", "pod/1", 17, 3, 1000, 2000, 20, -90, 20, 80, 40, 30, 10),
]
BOOKED = Booked(
    at_ns=AT_NS,
    symbol="ETHUSDT",
    token=17,
    sequence=3,
    long=100,
    short=-50,
    gross=100,
    buys=80,
    sells=40,
    size=20,
    buy_floor=30,
    sell_floor=10,
)


@pytest.mark.parametrize(
    ("lines", "facts"),
    [
        pytest.param(
            [line(["HSET", LEASE, "holder", "pod/1", "token", 17, "beat", 0, "released", "", "run", RUN])],
            [LeaseTaken(at_ns=AT_NS, symbol="ETHUSDT", holder="pod/1", token=17)],
            id="taken",
        ),
        pytest.param(
            [line(["HSET", LEASE, "beat", 4, "run", RUN])],
            [LeaseRenewed(at_ns=AT_NS, symbol="ETHUSDT")],
            id="renewed",
        ),
        pytest.param(
            [line(["HSET", LEASE, "released", RUN])], [LeaseReleased(at_ns=AT_NS, symbol="ETHUSDT")], id="released"
        ),
        pytest.param([line(["HSET", LEASE, "vacant", "nonce"])], [], id="a vacancy is no lease"),
        pytest.param([line(["HSET", f"{ACCOUNT}:dry:lease:ETHUSDT", "beat", 4])], [], id="a rehearsal"),
        pytest.param([line([*ASKED, 1], "unix:x"), line(["HSET", LEDGER, "e:ETHUSDT", ENTRY])], [BOOKED], id="booked"),
        pytest.param(
            [line(["HSET", LEDGER, "e:ETHUSDT", f"{RUN} 0 0 100 -50 100 80 40"])],
            [
                Booked(
                    at_ns=AT_NS,
                    symbol="ETHUSDT",
                    token=0,
                    sequence=0,
                    long=100,
                    short=-50,
                    gross=100,
                    buys=80,
                    sells=40,
                )
            ],
            id="read from the exchange",
        ),
        pytest.param(
            [line(["HDEL", LEDGER, "e:ETHUSDT"]), line(["HSET", LEDGER, "rebuilt", f"{RUN}:n"])],
            [Unbooked(at_ns=AT_NS, symbol="ETHUSDT"), LedgerRebuilt(at_ns=AT_NS)],
            id="rebuilt",
        ),
        pytest.param(
            [
                line(["HSET", f"{ACCOUNT}:emergency", "level", 1, "epoch", 4, "reason", 'a \\"b\\"', "seeded", 1]),
                line(["HSET", f"{ACCOUNT}:emergency", "level", 0, "epoch", 5, "reason", ""]),
            ],
            [
                SwitchWritten(at_ns=AT_NS, level=1, epoch=4, seeded=True),
                SwitchWritten(at_ns=AT_NS, level=0, epoch=5, seeded=True, resumed=True),
            ],
            id="stopped and resumed",
        ),
        pytest.param(
            [
                line(["HSET", f"{ACCOUNT}:emergency", "level", 0, "epoch", 0, "seeded", 1]),
                line(["FLUSHALL"], "unix:x"),
                line(["HSET", f"{ACCOUNT}:emergency", "level", 1, "epoch", 1]),
            ],
            [
                SwitchWritten(at_ns=AT_NS, level=0, epoch=0, seeded=True),
                KeysLost(at_ns=AT_NS),
                SwitchWritten(at_ns=AT_NS, level=1, epoch=1, seeded=False),
            ],
            id="flushed, and raised before it was seeded",
        ),
        pytest.param([line(["DEL", LEDGER], "unix:x")], [LedgerLost(at_ns=AT_NS)], id="the ledger is deleted"),
        pytest.param([line(["DEL", LEASE])], [], id="a lease that is written anew"),
        pytest.param([line(["SET", f"{ACCOUNT}:record:ETHUSDT:pod/1", "{}"])], [], id="a record"),
        pytest.param([b"+OK", b"", b"nonsense"], [], id="nothing"),
    ],
)
def test_writes_become_facts(lines, facts):
    assert told(*lines) == facts


def test_where_the_asker_does_not_know_what_may_rest_what_is_booked_is_the_floor():
    (booked,) = told(line([*ASKED, 0], "unix:x"), line(["HSET", LEDGER, "e:ETHUSDT", ENTRY]))
    assert (booked.buy_floor, booked.sell_floor) == (80, 40)


def test_another_account_is_another_history():
    assert told(line(["HSET", LEASE.replace("abc", "xyz"), "beat", 4])) == []


def test_another_database_is_another_installations():
    assert told(line(["HSET", LEASE, "beat", 4]).replace(b"[0 lua]", b"[1 lua]")) == []
