"""`phoenix stop` and `phoenix resume` as a person types them, on a real Redis."""

import asyncio
import json
import os
import re

import pytest
from phoenix_cli import aftermath
from phoenix_cli.__main__ import main
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.runfile import AccountFiles, RunFile, write_run_file
from phoenix_cli.local.view import RunView
from phoenix_coordination.redis import records
from phoenix_coordination.redis.client import connect
from phoenix_coordination.redis.keys import OFFICE, AccountKeys, identity_of
from phoenix_coordination.state import Mode, Quote, Quotes, Role

KEYS = AccountKeys("binance-usdm:simulator:abc")
OTHER = AccountKeys("binance-usdm:production:xyz")


@pytest.fixture(autouse=True)
def _state_home(tmp_path, monkeypatch):
    """A machine on which nothing runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def publish(redis_url):
    def told(record) -> None:
        async def once() -> None:
            client = connect(redis_url, 5.0)
            await records.publish(client, KEYS, record, 1.0)
            await client.aclose()

        asyncio.run(once())

    return told


@pytest.fixture
def redis(shared_redis, publish, record):
    """A seeded account, as its one worker has named it, which leads, has nothing and hears of every stop."""
    publish(record(emergency={"epoch": 99}))
    seeded = shared_redis.info("server")["run_id"]
    shared_redis.hset(KEYS.emergency, mapping={"level": 0, "epoch": 4, "reason": "", "seeded": seeded})
    return shared_redis


@pytest.fixture
def lease(redis):
    """Has the symbol be led, under the token of the record that `record` makes."""

    def led(symbol: str = "BTCUSDT", keys: AccountKeys = KEYS, **fields: str) -> None:
        held = {"holder": "here", "token": "1", "beat": "7", "released": "", "run": "r"}
        redis.hset(keys.lease(symbol), mapping={**held, **fields})

    return led


@pytest.fixture
def url(redis, redis_url) -> str:
    assert redis.exists(KEYS.emergency)
    return redis_url


@pytest.fixture
def phoenix(url, capsys):
    """Types a command about that Redis: (status, standard output, standard error)."""

    def typed(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--redis", url])
        return status, *capsys.readouterr()

    return typed


def switch(redis, key=KEYS.emergency) -> tuple[str, str, str]:
    return tuple(field.decode() for field in redis.hmget(key, "level", "epoch", "reason"))


def test_a_stop_says_its_epoch_and_how_to_resume(phoenix, redis):
    status, out, _ = phoenix("stop", "default", "--reason", "spreads look wrong")
    assert status == 0
    assert re.sub(r"\(\d+ ms", "(… ms", out).splitlines() == [
        "default is stopped: Halt, epoch 5: spreads look wrong",
        "no maker tells of an order that rests (… ms after the stop)",
        "it trades again after `phoenix resume default --epoch 5`",
    ]
    assert switch(redis) == ("1", "5", "spreads look wrong")
    assert redis.hget(KEYS.emergency, "source").decode().count("@") == 1, "who has typed it"


EVIL = "line1\nline2 \x1b[31mred"


def test_a_reason_of_others_reaches_no_terminal_as_it_is(phoenix, redis):
    """Whoever reaches Redis, or the resource, writes what he likes there."""
    seeded = redis.hget(KEYS.emergency, "seeded")
    redis.hset(KEYS.emergency, mapping={"level": 2, "epoch": 9, "reason": EVIL, "seeded": seeded})
    redis.hset(KEYS.halt("BTCUSDT"), mapping={"level": 1, "epoch": 2, "reason": EVIL, "source": EVIL})
    told = [
        phoenix("resume", "default", "--epoch", "8"),
        phoenix("resume", "default", "--symbol", "BTCUSDT", "--epoch", "1"),
        phoenix("status"),
        phoenix("status", "btcusdt"),
        phoenix("stop", "default", "--reason", "x", "--no-wait"),
    ]
    texts = [out + err for _, out, err in told]
    for text in texts[:4]:
        assert r"line1\nline2 \x1b[31mred" in text
    assert all(line.isprintable() for text in texts for line in text.split("\n"))


def test_a_redis_that_evicts_takes_the_stop_and_is_warned_of_afterwards(phoenix, redis):
    """The makers may quote on it still."""
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        status, out, err = phoenix("stop", "default", "--reason", "odd")
        assert status == 0
        assert switch(redis) == ("1", "5", "odd")
        assert out.startswith("default is stopped: Halt, epoch 5")
        warning = "warning: Redis evicts what it holds"
        assert err.startswith(warning)
        status, out, err = phoenix("status")
        assert (status, err.startswith(warning), err.count("\n")) == (0, True, 1)
        assert "epoch 5" in out
        status, _, err = phoenix("resume", "default", "--epoch", "5")
        assert (status, err.startswith(warning)) == (0, True)
        assert switch(redis)[0] == "0"
    finally:
        redis.config_set("maxmemory-policy", "noeviction")


def test_a_stop_that_flattens_is_higher_than_one_that_halts(phoenix, redis):
    phoenix("stop", "default", "--reason", "first")
    status, out, _ = phoenix("stop", "default", "--flatten", "--reason", "second")
    assert (status, out.splitlines()[0].split(";")[0]) == (0, "default is stopped: Flatten, epoch 6: second")
    assert switch(redis)[:2] == ("2", "6")


def test_a_stop_of_what_is_stopped_has_to_be_resumed_knowingly(phoenix, redis):
    """Else who knew of the first alone would lift the second person's with it."""
    redis.hset(KEYS.emergency, mapping={"level": 2, "epoch": 5, "reason": "account drawdown", "source": "pod/1"})
    status, out, _ = phoenix("stop", "default", "--reason", "mine")
    assert status == 0
    assert out.splitlines()[0] == "default is stopped: Flatten, epoch 6: mine; before, by pod/1: account drawdown"
    assert switch(redis) == ("2", "6", "mine; before, by pod/1: account drawdown")
    assert phoenix("resume", "default", "--epoch", "5")[0] == 1
    assert switch(redis)[0] == "2"


