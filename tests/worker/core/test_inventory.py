"""Guards of the inventory: when each enters and leaves, what it admits, and that the strictest wins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.events import Side
from phoenix_worker.core.inventory import EVERYTHING, NOTHING, Mask, Mode, mask_of, next_mode, reducing_only, strictest
from samples import GUARDS


@pytest.mark.parametrize(
    ("ratio", "mode"),
    [
        (0.0, Mode.NORMAL),
        (0.69, Mode.NORMAL),
        (0.70, Mode.PIN),
        (0.949, Mode.PIN),
        (0.95, Mode.BLOCK),
        (1.0, Mode.FLATTEN),
        (1.099, Mode.FLATTEN),
        (1.10, Mode.LIQUIDATE),
        (3.0, Mode.LIQUIDATE),
    ],
)
def test_each_guard_enters_at_its_ratio(ratio, mode):
    assert next_mode(Mode.NORMAL, ratio, GUARDS, pnl_stop=False) is mode


@pytest.mark.parametrize(
    ("was", "ratio", "mode"),
    [
        (Mode.PIN, 0.671, Mode.PIN),
        (Mode.PIN, 0.669, Mode.NORMAL),
        (Mode.BLOCK, 0.921, Mode.BLOCK),
        (Mode.BLOCK, 0.919, Mode.PIN),
        (Mode.FLATTEN, 0.971, Mode.FLATTEN),
        (Mode.FLATTEN, 0.969, Mode.BLOCK),
        (Mode.LIQUIDATE, 1.071, Mode.LIQUIDATE),
        (Mode.LIQUIDATE, 1.069, Mode.FLATTEN),
        (Mode.LIQUIDATE, 0.3, Mode.NORMAL),
    ],
)
def test_each_guard_leaves_its_hysteresis_below(was, ratio, mode):
    assert next_mode(was, ratio, GUARDS, pnl_stop=False) is mode


@given(st.sampled_from(Mode), st.floats(0, 3))
def test_a_loss_beyond_its_stop_liquidates_at_any_size(mode, ratio):
    assert next_mode(mode, ratio, GUARDS, pnl_stop=True) is Mode.LIQUIDATE


@given(st.sampled_from(Mode), st.floats(0, 2), st.floats(0, 2))
def test_a_larger_position_is_never_guarded_less(mode, one, other):
    low, high = sorted((one, other))
    assert next_mode(mode, low, GUARDS, False) <= next_mode(mode, high, GUARDS, False)


@pytest.mark.parametrize("mode", [Mode.PIN, Mode.BLOCK, Mode.FLATTEN])
@pytest.mark.parametrize(
    ("position", "side"),
    [(5, Side.SELL), (1, Side.SELL), (-1, Side.BUY), (-5, Side.BUY)],
    ids=["long", "long by a step", "short by a step", "short"],
)
def test_under_a_guard_only_the_reducing_side_is_quoted_and_only_reduces(mode, position, side):
    mask = mask_of(mode, position, GUARDS)
    assert [s for s in Side if mask.allows(s)] == [side]
    assert mask.reduce_only


def test_pin_and_block_stand_at_the_touch_and_flatten_two_layers_wider():
    assert mask_of(Mode.PIN, 5, GUARDS).at_touch
    assert mask_of(Mode.BLOCK, 5, GUARDS).at_touch
    flatten = mask_of(Mode.FLATTEN, 5, GUARDS)
    assert (flatten.at_touch, flatten.max_layers, flatten.widen_bps) == (False, 2, 2.0)


@pytest.mark.parametrize("mode", [Mode.PIN, Mode.BLOCK, Mode.FLATTEN, Mode.LIQUIDATE])
def test_only_pinning_admits_a_re_entry_and_no_halt_does(mode):
    mask = mask_of(mode, 5, GUARDS)
    assert mask.reentry is (mode is Mode.PIN)
    assert not strictest(mask, reducing_only(5)).reentry


def test_liquidate_quotes_nothing():
    assert mask_of(Mode.LIQUIDATE, 5, GUARDS) == NOTHING


@pytest.mark.parametrize("mode", Mode)
def test_without_a_position_there_is_nothing_to_guard(mode):
    assert mask_of(mode, 0, GUARDS) == EVERYTHING
    assert mask_of(Mode.NORMAL, 50, GUARDS) == EVERYTHING


@pytest.mark.parametrize(
    ("position", "allowed"),
    [(5, [Side.SELL]), (1, [Side.SELL]), (0, []), (-1, [Side.BUY]), (-5, [Side.BUY])],
    ids=["long", "long by a step", "flat", "short by a step", "short"],
)
def test_a_halt_leaves_what_reduces(position, allowed):
    mask = reducing_only(position)
    assert [side for side in (Side.BUY, Side.SELL) if mask.allows(side)] == allowed
    assert mask.reduce_only


MASKS = st.builds(
    Mask, buys=st.booleans(), sells=st.booleans(), reduce_only=st.booleans(), at_touch=st.booleans(),
    max_layers=st.integers(0, 9), widen_bps=st.floats(0, 9), reentry=st.booleans(),
)  # fmt: skip


@given(MASKS, MASKS)
def test_the_strictest_of_two_masks_forbids_what_either_forbids(one, other):
    both = strictest(one, other)
    assert both == strictest(other, one)
    for side in Side:
        assert both.allows(side) == (one.allows(side) and other.allows(side))
    assert both.reduce_only == (one.reduce_only or other.reduce_only)
    assert both.reentry == (one.reentry and other.reentry)
    assert both.at_touch == (one.at_touch or other.at_touch)
    assert both.max_layers == min(one.max_layers, other.max_layers)
    assert both.widen_bps == max(one.widen_bps, other.widen_bps)
    assert strictest(one, EVERYTHING).allows(Side.BUY) == one.buys
