from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest
from phoenix_crds import Loaded, MarketMaker, Problem, Severity, TradingAccount, load_manifests

Read = Callable[[str], tuple[Loaded, list[Problem]]]


def test_several_documents_with_comments_and_empty_ones_between_are_read(
    read: Read, maker_yaml: str, account_yaml: str
) -> None:
    loaded, problems = read(f"# head\n---\n{account_yaml}---\n---\n# between\n{maker_yaml}...\n")
    assert [manifest.key for manifest in loaded.manifests] == [
        ("TradingAccount", "", "default"),
        ("MarketMaker", "", "ethusdc"),
    ]
    assert not problems


@pytest.mark.parametrize("kind", ["List", "MarketMakerList"])
def test_the_items_of_a_list_keep_the_lines_of_their_fields(read: Read, maker_yaml: str, kind: str) -> None:
    text = f"apiVersion: v1\nkind: {kind}\nitems:\n- " + indent(maker_yaml, "  ").lstrip() + "    mode: live\n"
    _, problems = read(text)
    assert [(problem.line, problem.field) for problem in problems] == [(12, "spec.mode")]


def test_json_is_read_as_the_yaml_that_it_is(read: Read) -> None:
    loaded, _ = read(
        '{"apiVersion": "phoenix.trading/v1alpha1", "kind": "MarketMaker", "metadata": {"name": "a"},\n'
        ' "spec": {"symbol": "BTCUSDT", "netMax": "0.1", "baseSize": "0.004"}}'
    )
    assert [maker.spec.symbol for _, maker in loaded.makers] == ["BTCUSDT"]


def test_anchors_and_merge_keys_mean_what_they_mean_to_kubectl(read: Read) -> None:
    loaded, problems = read(
        "apiVersion: phoenix.trading/v1alpha1\nkind: MarketMaker\nmetadata: {name: a}\n"
        "spec:\n  symbol: BTCUSDT\n  netMax: &limit '0.1'\n  baseSize: *limit\n  guards: &guards {pinRatio: '0.6'}\n"
        "  shadow:\n    netMax: 1\n    baseSize: 1\n    guards: {<<: *guards, hysteresis: '0.01'}\n"
    )
    (_, maker), *_ = loaded.makers
    assert maker.spec.base_size == maker.spec.net_max
    assert maker.spec.shadow is not None
    assert str(maker.spec.shadow.guards.pin_ratio) == "0.6"
    assert [problem.severity for problem in problems] == [Severity.WARNING]  # the account is not there


def test_what_kubectl_prints_is_accepted_with_all_that_the_server_added(read: Read, maker_yaml: str) -> None:
    text = maker_yaml.replace(
        "  name: ethusdc\n",
        "  name: ethusdc\n  namespace: trading\n  uid: 0c1f\n  generation: 3\n  resourceVersion: '991'\n"
        "  creationTimestamp: 2026-01-01T00:00:00Z\n  managedFields: [{manager: kubectl}]\n  finalizers: [x/y]\n"
        "  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {}\n",
    )
    status = "status:\n  observedGeneration: 3\n  identity: x\n  conditions:\n  - {type: Ready, status: 'True'}\n"
    loaded, _ = read(text + status)
    (_, maker), *_ = loaded.makers
    assert (maker.metadata.namespace, maker.metadata.uid, maker.metadata.generation) == ("trading", "0c1f", 3)
    assert maker.status is not None
    assert maker.status.conditions[0].type == "Ready"


def test_kinds_of_others_are_named_and_passed_over(read: Read, account_yaml: str) -> None:
    loaded, problems = read(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: binance}}\n---\n{account_yaml}")
    assert len(loaded.manifests) == 1
    assert [(problem.severity, problem.line) for problem in problems] == [(Severity.WARNING, 2)]


