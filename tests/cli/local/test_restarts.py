"""The rule itself is specified beside it; here, that the runner feeds it and keeps what it remembers."""

from types import SimpleNamespace

import pytest
from phoenix_cli.local.restarts import Restarts
from phoenix_coordination.state import Reason
from phoenix_crds import Duration


@pytest.fixture
def maker(record):
    """A maker as the rule sees it: name, venue, patience, and what its worker says."""

    def make(symbol: str, *, stale: bool, venue: str = "BinanceUSDM Simulator", **changes):
        reasons = {"ready": False, "reason": Reason.PRICE_STALE, "reasons_not_ready": [Reason.PRICE_STALE]}
        said = record(
            symbol=symbol, maker=symbol.lower(), holder=f"{symbol}-1", **(reasons if stale else {}), **changes
        )
        spec = SimpleNamespace(restart_after=Duration.parse("10s"))
        worker = SimpleNamespace(record=said)
        return SimpleNamespace(
            name=symbol.lower(), venue=venue, worker=worker, resource=SimpleNamespace(spec=spec), holder=said.holder
        )

    return make


def holders(plans) -> list[str]:
    return [restart.holder for plan in plans.values() for restart in plan.restarts]


def test_a_worker_that_stays_stale_for_its_makers_patience_is_replaced_once(maker):
    makers = [maker("BTCUSDT", stale=True), maker("ETHUSDT", stale=False), maker("SOLUSDT", stale=False)]
    restarts = Restarts()
    replaced = {second: holders(restarts.plan(makers, second * 1000)) for second in range(16)}
    assert {second for second, found in replaced.items() if found} == {10}
    assert replaced[10] == ["BTCUSDT-1"]


def test_in_an_outage_nobody_is_replaced(maker):
    makers = [maker("BTCUSDT", stale=True), maker("ETHUSDT", stale=True), maker("SOLUSDT", stale=False)]
    restarts = Restarts()
    plans = [restarts.plan(makers, second * 1000)["BinanceUSDM Simulator"] for second in range(30)]
    assert not any(plan.restarts for plan in plans)
    assert all(plan.outage is not None for plan in plans)


def test_an_outage_of_one_venue_protects_nobody_of_another(maker):
    makers = [
        *(maker(symbol, stale=True) for symbol in ("BTCUSDT", "ETHUSDT")),
        maker("SOLUSDT", stale=True, venue="BinanceUSDM Testnet"),
        maker("XRPUSDT", stale=False, venue="BinanceUSDM Testnet"),
    ]
    restarts = Restarts()
    restarts.plan(makers, 0)
    assert holders(restarts.plan(makers, 11_000)) == ["SOLUSDT-1"]


def test_a_worker_that_has_said_nothing_is_not_judged(maker):
    silent = maker("BTCUSDT", stale=True)
    silent.worker.record = None
    assert holders(Restarts().plan([silent], 100_000)) == []
