"""No panel is without data, and no alert fires, as a real Prometheus says that scrapes a maker that trades."""

import pytest
from prometheus import program, queries, scraping

BY_WHERE_IT_RUNS = ("PhoenixOperatorNotLeading", "PhoenixEventLoopStalls")
"""No operator is here, and a machine that runs other tests beside holds processes up."""


@pytest.fixture(autouse=True)
def _installed() -> None:
    """Skips before anything is started."""
    program("prometheus")


async def test_every_panel_of_fleet_and_maker_has_data_while_a_maker_trades_beside_its_standby(arena, tmp_path):
    standby = await arena.standby()
    addresses = [worker.url.removeprefix("http://") for worker in (arena.worker, standby)]
    async with scraping(tmp_path / "prometheus", *addresses) as prometheus:
        record = await arena.worker.state()
        asked = [*queries("fleet"), *queries("maker", maker=f"{record.namespace}/{record.maker}")]
        assert len(asked) > 80
        assert await prometheus.empty(asked) == []
        (position,) = await prometheus.series(asked_for("Position / netMax", asked))
        assert position["metric"] == {"maker": f"{record.namespace}/{record.maker}"}, "of the leader alone"
        firing = await prometheus.series(f'ALERTS{{alertstate="firing",alertname!~"{"|".join(BY_WHERE_IT_RUNS)}"}}')
        assert firing == [], "a maker that trades wakes nobody"


def asked_for(panel, asked):
    return next(query.text for query in asked if query.panel == panel)
