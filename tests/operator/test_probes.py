"""What the operator answers to kubelets, Prometheus and people, over real HTTP."""

from collections import Counter

import aiohttp
import pytest
from phoenix_coordination.state import Reason, Role
from phoenix_operator.gauges import AccountGauges, MakerGauges
from phoenix_operator.metrics import Gauges, Metrics
from phoenix_operator.probes import Probes
from prometheus_client.parser import text_string_to_metric_families
from state_records import leading_record

STALE = {"role": Role.STANDBY, "ready": False, "reason": Reason.PRICE_STALE}


class Process:
    """Everything that probes and metrics ask."""

    dead = ""
    unready = ""

    def not_alive(self) -> str:
        return self.dead

    def not_ready(self) -> str:
        return self.unready

    def state(self) -> dict[str, object]:
        return {"leading": True, "makers": 3}

    def gauges(self) -> Gauges:
        return Gauges(
            leading=True,
            synced=True,
            queue_depth=4,
            queue_age_s=0.5,
            working=2,
            makers=3,
            accounts=1,
            outages=1,
            redis_problem=False,
            watch_problem=True,
            events_dropped=7,
            page_viewers=2,
            page_failures=1,
        )

    def calls(self) -> Counter[tuple[str, str, str]]:
        return Counter({("patch", "pods", "200"): 5, ("patch", "pods", "none"): 1})

    def workers(self):
        return [leading_record(), leading_record(holder="b/1", **STALE)]

    def makers(self):
        return [MakerGauges("default/btc", "BTCUSDT", 2, 1), MakerGauges("default/eth", "ETHUSDT", 0, None)]

    def accounts(self):
        return [AccountGauges("default/main", 2)]


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
async def asked(process):
    """`asked(path)`: status and text. Two restarts and three rounds have been counted."""
    metrics = Metrics(process)
    metrics.restarted("StalePrice")
    metrics.restarted("StalePrice")
    for seconds, result in ((0.002, "ok"), (0.02, "ok"), (7.0, "Conflict")):
        metrics.observe("MarketMaker", result, seconds)
    probes = Probes(process, metrics)
    await probes.open("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:

        async def ask(path: str) -> tuple[int, str]:
            async with session.get(f"http://127.0.0.1:{probes.port}{path}") as answer:
                return answer.status, await answer.text()

        yield ask
    await probes.close()


async def test_who_is_dead_is_not_alive_and_who_waits_for_the_world_is(asked, process):
    assert await asked("/livez") == (200, "ok\n")
    process.unready = "the API server does not answer"
    assert await asked("/livez") == (200, "ok\n")
    process.dead = "no watch has shown the canary"
    assert await asked("/livez") == (503, "no watch has shown the canary\n")


async def test_who_cannot_act_says_why_and_has_started_all_the_same(asked, process):
    assert await asked("/readyz") == (200, "ok\n")
    process.unready = "may not list pods"
    assert await asked("/readyz") == (503, "may not list pods\n")
    assert await asked("/startupz") == (200, "ok\n")
    status, text = await asked("/readyz?verbose")
    assert (status, text.splitlines()) == (503, ["may not list pods", "leading: True", "makers: 3"])


FIGURES = [
    ("phoenix_operator_leading", {}, 1.0),
    ("phoenix_operator_synced", {}, 1.0),
    ("phoenix_operator_queue_depth", {}, 4.0),
    ("phoenix_operator_queue_age_seconds", {}, 0.5),
    ("phoenix_operator_working", {}, 2.0),
    ("phoenix_operator_makers", {}, 3.0),
    ("phoenix_operator_accounts", {}, 1.0),
    ("phoenix_operator_venue_outages", {}, 1.0),
    ("phoenix_operator_redis_problem", {}, 0.0),
    ("phoenix_operator_watch_problem", {}, 1.0),
    ("phoenix_operator_events_dropped_total", {}, 7.0),
    ("phoenix_operator_page_viewers", {}, 2.0),
    ("phoenix_operator_page_failures_total", {}, 1.0),
    ("phoenix_operator_restarts_total", {"reason": "StalePrice"}, 2.0),
    ("phoenix_operator_reconcile_seconds_count", {"kind": "MarketMaker", "result": "ok"}, 2.0),
    ("phoenix_operator_reconcile_seconds_bucket", {"kind": "MarketMaker", "result": "ok", "le": "0.005"}, 1.0),
    ("phoenix_operator_reconcile_seconds_count", {"kind": "MarketMaker", "result": "Conflict"}, 1.0),
    ("phoenix_operator_api_requests_total", {"verb": "patch", "resource": "pods", "code": "200"}, 5.0),
    ("phoenix_operator_api_requests_total", {"verb": "patch", "resource": "pods", "code": "none"}, 1.0),
    ("phoenix_operator_workers", {"role": "leading", "ready": "true"}, 1.0),
    ("phoenix_operator_workers", {"role": "standby", "ready": "false"}, 1.0),
    ("phoenix_operator_worker_reasons", {"reason": "PriceStale"}, 1.0),
    ("phoenix_operator_maker_generations_behind", {"maker": "default/btc", "symbol": "BTCUSDT"}, 2.0),
    ("phoenix_operator_maker_generations_behind", {"maker": "default/eth", "symbol": "ETHUSDT"}, 0.0),
    ("phoenix_operator_maker_leaders", {"maker": "default/btc", "symbol": "BTCUSDT"}, 1.0),
    ("phoenix_operator_account_emergency", {"account": "default/main"}, 2.0),
]


async def test_every_figure_is_told_by_its_name(asked):
    status, text = await asked("/metrics")
    assert status == 200
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    told = {(each.name, tuple(sorted(each.labels.items()))): each.value for each in samples}
    for name, labels, value in FIGURES:
        assert told[name, tuple(sorted(labels.items()))] == value, name


async def test_how_many_lead_is_not_told_where_it_is_not_known(asked):
    _, text = await asked("/metrics")
    assert 'phoenix_operator_maker_leaders{maker="default/eth"' not in text


async def test_a_look_at_the_state_is_json(asked):
    assert await asked("/state") == (200, '{"leading":true,"makers":3}')
