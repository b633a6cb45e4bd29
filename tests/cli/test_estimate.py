"""`phoenix estimate`: what makers need and may lose, what does not fit, and that an exchange would say the same."""

import json
import math
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests_of import account_manifest, maker_manifest
from phoenix_cli.__main__ import main
from phoenix_cli.forecast import market as market_module
from phoenix_cli.forecast.makers import forecast_maker, requotes_per_s
from phoenix_cli.forecast.market import Assumptions, Market, market_of, marks_at
from phoenix_cli.refusal import Refused
from phoenix_cli.rehearsal.maker import EngineMaker
from phoenix_cli.rehearsal.run import ACCOUNT, Conditions, Rehearsal, instrument_of
from phoenix_crds import MarketMaker, load_manifests
from phoenix_crds.account import Environment
from phoenix_simulator.exchange.events import OrderUpdated
from phoenix_simulator.exchange.exchange import Exchange
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side
from phoenix_simulator.exchange.settings import ExchangeSettings
from phoenix_simulator.exchange.symbols import BUILT_IN, E8
from phoenix_simulator.market.source import MarketKind, MarketStart, MarkUpdate
from phoenix_simulator.market.synthetic import SyntheticSource
from phoenix_simulator.server import ServerConfig, run_server
from phoenix_worker.core.stewardship import HALT_RATIO
from phoenix_worker.runtime.resolve import quoting_of
from phoenix_worker.runtime.resolved import in_steps, parameters
from phoenix_worker.runtime.steward import WEIGHT_1M
from phoenix_worker.venue.binance.costs import RECONNECT, fixed_weight_1m

ROOT = Path(__file__).resolve().parents[2]
START_MS = 1_760_000_000_000
LEVERAGE = 10


@pytest.fixture
def estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs the command on these manifests: exit status, what was printed, what was said."""

    def run(*manifests: dict, options: tuple[str, ...] = (), text: bool = False) -> tuple[int, object, str]:
        file = tmp_path / "all.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}), encoding="utf-8")
        output = () if text else ("-o", "json")
        status = main(["estimate", "-f", str(file), *options, *output])
        captured = capsys.readouterr()
        return status, captured.out if text else json.loads(captured.out or "null"), captured.err

    return run


def account(**limits: object) -> dict:
    manifest = account_manifest()
    manifest["spec"]["limits"] |= limits
    return manifest


# -- the figures -------------------------------------------------------------------------------------


def test_a_maker_in_figures(estimate) -> None:
    """0.10 · 1.15 · 61 800 · 1.01 = 7 178.07; a jump of 10 % and 5 bps of taker's fee; leverage 10."""
    status, told, said = estimate(maker_manifest(), account())
    (of_account,) = told["accounts"]
    (maker,) = of_account["makers"]
    assert (status, said, told["findings"]) == (0, "", [])
    assert (maker["price"], maker["priceFrom"]) == (61800, "simulator's listing")
    assert maker["worstCase"] == pytest.approx(7178.07)
    assert maker["stressedLoss"] == pytest.approx(7178.07 * 0.1005, abs=0.01)
    assert maker["initialMargin"] == pytest.approx(717.81)
    assert maker["needs"] == of_account["needs"] == pytest.approx(1439.2, abs=0.01)
    assert (maker["capital"], maker["dailyLossMax"], maker["stopLoss"]) == (2000, 100, 200)
    assert (of_account["ordersLimit"], told["egresses"][0]["weightLimit"]) == (768, 1024)
    assert told["egresses"][0]["weightPerMinute"] == fixed_weight_1m() + WEIGHT_1M


def test_what_somebody_gives_counts_first(estimate) -> None:
    options = ("--price", "BTCUSDT=100000", "--jump", "20%", "--jump", "BTCUSDT=30%", "--volatility", "2.6")
    _, told, _ = estimate(maker_manifest(), account(), options=options)
    (maker,) = told["accounts"][0]["makers"]
    assert (maker["price"], maker["priceFrom"], maker["move"]) == (100000, "given", 0.3)
    assert any("a jump of 20%" in line for line in told["assumed"])
    assert any("BTCUSDT 2.6 bps" in line for line in told["assumed"])


