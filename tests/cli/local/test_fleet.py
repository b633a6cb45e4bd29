import pytest
import yaml
from phoenix_cli.demo import find_configs
from phoenix_cli.local.fleet import at_endpoint, load_fleet, of_symbols, quote_asset
from phoenix_cli.refusal import Refused


@pytest.fixture(scope="module")
def fleet():
    configs = find_configs()
    return load_fleet([configs / "accounts", configs / "makers"])


def test_every_maker_of_the_configs_has_its_account(fleet):
    assert {"BTCUSDT", "ETHUSDT", "ETHUSDC", "SOLUSDT"} <= {assignment.symbol for assignment in fleet}
    assert {assignment.venue for assignment in fleet} == {"BinanceUSDM Simulator"}


def test_symbols_are_chosen_in_the_order_that_was_typed(fleet):
    assert [each.symbol for each in of_symbols(fleet, ["ETHUSDC", "BTCUSDT"])] == ["ETHUSDC", "BTCUSDT"]


@pytest.mark.parametrize("symbols", [["DOGEUSDT"], ["BTCUSDT", "DOGEUSDT"]])
def test_a_symbol_that_nobody_trades_is_refused_with_those_that_there_are(fleet, symbols):
    with pytest.raises(Refused, match=r"--symbols DOGEUSDT: no maker .* there are: .*BTCUSDT"):
        of_symbols(fleet, symbols)


def test_no_symbol_is_refused(fleet):
    with pytest.raises(Refused, match="--symbols names none"):
        of_symbols(fleet, [])


def test_two_makers_of_one_name_are_refused_because_a_local_run_has_one_namespace(tmp_path):
    configs = find_configs()
    documents = []
    for namespace in ("one", "two"):
        for path in ("accounts/simulator.yaml", "makers/btcusdt.yaml"):
            document = yaml.safe_load((configs / path).read_text())
            document["metadata"]["namespace"] = namespace
            documents.append(document)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump_all(documents))
    with pytest.raises(Refused, match=r"m.yaml:\d+: a second maker btcusdt: a local run has one namespace"):
        load_fleet([tmp_path / "m.yaml"])


def test_the_demo_puts_its_own_exchange_into_the_account(fleet):
    account = at_endpoint(fleet[0].account, "http://127.0.0.1:4711")
    assert account.spec.endpoints.base_url == "http://127.0.0.1:4711"
    assert account.spec.limits == fleet[0].account.spec.limits


@pytest.mark.parametrize(("symbol", "asset"), [("BTCUSDT", "USDT"), ("ETHUSDC", "USDC"), ("USDCUSDT", "USDT")])
def test_the_quote_asset_is_the_end_of_the_symbol(symbol, asset):
    assert quote_asset(symbol) == asset


@pytest.mark.parametrize("symbol", ["BTCBUSD", "USDT", ""])
def test_another_quote_asset_is_refused(symbol):
    with pytest.raises(Refused, match="neither USDT nor USDC"):
        quote_asset(symbol)