def test_a_stop_is_in_force_before_anybody_has_seeded_the_switch(phoenix, redis):
    redis.delete(KEYS.emergency)
    assert phoenix("stop", "default", "--reason", "now")[0] == 0
    assert switch(redis) == ("1", "1", "now")


def test_only_the_present_epoch_resumes(phoenix, redis):
    phoenix("stop", "default", "--reason", "spreads look wrong")
    for epoch in ("4", "6"):
        status, out, err = phoenix("resume", "default", "--epoch", epoch)
        assert (status, out) == (1, "")
        assert err == (
            f"phoenix resume: the account is stopped under epoch 5, not {epoch} (spreads look wrong):"
            " look at why, then resume it with --epoch 5\n"
        )
        assert switch(redis)[:2] == ("1", "5")
    status, out, _ = phoenix("resume", "default", "--epoch", "5")
    assert (status, out.split(";")[0]) == (0, "default may trade again, epoch 6")
    assert switch(redis)[:2] == ("0", "6")


def test_a_symbols_halt_is_resumed_by_its_own_epoch_and_the_switch_stays(phoenix, redis):
    phoenix("stop", "default", "--reason", "all")
    redis.hset(KEYS.halt("BTCUSDT"), mapping={"level": 1, "epoch": 2, "reason": "daily loss", "seeded": ""})
    assert phoenix("resume", "default", "--symbol", "BTCUSDT", "--epoch", "5")[0] == 1
    status, out, _ = phoenix("resume", "default", "--symbol", "btcusdt", "--epoch", "2")
    assert (status, out.split(";")[0]) == (0, "default BTCUSDT may trade again, epoch 3")
    assert switch(redis, KEYS.halt("BTCUSDT"))[:2] == ("0", "3")
    assert switch(redis)[0] == "1"


def test_a_resume_says_what_the_resource_still_declares(phoenix, redis):
    redis.hset(KEYS.halt("BTCUSDT"), mapping={"level": 1, "epoch": 2, "reason": "daily loss", "seeded": ""})
    redis.hset(KEYS.emergency, "declared", 2)
    phoenix("stop", "default", "--reason", "spreads look wrong")
    stays = "and stays stopped: its resource says emergency Flatten\n"
    assert phoenix("resume", "default", "--epoch", "5")[1] == f"default is resumed, epoch 6, {stays}"
    symbol = phoenix("resume", "default", "--symbol", "BTCUSDT", "--epoch", "2")[1]
    assert symbol == f"default BTCUSDT is resumed, epoch 3, {stays}"
    assert int(redis.hget(KEYS.emergency, "declared")) == 2


def test_the_halt_of_a_maker_that_only_rehearses_is_found(phoenix, redis):
    rehearsed = AccountKeys(KEYS.account, dry_run=True).halt("BTCUSDT")
    redis.hset(rehearsed, mapping={"level": 1, "epoch": 2, "reason": "stop loss", "seeded": ""})
    assert phoenix("resume", "default", "--symbol", "BTCUSDT", "--epoch", "2")[0] == 0
    assert switch(redis, rehearsed)[0] == "0"