def test_an_account_has_the_sum_of_its_makers_as_far_as_its_gross_limit_lets_them(estimate) -> None:
    """Of 7 178 and 4 878, 10 000 are granted; those that jump further count first."""
    makers = maker_manifest(), maker_manifest("ethusdt", "ETHUSDT", netMax="1", baseSize="0.04")
    limits = {"grossNotional": "10000", "netNotional": "10000"}
    _, told, _ = estimate(*makers, account(**limits), options=("--jump", "ETHUSDT=20%"))
    (of_account,) = told["accounts"]
    assert of_account["worstCase"] == pytest.approx(7178.07 + 4878.3)
    assert of_account["initialMargin"] == 1000
    assert of_account["stressedLoss"] == pytest.approx(4878.3 * 0.2005 + (10_000 - 4878.3) * 0.1005, abs=0.01)


def test_each_margin_asset_has_to_carry_its_own_symbols(estimate) -> None:
    makers = maker_manifest(), maker_manifest("ethusdc", "ETHUSDC", netMax="0.2", baseSize="0.008")
    _, told, _ = estimate(*makers, account(makerNetMax={"BTCUSDT": "1", "ETHUSDC": "1"}))
    needs = told["accounts"][0]["needsByAsset"]
    assert list(needs) == ["USDT", "USDC"]
    assert sum(needs.values()) == pytest.approx(told["accounts"][0]["needs"], abs=0.02)


def test_the_committed_manifests_fit_and_say_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "-f", str(ROOT / "configs")]) == 0
    out = capsys.readouterr().out
    assert "account trading/default (Simulator, leverage 10, egress default)" in out
    assert "balance: 3 311 carries it, 1 652 of margin and 1 660 lost" in out
    assert "by margin asset: 3 116 USDT, 196 USDC" in out
    assert "ethusdc: of 4 with this name that of " in out
    assert "all its 8 makers reconnect at once" in out, "both namespaces' leave by one egress"
    assert "refused" not in out


def test_four_makers_may_start_and_reconnect_beside_their_quotes_within_what_is_told(capsys) -> None:
    """1 536 for quoting, less 320 for being there, less 690 quotes moved: 526."""
    assert main(["estimate", "-f", str(ROOT / "configs" / "accounts"), str(ROOT / "configs" / "makers")]) == 0
    out = capsys.readouterr().out
    assert (
        "beside quotes in such a market 526 are left of the 1536 a minute after which quotes wait (RateLimited): "
        f"2 starts, or 11 reconnects ({RECONNECT} each), in one minute\n"
    ) in out
    assert out.endswith("everything fits\n")


@pytest.mark.parametrize(
    ("spare", "findings"),
    [pytest.param(RECONNECT, [], id="just"), pytest.param(RECONNECT - 2, ["egress default"], id="not any more")],
)
def test_a_minute_in_which_everybody_reconnects_is_tight_where_quotes_would_wait_for_it(
    estimate, spare, findings
) -> None:
    quotes = estimate(maker_manifest(), account())[1]["accounts"][0]["ordersPerMinute"]
    needs = fixed_weight_1m() + WEIGHT_1M + math.ceil(quotes) + spare
    share = f"{(needs + 0.5) / (2400 * 0.8):.5f}"
    _, told, _ = estimate(maker_manifest(), account_manifest(budgets={"requestWeightShare": share}))
    assert (told["egresses"][0]["quotingLimit"], told["egresses"][0]["left"]) == (needs, spare)
    assert [each["what"] for each in told["findings"] if "reconnect at once" in each["message"]] == findings


# -- what does not fit -------------------------------------------------------------------------------

CROWD = [f"T{number:02d}USDT" for number in range(16)]


