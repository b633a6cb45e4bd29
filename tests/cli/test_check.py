"""`phoenix check`: exit status, where things are said, and every kind of file at once."""

import gzip
import json
from pathlib import Path

import pytest
from phoenix_cli.__main__ import main
from phoenix_simulator.__main__ import main as exchange

ROOT = Path(__file__).resolve().parents[2]

MAKER = """\
apiVersion: phoenix.trading/v1alpha1
kind: MarketMaker
metadata: {name: btcusdt}
spec:
  symbol: BTCUSDT
  netMax: "0.1"
  baseSize: "0.004"
"""

SCENARIO = """\
apiVersion: phoenix.trading/v1alpha1
kind: Scenario
metadata: {name: x}
spec:
  markets: {BTCUSDT: {regime: calm, agents: [{kind: pick-off}]}}
  faults:
  - kind: silence
    startSeconds: 3
    when:
      fills: 3
  expect:
  - {kind: quoting, symbol: BTCUSDT}
"""


def check(*arguments: str | Path) -> int:
    return main(["check", "-f", *map(str, arguments)])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_committed_manifest_passes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(path) == 0
    assert "error" not in capsys.readouterr().err


def test_the_committed_manifests_pass_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(ROOT / "configs") == 0
    assert "0 errors" in capsys.readouterr().out


def test_what_the_demo_runs_has_no_warning_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(ROOT / "configs/accounts", ROOT / "configs/makers", ROOT / "configs/scenarios") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "4 makers, 1 account, 15 scenarios" in captured.out


def test_an_error_ends_with_1_and_is_said_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "maker.yaml"
    file.write_text(MAKER + "  mode: live\n", encoding="utf-8")
    assert check(file) == 1
    captured = capsys.readouterr()
    assert f"{file}:8: error: spec.mode: must be one of DryRun or Live" in captured.err
    assert "1 error" in captured.out


def test_a_warning_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "maker.yaml"
    file.write_text(MAKER, encoding="utf-8")
    assert check(file) == 0
    assert "warning: spec.accountRef: TradingAccount default is not among these files" in capsys.readouterr().err


