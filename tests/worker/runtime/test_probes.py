"""The worker's HTTP over real sockets, with facts that a test sets."""

import math

import aiohttp
import msgspec
import pytest
from phoenix_coordination.redis.steward import StewardReport, SymbolReport
from phoenix_coordination.state import Reason, Role, SymbolDay, decode
from phoenix_worker.core.counters import Counters
from phoenix_worker.core.events import Fill, Side, Stream
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.core.markout import Markouts
from phoenix_worker.runtime.hot import InForce
from phoenix_worker.runtime.loop_lag import LoopWatch
from phoenix_worker.runtime.meters import Meters
from phoenix_worker.runtime.metrics import Exposition, Sample
from phoenix_worker.runtime.probes import AddressError, Probes, parse_address
from phoenix_worker.runtime.publisher import Identity, ReasonClock, running_record
from phoenix_worker.runtime.recorder import Statistics as RecorderStatistics
from phoenix_worker.venue.binance.statistics import Statistics as VenueStatistics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

FIXED_NAMES = [
    *("mm_worst_case_long", "mm_worst_case_short", "mm_dynamic_decay_factor", "mm_funding_pnl_acc"),
    *("mm_predicted_funding_rate", "mm_grind_count_total", "mm_grind_active", "mm_grind_cost_saved"),
    *("mm_price_stddev_30m", "mm_quote_suppressed", "mm_ws_connected", "mm_rest_fallback_count_total"),
    *("mm_pending_buy", "mm_pending_sell", "mm_position", "mm_net_max"),
]
OUR_NAMES = [
    *("mm_mid", "mm_spread", "mm_pnl", "mm_grid_layers", "mm_depth_queue_length", "mm_depth_queue_usage_ratio"),
    *("mm_depth_dropped_total", "mm_order_latency_seconds_bucket", "mm_tick_to_order_seconds_bucket"),
    *("mm_decision_seconds_bucket", "mm_event_loop_lag_seconds", "mm_event_loop_stalls_total", "mm_reconnects_total"),
    "mm_connects_failed_total",
    *("mm_api_errors_total", "mm_guard_active", "mm_lease_held", "mm_lease_token", "mm_stale_seconds_total"),
    *("mm_budget_used_ratio", "mm_emergency_level", "mm_ready", "process_resident_memory_bytes"),
    "mm_steward",
    *("mm_markout_bps", "mm_markout_volume_quote_total", "mm_markout_gained_quote_total"),
    *("mm_markout_lost_quote_total", "mm_markouts_unmeasured_total", "mm_loss_limit"),
]


class Facts:
    """A worker as the probes see it."""

    def __init__(self, files, engine, instrument):
        self.resolved = files.resolve()
        self.engine = engine
        self.instrument = instrument
        self.changes = {"role": Role.LEADING, "reasons": [], "not_ready": []}
        self.refused = ""
        self.dead = ""
        self.starting = ""
        self.watch = LoopWatch(lambda _: None)
        self.steward = None
        self.steward_unseen_ns = 2_500_000_000

    def view(self):
        return msgspec.structs.replace(self.engine.view(), **self.changes)

    def record(self):
        in_force = InForce(self.resolved, "h", 1, refused=self.refused)
        identity = Identity("pod/1", "k3f9a0", 0)
        return running_record(
            *(identity, in_force, self.view(), self.instrument, Meters(), ReasonClock()),
            steward_unseen_ns=self.steward_unseen_ns,
            now_ns=1,
            wall_ns=1,
        )

    def not_alive(self):
        return self.dead

    def not_started(self):
        return self.starting

    def sample(self):
        return Sample(
            self.record(),
            Meters(),
            self.watch,
            view=self.view(),
            instrument=self.instrument,
            venue=VenueStatistics(
                connected=dict.fromkeys(Stream, True),
                orders_connected=True,
                reconnects={"book": 3},
                connects_failed={"user": 2},
                successions=0,
                rest_fallbacks=2,
                frames={},
                conflated=5,
                batch_last=1,
                batch_max=9,
                decode_errors=0,
                api_errors={-1003: 4},
                ignored_events={},
                late_replies=0,
                order_latency_ns=(),
                orders_10s_used=0.1,
                orders_1m_used=0.2,
                weight_1m_used=0.3,
                orders_granted=40,
                weight_granted=20,
            ),
            recorder=RecorderStatistics(10, 0, 100, ""),
            steward=self.steward,
            beat_s=0.25,
            capital=self.resolved.capital,
        )


@pytest.fixture
async def served(files, engine, instrument):
    facts = Facts(files, engine, instrument)
    probes = Probes(facts, Exposition(facts.sample))
    await probes.open("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{probes.port}") as session:

        async def get(path, **headers):
            async with session.get(path, headers=headers) as response:
                return response.status, await response.text(), response.headers["Content-Type"]

        yield facts, get
    await probes.close()