def test_the_answer_is_there_as_json(phoenix):
    _, out, _ = phoenix("stop", "local/default", "--reason", "why", "-o", "json")
    told = json.loads(out)
    assert (told["account"], told["level"], told["epoch"]) == ("local/default", "Halt", 5)
    assert (told["left"], told["asked"]) == (0, "makers"), "without a run there is no key to ask the exchange with"
    _, out, _ = phoenix("resume", "default", "--epoch", "5", "-o", "json")
    assert json.loads(out) == {"account": "local/default", "symbol": "", "epoch": 6, "declared": "None"}


QUOTE = Quote("61230.0", "0.004", "q")


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        pytest.param({"emergency": {"epoch": 5}}, 0, id="heard-and-withdrawn"),
        pytest.param({"emergency": {"epoch": 5}, "quotes": Quotes(bids=[QUOTE], asks=[QUOTE])}, 2, id="not-withdrawn"),
        pytest.param({"emergency": {"epoch": 4}}, 1, id="has-not-heard"),
        pytest.param({"emergency": {"epoch": 4}, "mode": Mode.DRY_RUN}, 0, id="rehearses"),
    ],
)
def test_a_stop_waits_for_what_the_makers_tell_and_fails_where_something_may_rest(
    phoenix, publish, record, monkeypatch, changes, left
):
    monkeypatch.setattr(aftermath, "_TELL_WITHIN_S", 0.3)
    publish(record(**changes))
    status, out, _ = phoenix("stop", "default", "--reason", "x", "-o", "json")
    assert (status, json.loads(out)["left"]) == (int(left > 0), left)


HEARD = {"emergency": {"epoch": 5}}


@pytest.mark.parametrize(
    ("told", "still"),
    [
        pytest.param([{"position": {"qty": "0"}}], [], id="closed"),
        pytest.param([{"position": {"qty": "-0.012"}}], [("BTCUSDT", "-0.012")], id="still-open"),
        pytest.param([{"position": {"qty": "0.5"}, "mode": Mode.DRY_RUN}], [], id="rehearses"),
        pytest.param(
            [{"position": {"qty": "0"}}, {"position": {"qty": "0.5"}, "holder": "old", "role": Role.STANDBY}],
            [],
            id="a-standby-knows-an-older-one",
        ),
    ],
)
def test_a_stop_that_flattens_waits_until_the_makers_tell_of_no_position_and_fails_where_one_is_open(
    phoenix, publish, record, monkeypatch, told, still
):
    monkeypatch.setattr(aftermath, "_CLOSE_WITHIN_S", 0.3)
    for changes in told:
        publish(record(**HEARD, **changes))
    status, out, _ = phoenix("stop", "default", "--flatten", "--reason", "x", "-o", "json")
    answer = json.loads(out)
    assert (status, answer["left"]) == (int(bool(still)), 0)
    assert [(each["symbol"], str(each["quantity"])) for each in answer["open"]] == still


