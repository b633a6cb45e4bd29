"""`phoenix status` as a person types it: what the makers share, and why one does not quote."""

import asyncio
import json
import os

import msgspec
import pytest
from phoenix_cli.__main__ import main
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.runfile import AccountFiles, RunFile, write_run_file
from phoenix_cli.local.view import RunView
from phoenix_coordination.redis import records
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_coordination.redis.steward import StewardReport
from phoenix_coordination.state import Quote, Quotes, Reason, Role, SymbolDay

KEYS = AccountKeys("binance-usdm:simulator:abc")
QUOTES = Quotes(bids=[Quote("61230.0", "0.004", "q")], asks=[Quote("61240.0", "0.004", "q")])


@pytest.fixture
def publish(redis_url):
    """Publishes records as workers do."""

    def told(*published) -> None:
        async def all_of_them() -> None:
            client = connect(redis_url, 5.0)
            for record in published:
                await records.publish(client, KEYS, record, 1.0)
            await client.aclose()

        asyncio.run(all_of_them())

    return told


@pytest.fixture
def status(redis_url, capsys):
    def typed(*arguments: str) -> tuple[int, str, str]:
        code = main(["status", *arguments, "--redis", redis_url])
        return code, *capsys.readouterr()

    return typed


@pytest.fixture
def redis(shared_redis):
    seeded = shared_redis.info("server")["run_id"]
    shared_redis.hset(KEYS.emergency, mapping={"level": 0, "epoch": 4, "reason": "", "seeded": seeded})
    return shared_redis


def test_an_account_its_switch_its_sums_and_its_makers_are_told(status, publish, redis, record):
    run = redis.info("server")["run_id"]
    entry = f"{run} 17 1 {700 * 10**6} {200 * 10**6} {700 * 10**6} 0 0"
    limits = {"net_limit": 25000 * 10**6, "gross_limit": 50000 * 10**6}
    redis.hset(KEYS.ledger, mapping={"rebuilt": f"{run}:x", "epoch": 0, "e:BTCUSDT": entry, **limits})
    publish(
        record(quotes=QUOTES, position={"qty": "0.004", "worst_case_long": "0.05"}),
        record(maker="eth", symbol="ETHUSDT"),
    )
    code, out, _ = status()
    assert code == 0
    assert out.splitlines()[:3] == [
        "account default (binance-usdm:simulator:abc)",
        "  emergency none, epoch 4",
        "  exposure: long 700 of 25000, short 200 of 25000, gross 700 of 50000",
    ]
    assert [line.split()[:6] for line in out.splitlines()[4:6]] == [
        ["btcusdt", "BTCUSDT", "leading", "1×1", "0.004", "0.50"],
        ["eth", "ETHUSDT", "leading", "0×0", "0", "0.00"],
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param(
            {"level": 2, "epoch": 5, "reason": "looked odd", "source": "anna@here"},
            "emergency Flatten, epoch 5, by anna@here: looked odd; to lift it: phoenix resume default --epoch 5",
            id="stopped",
        ),
        pytest.param(
            {"level": 2, "epoch": 5, "declared": 1},
            "spec.emergency is Halt: in force until the resource says None",
            id="declared-too",
        ),
        pytest.param({"level": 0, "epoch": 0, "seeded": ""}, "emergency not seeded, everybody halts", id="not-seeded"),
        pytest.param(
            {"level": 0, "epoch": 0, "seeded": "another run"},
            "emergency not seeded, everybody halts",
            id="seeded-before-redis-restarted",
        ),
    ],
)
def test_a_switch_that_stops_everybody_is_told_with_what_to_do(status, publish, redis, record, fields, said):
    redis.hset(KEYS.emergency, mapping=fields)
    unready = {"ready": False, "reason": Reason.EMERGENCY, "reasons_not_ready": [Reason.EMERGENCY]}
    publish(record(**unready, detail="looked odd"))
    for arguments in ((), ("btcusdt",)):
        assert said in status(*arguments)[1]


def test_a_symbols_halt_is_told_with_the_command_that_lifts_it(status, publish, redis, record):
    redis.hset(KEYS.halt("BTCUSDT"), mapping={"level": 1, "epoch": 2, "reason": "daily loss", "seeded": ""})
    redis.hset(KEYS.halt("ETHUSDT"), mapping={"level": 0, "epoch": 3, "reason": "resumed", "seeded": ""})
    publish(record())
    for arguments in ((), ("BTCUSDT",)):
        out = status(*arguments)[1]
        assert "daily loss; to lift it: phoenix resume default --symbol BTCUSDT --epoch 2" in out
        assert "ETHUSDT" not in out, "it was resumed"


