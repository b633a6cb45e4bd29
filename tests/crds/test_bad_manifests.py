"""Each way to write a maker or an account wrongly, with the line, the field and the words that a person can act on."""

import re
from collections.abc import Callable

import pytest
from bad_manifests import MAKER_MISTAKES, REPLACED
from phoenix_crds import Loaded, Problem, Severity

Read = Callable[[str], tuple[Loaded, list[Problem]]]


def _errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity is Severity.ERROR]


@pytest.mark.parametrize(("written", "field", "line", "said"), MAKER_MISTAKES)
def test_a_mistake_in_a_maker_is_told_with_line_field_and_remedy(
    read: Read, maker_yaml: str, written: str, field: str, line: int, said: str
) -> None:
    loaded, problems = read(maker_yaml + written + "\n")
    errors = _errors(problems)
    assert not loaded.manifests
    assert [(error.field, error.line) for error in errors] == [(field, line)]
    assert re.search(said, f"{errors[0].message} {errors[0].hint}")
    assert errors[0].hint or ":" in errors[0].message, "says what to do"


@pytest.mark.parametrize(("line_before", "line_after", "field", "line", "said"), REPLACED)
def test_a_mistake_in_maker_and_account_together_is_told(
    read: Read, maker_yaml: str, account_yaml: str, line_before: str, line_after: str, field: str, line: int, said: str
) -> None:
    text = f"{maker_yaml}---\n{account_yaml}"
    assert line_before in text
    _, problems = read(text.replace(line_before, line_after, 1))
    found = {(error.field, error.line): f"{error.message} {error.hint}" for error in _errors(problems)}
    assert (field, line) in found
    assert re.search(said, found[field, line])


NO_MANIFEST = [
    pytest.param("", "no document in this file", id="empty"),
    pytest.param("# nothing\n---\n", "no document in this file", id="comments-only"),
    pytest.param("just text", "no object with apiVersion and kind", id="text"),
    pytest.param("- a\n- b", "no object with apiVersion and kind", id="list"),
    pytest.param("kind: MarketMaker", "is required", id="no-api-version"),
    pytest.param("apiVersion: phoenix.trading/v1alpha1", "is required", id="no-kind"),
    pytest.param("a: [1, 2", "not YAML", id="open-bracket"),
    pytest.param("a: b: c", "not YAML.*colon", id="two-colons"),
    pytest.param("a:\n\tb: c", "not YAML.*tabs", id="tab"),
    pytest.param("a: 'b", "not YAML", id="open-quote"),
    pytest.param("a: \x07", "a character that text must not have", id="control-character"),
    pytest.param("a: *nowhere", "not YAML", id="unknown-anchor"),
    pytest.param("a: &a [*a]", "nested too deeply", id="anchor-in-itself"),
    pytest.param("[" * 5000, "nested too deeply|not YAML", id="endless-nesting"),
    pytest.param("{" * 60 + "}" * 60, "nested too deeply|no text", id="deep-mappings"),
    pytest.param("1: 2", "a key that is no text", id="number-for-key"),
    pytest.param("? [a]\n: b", "a key that is no text", id="list-for-key"),
    pytest.param("a: !!python/object:os.system {}", "not plain YAML|neither", id="python-object"),
    pytest.param("a: !!binary aGVsbG8=", "is not plain YAML", id="binary"),
    pytest.param("a: !secret x", "is not plain YAML", id="unknown-tag"),
    pytest.param("<<: 5", "merges mappings only", id="merge-of-a-number"),
    pytest.param("a: 1\na: 2", '"a" is here twice', id="key-twice"),
    pytest.param(
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]",
        "too large once its anchors are followed",
        id="billion-laughs",
    ),
]


@pytest.mark.parametrize(("text", "said"), NO_MANIFEST)
def test_what_is_no_manifest_is_one_clear_problem(read: Read, text: str, said: str) -> None:
    loaded, problems = read(text)
    assert not loaded.manifests
    assert len(problems) == 1
    assert re.search(said, str(problems[0]))


def test_several_mistakes_are_told_at_once_in_the_order_of_the_file(read: Read, maker_yaml: str) -> None:
    _, problems = read(maker_yaml + "  mode: live\n  paused: 1\n  quoteInterval: 5\n")
    assert [problem.line for problem in problems] == [9, 10, 11]


def test_every_broken_rule_of_one_object_is_told(read: Read, maker_yaml: str) -> None:
    _, problems = read(maker_yaml.replace("0.008", "0.3") + "  mode: Live\n  nearLayers: 0\n  farLayers: 0\n")
    assert sorted(problem.field for problem in problems) == ["spec.baseSize", "spec.mode", "spec.nearLayers"]
