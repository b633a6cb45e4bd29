"""No panel of the operator's dashboard is without data, as a real Prometheus answers that scrapes a real operator."""

import asyncio

import pytest
from prometheus import program, queries, scraping

pytestmark = pytest.mark.timeout(240)  # the first test starts the API server


def test_every_panel_has_data_while_makers_are_in_force(place, shared_operator, tmp_path):
    program("prometheus")
    place.apply_account()
    place.apply_maker()
    place.until_ready()

    async def ask() -> tuple[object, object]:
        async with scraping(tmp_path / "prometheus", f"127.0.0.1:{shared_operator._port}") as prometheus:
            without = await prometheus.empty(list(queries("operator")))
            return without, await prometheus.series("phoenix_operator_maker_leaders")

    without, leaders = asyncio.run(ask())
    assert without == []
    assert [(each["metric"]["maker"], each["value"][1]) for each in leaders] == [(f"{place.namespace}/btcusdt", "1")]