async def test_a_healthy_worker_answers_200_everywhere(served):
    _, get = served
    for path in ("/livez", "/readyz", "/startupz", "/metrics", "/state"):
        status, _, _ = await get(path)
        assert status == 200, path


async def test_readyz_answers_503_with_the_first_reason_as_text(served):
    facts, get = served
    facts.changes |= {"not_ready": [Reason.PRICE_STALE, Reason.DEAD_MAN_NOT_ARMED], "detail": "no frame for 2.1 s"}
    status, text, _ = await get("/readyz")
    assert status == 503
    assert text == "PriceStale: no frame for 2.1 s\n"


async def test_readyz_verbose_lists_every_reason_and_a_refused_file(served):
    facts, get = served
    facts.changes |= {"not_ready": [Reason.PRICE_STALE, Reason.DEAD_MAN_NOT_ARMED]}
    facts.refused = "maker.yaml:3: wrong"
    _, text, _ = await get("/readyz?verbose")
    assert "not ready: PriceStale\nnot ready: DeadManNotArmed\n" in text
    assert "configuration refused: maker.yaml:3: wrong" in text


async def test_the_day_its_limits_and_the_markouts_are_told(served):
    facts, get = served
    markouts = Markouts()
    markouts.on_fill(Fill(1, 1, Side.SELL, 600_000, 10, 0, "USDT", 0, True, 0), 0)
    markouts.on_time(1_000_000_000, 2 * 600_060, facts.instrument)
    facts.changes |= {
        "day_result": -5 * MONEY,
        "total_result": None,
        "fees": 31 * MONEY,
        "daily_loss_max": 100 * MONEY,
        "stop_loss": None,
        "markouts": markouts,
    }
    _, text, _ = await get("/metrics")
    value = {
        (sample.name, *sorted(label for key, label in sample.labels.items() if key != "symbol")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert value["mm_pnl", "day"] == -5
    assert math.isnan(value["mm_pnl", "total"])
    assert value["mm_pnl", "fees"] == 31
    assert value["mm_loss_limit", "day"] == 100
    assert math.isnan(value["mm_loss_limit", "stop"])
    assert value["mm_markout_bps", "1s", "sell"] == pytest.approx(-1.0)
    assert math.isnan(value["mm_markout_bps", "10s", "sell"])
    assert value["mm_markout_volume_quote_total", "1s", "sell"] == 600
    assert (
        value["mm_markout_lost_quote_total", "1s", "sell"],
        value["mm_markout_gained_quote_total", "1s", "sell"],
    ) == (
        0.06,
        0,
    )


async def test_the_capital_and_who_runs_here_are_told(served):
    facts, get = served
    _, text, _ = await get("/metrics")
    build = 'mm_build_info{account="default/default",build="'
    assert build in text
    assert 'maker="default/btcusdt",symbol="BTCUSDT"}' in text
    assert 'mm_capital{symbol="BTCUSDT"} 2000.0' in text
    facts.resolved = msgspec.structs.replace(facts.resolved, capital=None)
    assert 'mm_capital{symbol="BTCUSDT"} NaN' in (await get("/metrics"))[1]


async def test_what_is_expected_or_the_venue_s_own_back_off_is_no_failure(served):
    facts, get = served
    counted = {"would-take": 100, "gone": 7, "rate-limit": 3, "margin": 2, "filter": 1}
    facts.changes |= {"counters": Counters(refusals=counted)}
    _, text, _ = await get("/metrics")
    assert 'mm_order_failures_total{symbol="BTCUSDT"} 3.0' in text


async def test_grinding_is_told(served):
    facts, get = served
    for told, saved, active in ((-5 * MONEY // 100, -0.05, True), (None, math.nan, False)):
        facts.changes |= {"grinds": 7, "grinding": active, "grind_saved": told}
        _, text, _ = await get("/metrics")
        value = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
        figures = (value["mm_grind_count_total"], value["mm_grind_active"], value["mm_grind_cost_saved"])
        assert figures == pytest.approx((7.0, float(active), saved), nan_ok=True)


async def test_livez_is_about_the_process_and_never_about_the_world(served):
    facts, get = served
    facts.changes |= {"not_ready": list(Reason)[:5]}
    assert (await get("/livez"))[0] == 200
    facts.dead = "the thread that watches the event loop has died"
    assert (await get("/livez"))[:2] == (503, "the thread that watches the event loop has died\n")


async def test_startupz_covers_the_start(served):
    facts, get = served
    facts.starting = "VenueUnreachable: asking"
    assert (await get("/startupz"))[:2] == (503, "VenueUnreachable: asking\n")


async def test_state_is_the_record_as_published(served):
    facts, get = served
    _, text, content_type = await get("/state")
    assert content_type == "application/json"
    told, now = decode(text.encode()), facts.record()
    assert told == msgspec.structs.replace(now, activity=told.activity), "memory grows between the two"


@pytest.mark.parametrize("name", FIXED_NAMES + OUR_NAMES)
async def test_no_metric_of_the_specification_is_dropped(served, name):
    _, get = served
    _, text, _ = await get("/metrics")
    assert f"\n{name}{{" in f"\n{text}" or f"\n{name} " in f"\n{text}"


async def test_every_metric_of_ours_carries_the_symbol(served):
    _, get = served
    _, text, _ = await get("/metrics")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(samples) > 100
    assert {s.labels.get("symbol") for s in samples if s.name.startswith("mm_")} == {"BTCUSDT"}


async def test_openmetrics_is_served_to_who_asks_for_it(served):
    _, get = served
    _, text, content_type = await get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert list(parse_openmetrics(text))


async def test_worst_cases_are_absolute(served):
    facts, get = served
    facts.changes |= {"worst_long_steps": 9, "worst_short_steps": -11}
    _, text, _ = await get("/metrics")
    assert 'mm_worst_case_short{symbol="BTCUSDT"} 0.011' in text
    assert 'mm_worst_case_long{symbol="BTCUSDT"} 0.009' in text


async def test_what_is_shared_with_the_account_s_other_workers_is_told(served):
    facts, get = served
    facts.changes |= {
        "warm": True,
        "reserved_buy_steps": 3,
        "asked_sell_steps": 7,
        "emergency_epoch": 4,
        "halted": "orders fail",
        "halt_epoch": 2,
    }
    _, text, _ = await get("/metrics")
    for line in (
        'mm_standby_warm{symbol="BTCUSDT"} 1.0',
        'mm_reserved{side="buy",symbol="BTCUSDT"} 0.003',
        'mm_reservation_asked{side="sell",symbol="BTCUSDT"} 0.007',
        'mm_emergency_epoch{symbol="BTCUSDT"} 4.0',
        'mm_risk_halted{symbol="BTCUSDT"} 1.0',
        'mm_risk_halt_epoch{symbol="BTCUSDT"} 2.0',
        'mm_budget_granted{budget="orders",symbol="BTCUSDT"} 40.0',
        'mm_budget_granted{budget="weight",symbol="BTCUSDT"} 20.0',
        'mm_coordination_beat_seconds{symbol="BTCUSDT"} 0.25',
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        (":0", ("0.0.0.0", 0)),  # noqa: S104 - nothing is bound here
        ("[::1]:9", ("::1", 9)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_an_address_is_host_and_port(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "8080", "host:", "host:x", "host:65536", "host:-1", "host:٣"])
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(AddressError, match="HOST:PORT"):
        parse_address(text)


async def test_the_accounts_figures_are_told_by_its_steward_alone(served):
    facts, get = served
    _, text, _ = await get("/metrics")
    assert 'mm_steward{symbol="BTCUSDT"} 0.0' in text
    assert 'mm_steward_unseen_seconds{symbol="BTCUSDT"} 2.5' in text, "every worker tells whether there is one"
    assert "mm_account_margin_ratio" not in text
    facts.steward = StewardReport(
        *("pod/1", 7, 1, "USDT", 0.25, 1000.0, 250.0),
        symbols=[
            SymbolReport("BTCUSDT", 0.5, 30_000.0, 812.5, led=True, ours=True),
            SymbolReport("SOLUSDT", -3.0, -600.0, -1.0, led=False, ours=False),
        ],
        days=[
            SymbolDay("BTCUSDT", 0, -30 * MONEY, 0.5, 60_000.0),
            SymbolDay("SOLUSDT", 0, 12 * MONEY, -3.0, 200.0),
        ],
    )
    _, text, _ = await get("/metrics")
    for line in (
        'mm_steward{symbol="BTCUSDT"} 1.0',
        'mm_account_margin_ratio{symbol="BTCUSDT"} 0.25',
        'mm_account_margin_balance{symbol="BTCUSDT"} 1000.0',
        'mm_account_day_result{symbol="BTCUSDT"} -18.0',
        'mm_liquidation_distance_ratio{position="BTCUSDT",symbol="BTCUSDT"} 0.08125',
        'mm_leaderless{position="SOLUSDT",symbol="BTCUSDT"} 1.0',
    ):
        assert line in text
    assert 'mm_liquidation_distance_ratio{position="SOLUSDT"' not in text
