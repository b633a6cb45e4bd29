"""Whatever is in a file: a resource, or problems that name the file; never an exception."""

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from phoenix_crds import check_together, load_manifests
from phoenix_crds.maker import MarketMakerSpec

FIELDS = sorted(info.alias or name for name, info in MarketMakerSpec.model_fields.items())

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["5%", "500ms", "0.5", "Live", "BTCUSDT", "1e400", "{message}", "%s", "{0.__class__}"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
specs = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), values, max_size=8)


def _judge(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_bytes(content)
    loaded = load_manifests([file])
    problems = loaded.problems + check_together(loaded)
    assert loaded.manifests or loaded.others or problems
    assert all(problem.file == str(file) and problem.message for problem in problems)
    assert all(str(problem).isprintable() for problem in problems)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"%YAML 9.9\n---\na: 1")
@example(b"? ? ? a")
@example(b"a: 0x" + b"f" * 5000)
@example(b"a: " + b"9" * 5000)
@example(b"a: +.inf")
@example(b"- - - - -\n" * 3)
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    _judge(tmp_path, content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=string.ascii_letters + string.digits + " :-[]{}&*!|>'\"%#,\n\t~<", max_size=120))
def test_anything_that_looks_like_yaml(tmp_path: Path, text: str) -> None:
    _judge(tmp_path, text.encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(kind="MarketMaker", metadata=None, spec={"\n\x1b[2J": None})
@given(kind=st.sampled_from(["MarketMaker", "TradingAccount"]), metadata=values, spec=specs | values)
def test_any_value_in_any_field(tmp_path: Path, kind: str, metadata: object, spec: object) -> None:
    body = {"apiVersion": "phoenix.trading/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    _judge(tmp_path, yaml.safe_dump(body, allow_unicode=True).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("items", ["5", "[5]", "[null]", "[[]]", "{}", "[{kind: List, apiVersion: v1, items: [1]}]"])
def test_lists_of_nonsense(tmp_path: Path, items: str) -> None:
    _judge(tmp_path, f"apiVersion: v1\nkind: List\nitems: {items}\n".encode())