def test_everything_that_a_maker_may_say_is_acted_upon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No field is only read: there is nothing to warn of but that the account is not among the files."""
    file = tmp_path / "maker.yaml"
    shadow = '  shadow: {netMax: "0.10", baseSize: "0.002"}\n'
    file.write_text(MAKER + f'  mode: Live\n  risk: {{capital: "500"}}\n  standby: true\n{shadow}', encoding="utf-8")
    assert check(file) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "spec.accountRef" not in line] == []


@pytest.mark.parametrize(
    ("risk", "shares"),
    [
        ("{}", "dailyLossMax of 5% and stopLoss of 10%"),
        ('{stopLoss: "50"}', "dailyLossMax of 5%"),
        ('{dailyLossMax: "20", stopLoss: "50"}', ""),
        ('{capital: "500"}', ""),
    ],
    ids=["both are shares", "one is", "amounts", "a capital"],
)
def test_a_loss_limit_that_is_a_share_of_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], risk: str, shares: str
) -> None:
    file = tmp_path / "maker.yaml"
    file.write_text(MAKER + f"  risk: {risk}\n", encoding="utf-8")
    assert check(file) == 0
    said = capsys.readouterr().err
    assert (f"spec.risk.capital: not set: {shares} would be a share of it" in said) is bool(shares)
    assert ("spec.risk.capital" in said) is bool(shares)


def test_all_files_are_judged_even_when_the_first_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text("a: [", encoding="utf-8")
    assert check(tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "absent.yaml") == 1
    assert [line.split(":")[0].rpartition("/")[2] for line in capsys.readouterr().err.splitlines()] == [
        "a.yaml",
        "b.yaml",
        "absent.yaml",
    ]


def test_json_names_every_problem_for_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "maker.yaml"
    file.write_text(MAKER.replace('"0.1"', "0.1"), encoding="utf-8")
    assert main(["check", "-o", "json", "-f", str(file)]) == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == ""
    assert report["errors"] == 1
    assert report["problems"] == [
        {
            "file": str(file),
            "line": 6,
            "field": "spec.netMax",
            "message": "0.1 is a float, whose digits are not exact",
            "hint": 'put it in quotes: "0.1"',
            "severity": "error",
        }
    ]


@pytest.mark.parametrize("arguments", [[], ["-f"], ["-x"], ["-f", "a", "-o", "xml"]], ids=str)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    assert ended.value.code == 2
    assert "usage: phoenix check" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("regime: calm", "regime: clam", 5, "there are: calm, trend, jump, toxic, one-sided, thin, quiet"),
        ("BTCUSDT", "DOGEUSDT", 4, "DOGEUSDT is not listed here; known symbols"),
        ("kind: silence", "kind: silent", 7, "there are: silence, gap"),
        ("startSeconds: 3", "startSecond: 3", 8, "unknown field `startSecond`"),
        ("startSeconds: 3", "startSeconds: -3", 8, ">= 0"),
        ("startSeconds: 3", "startSeconds: soon", 8, "Expected `float`"),
        ("kind: Scenario", "kind: Scenery", 2, "Scenery is no kind of ours"),
        ("fills: 3", "orders: 0", 10, ">= 1"),
        ("kind: quoting", "kind: quoted", 12, "there are: audit-clean, quoting"),
        ("kind: quoting, symbol: BTCUSDT", "kind: quoting, symbol: NOPE", 12, "NOPE is not listed here"),
        ("kind: pick-off", "kind: pick-on", 5, "there are: pick-off, queue-jump"),
        ("spec:", "spec:\n  venue: {queueModel: magic}", 5, "there are: pessimistic, proportional, optimistic"),
    ],
    ids=[
        "regime",
        "symbol",
        "fault",
        "field",
        "negative",
        "text",
        "kind",
        "condition",
        "expectation",
        "expected symbol",
        "agent",
        "queue model",
    ],
)
def test_a_mistake_in_a_scenario_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, line: int, said: str
) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    assert check(file) == 0
    file.write_text(SCENARIO.replace(before, after), encoding="utf-8")
    capsys.readouterr()
    assert check(file) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{file}:{line}: error: ")
    assert said in error


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        pytest.param(SCENARIO + "  seed: 1\n  seed: 2\n", 14, "is here twice", id="a key twice"),
        pytest.param(SCENARIO + "---\n" + MAKER, 13, "another document", id="a maker beside it"),
        pytest.param(SCENARIO.replace("startSeconds: 3", "stream: depht"), 8, "matches no stream", id="a misspelling"),
    ],
)
def test_what_the_exchange_would_refuse_is_refused_here_and_the_other_way_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: int, said: str
) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    assert check(file) == 1
    assert said in (checked := capsys.readouterr().err)
    assert f"{file}:{line}: error" in checked
    assert exchange(["--scenario", str(file)]) == 1
    assert said in (refused := capsys.readouterr().err)
    assert f"{file}:{line}: " in refused


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        pytest.param(b"", 0, "the file is empty", id="empty"),
        pytest.param(b"not gzip at all", 1, "expected <local receive time", id="not-a-capture"),
        pytest.param(gzip.compress(b"12 {}\nx {}\n"), 1, "neither a stream message", id="nonsense"),
        pytest.param(
            gzip.compress(b'1723078800000000000 {"stream":"btcusdt@trade"')[:-9],
            1,
            "damaged or cut short",
            id="cut-gzip",
        ),
    ],
)
def test_a_broken_capture_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, line: int, said: str
) -> None:
    file = tmp_path / "capture.gz"
    file.write_bytes(content)
    assert check(file) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{file}:{line}: error: " if line else f"{file}")
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_small_size_on_the_simulated_exchange_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "maker.yaml"
    file.write_text(MAKER.replace("0.004", "0.001"), encoding="utf-8")
    assert check(file, ROOT / "configs/accounts") == 0
    assert "spec.baseSize: at a price around 61800 this is close to the least notional of 50" in capsys.readouterr().err


def test_a_symbol_that_the_simulated_exchange_lacks_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker, account = tmp_path / "maker.yaml", tmp_path / "account.yaml"
    maker.write_text(MAKER.replace("BTCUSDT", "XRPUSDT"), encoding="utf-8")
    committed = (ROOT / "configs/accounts/simulator.yaml").read_text(encoding="utf-8")
    account.write_text(committed.replace("BTCUSDT", "XRPUSDT"), encoding="utf-8")
    assert check(maker, account) == 1
    assert "XRPUSDT is not on the simulated exchange (it lists BTCUSDT" in capsys.readouterr().err
