"""Scenario files: what is wrong is said with file, line and field, before anything starts."""

from pathlib import Path

import pytest
from phoenix_simulator.exchange.book import QueueModel
from phoenix_simulator.exchange.orders import ExecutionType, OrderStatus
from phoenix_simulator.faults import Silence
from phoenix_simulator.market.regimes import RegimeName
from phoenix_simulator.scenario import Scenario, ScenarioError, load_scenario

HEAD = "apiVersion: phoenix.trading/v1alpha1\nkind: Scenario\n"
SCENARIOS = sorted((Path(__file__).resolve().parents[2] / "configs/scenarios").glob("*.yaml"))


def load(tmp_path, text):
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path)


def test_a_scenario_is_read_whole(tmp_path):
    scenario = load(
        tmp_path,
        HEAD
        + """
metadata: {name: test}
spec:
  seed: 5
  markets:
    BTCUSDT: {regime: quiet, changes: [{atSeconds: 60, regime: jump}]}
  faults:
    - {kind: silence, symbol: BTCUSDT, startSeconds: 20, durationSeconds: 8}
  venue:
    queueModel: optimistic
    amendmentEnd: expired
    limits: {ordersPerMinute: 10}
""",
    )
    assert scenario.seed == 5
    assert scenario.markets["BTCUSDT"].changes[0].regime is RegimeName.JUMP
    assert scenario.faults == (Silence(symbol="BTCUSDT", start_seconds=20, duration_seconds=8),)
    settings = scenario.venue.exchange_settings()
    assert settings.queue_model is QueueModel.OPTIMISTIC
    assert settings.amendment_end.outcome == (ExecutionType.EXPIRED, OrderStatus.EXPIRED)
    assert scenario.venue.limits.orders_per_minute == 10


