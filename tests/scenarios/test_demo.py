"""`phoenix demo` with the real exchange and the real worker, as processes over real sockets."""

from pathlib import Path

import pytest
from phoenix_cli.demo import Options, demo, find_configs
from phoenix_cli.local.faults import parse_fault
from phoenix_worker.runtime.replay import replay
from run_output import Until

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(240)]


@pytest.fixture
def options(tmp_path):
    def make(*faults: str, speed: float = 1.0) -> Options:
        return Options(
            symbols=("BTCUSDT", "ETHUSDC"),
            length_s=90.0,
            replay=None,
            scenario=None,
            speed=speed,
            seed=3,
            faults=tuple(map(parse_fault, faults)),
            report=None,
            state_directory=tmp_path / "state",
            configs=find_configs(),
        )

    return make


def recordings(state_directory: Path) -> list[Path]:
    return sorted((state_directory / "state" / "recordings").glob("*/*"))


async def test_a_run_trades_agrees_with_the_exchange_leaves_nothing_and_replays_exactly(options):
    chosen = options()
    report, problems = await demo(chosen, Until("fill)"))
    assert problems == []
    assert report.agreement
    assert report.exchange.fills > 0
    assert report.exchange.open_orders == 0
    assert set(report.exchange.audit.values()) == {0}
    assert all(told.max_worst_case_ratio <= 1.15 for told in report.symbols.values())
    replayed = [replay(recording) for recording in recordings(chosen.state_directory)]
    assert {each.symbol for each in replayed} == {"BTCUSDT", "ETHUSDC"}
    assert all(each.same and each.complete and each.decisions > 0 for each in replayed)


@pytest.mark.parametrize(
    ("fault", "back"),
    [
        pytest.param("stale@12s", "ready, leading", id="stale"),
        pytest.param("kill@12s", "ready, leading", id="kill"),
        pytest.param("pause@12s", "fill)", id="pause"),
        pytest.param("outage@12s", "ready, leading", id="outage"),
        pytest.param("redis-restart@12s", "redis-server answers again", id="redis-restart"),
        pytest.param("redis-flush@12s", "fill)", id="redis-flush"),
        pytest.param("stop@12s", "the audit held every worker to the stop", id="stop"),
    ],
)
async def test_after_a_fault_the_worker_is_back_the_books_agree_and_the_audit_is_clean(options, fault, back):
    over = "runs again" if fault.startswith("pause") else f"fault {fault.partition('@')[0]}"
    output = Until(back, after=over)
    report, problems = await demo(options(fault), output)
    assert problems == []
    assert report.agreement
    assert report.exchange.open_orders == 0


async def test_all_processes_of_a_run_share_its_clock(options):
    report, problems = await demo(options(speed=4.0), Until("ready, leading"))
    assert problems == []
    assert report.speed == 4.0
