import asyncio

import pytest
from phoenix_coordination.port import EmergencyLevel
from phoenix_crds import read_account, read_maker, write_resolved
from phoenix_worker.runtime.files import look
from phoenix_worker.runtime.hot import HotParameters
from phoenix_worker.runtime.resolve import resolve
from phoenix_worker.runtime.resolved import NotValidatedError


class Watched:
    """The files under watch, and what was told about each change, in order."""

    def __init__(self, files, instrument, started_with=None, seen=None):
        self.files = files
        self.instrument = instrument
        self.told = []
        self.changed = asyncio.Event()
        self.hot = HotParameters(files.maker, files.account, started_with or files.resolve(), self.load, seen)
        self.task = asyncio.create_task(self.hot.watch(instrument, self.applied, self.refused))

    async def load(self, maker, account):
        return resolve(maker, account)

    def applied(self, resolved, parameters, shadow):
        self.shadow = shadow
        self.told.append((resolved, parameters))
        self.changed.set()

    def refused(self, problem):
        self.told.append(problem)
        self.changed.set()

    async def end(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def next(self):
        async with asyncio.timeout(20):
            await self.changed.wait()
        self.changed.clear()
        return self.told[-1]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("phoenix_worker.runtime.hot.POLL_SECONDS", 0.02)


@pytest.fixture
async def watched(files, instrument):
    watched = Watched(files, instrument)
    yield watched
    await watched.end()


async def test_a_changed_parameter_is_in_force_without_a_restart(watched):
    before = watched.hot.in_force.hash
    watched.files.edit(watched.files.maker, "minSpreadBps: 5", "minSpreadBps: 8")
    resolved, parameters = await watched.next()
    assert parameters.min_spread_bps == 8
    assert watched.hot.in_force.hash == resolved.hash != before
    assert watched.hot.in_force.needs_restart == ()


async def test_a_second_set_comes_and_goes_without_a_restart(watched):
    second = 'minSpreadBps: 5\n  shadow: {netMax: "0.05", baseSize: "0.002"}'
    watched.files.edit(watched.files.maker, "minSpreadBps: 5", second)
    await watched.next()
    assert watched.shadow.net_max_steps == 50
    watched.files.edit(watched.files.maker, second, "minSpreadBps: 5")
    await watched.next()
    assert watched.shadow is None
    assert watched.hot.in_force.needs_restart == ()


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        pytest.param("maker", "minSpreadBps: 5", "minSpreadBps: -5", id="out of range"),
        pytest.param("maker", "minSpreadBps: 5", "minSpreadBps: 8\n  minSpreadBsp: 5", id="a misspelt field"),
        pytest.param("maker", "spec:", "spec: {", id="broken YAML"),
        pytest.param("maker", 'baseSize: "0.004"', 'baseSize: "0.0004"', id="less than a step of the instrument"),
        pytest.param("maker", "spec:", 'spec:\n  shadow: {netMax: "0.05"}', id="half of a second set"),
        pytest.param("account", "netNotional: 25000", "netNotional: 90000", id="a rule between fields"),
        pytest.param("account", 'BTCUSDT: "0.20"', 'BTCUSDT: "0.05"', id="a maker beyond its account"),
    ],
)
async def test_a_bad_file_is_refused_whole_and_the_old_one_stays(watched, file, before, after):
    in_force = watched.hot.in_force
    watched.files.edit(getattr(watched.files, file), before, after)
    problem = await watched.next()
    assert isinstance(problem, str)
    assert problem
    assert watched.hot.in_force.resolved == in_force.resolved
    assert watched.hot.in_force.hash == in_force.hash
    assert watched.hot.in_force.refused == problem
    assert watched.hot.in_force.refusals == 1


async def test_a_file_that_is_good_again_clears_the_refusal(watched):
    watched.files.edit(watched.files.maker, "minSpreadBps: 5", "minSpreadBps: -5")
    await watched.next()
    watched.files.edit(watched.files.maker, "minSpreadBps: -5", "minSpreadBps: 6")
    _, parameters = await watched.next()
    assert parameters.min_spread_bps == 6
    assert watched.hot.in_force.refused == ""


async def test_a_generation_that_changes_alone_is_told(watched):
    """As when somebody changes a field and changes it back."""
    before = watched.hot.in_force
    watched.files.edit(watched.files.maker, "  name: btcusdt\n", "  name: btcusdt\n  generation: 7\n")
    await watched.next()
    assert (watched.hot.in_force.hash, watched.hot.in_force.generation) == (before.hash, 7)


async def test_what_changed_between_the_first_reading_and_the_watch_is_not_missed(files, instrument):
    seen = look((files.maker, files.account))
    started_with = files.resolve()
    files.edit(files.maker, "minSpreadBps: 5", "minSpreadBps: 8")
    watched = Watched(files, instrument, started_with, seen)
    _, parameters = await watched.next()
    assert parameters.min_spread_bps == 8
    await watched.end()