def test_json_is_read_too_and_an_empty_spec_is_a_calm_day(tmp_path):
    text = '{"apiVersion": "phoenix.trading/v1alpha1", "kind": "Scenario"}'
    assert load(tmp_path, text) == Scenario()


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        pytest.param("kind: [", "", "expected", id="no YAML"),
        pytest.param("", "", "object", id="empty"),
        pytest.param("apiVersion: v1\nkind: Scenario\n", "apiVersion", "phoenix.trading", id="another API"),
        pytest.param("apiVersion: phoenix.trading/v1alpha1\nkind: Pod\n", "kind", "Scenario", id="another kind"),
        pytest.param(HEAD + "spec: {speed: 5}\n", "spec", "speed", id="unknown field"),
        pytest.param(HEAD + "spec: {seed: -1}\n", "spec.seed", ">= 0", id="negative seed"),
        pytest.param(HEAD + "spec: {markets: {NOPE: {}}}\n", "spec", "NOPE", id="unknown symbol"),
        pytest.param(
            HEAD + "spec: {markets: {BTCUSDT: {regime: wild}}}\n", "spec.markets[...].regime", "wild", id="regime"
        ),
        pytest.param(HEAD + "spec: {faults: [{kind: gap}, {kind: x}]}\n", "spec.faults[1].kind", "x", id="fault kind"),
        pytest.param(
            HEAD + "spec: {faults: [{kind: late, delaySeconds: soon}]}\n",
            "spec.faults[0].delaySeconds",
            "float",
            id="fault field",
        ),
        pytest.param(HEAD + "spec: {venue: {queueModel: magic}}\n", "spec.venue.queueModel", "magic", id="queue model"),
        pytest.param(HEAD + "spec: {venue: {fillEvents: [account]}}\n", "spec.venue", "exactly once", id="fill events"),
        pytest.param(
            HEAD + "spec: {faults: [{kind: gap}, {kind: gap, symbol: XYZ*}]}\n",
            "spec.faults[1].symbol",
            "matches no symbol",
            id="a fault that hits nobody",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: gap}, {kind: delay, endpoint: order.plaze}]}\n",
            "spec.faults[1].endpoint",
            "order.plaze matches no operation; there are account, accountConfig",
            id="a fault of no endpoint",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: silence, stream: depht}]}\n",
            "spec.faults[0].stream",
            "depht matches no stream; there are bookTicker, trade",
            id="a fault of no stream",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: gap, route: market}]}\n",
            "spec.faults[0].route",
            "nothing that depth@* matches is delivered on market",
            id="a fault of a stream that is elsewhere",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: reorder, symbol: BTCUSDT}]}\n",
            "spec.faults[0].symbol",
            "what user matches is of no symbol",
            id="a fault of user data of a symbol",
        ),
        pytest.param(
            HEAD + 'spec: {faults: [{kind: foreign-order, symbol: BTCUSDT, side: SELL, quantity: "0.0000001"}]}\n',
            "spec.faults[0].quantity",
            "write a multiple of 0.001",
            id="an order by hand that the exchange would refuse",
        ),
        pytest.param(
            HEAD + 'spec: {faults: [{kind: foreign-order, symbol: BTCUSDT, side: SELL, quantity: "1e99"}]}\n',
            "spec.faults[0].quantity",
            "market orders end at 120",
            id="an order by hand of more than the exchange takes",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: outage, durationSeconds: 0}]}\n",
            "spec.faults[0].durationSeconds",
            "> 0.0",
            id="a fault that lasts for no time",
        ),
        pytest.param(
            HEAD + "spec: {markets: {BTCUSDT: {tradedBefore: 1e99}}}\n",
            "spec.markets[...]",
            "write a quantity of 0 to 1,000,000,000",
            id="a volume of more than there is",
        ),
        pytest.param(
            HEAD + 'spec: {markets: {BTCUSDT: {tradedBefore: "0.0005"}}}\n',
            "spec.markets.BTCUSDT.tradedBefore",
            "0.0005 is off the grid: write a multiple of 0.001",
            id="a volume that nobody can trade",
        ),
        pytest.param(
            HEAD + "spec: {markets: {BTCUSDT: {tradedBefore: -1}}}\n",
            "spec.markets[...]",
            "write a quantity of 0 to",
            id="a volume below nothing",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: reject, code: 5}]}\n", "spec.faults[0].code", "<= -1", id="no error code"
        ),
        pytest.param(
            HEAD
            + "spec: {markets: {BTCUSDT: {changes: [{atSeconds: 9, regime: jump}, {atSeconds: 9, regime: calm}]}}}\n",
            "spec.markets.BTCUSDT.changes[1].atSeconds",
            "9 is not after 9",
            id="changes out of order",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: gap, when: {orders: 1, symbol: NOPE}}]}\n",
            "spec.faults[0].when.symbol",
            "matches no symbol",
            id="a condition of no symbol",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: gap, when: {symbol: BTCUSDT}}]}\n",
            "spec.faults[0].when",
            "needs one of",
            id="a condition of nothing",
        ),
        pytest.param(
            HEAD + "spec: {faults: [{kind: silence}], expect: [{kind: quoting, symbol: BTCUSDT, after: faults}]}\n",
            "spec.expect[0].after",
            "faults[0] has no end",
            id="after a fault without an end",
        ),
        pytest.param(
            HEAD + "spec: {expect: [{kind: quoting, symbol: NOPE}]}\n",
            "spec.expect[0].symbol",
            "not listed",
            id="an expectation of no symbol",
        ),
        pytest.param(
            HEAD + "spec: {expect: [{kind: faults-met}]}\n", "spec.expect[0]", "no faults", id="no faults to meet"
        ),
        pytest.param(
            HEAD + "spec: {expect: [{kind: loss-within, asset: DOGE, max: 1}]}\n",
            "spec.expect[0].asset",
            "no margin asset",
            id="a loss of what",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_field(tmp_path, text, field, reason):
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, text)
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert str(caught.value).startswith(str(tmp_path / "scenario.yaml"))


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        pytest.param("  seed: -1\n", 4, id="a value"),
        pytest.param("  faults:\n    - kind: gap\n    - kind: gap\n      counts: 3\n", 7, id="an unknown field"),
        pytest.param("  faults:\n    - {kind: gap}\n    - {kind: x}\n", 6, id="an item of a list"),
        pytest.param("  expect:\n    - kind: quoting\n", 5, id="what is missing, where it should be"),
        pytest.param("  markets:\n    BTCUSDT: {regime: wild}\n", 4, id="below a key, as far as it is told"),
        pytest.param("  faults: [\n", 5, id="no YAML"),
        pytest.param("  seed: 1\n  markets: {}\n  seed: 2\n", 6, id="a key twice"),
        pytest.param("  markets: {BTCUSDT: {regime: calm, regime: jump}}\n", 4, id="a key twice in one line"),
        pytest.param("  faults:\n    - {kind: gap, startSeconds: 1:30}\n", 5, id="a time that is no number"),
        pytest.param("  seed: 0x10\n", 4, id="a number that is a text"),
        pytest.param("  seed: !!timestamp 2024-99-99\n", None, id="a date that is none"),
        pytest.param(f"  seed: {'9' * 5_000}\n", None, id="more digits than can be read"),
        pytest.param("  seed: 1\n---\nspec: {}\n", 5, id="a second document"),
        pytest.param(f"  faults: {'[' * 800}\n", None, id="nested too deeply"),
        pytest.param("  markets: &m {BTCUSDT: *m}\n", 4, id="an anchor in itself"),
    ],
)
def test_the_line_is_told(tmp_path, spec, line):
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, HEAD + "spec:\n" + spec)
    assert caught.value.line == line
    place = tmp_path / "scenario.yaml"
    assert str(caught.value).startswith(f"{place}: " if line is None else f"{place}:{line}: ")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("{kind: delay, endpoint: order.*}", id="operations"),
        pytest.param("{kind: reject, code: -1, endpoint: POST /fapi/v1/order}", id="a path of REST"),
        pytest.param("{kind: answer-lost, endpoint: session.logon}", id="a method of the WebSocket API alone"),
        pytest.param("{kind: silence, stream: depth*, symbol: btc*, route: unrouted}", id="streams of a symbol"),
        pytest.param('{kind: silence, stream: "!ticker@arr", route: market}', id="a stream of all symbols"),
        pytest.param("{kind: late, stream: USER, route: private, symbol: '*', delaySeconds: 1}", id="user data"),
        pytest.param("{kind: gap, stream: kline_1m}", id="candles"),
    ],
)
def test_a_fault_that_can_strike_is_taken(tmp_path, fault):
    assert len(load(tmp_path, HEAD + f"spec:\n  faults:\n  - {fault}\n").faults) == 1


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenario(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_scenarios_that_users_copy_can_be_run(path):
    load_scenario(path)
