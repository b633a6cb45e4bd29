import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from phoenix_cli.local.layout import StateDirectory, default_state_directory, write_key, write_private
from phoenix_cli.refusal import Refused


def test_the_default_follows_xdg(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert default_state_directory("demo") == Path("/somewhere/phoenix/demo")


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_an_unusable_xdg_variable_is_ignored(monkeypatch, value):
    monkeypatch.setenv("XDG_STATE_HOME", value)
    assert default_state_directory("up") == Path.home() / ".local/state/phoenix/up"


def test_keys_are_private_from_the_first_moment(tmp_path):
    directory = StateDirectory(tmp_path / "state")
    with directory.locked():
        place = directory.credentials("default")
        write_key(place, "key", "secret")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {file.name: (file.read_text(), stat.S_IMODE(file.stat().st_mode)) for file in place.iterdir()} == {
        "apiKey": ("key", 0o600),
        "apiSecret": ("secret", 0o600),
    }


def test_a_private_file_is_replaced_whole(tmp_path):
    write_private(tmp_path / "file", "old and long")
    write_private(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


def test_one_run_holds_a_state_directory(tmp_path):
    directory = StateDirectory(tmp_path)
    with directory.locked():
        directory.run_file.write_text(json.dumps({"pid": os.getpid()}))
        said = rf"another run \(pid {os.getpid()}\).*--state-dir"
        with pytest.raises(Refused, match=said), StateDirectory(tmp_path).locked():
            pass
    with StateDirectory(tmp_path).locked():
        pass


def test_where_a_killed_run_is_still_being_stopped_nobody_begins(tmp_path):
    directory = StateDirectory(tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    said = rf"the run \(pid {ended.pid}\) .*was killed.*try again soon"
    with directory.locked():
        directory.run_file.write_text(json.dumps({"pid": ended.pid}))
        with pytest.raises(Refused, match=said), StateDirectory(tmp_path).locked():
            pass


def test_a_directory_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    directory = StateDirectory(tmp_path / "file" / "below")
    with pytest.raises(Refused, match=r"cannot write the state directory.*--state-dir"), directory.locked():
        pass


def test_a_new_demo_forgets_what_the_last_one_left_and_nothing_else(tmp_path):
    directory = StateDirectory(tmp_path)
    directory.forget()
    (directory.state / "snapshot").write_text("old")
    (directory.credentials("default") / "apiKey").write_text("old")
    (tmp_path / "notes").write_text("a person's")
    directory.forget()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["demo", "notes"]


def test_a_demo_removes_nothing_that_is_not_a_demo_s(tmp_path):
    """The switch of a stopped account lies there, and the installation by which workers know their orders."""
    directory = StateDirectory(tmp_path)
    (directory.state / "installation").write_text("of a live account")
    with pytest.raises(Refused, match=r"state that no demo has left.*--state-dir of its own"):
        directory.forget()
    assert (directory.state / "installation").read_text() == "of a live account"
