import pytest
from phoenix_coordination.port import EmergencyLevel, Snapshot
from phoenix_coordination.state_directory import StateDirectory, Switch, installation_in

CLEAR = Switch(EmergencyLevel.NONE, 0, "", 0)


@pytest.fixture
def files(tmp_path):
    return StateDirectory(tmp_path, "venue:account", "BTCUSDT", dry_run=False)


def lease_file(tmp_path):
    return tmp_path / "venue_account" / "BTCUSDT" / "lease"


def test_a_token_is_the_wall_clock_or_one_more_than_the_last(files):
    assert files.hold(1_000) == 1_000
    files.let_go()
    assert files.hold(2_000) == 2_000
    files.let_go()
    assert files.hold(500) == 2_001, "the wall clock went back; the token does not"


def test_holding_on_keeps_the_token(files):
    assert files.hold(1_000) == files.hold(9_000) == 1_000


def test_a_lease_whose_file_was_removed_is_taken_anew_under_a_new_token(files, tmp_path):
    files.hold(1_000)
    lease_file(tmp_path).unlink()
    assert files.hold(2_000) == 2_000


def test_a_lease_file_without_a_token_is_refused_with_what_to_do(files, tmp_path):
    files.hold(1_000)
    files.let_go()
    lease_file(tmp_path).write_text("garbage")
    with pytest.raises(OSError, match="no token"):
        files.hold(2_000)


def test_a_fresh_directory_begins_with_a_clear_switch(files):
    assert files.settle_switch(CLEAR) == CLEAR
    assert files.switch_path.exists()


@pytest.mark.parametrize(
    ("stored", "known", "settled"),
    [
        pytest.param((1, 1), (0, 0), (1, 1), id="what another raised is learnt"),
        pytest.param((0, 0), (1, 1), (1, 1), id="what was raised here is written"),
        pytest.param((1, 1), (2, 1), (2, 1), id="of one epoch the higher level wins"),
        pytest.param((0, 2), (1, 1), (0, 2), id="a later epoch may lower"),
        pytest.param(None, (2, 3), (2, 3), id="a switch that vanished comes back"),
    ],
)
def test_the_switch_of_disk_and_memory_settle(files, stored, known, settled):
    def switch(level_epoch):
        level, epoch = level_epoch
        return Switch(EmergencyLevel(level), epoch, "", 0)

    if stored is not None:
        files.settle_switch(switch(stored))
        assert files.settle_switch(CLEAR) == switch(stored)
    assert files.settle_switch(switch(known)) == switch(settled)
    assert files.settle_switch(CLEAR) == switch(settled), "and so it lies on disk"


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff", b'{"level": 9}', b"null"])
def test_a_switch_that_cannot_be_read_is_a_halt(files, garbage):
    files.settle_switch(CLEAR)
    files.switch_path.write_bytes(garbage)
    told = files.settle_switch(CLEAR)
    assert told.level is EmergencyLevel.HALT
    assert "cannot be read" in told.reason
    assert "remove it" in told.reason


def test_a_snapshot_is_fenced_by_its_token(files):
    files.save(Snapshot(7, 1, b"newer"))
    files.save(Snapshot(6, 2, b"older"))
    assert files.load() == Snapshot(7, 1, b"newer")


@pytest.mark.parametrize("garbage", [b"", b"\x00", b"\xc1", b"garbage" * 100])
def test_a_snapshot_that_cannot_be_read_is_none(files, tmp_path, garbage):
    files.save(Snapshot(7, 1, b"memory"))
    (lease_file(tmp_path).parent / "snapshot").write_bytes(garbage)
    assert files.load() is None


def test_the_installation_comes_from_the_uid_or_stays_with_the_directory(tmp_path):
    assert installation_in(tmp_path, "uid-1") != installation_in(tmp_path, "uid-2")
    assert installation_in(tmp_path / "a") == installation_in(tmp_path / "a")
    assert installation_in(tmp_path / "a") != installation_in(tmp_path / "b")


@pytest.mark.parametrize("account", ["../../etc", "/abs", "", ".hidden", "a/b:c"])
def test_an_accounts_name_never_leaves_the_directory(tmp_path, account):
    files = StateDirectory(tmp_path / "state", account, "BTCUSDT", dry_run=False)
    files.hold(1)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert files.switch_path.parent.parent == tmp_path / "state"
