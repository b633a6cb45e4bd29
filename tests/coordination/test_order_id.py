import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_coordination import order_id
from phoenix_coordination.order_id import MAX_SEQUENCE, MAX_TOKEN, PATTERN, OrderId

installations = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=6, max_size=6)
tokens = st.integers(0, MAX_TOKEN)
purposes = st.sampled_from("abcdefghijklmnopqrstuvwxyz")
sequences = st.integers(0, MAX_SEQUENCE)


@given(installations, tokens, purposes, sequences)
def test_what_was_formatted_is_parsed_back_and_fits_the_venue(installation, token, purpose, sequence):
    text = order_id.format(installation, token, purpose, sequence)
    assert order_id.parse(text) == OrderId(installation, token, purpose, sequence)
    assert len(text) <= 26
    assert re.fullmatch(r"[\.A-Z\:/a-z0-9_-]{1,36}", text), "the venue's own rule for newClientOrderId"


@given(
    st.text("px0az-q", max_size=30)
    | st.from_regex(r"px[0-9a-z]{5,7}-[0-9a-z]{7,9}-[a-z]?[0-9a-z]{0,8}", fullmatch=True)
)
def test_every_id_that_parses_is_the_only_spelling_of_its_parts(text):
    parts = order_id.parse(text)
    if parts is not None:
        assert order_id.format(parts.installation, parts.token, parts.purpose, parts.sequence) == text


def test_an_id_reads_as_the_interface_says():
    assert order_id.format("k3f9a0", int("m37u6ge3", 36), "q", 71) == "pxk3f9a0-m37u6ge3-q1z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x-123",
        "autoclose-1722500000000123456",
        "adl_autoclose",
        "pxk3f9a0-m37u6ge3-q",
        "pxk3f9a0-m37u6ge3-q01",
        "pxk3f9a0-m37u6ge3-q12345678",
        "pxk3f9a0-m37u6ge3-Q1",
        "pxK3f9a0-m37u6ge3-q1",
        "pxk3f9a-m37u6ge3-q1",
        "pxk3f9a0-37u6ge3-q1",
        "pxk3f9a0-m37u6ge3-q1\n",
        " pxk3f9a0-m37u6ge3-q1",
        "pxk3f9a0-m37u6ge3-11",
        "pxk3f9a0-m37u6ge3-q٣",
    ],
)
def test_a_foreign_or_misspelt_id_is_not_ours(text):
    assert order_id.parse(text) is None


@pytest.mark.parametrize(
    ("installation", "token", "purpose", "sequence", "names"),
    [
        ("short", 1, "q", 1, "installation"),
        ("K3F9A0", 1, "q", 1, "installation"),
        ("k3f9a0", -1, "q", 1, "token"),
        ("k3f9a0", MAX_TOKEN + 1, "q", 1, "token"),
        ("k3f9a0", 1, "Q", 1, "purpose"),
        ("k3f9a0", 1, "", 1, "purpose"),
        ("k3f9a0", 1, "qq", 1, "purpose"),
        ("k3f9a0", 1, "q", -1, "sequence"),
        ("k3f9a0", 1, "q", MAX_SEQUENCE + 1, "sequence"),
    ],
)
def test_a_part_that_does_not_fit_is_refused_by_name(installation, token, purpose, sequence, names):
    with pytest.raises(ValueError, match=names):
        order_id.format(installation, token, purpose, sequence)


@given(installations, tokens, purposes, sequences)
def test_an_observer_finds_installation_and_token_by_the_pattern(installation, token, purpose, sequence):
    match = re.match(PATTERN, order_id.format(installation, token, purpose, sequence))
    assert match
    assert match["installation"] == installation
    assert int(match["token"], 36) == token


@given(st.text())
def test_an_installation_is_six_digits_of_its_uid(uid):
    installation = order_id.installation_of(uid)
    assert re.fullmatch(r"[0-9a-z]{6}", installation)
    assert installation == order_id.installation_of(uid)


def test_two_uids_differ():
    assert order_id.installation_of("a") != order_id.installation_of("b")
