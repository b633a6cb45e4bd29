"""Whatever the operator may say is on the page that people look it up on."""

import re

import pytest
from api_server import ROOT
from phoenix_operator.names import Annotation, ConditionReason, ConditionType, EventReason, Finalizer
from phoenix_operator.plan.workers import AGAINST_READY

# Sorted: tests that run side by side must all know the same ones, in one order.
WORDS = sorted(
    {
        word.value
        for words in (ConditionType, ConditionReason, EventReason, Finalizer, [Annotation.RECONCILE], AGAINST_READY)
        for word in words
    }
)


@pytest.fixture(scope="module")
def explained() -> set[str]:
    page = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
    return set(re.findall(r"[\w./-]+", " ".join(re.findall(r"`([^`]+)`", page))))


@pytest.mark.parametrize("word", WORDS)
def test_each_word_is_explained(explained, word):
    assert word in explained