REHEARSED = AccountKeys(KEYS.account, dry_run=True)
LOOK = "look at the exchange (`phoenix orders` where the run with the account's key is, or its own page)"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(aftermath, "_TELL_WITHIN_S", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("flatten", [pytest.param([], id="halt"), pytest.param(["--flatten"], id="flatten")])
@pytest.mark.parametrize("led", [pytest.param(True, id="led"), pytest.param(False, id="redis-came-back-empty")])
def test_where_no_maker_tells_anything_a_stop_does_not_say_that_nothing_is_left(phoenix, redis, lease, led, flatten):
    """Workers that hang for longer than their records live: what they had sent rests."""
    redis.delete(KEYS.records, KEYS.record("BTCUSDT", "here"))
    if led:
        lease()
    status, out, err = phoenix("stop", "default", *flatten, "--reason", "x")
    assert status == 1
    assert [line.split(" ")[0] for line in out.splitlines()] == ["default", "it"], "in force, and nothing is claimed"
    leader = "; BTCUSDT: its leader here tells nothing of it" if led else ""
    assert err == f"phoenix stop: nobody can say what is left: no maker tells anything{leader}: {LOOK}\n"
    told = json.loads(phoenix("stop", "default", *flatten, "--reason", "x", "-o", "json")[1])
    assert (told["left"], told["open"]) == (None, None)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("held", "tells", "unsure"),
    [
        pytest.param({}, None, "ETHUSDT: its leader here tells nothing of it", id="leader-is-silent"),
        pytest.param({}, {}, "", id="leader-tells"),
        pytest.param({}, {"role": Role.DRAINING}, "", id="leader-drains"),
        pytest.param({}, {"role": Role.STANDBY, "holder": "there"}, "its leader here tells", id="only-a-standby-tells"),
        pytest.param({}, {"role": Role.STARTING}, "its leader here tells", id="leader-has-not-read-what-rests"),
        pytest.param({"holder": "gone"}, {}, "its leader gone tells", id="who-tells-leads-no-more"),
        pytest.param({"token": "2"}, {}, "its leader here tells", id="who-tells-led-before"),
        pytest.param({}, {"mode": Mode.DRY_RUN}, "its leader here tells", id="who-tells-rehearses"),
        pytest.param({"released": "r"}, None, "", id="given-up"),
        pytest.param({"released": "r"}, {"role": Role.STANDBY}, "", id="given-up-to-a-standby"),
        pytest.param(None, {"role": Role.STANDBY}, "ETHUSDT: nobody is known to lead it", id="who-led-is-forgotten"),
        pytest.param(None, {"role": Role.DRAINING, "token": 0}, "nobody is known to lead it", id="a-standby-drains"),
    ],
)
def test_a_symbol_whose_leader_tells_nothing_is_named_beside_those_that_are_known(
    phoenix, publish, record, lease, held, tells, unsure
):
    lease()
    if held is not None:
        lease("ETHUSDT", **held)
    if tells is not None:
        publish(record(**HEARD, **{"symbol": "ETHUSDT", **tells}))
    status, out, err = phoenix("stop", "default", "--reason", "x")
    assert status == int(bool(unsure))
    assert ("no maker tells of an order that rests" in out) == (not unsure)
    assert unsure in err
    assert bool(err) == bool(unsure)
    assert "BTCUSDT" not in err


@pytest.mark.usefixtures("impatient")
def test_what_nobody_leads_in_earnest_is_not_asked_after(phoenix, lease):
    lease("ETHUSDT", REHEARSED, holder="gone")
    lease(OFFICE, holder="gone")
    assert phoenix("stop", "default", "--reason", "x")[::2] == (0, "")


@pytest.mark.usefixtures("impatient")
def test_a_record_of_another_build_is_no_word_that_nothing_rests(phoenix, publish, redis, record, lease):
    lease("ETHUSDT")
    publish(record(**HEARD, symbol="ETHUSDT"))
    key = KEYS.record("ETHUSDT", "here")
    redis.set(key, redis.get(key).replace(b'"schema":1', b'"schema":99'), keepttl=True)
    status, _, err = phoenix("stop", "default", "--reason", "x")
    assert status == 1
    assert key in err
    assert "schema 99" in err
    assert "ETHUSDT: its leader here tells nothing of it" in err


@pytest.mark.usefixtures("impatient")
def test_what_is_known_to_rest_is_told_beside_what_nobody_can_say(phoenix, publish, record, lease):
    lease("ETHUSDT", holder="gone")
    publish(record(**HEARD, quotes=Quotes(bids=[QUOTE], asks=[QUOTE]), position={"qty": "2"}))
    status, out, err = phoenix("stop", "default", "--flatten", "--reason", "x")
    assert status == 1
    assert "2 orders may still rest after" in out
    assert "BTCUSDT 2; closing goes on" in out
    assert "ETHUSDT: its leader gone tells nothing of it" in err


def test_a_leader_that_tells_late_is_waited_for(phoenix, publish, record, lease, monkeypatch):
    """As one does that has just taken the lease."""
    lease("ETHUSDT")
    listened = 0
    sleep = asyncio.sleep

    async def listen(seconds: float) -> None:
        nonlocal listened
        listened += 1
        if listened == 3:
            await asyncio.to_thread(publish, record(**HEARD, symbol="ETHUSDT"))
        await sleep(seconds)

    monkeypatch.setattr(aftermath.asyncio, "sleep", listen)
    assert phoenix("stop", "default", "--reason", "x")[0] == 0
    assert listened >= 3


def test_what_is_open_is_named_for_people(phoenix, publish, record, monkeypatch):
    monkeypatch.setattr(aftermath, "_CLOSE_WITHIN_S", 0.3)
    publish(record(**HEARD, position={"qty": "-0.012"}))
    publish(record(**HEARD, position={"qty": "2"}, symbol="ETHUSDT", holder="there"))
    status, out, _ = phoenix("stop", "default", "--flatten", "--reason", "x")
    assert status == 1
    assert re.fullmatch(
        r"still open after \d+\.\d s: BTCUSDT -0\.012, ETHUSDT 2; closing goes on: see `phoenix positions`",
        out.splitlines()[2],
    )