def test_one_maker_tells_why_it_does_not_quote(status, publish, redis, record):
    assert redis.exists(KEYS.emergency)
    unready = {
        "ready": False,
        "reason": Reason.PRICE_STALE,
        "reasons_not_ready": [Reason.PRICE_STALE, Reason.NOT_RECONCILED],
        "detail": "no frame for 2 s",
        "configuration": {"refused": "netMax is -1", "needs_restart": ["symbol"]},
    }
    publish(record(**unready), record(maker="eth", symbol="ETHUSDT"))
    for name in ("btcusdt", "BTCUSDT", "local/btcusdt"):
        code, out, _ = status(name)
        assert code == 0
        lines = out.splitlines()
        assert lines[0] == "btcusdt (BTCUSDT, account default) does not quote: PriceStale: no frame for 2 s"
        assert "  also: NotReconciled" in lines
        assert "  parameters refused: netMax is -1" in lines
        assert "  waits for a restart: symbol" in lines
        assert "ETHUSDT" not in out


def test_the_steward_tells_margin_and_what_the_makers_day_has_come_to(status, publish, redis, record):
    days = [
        SymbolDay("BTCUSDT", 0, -30_500_000_000 // 10, 0.5, 60_000.0),
        SymbolDay("ETHUSDT", 0, 1_250_000_000, 0.0, 4000.0),
    ]
    report = StewardReport("pod-1/7f3a", 9, 1, "USDT", 0.125, 1000.0, 125.0, days=days)
    redis.hset(KEYS.steward, mapping={"schema": 1, "memory": msgspec.json.encode(report)})
    publish(record())
    said = "margin 12.5% of 1000.00 USDT in use; since 00:00 UTC its makers made -18.00 together"
    assert f"  steward pod-1/7f3a: {said}\n" in status()[1]


def test_a_maker_that_quotes_tells_what_rests(status, publish, redis, record):
    assert redis.exists(KEYS.emergency)
    publish(record(quotes=QUOTES), record(holder="there", role=Role.STANDBY, reason=Reason.STANDBY))
    out = status("btcusdt")[1]
    assert "btcusdt (BTCUSDT, account default) quotes" in out
    assert "  bids 61230.0×0.004" in out
    assert "does not quote: Standby" in out, "its standby is told as well"


@pytest.mark.parametrize(
    ("pnl", "said"),
    [
        pytest.param(
            {"realised": "12", "fees": "31", "fees_by_asset": {"USDT": "1", "BNB": "0.05"}},
            "pnl -19.0000 (fees 31.0000), 0 fills",
            id="in whichever asset",
        ),
        pytest.param(
            {"realised": "12", "fees": None, "fees_by_asset": {"BNB": "0.05000000"}},
            "pnl not known (fees 0.05 BNB, of which not all has a price yet), 0 fills",
            id="while one has no price",
        ),
    ],
)
def test_what_was_earned_is_less_all_fees(status, publish, redis, record, pnl, said):
    assert redis.exists(KEYS.emergency)
    publish(record(pnl=pnl))
    assert said in status("btcusdt")[1]
    assert ("-19.00" if pnl["fees"] else " – ") in status()[1]


def test_everything_is_there_as_json(status, publish, redis, record):
    assert redis.exists(KEYS.emergency)
    publish(record())
    (account,) = json.loads(status("-o", "json")[1])
    assert (account["account"], account["emergency"], account["seeded"]) == ("local/default", "None", True)
    assert account["exposure"] == {"net_long": 0, "net_short": 0, "gross": 0}
    assert account["makers"][0]["reason"] == "Quoting"


def test_a_maker_that_nobody_runs_is_refused_with_those_that_are(status, publish, redis, record):
    assert redis.exists(KEYS.emergency)
    publish(record())
    code, _, err = status("dogeusdt")
    assert (code, err) == (1, "phoenix status: no worker of a maker dogeusdt tells anything; there are: btcusdt\n")


def test_a_record_that_cannot_be_read_is_told_and_hides_no_other(status, publish, redis, record):
    publish(record(), record(holder="newer"))
    key = KEYS.record("BTCUSDT", "newer")
    redis.set(key, redis.get(key).replace(b'"schema":1', b'"schema":99'), keepttl=True)
    out = status()[1]
    assert "not readable: " in out
    assert "schema 99" in out
    assert "btcusdt" in out


@pytest.mark.parametrize(
    ("key", "of_what_type", "said"),
    [
        pytest.param(KEYS.ledger, {"epoch": "abc"}, "is no ledger of ours", id="ledger-field"),
        pytest.param(KEYS.ledger, "a value", "holds a foreign value", id="ledger"),
        pytest.param(KEYS.halt("BTCUSDT"), {"level": "x"}, "holds no switch", id="halt-field"),
        pytest.param(KEYS.halt("BTCUSDT"), "a value", "holds a foreign value", id="halt"),
        pytest.param(KEYS.steward, "a value", "holds a foreign value", id="steward"),
    ],
)
def test_what_is_not_ours_is_named_and_does_not_hide_that_the_account_is_stopped(
    status, publish, redis, record, key, of_what_type, said
):
    redis.hset(KEYS.emergency, mapping={"level": 2, "epoch": 5, "reason": "looked odd", "source": "anna@here"})
    publish(record())
    if isinstance(of_what_type, str):
        redis.set(key, of_what_type)
    else:
        redis.hset(key, mapping=of_what_type)
    code, out, err = status()
    assert code == 1
    assert out.splitlines()[:2] == [
        "account default (binance-usdm:simulator:abc)",
        "  emergency Flatten, epoch 5, by anna@here: looked odd; to lift it: phoenix resume default --epoch 5",
    ]
    assert ("  exposure: not known" in out.splitlines()) == (key == KEYS.ledger)
    assert "btcusdt" in out, "its makers are told as well"
    assert (err.count("\n"), err.startswith(f"phoenix status: {key} in Redis {said}")) == (1, True), err
    (told,) = json.loads(status("-o", "json")[1])
    assert (told["emergency"], told["epoch"], len(told["unread"])) == ("Flatten", 5, 1)


@pytest.mark.parametrize("arguments", [(), ("btcusdt",)], ids=["all", "one-maker"])
@pytest.mark.parametrize("switch", [{"level": "x"}, {"level": "9"}], ids=["no-number", "no-level"])
def test_a_switch_that_cannot_be_read_is_not_known_rather_than_down(status, publish, redis, record, switch, arguments):
    redis.hset(KEYS.emergency, mapping=switch)
    publish(record())
    code, out, err = status(*arguments)
    assert code == 1
    assert "  emergency not known" in out.splitlines()
    assert err.startswith(f"phoenix status: {KEYS.emergency} in Redis holds no switch")


def test_a_maker_that_nobody_can_read_is_not_said_to_be_away(status, publish, redis, record):
    publish(record())
    redis.delete(KEYS.records)
    redis.set(KEYS.records, "a value")
    code, out, err = status("btcusdt")
    assert (code, out) == (1, "")
    assert err.startswith(f"phoenix status: {KEYS.records} in Redis holds a foreign value")


def test_an_empty_redis_is_no_error(status, shared_redis):
    assert shared_redis.dbsize() == 0
    assert status()[:2] == (0, "no worker has told anything to this Redis yet\n")


@pytest.fixture
def of_run(redis_url, capsys, tmp_path, monkeypatch):
    """Types it about the run of this machine, which has the account `default`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    directory = StateDirectory(tmp_path / "phoenix" / "up")
    with directory.locked():
        view = RunView(title="up", elapsed_s=1.0)
        write_run_file(directory, RunFile(os.getpid(), view, redis_url, {}, (AccountFiles("default", "p", "c"),)))

        def typed(*arguments: str) -> tuple[int, str, str]:
            return main(["status", *arguments]), *capsys.readouterr()

        yield typed


@pytest.fixture
def announce(redis_url, record):
    """Tells as a worker does that waits for its key."""

    def told(**changes) -> None:
        async def once() -> None:
            client = connect(redis_url, 5.0)
            waiting = {"ready": False, "role": Role.STARTING, "reason": Reason.CREDENTIALS_MISSING}
            await records.announce(client, record(**{**waiting, "detail": "no apiKey in k", **changes}), 1.0)
            await client.aclose()

        asyncio.run(once())

    return told


def test_a_worker_that_waits_for_its_key_says_so_before_anything_is_known_of_its_account(of_run, announce, redis):
    assert redis.exists(KEYS.emergency)
    announce()
    code, out, err = of_run()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "account default (its workers do not know yet which of the exchange's it is)"
    assert lines[2].startswith("btcusdt  BTCUSDT  starting")
    assert lines[2].endswith("CredentialsMissing: no apiKey in k")
    said = of_run("btcusdt")[1]
    assert "does not quote: CredentialsMissing: no apiKey in k" in said.splitlines()[0]
    assert "emergency" not in said


def test_a_worker_that_waits_stands_beside_those_that_do_not(of_run, announce, publish, redis, record):
    assert redis.exists(KEYS.emergency)
    publish(record())
    announce(maker="ethusdt", symbol="ETHUSDT", holder="there")
    (account,) = json.loads(of_run("-o", "json")[1])
    assert [(maker["maker"], maker["reason"]) for maker in account["makers"]] == [
        ("btcusdt", "Quoting"),
        ("ethusdt", "CredentialsMissing"),
    ]
