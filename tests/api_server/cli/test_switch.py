"""`phoenix stop` and `phoenix resume` through an account's status, on a real API server; the operator is played."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from phoenix_cli.cluster import asking, switch
from phoenix_cli.cluster.asking import ask, resume_request, stop_request
from phoenix_cli.cluster.place import Place
from phoenix_cli.cluster.reading import connected
from phoenix_crds import Emergency

NOTHING_LEFT = {"orders": 0, "unheard": [], "open": []}


def stopped(request, *, epoch: int = 5, left=NOTHING_LEFT) -> dict:
    """The switch as a stop that is carried out leaves it."""
    if request["action"] == "Resume":
        return {"emergency": {"level": "None", "epoch": epoch + 1, "left": None}}
    told = {"level": request["level"], "epoch": epoch, "reason": request["reason"], "source": request["source"]}
    return {"emergency": {**told, "left": left}}


@pytest.fixture
def requests_of(api_server, account):
    def waiting() -> list[dict]:
        return api_server.admin.get(account).expect().get("status", {}).get("requests", [])

    return waiting


def until(look) -> None:
    """Until there is something to be seen."""
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def _impatient(monkeypatch):
    """Nobody answers in these tests: they do not wait long for it."""
    monkeypatch.setattr(asking, "ANSWER_WITHIN_S", 0.4)
    monkeypatch.setattr(asking, "_LAST_LOOK_S", 0.2)


def test_a_stop_says_its_epoch_what_is_left_and_how_to_resume(phoenix, operator, namespace, requests_of):
    played = operator(stopped)
    status, out, err = phoenix("stop", "default", "--reason", "spreads look wrong")
    assert (status, err) == (0, "")
    lines = re.sub(r"\(\d+ ms", "(… ms", out).splitlines()
    assert lines[:2] == [
        f"{namespace}/default is stopped: Halt, epoch 5: spreads look wrong",
        "no maker tells of an order that rests (… ms after the stop)",
    ]
    assert lines[2].startswith(f"it trades again after `phoenix resume {namespace}/default --epoch 5 --kubeconfig ")
    (asked,) = played.seen
    assert (asked["action"], asked["level"], asked["reason"]) == ("Stop", "Halt", "spreads look wrong")
    assert asked["source"].count("@") == 1, "who has typed it"
    assert "epoch" not in asked
    played.end()
    assert requests_of() == []


def test_the_answer_is_there_as_json(phoenix, operator, namespace):
    operator(stopped)
    told = json.loads(phoenix("stop", f"{namespace}/default", "--reason", "why", "-o", "json")[1])
    assert (told["account"], told["level"], told["epoch"]) == (f"{namespace}/default", "Halt", 5)
    assert (told["asked"], told["left"], told["open"]) == ("operator", 0, None)
    told = json.loads(phoenix("resume", "default", "--epoch", "5", "-o", "json")[1])
    assert told == {"account": f"{namespace}/default", "symbol": "", "epoch": 6, "declared": "None"}


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({"orders": 3, "unheard": [], "open": []}, "3 orders may still rest after "),
        ({"orders": 0, "unheard": ["btcusdt"], "open": []}, "btcusdt: its worker tells nothing, or has not heard"),
        (None, "the operator does not say what the makers tell"),
    ],
    ids=["orders-rest", "a-maker-has-not-heard", "operator-says-nothing"],
)
def test_a_stop_after_which_something_may_be_left_is_in_force_and_no_success(
    phoenix, operator, monkeypatch, left, said
):
    monkeypatch.setattr(switch, "_TELL_WITHIN_S", 0.5)
    operator(lambda request: stopped(request, left=left))
    status, out, err = phoenix("stop", "default", "--reason", "why")
    assert status == 1
    assert "is stopped: Halt, epoch 5" in out.splitlines()[0]
    assert said in out + err


def test_what_is_left_is_heard_until_nothing_is(phoenix, operator):
    """The switch is told with the orders that rested at that moment; they go, and the position closes."""
    still = [{"symbol": "BTCUSDT", "position": "0.012"}]

    def answering(request: dict) -> dict:
        played.later(0.5, emergency={"left": {"orders": 0, "unheard": [], "open": still}})
        played.later(1.0, emergency={"left": NOTHING_LEFT})
        return stopped(request, left={"orders": 2, "unheard": ["btcusdt"], "open": still})

    played = operator(answering)
    status, out, _ = phoenix("stop", "default", "--flatten", "--reason", "why")
    assert status == 0
    assert "no maker tells of an order that rests" in out
    assert "no maker tells of a position that is open" in out


def test_without_waiting_it_is_in_force_and_nobody_says_what_is_left(phoenix, operator):
    operator(lambda request: stopped(request, left=None))
    status, out, _ = phoenix("stop", "default", "--no-wait", "--reason", "why")
    assert (status, len(out.splitlines())) == (0, 2)


def test_what_the_operator_refuses_is_refused_in_its_words(phoenix, operator):
    refused = "the account is stopped under epoch 7, not 5 (looked odd)"
    operator(lambda _: {"emergency": {"level": "Halt", "epoch": 7}, "refused": refused})
    status, out, err = phoenix("resume", "default", "--epoch", "5")
    assert (status, out, err) == (1, "", f"phoenix resume: the operator refuses: {refused}\n")


def test_a_resumed_account_that_its_resource_stops_is_told_as_stopped(phoenix, operator, api_server, account):
    api_server.admin.merge(account, {"spec": {"emergency": "Halt"}}).expect()
    operator(stopped)
    status, out, _ = phoenix("resume", "default", "--epoch", "5")
    assert status == 0
    assert "is resumed, epoch 6, and stays stopped: its resource says emergency Halt" in out


@pytest.mark.parametrize(
    ("halts", "rehearsal"),
    [
        ([{"symbol": "BTCUSDT", "epoch": 2}], False),
        ([{"symbol": "BTCUSDT", "epoch": 2, "dryRun": True}], True),
        ([{"symbol": "BTCUSDT", "epoch": 2, "dryRun": True}, {"symbol": "BTCUSDT", "epoch": 3}], False),
        ([], False),
    ],
    ids=["live", "rehearsal", "both", "neither"],
)
def test_a_symbols_halt_is_lifted_for_the_live_maker_unless_the_rehearsal_alone_is_halted(
    phoenix, operator, tell, account, halts, rehearsal
):
    tell(account, emergency={"level": "None", "epoch": 4, "halts": halts})
    played = operator(stopped)
    assert phoenix("resume", "default", "--symbol", "btcusdt", "--epoch", "2")[0] == 0
    (asked,) = played.seen
    assert (asked["symbol"], asked["epoch"], asked.get("dryRun", False)) == ("BTCUSDT", 2, rehearsal)


# -- nobody answers --------------------------------------------------------------------------------


@pytest.mark.usefixtures("_impatient", "account")
def test_a_stop_that_nobody_answers_waits_and_says_what_stops_without_an_operator(phoenix, namespace, requests_of):
    status, out, err = phoenix("stop", "default", "--reason", "why")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert f"{namespace}/default is NOT known to be stopped" in err
    assert "how its switch stands has never been told" in err
    assert f"kubectl -n {namespace} scale deployment -l phoenix.trading/account=default --replicas=0" in err
    (waiting,) = requests_of()
    assert waiting["action"] == "Stop", "whoever leads next carries it out"


@pytest.mark.usefixtures("_impatient")
def test_why_the_operator_cannot_answer_is_told_where_it_has_said_so(phoenix, tell, account):
    away = {"status": "Unknown", "reason": "RedisUnreachable", "message": "no Redis answers at redis:6379"}
    tell(account, conditions=[{"type": "Ready", **away}])
    err = phoenix("stop", "default", "--reason", "why")[2]
    assert "of the account the operator says RedisUnreachable: no Redis answers at redis:6379" in err


@pytest.mark.usefixtures("_impatient")
def test_a_resume_that_nobody_answers_is_taken_back(phoenix, tell, account, requests_of):
    other = {"id": "other", "action": "Stop", "level": "Halt"}
    tell(account, emergency={"level": "Halt", "epoch": 5}, requests=[other])
    status, out, err = phoenix("resume", "default", "--epoch", "5")
    assert (status, out) == (1, "")
    assert "last told: emergency Halt, epoch 5" in err
    assert "the request has been taken back" in err
    assert requests_of() == [other], "what others ask is left alone"


@pytest.mark.usefixtures("account")
def test_a_stop_that_a_person_does_not_wait_for_stays_and_says_so(api_server, namespace, requests_of):
    command = [sys.executable, "-m", "phoenix_cli", "stop", "default", "--reason", "why", "-n", namespace]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    typed = subprocess.Popen(
        [*command, "--kubeconfig", str(api_server.admin_kubeconfig)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(requests_of)
    typed.send_signal(signal.SIGINT)
    out, err = typed.communicate(timeout=20)
    assert (typed.returncode, out) == (130, "")
    assert err == (
        "phoenix stop: it has been asked, or is just being: an operator that sees it carries it out;"
        " `phoenix status` shows what is in force\n"
    )
    assert [each["action"] for each in requests_of()] == ["Stop"]


async def test_a_resume_that_a_person_gives_up_is_taken_back(api_server, namespace, account, requests_of):
    assert account
    place = Place(kubeconfig=str(api_server.admin_kubeconfig), namespace=namespace)
    async with connected(place) as client:
        request = resume_request(5, "", "anna@here", dry_run=False)
        asking_for_it = asyncio.create_task(ask(client, namespace, "default", request))
        await asyncio.to_thread(until, requests_of)
        asking_for_it.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking_for_it
    assert requests_of() == []


# -- others ask at the same time -------------------------------------------------------------------


async def test_of_those_who_ask_at_once_nobody_is_lost(api_server, namespace, operator):
    """The account has no status at first: everybody wants to be the one who makes the list."""
    played = operator(stopped)
    place = Place(kubeconfig=str(api_server.admin_kubeconfig), namespace=namespace)
    async with connected(place) as client:
        wanted = [stop_request(Emergency.HALT, f"reason {index}", "anna@here") for index in range(5)]
        answers = await asyncio.gather(*(ask(client, namespace, "default", each) for each in wanted))
    assert [each.answer.id for each in answers] == [each.id for each in wanted]
    assert {each["id"] for each in played.seen} == {each.id for each in wanted}


# -- what is not possible --------------------------------------------------------------------------


def test_an_account_that_is_not_there_is_refused(phoenix, namespace):
    assert phoenix("stop", "doge", "--reason", "why") == (
        1,
        "",
        f"phoenix stop: no TradingAccount doge in namespace {namespace} of tests: `phoenix status -A` lists them\n",
    )


@pytest.mark.usefixtures("account")
def test_who_may_not_ask_is_told_which_verb_is_missing(phoenix, person, requests_of):
    status, out, err = phoenix("stop", "default", "--reason", "why", kubeconfig=person("phoenix-viewer"))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "RBAC forbids to patch tradingaccounts" in err
    assert requests_of() == []


def test_the_role_of_those_who_may_stop_is_enough(phoenix, operator, person):
    operator(stopped)
    somebody = person("phoenix-emergency")
    assert phoenix("stop", "default", "--reason", "why", kubeconfig=somebody)[0] == 0
    assert phoenix("resume", "default", "--epoch", "5", kubeconfig=somebody)[0] == 0


@pytest.mark.usefixtures("account")
def test_a_list_that_is_full_is_refused_with_the_servers_words(phoenix, tell, account, requests_of):
    tell(account, requests=[{"id": f"r{index}", "action": "Stop", "level": "Halt"} for index in range(32)])
    status, _, err = phoenix("stop", "default", "--reason", "why")
    assert (status, err.count("\n"), len(requests_of())) == (1, 1, 32)
    assert "32" in err


@pytest.mark.usefixtures("account")
def test_a_reason_that_does_not_fit_is_refused_before_anything_is_asked(phoenix, requests_of):
    status, _, err = phoenix("stop", "default", "--reason", "x" * 1025)
    assert (status, err.count("\n"), requests_of()) == (1, 1, [])


# -- the server falls silent -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("_impatient_requests")
def test_a_server_that_is_silent_for_a_while_costs_no_answer(phoenix, operator, api_server):
    """It falls silent when the request has been passed on, and speaks again in time."""

    def answering(request: dict) -> dict:
        pause = api_server.frozen()
        pause.__enter__()
        threading.Timer(1.5, pause.__exit__, (None, None, None)).start()
        return stopped(request)

    operator(answering)
    assert phoenix("stop", "default", "--reason", "why")[0] == 0


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("_impatient_requests", "_impatient", "account")
@pytest.mark.parametrize("command", [["stop", "default", "--reason", "why"], ["resume", "default", "--epoch", "5"]])
def test_where_the_server_stays_silent_nobody_claims_to_know(phoenix, api_server, monkeypatch, command):
    passed_on = asking._append

    async def pass_on_and_fall_silent(*arguments: object) -> None:
        await passed_on(*arguments)
        pause.__enter__()

    monkeypatch.setattr(asking, "_append", pass_on_and_fall_silent)
    pause = api_server.frozen()
    try:
        status, out, err = phoenix(*command)
    finally:
        pause.__exit__(None, None, None)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "the API server (tests) does not answer within 0.5 s" in err
    assert "not known" in err if command[0] == "stop" else "may wait" in err