def test_a_directory_is_read_with_all_below_it_and_in_order(tmp_path: Path, maker_yaml: str, account_yaml: str) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "maker.yml").write_text(maker_yaml, encoding="utf-8")
    (tmp_path / "a.yaml").write_text(account_yaml, encoding="utf-8")
    (tmp_path / "README.md").write_text("not a manifest", encoding="utf-8")
    loaded = load_manifests([tmp_path])
    assert [type(manifest.resource) for manifest in loaded.manifests] == [TradingAccount, MarketMaker]
    assert not loaded.problems


@pytest.mark.parametrize(
    ("name", "said"),
    [("absent.yaml", "cannot be read: No such file"), ("empty-directory", "no manifest in this directory")],
)
def test_a_path_without_a_manifest_is_a_problem(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty-directory").mkdir()
    loaded = load_manifests([tmp_path / name])
    assert [said in str(problem) for problem in loaded.problems] == [True]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a: \xff\xfe", "not UTF-8"), (b"#" * (3 * 1024 * 1024 + 1), "larger than 3 MiB"), (b"\x00", "must not have")],
    ids=["latin", "huge", "nul"],
)
def test_a_file_that_is_no_text_is_a_problem(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_bytes(content)
    assert [said in str(problem) for problem in load_manifests([file]).problems] == [True]


def test_a_byte_order_mark_does_no_harm(tmp_path: Path, account_yaml: str) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(account_yaml, encoding="utf-8-sig")
    assert len(load_manifests([file]).accounts) == 1


def test_two_makers_for_one_symbol_and_account_are_refused(read: Read, maker_yaml: str, account_yaml: str) -> None:
    second = maker_yaml.replace("name: ethusdc", "name: another")
    _, problems = read(f"{account_yaml}---\n{maker_yaml}---\n{second}")
    (problem,) = problems
    assert problem.field == "spec.symbol"
    assert "traded by ethusdc already" in problem.message
    assert "remove one" in problem.hint


def test_makers_of_one_symbol_on_two_accounts_are_fine(read: Read, maker_yaml: str, account_yaml: str) -> None:
    other_account = account_yaml.replace("name: default", "name: other").replace("name: binance", "name: key-two")
    other_maker = maker_yaml.replace("name: ethusdc", "name: another") + "  accountRef: other\n"
    _, problems = read(f"{account_yaml}---\n{maker_yaml}---\n{other_account}---\n{other_maker}")
    assert not problems


def test_two_accounts_with_one_key_are_refused(read: Read, account_yaml: str) -> None:
    _, problems = read(f"{account_yaml}---\n{account_yaml.replace('name: default', 'name: other')}")
    assert ["AccountConflict" in problem.hint for problem in problems] == [True]


def test_one_object_in_two_files_is_a_warning_unless_what_is_immutable_differs(read: Read, maker_yaml: str) -> None:
    _, same = read(f"{maker_yaml}---\n{maker_yaml}")
    assert {problem.severity for problem in same} == {Severity.WARNING}
    _, other = read(f"{maker_yaml}---\n{maker_yaml.replace('ETHUSDC', 'BTCUSDT')}")
    assert ["immutable" in problem.message for problem in other if problem.severity is Severity.ERROR] == [True]


@pytest.mark.parametrize(
    ("written", "field"),
    [
        pytest.param("  grinding: {enabled: false}", "spec.grinding.enabled", id="grinding-off"),
        pytest.param('  risk: {dailyLossMax: "10%", stopLoss: "5%"}', "spec.risk.stopLoss", id="stop-before-the-day"),
        pytest.param(
            '  risk: {capital: 100, dailyLossMax: "50%", stopLoss: 49}',
            "spec.risk.stopLoss",
            id="stop-as-amount",
        ),
        pytest.param('  farRatio: "9"', "spec.risk.saneBandBps", id="a-layer-beyond-the-sane-band"),
    ],
)
def test_what_is_allowed_but_unwise_is_a_warning(
    read: Read, maker_yaml: str, account_yaml: str, written: str, field: str
) -> None:
    loaded, problems = read(f"{account_yaml}---\n{maker_yaml}{written}\n")
    assert len(loaded.manifests) == 2
    assert [(problem.severity, problem.field) for problem in problems] == [(Severity.WARNING, field)]