@pytest.mark.parametrize(
    ("after", "bps", "refused"),
    [pytest.param("minSpreadBps: 8", 8, False, id="good"), pytest.param("minSpreadBps: -8", 5, True, id="bad")],
)
async def test_what_changed_before_anybody_watched_is_caught_up_with_once(files, instrument, after, bps, refused):
    watched = Watched(files, instrument)
    await watched.end()
    await watched.hot.catch_up(instrument, watched.applied, watched.refused)
    assert watched.told == [], "nothing has changed"
    files.edit(files.maker, "minSpreadBps: 5", after)
    for _ in range(2):
        await watched.hot.catch_up(instrument, watched.applied, watched.refused)
    assert len(watched.told) == 1
    in_force = watched.hot.in_force
    assert (in_force.resolved.quoting.min_spread_bps, bool(in_force.refused)) == (bps, refused)


async def test_the_accounts_switch_is_part_of_what_is_swapped(watched):
    watched.files.edit(watched.files.account, "emergency: None", "emergency: Flatten")
    resolved, _ = await watched.next()
    assert resolved.terms.emergency is EmergencyLevel.FLATTEN


async def test_a_cold_field_is_told_and_the_hot_ones_beside_it_are_applied(watched):
    before = watched.hot.in_force.hash
    watched.files.edit(watched.files.maker, "mode: Live", "mode: DryRun")
    await watched.next()
    watched.files.edit(watched.files.maker, "minSpreadBps: 5", "minSpreadBps: 8")
    _, parameters = await watched.next()
    assert parameters.min_spread_bps == 8
    assert watched.hot.in_force.needs_restart == ("spec.mode",)
    assert watched.hot.in_force.hash == before, "this process does not run with all of it"


@pytest.mark.parametrize(
    ("file", "before", "after", "names"),
    [
        pytest.param("maker", "symbol: BTCUSDT", "symbol: ETHUSDT", "spec.symbol", id="another symbol"),
        pytest.param("maker", "name: btcusdt", "name: other", "metadata.name", id="another maker"),
    ],
)
async def test_files_of_somebody_else_are_refused(watched, file, before, after, names):
    watched.files.edit(getattr(watched.files, file), before, after)
    assert names in await watched.next()


async def test_a_file_that_vanishes_is_refused_and_may_come_back(watched):
    text = watched.files.maker.read_text()
    watched.files.maker.unlink()
    assert "maker.yaml" in await watched.next()
    watched.files.maker.write_text(text)
    resolved, _ = await watched.next()
    assert resolved.symbol == "BTCUSDT"


async def test_files_that_could_not_be_validated_are_tried_again(watched, monkeypatch):
    monkeypatch.setattr("phoenix_worker.runtime.hot.RETRY_SECONDS", 0.01)
    load, tries = watched.hot._load, []

    async def busy(maker, account):
        tries.append(maker)
        if len(tries) == 1:
            raise NotValidatedError("no memory")
        return await load(maker, account)

    watched.hot._load = busy
    watched.files.edit(watched.files.maker, "minSpreadBps: 5", "minSpreadBps: 8")
    assert await watched.next() == "no memory"
    _, parameters = await watched.next()
    assert parameters.min_spread_bps == 8
    assert watched.hot.in_force.refused == ""


async def test_a_swapped_symbolic_link_is_a_change(tmp_path, files, instrument):
    """As the kubelet updates a ConfigMap volume: both files at once, behind `..data`."""
    maker, account = read_maker(files.maker), read_account(files.account)
    files.directory = tmp_path / "volume"
    write_resolved(files.directory, maker, account)
    files.maker, files.account = files.directory / "maker.yaml", files.directory / "account.yaml"
    watched = Watched(files, instrument)
    spec = maker.spec.model_copy(update={"paused": True})
    write_resolved(files.directory, maker.model_copy(update={"spec": spec}), account)
    _, parameters = await watched.next()
    assert parameters.paused
    assert len(watched.told) == 1
    await watched.end()


async def test_a_file_that_is_still_being_written_is_not_read(watched, monkeypatch):
    """Half of a manifest may be one, too: with the defaults of what is not there yet."""
    settled = watched.hot._look()
    looks = iter([((size,), (size,)) for size in range(10)])
    seen: list[object] = []

    def look():
        seen.append(next(looks, settled))
        return seen[-1]

    monkeypatch.setattr(watched.hot, "_look", look)
    async with asyncio.timeout(20):
        while settled not in seen:  # noqa: ASYNC110 - the watch counts its looks, and tells nobody
            await asyncio.sleep(0.01)
    assert watched.told == []
