import argparse
import json
import os
import re
import time
from decimal import Decimal

import msgspec
import pytest
from phoenix_cli import top
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.runfile import AccountFiles, RunFile, is_held, read_run_file, write_run_file
from phoenix_cli.local.view import AccountView, MakerView, Mood, RunView
from phoenix_cli.refusal import Refused
from phoenix_cli.target import find_run

VIEW = RunView(
    title="demo",
    elapsed_s=12.5,
    accounts=(AccountView(name="default", level="Halt", epoch=3, reason="looked odd"),),
    makers=(
        MakerView(name="btcusdt", symbol="BTCUSDT", health="Quoting", mood=Mood.GOOD, net_max=Decimal("0.1"), fills=3),
    ),
)
DEAD = 2**22 + 1
"""Above the highest pid that there can be."""
RUN = RunFile(
    os.getpid(), VIEW, "unix:///run/redis.sock", {"PHOENIX_CLOCK": "1:2:5"}, (AccountFiles("default", "p", "c"),)
)


def told(pid: int, *, seconds_ago: float) -> RunFile:
    return msgspec.structs.replace(RUN, pid=pid, told_ns=time.monotonic_ns() - int(seconds_ago * 1e9))


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The XDG state directory of a machine on which nothing runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "phoenix"


def attach(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    top.add_arguments(parser)
    return top.run(parser.parse_args(arguments))


def test_a_run_is_found_by_its_lock_and_shown(state, capsys):
    directory = StateDirectory(state / "demo")
    with directory.locked():
        write_run_file(directory, told(os.getpid(), seconds_ago=-3600))
        assert attach("--plain") == 0
    assert capsys.readouterr().out == (
        "account default emergency Halt epoch 3 (looked odd)\n"
        "BTCUSDT Quoting –/– quotes 0×0 position – of 0.1 fills 3 restarts 0\n"
    )


def test_all_of_it_is_there_as_json(state, capsys):
    directory = StateDirectory(state / "up")
    with directory.locked():
        write_run_file(directory, told(os.getpid(), seconds_ago=-3600))
        assert attach("-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["makers"][0]["symbol"] == "BTCUSDT"


@pytest.mark.parametrize(
    ("pid", "seconds_ago", "said"),
    [
        pytest.param(os.getpid(), 12, rf"\d+ s old: the runner \(pid {os.getpid()}\) hangs", id="hangs"),
        pytest.param(DEAD, 12, rf"\d+ s old: the runner \(pid {DEAD}\) is dead, and what it left is", id="dead"),
        pytest.param(DEAD, -3600, rf"-\d+ s old: the runner \(pid {DEAD}\) is dead", id="just-killed"),
    ],
)
def test_what_a_runner_has_told_that_tells_no_more_is_shown_with_its_age_as_stale(
    state, capsys, pid, seconds_ago, said
):
    directory = StateDirectory(state / "demo")
    with directory.locked():
        write_run_file(directory, told(pid, seconds_ago=seconds_ago))
        assert attach("--plain") == 1
        out, err = capsys.readouterr()
        assert attach("-o", "json") == 1
        stale = json.loads(capsys.readouterr().out)["stale"]
    assert "BTCUSDT Quoting" in out
    assert re.fullmatch(rf"phoenix top: stale, {said}.*\n", err)
    assert re.match(said, stale)


def test_a_run_that_has_ended_is_not_shown(state):
    directory = StateDirectory(state / "demo")
    with directory.locked():
        write_run_file(directory, RUN)
    assert not is_held(directory)
    with pytest.raises(Refused, match=r"no run is going on in .*phoenix demo"):
        find_run(None)


def test_of_two_runs_one_has_to_be_chosen(state):
    demo, up = StateDirectory(state / "demo"), StateDirectory(state / "up")
    with demo.locked(), up.locked():
        with pytest.raises(Refused, match="2 runs are going on: choose with --state-dir"):
            find_run(None)
        assert find_run(up.root).root == up.root


def test_a_run_that_has_just_begun_says_to_try_again(state):
    with StateDirectory(state / "demo").locked(), pytest.raises(Refused, match="try again"):
        attach("--plain")


def test_a_run_file_round_trips_and_a_broken_one_is_none(tmp_path):
    directory = StateDirectory(tmp_path)
    write_run_file(directory, RUN)
    assert read_run_file(directory.run_file) == RUN
    directory.run_file.write_text("{")
    assert read_run_file(directory.run_file) is None
