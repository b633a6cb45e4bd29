from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from phoenix_crds import (
    ACCOUNT_FILE,
    MAKER_FILE,
    InvalidResourceError,
    Loaded,
    MarketMaker,
    Problem,
    TradingAccount,
    read_resolved,
    resolved_hash,
    write_resolved,
)

Read = Callable[[str], tuple[Loaded, list[Problem]]]


@pytest.fixture
def pair(read: Read, maker_yaml: str, account_yaml: str) -> tuple[MarketMaker, TradingAccount]:
    loaded, _ = read(f"{maker_yaml}---\n{account_yaml}")
    return loaded.makers[0][1], loaded.accounts[0][1]


def test_what_is_written_is_read_back_equal_and_complete(
    tmp_path: Path, pair: tuple[MarketMaker, TradingAccount]
) -> None:
    maker, account = pair
    written = write_resolved(tmp_path / "resolved", maker, account)
    read_maker, read_account = read_resolved(tmp_path / "resolved" / MAKER_FILE, tmp_path / "resolved" / ACCOUNT_FILE)
    assert (read_maker, read_account) == (maker, account)
    assert resolved_hash(read_maker.spec, read_account.spec) == written
    text = yaml.safe_load((tmp_path / "resolved" / MAKER_FILE).read_text(encoding="utf-8"))
    assert text["spec"]["guards"]["pinRatio"] == "0.7", "defaults are written out"


@pytest.mark.parametrize("name", ["1e3", "0", "1-000", "null", "yes", "true", "e1", "2026-01-01"])
def test_a_name_that_looks_like_something_else_stays_a_name(
    tmp_path: Path, pair: tuple[MarketMaker, TradingAccount], name: str
) -> None:
    maker, account = pair
    named = maker.model_copy(update={"metadata": maker.metadata.model_copy(update={"name": name})})
    write_resolved(tmp_path, named, account)
    assert read_resolved(tmp_path / MAKER_FILE, tmp_path / ACCOUNT_FILE) == (named, account)


def test_a_rewrite_replaces_both_files_and_leaves_nothing_behind(
    tmp_path: Path, pair: tuple[MarketMaker, TradingAccount], read: Read, maker_yaml: str
) -> None:
    maker, account = pair
    first = write_resolved(tmp_path, maker, account)
    changed = read(maker_yaml + "  nearLayers: 5\n")[0].makers[0][1]
    second = write_resolved(tmp_path, changed, account)
    assert first != second
    assert read_resolved(tmp_path / MAKER_FILE, tmp_path / ACCOUNT_FILE)[0].spec.near_layers == 5
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == [
        ACCOUNT_FILE,
        MAKER_FILE,
        "manifest.yaml",
    ]
    for layers in (6, 7, 8):
        write_resolved(tmp_path, read(f"{maker_yaml}  nearLayers: {layers}\n")[0].makers[0][1], account)
    hidden = [path for path in tmp_path.iterdir() if path.name.startswith("..")]
    assert len(hidden) == 3, "the link, its target, and the version before"