@pytest.mark.parametrize(
    ("makers", "changes", "severity", "what", "says", "todo"),
    [
        pytest.param(
            [maker_manifest(risk={"capital": "500"})],
            account(),
            "tight",
            "maker btcusdt of account trading/default",
            "risk.capital of 500 does not carry the worst case: margin of 718 and 721 lost in a jump of 10% need 1 439",
            "lower netMax to 0.0347, or raise risk.capital",
            id="capital",
        ),
        pytest.param(
            [maker_manifest(mode="DryRun", risk={})],
            account(),
            "tight",
            "maker btcusdt of account trading/default",
            "risk.capital is not set; margin and a jump of 10% need 1 439",
            "set it before Live",
            id="no capital",
        ),
        pytest.param(
            [maker_manifest()],
            account(netNotional="7000"),
            "tight",
            "account trading/default",
            "its makers could hold 7 178 together, all on one side, and limits.netNotional is 7 000",
            "have netNotional raised",
            id="net",
        ),
        pytest.param(
            [maker_manifest()],
            account(dailyLoss="99"),
            "tight",
            "account trading/default",
            "its makers may lose 100 a day by their own limits, and limits.dailyLoss of 99 halts all of them",
            "lower risk.dailyLossMax",
            id="daily loss",
        ),
        pytest.param(
            [maker_manifest(nearLayers=20, nearStepBps="0.5")],
            account(),
            "tight",
            "account trading/default",
            "and 768 orders are theirs: then quotes lag",
            "raise nearStepBps or requoteThreshold, or take layers out (btcusdt sends the most)",
            id="orders",
        ),
        pytest.param(
            [maker_manifest(nearLayers=20, farLayers=4, nearStepBps="20", risk={"capital": "2000"})],
            account_manifest(budgets={"orderShare": "0.2"}),
            "tight",
            "account trading/default",
            "one jump of all markets moves 48 quotes, and 48 orders are theirs in 10 s",
            "",
            id="at once, just",
        ),
        pytest.param(
            [maker_manifest(nearLayers=20, farLayers=5, nearStepBps="20", risk={"capital": "2000"})],
            account_manifest(budgets={"orderShare": "0.2"}),
            "tight",
            "account trading/default",
            "one jump of all markets moves 50 quotes, and 48 orders are theirs in 10 s",
            "take layers out",
            id="at once",
        ),
        pytest.param(
            [maker_manifest()],
            account_manifest(budgets={"requestWeightShare": "0.05"}),
            "refused",
            "egress default",
            "a start reads 194 of request weight, more than the shares of its accounts admit in a minute",
            "raise budgets.requestWeightShare",
            id="no start",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_what_to_do(estimate, makers, changes, severity, what, says, todo) -> None:
    status, told, said = estimate(*makers, changes)
    found = [each for each in told["findings"] if says in each["message"]]
    if not todo:
        assert found == []
        return
    assert [(each["severity"], each["what"]) for each in found] == [(severity, what)], told["findings"]
    assert todo in found[0]["hint"]
    assert status == (1 if severity == "refused" else 0)
    assert ("would be refused" in said) is (severity == "refused")


@pytest.mark.parametrize(
    ("leverage", "net_max", "findings"),
    [
        pytest.param(100, "11.2", [], id="just"),
        pytest.param(100, "11.3", ["a position of 800 000, 1.15 times netMax is 803 091"], id="not any more"),
        pytest.param(125, "11.3", ["a position of 300 000, 1.15 times netMax is 803 091"], id="a lower bracket"),
    ],
)
def test_a_position_has_to_fit_the_bracket_of_its_leverage(estimate, leverage, net_max, findings) -> None:
    limits = {"makerNetMax": {"BTCUSDT": "20"}, "netNotional": "5000000", "grossNotional": "5000000"}
    manifest = account(dailyLoss="100000", **limits)
    manifest["spec"]["settings"] = {"leverage": leverage}
    status, told, _ = estimate(maker_manifest(netMax=net_max, risk={"capital": "1000000"}), manifest)
    assert [each["severity"] for each in told["findings"]] == ["refused"] * len(findings)
    assert all(says in each["message"] for each, says in zip(told["findings"], findings, strict=True))
    assert status == len(findings)


def test_as_many_makers_fit_behind_an_egress_as_the_workers_will_admit(estimate) -> None:
    """Two thirds of what quoting may use of the weight: (1 024 − 80) / 60 = 15 makers."""
    limits = {"makerNetMax": dict.fromkeys(CROWD, "1"), "netNotional": "25000"}
    makers = [maker_manifest(name.lower(), name, netMax="1", baseSize="1") for name in CROWD]
    prices = [option for name in CROWD for option in ("--price", f"{name}=100")]
    status, told, _ = estimate(*makers[:15], account(**limits), options=tuple(prices[:30]))
    assert (status, [each["severity"] for each in told["findings"]]) == (0, ["tight"] * 3)
    status, told, said = estimate(*makers, account(**limits), options=tuple(prices))
    refused = [each for each in told["findings"] if each["severity"] == "refused"]
    assert status == 1
    assert [each["what"] for each in refused] == ["egress default"]
    assert "its 16 makers need 1040 of request weight a minute even when none quotes, of 1024" in refused[0]["message"]
    assert "1 of them would only wait" in refused[0]["message"]
    assert "phoenix estimate: 1 of what does not fit would be refused: egress default first" in said


# -- orders ------------------------------------------------------------------------------------------

MAKER = MarketMaker.model_validate(maker_manifest())
PARAMETERS = in_steps(quoting_of(MAKER.spec, MAKER.spec), 100, 10)


@given(st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0.01, 20), st.floats(0.01, 20))
def test_a_wider_band_or_a_calmer_market_never_costs_more_orders(narrow, wide, calm, lively) -> None:
    (narrow, wide), (calm, lively) = sorted((narrow, wide)), sorted((calm, lively))

    def rate(band: float, sigma: float) -> float:
        return requotes_per_s(band, PARAMETERS, Market(100.0, "given", 0.1, sigma))

    assert rate(wide, calm) <= rate(narrow, calm) <= rate(narrow, lively) <= 10, "minRequoteInterval is 100 ms"


# -- the exchange agrees -----------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("symbol", "price", "net_max", "leverage"),
    [("BTCUSDT", 60_000, "0.1", 10), ("BTCUSDT", 60_000, "4", 125), ("ETHUSDT", 4_000, "60", 100)],
)
def test_what_is_needed_carries_the_worst_case_through_the_jump(side, symbol, price, net_max, leverage) -> None:
    """By the simulated exchange's own margin: an account of just that balance opens it all, and no steward halts it."""
    maker = MarketMaker.model_validate(maker_manifest(symbol=symbol, netMax=net_max, baseSize="0.004"))
    market = market_of(symbol, Environment.SIMULATOR, Assumptions(prices={symbol: price}), {})
    told = forecast_maker("maker", maker, market, leverage)

    spec = BUILT_IN[symbol]
    tick = price * E8 // spec.tick_e8
    quantity = Decimal(net_max) * Decimal("1.15")
    mark_e8 = price * E8
    start = MarketStart(
        MarketKind.SYNTHETIC, ((tick, 10**9),), ((tick + 1, 10**9),), mark_e8, mark_e8, 10_000, 1000, 500
    )
    exchange = Exchange(ExchangeSettings())
    exchange.list_symbol(spec, start, START_MS)
    fee_e8 = int(quantity * price * E8 * spec.taker_rate_e8 / E8) + E8  # of opening, which makers do for less
    exchange.open_account("maker", {"USDT": round(told.needs * E8) + fee_e8}, START_MS)
    exchange.set_leverage("maker", symbol, leverage, START_MS)
    exchange.place("maker", NewOrder(symbol=symbol, side=side, type=OrderType.MARKET, quantity=quantity), START_MS)
    margin = exchange.asset_margin("maker", "USDT")
    assert 0.95 * told.initial_margin < margin.initial_margin_e8 / E8 <= told.initial_margin
    before_e8 = margin.wallet_e8

    towards = -1 if side is Side.BUY else 1
    jumped_e8 = mark_e8 + towards * round(mark_e8 * market.move)
    exchange.apply(symbol, MarkUpdate(0, jumped_e8, jumped_e8, 10_000), START_MS)
    margin = exchange.asset_margin("maker", "USDT")
    assert 0.95 * told.stressed_loss < (before_e8 - margin.margin_balance_e8) / E8 <= told.stressed_loss
    assert margin.maintenance_e8 < HALT_RATIO * margin.margin_balance_e8


@pytest.mark.parametrize("symbol", ["BTCUSDT", "SOLUSDT", "ETHUSDC"])
def test_simulated_minutes_use_at_most_what_is_estimated_and_not_absurdly_less(symbol) -> None:
    """The worker's engine with the committed maker, on the simulated exchange in virtual time. Orders are told of an
    average minute and without those that replace what was filled, so several are looked at; margin and worst case hold
    in each. What a maker costs in request weight,
    quoting or not, is held against the exchange's own count in tests/scenarios/test_budgets.py.
    """
    makers = {maker.spec.symbol: maker for _, maker in load_manifests([ROOT / "configs/makers"]).makers}
    maker, spec = makers[symbol], BUILT_IN[symbol]
    told = forecast_maker(symbol, maker, market_of(symbol, Environment.SIMULATOR, Assumptions(), {}), LEVERAGE)
    instrument = instrument_of(spec)
    ready = parameters(quoting_of(maker.spec, maker.spec), instrument)
    used, fills = [], 0
    for seed in (1, 2):
        source, engine = SyntheticSource(spec, seed=seed), EngineMaker(ready, instrument)
        run = Rehearsal(spec, source, engine, ready.net_max_steps, Conditions())
        exchange = run.exchange
        exchange.set_leverage(ACCOUNT, symbol, LEVERAGE, START_MS)
        margins_e8 = []

        def watch(event: object, exchange: Exchange = exchange, margins_e8: list[int] = margins_e8) -> None:
            if isinstance(event, OrderUpdated):
                margins_e8.append(exchange.asset_margin(ACCOUNT, spec.margin_asset).initial_margin_e8)

        exchange.listeners.append(watch)
        seen = run.run(60)
        used.append(seen.placed - seen.fills + seen.amended)
        assert 0 < max(margins_e8) / E8 <= told.initial_margin
        fills += seen.fills
        assert seen.inventory_most <= told.worst_case / (told.net_max * told.price)
    assert fills > 0
    assert told.orders_per_minute / 4 < sum(used) / len(used) < told.orders_per_minute


# -- prices of a real venue --------------------------------------------------------------------------


async def test_mark_prices_are_the_venues_public_ones() -> None:
    async with run_server(ServerConfig(symbols=("ETHUSDT", "SOLUSDT"), seed=7)) as (url, server):
        marks = await marks_at(url)
        assert set(marks) >= {"ETHUSDT", "SOLUSDT"}
        assert marks["ETHUSDT"] == pytest.approx(server.exchange.listing("ETHUSDT").mark_e8 / E8, rel=0.01)
        with pytest.raises(Refused, match=r"could not be asked of .*: HTTP status 404: give --price SYMBOL=PRICE"):
            await marks_at(url + "/nothing")


REAL = account_manifest(environment="Testnet", endpoints=None)
del REAL["spec"]["endpoints"]


def test_where_every_price_is_given_nothing_is_asked(estimate, monkeypatch) -> None:
    monkeypatch.setattr(market_module, "marks_at", None)
    status, told, _ = estimate(maker_manifest(), REAL, options=("--price", "BTCUSDT=61800"))
    (maker,) = told["accounts"][0]["makers"]
    assert status == 0
    assert maker["stressedLoss"] == pytest.approx(7178.07 * 0.1005, abs=0.01)
    assert "leverage brackets that admit the position" in told["assumed"][-1]


# -- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifests", "options", "says"),
    [
        pytest.param([account()], (), "no MarketMaker among these files: nothing to estimate", id="no maker"),
        pytest.param([maker_manifest()], (), "TradingAccount default is not among these files", id="no account"),
        pytest.param(
            [maker_manifest(netMax="-1"), account()], (), "spec.netMax: must be greater than 0", id="an invalid maker"
        ),
        pytest.param(
            [maker_manifest(netMax="0.3"), account()], (), "exceeds the account's limits.makerNetMax", id="a conflict"
        ),
        pytest.param(
            [maker_manifest(), account()],
            ("--price", "BTCUSDC=1"),
            "--price BTCUSDC=…: no maker of these files trades it; there are: BTCUSDT",
            id="a symbol that nobody trades",
        ),
        pytest.param(
            [maker_manifest(symbol="XRPUSDT", netMax="1", baseSize="1"), account(makerNetMax={"XRPUSDT": "1"})],
            (),
            "XRPUSDT is not on the simulated exchange, which lists BTCUSDT, ETHUSDT,",
            id="not listed",
        ),
        pytest.param(
            [maker_manifest(symbol="ETHBTC", netMax="1", baseSize="1"), account(makerNetMax={"ETHBTC": "1"})],
            ("--price", "ETHBTC=0.04"),
            "ETHBTC is not quoted in dollars",
            id="not in dollars",
        ),
        pytest.param(
            [maker_manifest(), REAL],
            (),
            "the mark prices could not be asked of http://127.0.0.1:9: ",
            id="a venue out of reach",
        ),
    ],
)
def test_bad_input_ends_with_one_clear_error(estimate, monkeypatch, manifests, options, says) -> None:
    monkeypatch.setitem(market_module._REST, Environment.TESTNET, "http://127.0.0.1:9")
    status, told, said = estimate(*manifests, options=options)
    assert (status, told) == (1, None)
    assert says in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--price", "61800"),
        ("--price", "BTCUSDT=dear"),
        ("--price", "BTCUSDT=0"),
        ("--price", "BTCUSDT=nan"),
        ("--price", "BTCUSDT=1e400"),
        ("--jump", "0.1"),
        ("--jump", "101%"),
        ("--jump", "-5%"),
        ("--jump", "BTCUSDT=%"),
        ("--volatility", "BTCUSDT=-1"),
    ],
)
def test_a_value_that_makes_no_sense_is_wrong_usage(option, value, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["estimate", "-f", "x", f"{option}={value}"])
    assert ended.value.code == 2
    assert value in capsys.readouterr().err
