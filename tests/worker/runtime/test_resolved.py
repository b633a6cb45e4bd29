from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.state import Mode
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.runtime import resolved as resolved_module
from phoenix_worker.runtime.resolved import (
    InvalidConfigurationError,
    NotValidatedError,
    encode,
    load,
    parameters,
    shadow_parameters,
)
from samples import GRINDING


def test_people_s_units_become_the_core_s(files, instrument):
    resolved = files.resolve()
    ready = parameters(resolved.quoting, instrument)
    assert (ready.net_max_steps, ready.base_size_steps) == (100, 4)
    assert ready.quote_interval_ns == 500_000_000
    assert ready.requote_threshold_bps == pytest.approx(0.75), "left out: half the near step"
    assert ready.guards.cooldown_ns == 60_000_000_000
    assert resolved.mode is Mode.LIVE
    assert resolved.terms.net_micro == 25_000 * 10**6
    assert resolved.terms.emergency is EmergencyLevel.NONE
    assert resolved.daily_loss == 500 * MONEY


def test_grinding_is_what_the_field_s_defaults_say(files, instrument):
    assert parameters(files.resolve().quoting, instrument).grinding == GRINDING


@pytest.mark.parametrize(
    ("risk", "daily_loss_max", "stop_loss"),
    [
        ("{capital: 2000}", 100, 200),
        ('{capital: 1000, dailyLossMax: "2.5%", stopLoss: "60.5"}', 25, 60.5),
        ('{capital: 1000, dailyLossMax: "40", stopLoss: "50"}', 40, 50),
    ],
    ids=["5 defaults: 5 % and 10 % of the capital", "5 a share and an amount", "5 amounts"],
)
def test_loss_limits_are_money(files, instrument, risk, daily_loss_max, stop_loss):
    files.edit(files.maker, "  risk:\n    capital: 2000", f"  risk: {risk}")
    limits = parameters(files.resolve().quoting, instrument).risk
    assert (limits.daily_loss_max, limits.stop_loss) == (daily_loss_max * MONEY, stop_loss * MONEY)


@pytest.mark.parametrize(
    ("net_max", "base_size", "steps"),
    [
        pytest.param("0.1009", "0.0049", (100, 4), id="quantities between two steps round down"),
        pytest.param("0.001", "0.001", (1, 1), id="one step is enough"),
    ],
)
def test_quantities_are_whole_steps(files, instrument, net_max, base_size, steps):
    quoting = msgspec.structs.replace(files.resolve().quoting, net_max=Decimal(net_max), base_size=Decimal(base_size))
    ready = parameters(quoting, instrument)
    assert (ready.net_max_steps, ready.base_size_steps) == steps


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"base_size": Decimal("0.0009")}, "spec.baseSize: 0.0009 is less than one step", id="too small"),
        pytest.param({"net_max": Decimal(10) ** 31}, "spec.netMax: .* larger than any order", id="too large"),
    ],
)
def test_a_quantity_that_is_no_order_is_refused_with_the_field(files, instrument, change, says):
    quoting = msgspec.structs.replace(files.resolve().quoting, **change)
    with pytest.raises(InvalidConfigurationError, match=says):
        parameters(quoting, instrument)


def test_a_second_set_is_a_whole_one_with_the_patience_of_the_maker(files, instrument):
    assert shadow_parameters(files.resolve(), instrument) is None
    files.edit(files.maker, "spec:", 'spec:\n  staleAfter: 3s\n  shadow: {netMax: "0.05", baseSize: "0.002"}')
    shadow = shadow_parameters(files.resolve(), instrument)
    assert shadow is not None
    assert (shadow.net_max_steps, shadow.base_size_steps, shadow.stale_after_ns) == (50, 2, 3_000_000_000)
    assert shadow.min_spread_bps == 4, "a default, and not what the live engine has"


def test_a_quantity_of_the_second_set_that_is_no_order_is_refused_with_its_own_field(files, instrument):
    files.edit(files.maker, "spec:", 'spec:\n  shadow: {netMax: "0.05", baseSize: "0.0002"}')
    with pytest.raises(InvalidConfigurationError, match=r"spec\.shadow\.baseSize: 0\.0002 is less than one step"):
        shadow_parameters(files.resolve(), instrument)


async def test_files_are_validated_in_a_process_of_their_own(files):
    assert encode(await load(files.maker, files.account)) == encode(files.resolve())


@pytest.mark.parametrize(
    ("file", "before", "after", "says"),
    [
        pytest.param("maker", 'netMax: "0.10"', "netMax: 0.10", r"maker\.yaml:9: error: spec\.netMax", id="a float"),
        pytest.param("maker", "spec:", "spec: [", "maker.yaml", id="broken YAML"),
        pytest.param("maker", 'netMax: "0.10"', 'netMax: "9"', "makerNetMax", id="beyond what the account admits"),
        pytest.param("maker", "accountRef: default", "accountRef: other", "names 'other'", id="another account"),
        pytest.param("account", "emergency: None", "emergency: Halted", "account.yaml", id="no such level"),
        pytest.param("account", "kind: TradingAccount", "kind: Pod", "account.yaml", id="another kind"),
    ],
)
async def test_files_that_do_not_hold_are_refused_with_what_to_do(files, file, before, after, says):
    files.edit(getattr(files, file), before, after)
    with pytest.raises(InvalidConfigurationError, match=says) as refused:
        await load(files.maker, files.account)
    assert "Traceback" not in str(refused.value)


@pytest.mark.parametrize("lack", ["time", "processes"])
async def test_what_cannot_be_validated_is_neither_good_nor_bad(files, monkeypatch, lack):
    if lack == "time":
        monkeypatch.setattr(resolved_module, "RESOLVE_SECONDS", 0.01)
    else:
        monkeypatch.setattr(resolved_module.sys, "executable", "/nonexistent/python")
    with pytest.raises(NotValidatedError, match="could not be validated"):
        await load(files.maker, files.account)


async def test_a_missing_file_is_named(files):
    files.maker.unlink()
    with pytest.raises(InvalidConfigurationError, match=r"maker\.yaml"):
        await load(files.maker, files.account)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300), st.integers(0, 600), st.booleans())
def test_damaged_files_are_one_clear_error_and_never_a_crash(files, noise, at, whole):
    good = files.maker.read_bytes()
    try:
        files.maker.write_bytes(noise if whole else good[:at] + noise + good[at:])
        files.resolve()
    except InvalidConfigurationError as error:
        told = str(error)
        assert told, "an error that says nothing helps nobody"
    finally:
        files.maker.write_bytes(good)