def test_a_reader_sees_one_version_of_both_while_they_are_rewritten(
    tmp_path: Path, pair: tuple[MarketMaker, TradingAccount], read: Read, maker_yaml: str, account_yaml: str
) -> None:
    """The pairs admit one another only within a version: half of each would be refused."""
    maker, account = pair
    small = read(maker_yaml.replace('"0.20"', '"0.10"'))[0].makers[0][1]
    tight = read(account_yaml.replace('"0.25"', '"0.10"'))[0].accounts[0][1]
    directory = tmp_path / "resolved"
    write_resolved(directory, maker, account)
    seen = set()
    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(
            lambda: [write_resolved(directory, *both) for _ in range(60) for both in ((small, tight), (maker, account))]
        )
        while not writing.done():
            seen.add(read_resolved(directory / MAKER_FILE, directory / ACCOUNT_FILE)[0].spec.net_max)
        writing.result()
    assert seen


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('netMax: "0.20"', 'netMax: "0.2"'),
        ('baseSize: "0.008"', 'baseSize: "0.0080"'),
        ("  symbol: ETHUSDC\n", "  symbol: ETHUSDC\n  mode: DryRun\n"),
        ("  symbol: ETHUSDC\n", "  symbol: ETHUSDC\n  restartAfter: 60s\n"),
        ("  symbol: ETHUSDC\n", "  symbol: ETHUSDC\n  guards: {cooldown: 60000ms, pinRatio: '0.70'}\n"),
        ("  name: ethusdc", "  name: renamed"),
    ],
    ids=["zeros", "more-zeros", "default-written-out", "default-in-another-unit", "defaults-inside", "metadata"],
)
def test_the_hash_is_the_same_for_what_means_the_same(
    read: Read, pair: tuple[MarketMaker, TradingAccount], maker_yaml: str, before: str, after: str
) -> None:
    assert before in maker_yaml
    other = read(maker_yaml.replace(before, after))[0].makers[0][1]
    assert resolved_hash(other.spec, pair[1].spec) == resolved_hash(pair[0].spec, pair[1].spec)


@pytest.mark.parametrize("written", ["  nearLayers: 4\n", "  paused: true\n", "  risk: {capital: 5}\n"])
def test_the_hash_changes_with_any_value(
    read: Read, pair: tuple[MarketMaker, TradingAccount], maker_yaml: str, written: str
) -> None:
    other = read(maker_yaml + written)[0].makers[0][1]
    assert resolved_hash(other.spec, pair[1].spec) != resolved_hash(pair[0].spec, pair[1].spec)


def test_the_hash_covers_the_account_too(
    read: Read, pair: tuple[MarketMaker, TradingAccount], account_yaml: str
) -> None:
    other = read(account_yaml + "  emergency: Halt\n")[0].accounts[0][1]
    assert resolved_hash(pair[0].spec, other.spec) != resolved_hash(pair[0].spec, pair[1].spec)


def test_the_hash_does_not_change_between_releases_by_accident(pair: tuple[MarketMaker, TradingAccount]) -> None:
    """A changed default changes this too: every worker then gets new parameters on upgrade; somebody must want it."""
    assert resolved_hash(pair[0].spec, pair[1].spec) == "6e770d67c9a0fb6e"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        ("", "holds 0 documents"),
        ("a: 1\n---\na: 2\n", "holds 2 documents"),
        ("a: [", "not YAML"),
        ("kind: TradingAccount\n", "spec: is required"),
    ],
    ids=["absent", "empty", "two", "no-yaml", "another-kind"],
)
def test_a_file_that_is_no_resource_is_refused_with_its_name(
    tmp_path: Path, pair: tuple[MarketMaker, TradingAccount], content: str | None, said: str
) -> None:
    write_resolved(tmp_path, *pair)
    (tmp_path / MAKER_FILE).unlink()
    if content is not None:
        (tmp_path / MAKER_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(InvalidResourceError, match=said) as caught:
        read_resolved(tmp_path / MAKER_FILE, tmp_path / ACCOUNT_FILE)
    assert all(problem.file.endswith(MAKER_FILE) for problem in caught.value.problems)


def test_a_maker_that_its_account_does_not_admit_is_refused(
    tmp_path: Path, read: Read, pair: tuple[MarketMaker, TradingAccount], maker_yaml: str
) -> None:
    greedy = read(maker_yaml.replace("0.20", "0.26"))[0].makers[0][1]
    write_resolved(tmp_path, greedy, pair[1])
    with pytest.raises(InvalidResourceError, match=r"spec.netMax: exceeds the account's limits.makerNetMax.ETHUSDC"):
        read_resolved(tmp_path / MAKER_FILE, tmp_path / ACCOUNT_FILE)