def test_a_stop_that_closes_nothing_says_nothing_of_positions(phoenix, publish, record):
    publish(record(**HEARD, position={"qty": "-0.012"}))
    status, out, _ = phoenix("stop", "default", "--reason", "x", "-o", "json")
    assert (status, json.loads(out)["open"]) == (0, None)


def test_a_stop_that_waits_for_nobody_asks_nobody(phoenix, publish, record):
    publish(record(emergency={"epoch": 4}))
    status, out, _ = phoenix("stop", "default", "--reason", "x", "--no-wait")
    assert (status, len(out.splitlines())) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["stop", "defualt", "--reason", "x"], "no worker has registered account .* local/default", id="name"
        ),
        pytest.param(["stop", "default", "--reason", " "], "--reason is empty", id="no-reason"),
        pytest.param(
            ["stop", "default", "--reason", "odd\n\x1b[31mred"],
            r"\(odd\\n\\x1b\[31mred\): write it on one line",
            id="controls",
        ),
        pytest.param(["resume", "default", "--epoch", "4"], r"not stopped \(epoch 4\)", id="nothing-to-resume"),
        pytest.param(
            ["resume", "default", "--symbol", "BTCUSDT", "--epoch", "1"], "BTCUSDT is not stopped", id="symbol"
        ),
        pytest.param(
            ["stop", "default", "--reason", "x", "--state-dir", "/x"], "leave one of them out", id="two-targets"
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(phoenix, redis, arguments, said):
    before = switch(redis)
    status, out, err = phoenix(*arguments)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert re.search(said, err), err
    assert switch(redis) == before


def test_a_switch_that_nobody_has_seeded_cannot_be_resumed(phoenix, redis):
    redis.hset(KEYS.emergency, mapping={"level": 1, "epoch": 5, "reason": "x", "seeded": ""})
    status, _, err = phoenix("resume", "default", "--epoch", "5")
    assert status == 1
    assert "has not been seeded: start the runner" in err


def test_a_redis_that_is_not_there_is_said(capsys):
    assert main(["stop", "default", "--reason", "x", "--redis", "redis://127.0.0.1:1/0"]) == 1
    err = capsys.readouterr().err
    assert "Redis cannot be reached" in err
    assert "Traceback" not in err


@pytest.fixture
def run(tmp_path, url):
    """A demo that is going on."""
    directory = StateDirectory(tmp_path / "phoenix" / "demo")
    with directory.locked():
        write_run_file(directory, RunFile(os.getpid(), RunView(title="demo", elapsed_s=1), url))
        yield directory


@pytest.mark.usefixtures("run")
def test_without_a_redis_the_run_on_this_machine_is_meant_and_its_namespace(redis, capsys):
    redis.set(identity_of("production/default"), OTHER.account)
    assert main(["stop", "default", "--reason", "mine alone"]) == 0
    assert capsys.readouterr().out.startswith("default is stopped: Halt, epoch 5")
    assert switch(redis)[0] == "1"
    assert not redis.exists(OTHER.emergency)


def test_what_a_run_calls_default_is_its_own_account_whatever_redis_calls_so(run, url, redis, capsys):
    """Another run has taken the name while the workers of this one were away."""
    files = AccountFiles("default", "nowhere", "nowhere", identity=KEYS.account)
    write_run_file(run, RunFile(os.getpid(), RunView(title="demo", elapsed_s=1), url, {}, (files,)))
    redis.set(identity_of("local/default"), OTHER.account)
    assert main(["stop", "default", "--reason", "mine alone", "--no-wait"]) == 0
    assert switch(redis)[:2] == ("1", "5")
    assert not redis.exists(OTHER.emergency)
    assert main(["resume", "default", "--epoch", "5"]) == 0
    assert switch(redis)[:2] == ("0", "6")
    capsys.readouterr()


def test_a_name_in_two_namespaces_needs_the_namespace(phoenix, redis):
    redis.set(identity_of("production/default"), OTHER.account)
    status, _, err = phoenix("stop", "default", "--reason", "x")
    assert status == 1
    assert "local/default, production/default" in err
    assert phoenix("stop", "production/default", "--reason", "x", "--no-wait")[0] == 0
    assert switch(redis)[0] == "0"


def test_without_a_run_it_says_so(capsys):
    assert main(["stop", "default", "--reason", "x"]) == 1
    assert "no run is going on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["stop", "default"], ["resume", "default"], ["resume", "default", "--epoch", "x"]]
)
def test_what_has_to_be_said_is_asked_for(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: phoenix" in capsys.readouterr().err
