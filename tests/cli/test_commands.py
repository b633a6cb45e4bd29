"""The table of commands: what `phoenix` says before any command runs, and how each of them ends."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from phoenix_cli import check
from phoenix_cli.__main__ import COMMANDS, main
from phoenix_cli.refusal import Refused


def test_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command.name in text and command.summary in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_help_of_a_command_shows_an_example(command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command.name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: phoenix {command.name}" in text
    assert "example" in text


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_example_of_a_command_is_one_of_it(command) -> None:
    assert command.example.startswith(f"phoenix {command.name}")


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"phoenix {version('phoenix-market-maker')}\n"


def test_as_kubectls_plug_in_it_names_itself_as_it_is_typed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-phoenix"])
    assert main(["--help"]) == 0
    assert "usage: kubectl phoenix COMMAND" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["status", "--help"])
    assert "usage: kubectl phoenix status" in capsys.readouterr().out
    assert main(["statu"]) == 2
    assert "kubectl phoenix: no command 'statu', did you mean 'status'?" in capsys.readouterr().err


def test_kubectls_plug_in_means_a_cluster_and_no_run(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-phoenix"])
    assert main(["status"]) == 1
    assert "kubectl phoenix status: no kubeconfig at " in capsys.readouterr().err


def test_nothing_at_all_is_wrong_usage_and_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: phoenix COMMAND" in capsys.readouterr().err


def test_a_mistyped_command_is_wrong_usage_and_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dmeo"]) == 2
    assert "did you mean 'demo'?" in capsys.readouterr().err


def test_a_refusal_is_one_line_on_stderr_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> int:
        raise Refused("no such thing: do the other thing")

    monkeypatch.setattr(check, "run", refuse)
    assert main(["check", "-f", "x"]) == 1
    assert capsys.readouterr() == ("", "phoenix check: no such thing: do the other thing\n")


def test_an_interrupt_ends_as_a_shell_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "run", interrupt)
    assert main(["check", "-f", "x"]) == 130


def test_a_reader_that_leaves_is_no_error_of_ours() -> None:
    program = f"{sys.executable} -m phoenix_cli check -f configs -o json"
    ended = subprocess.run(["/bin/sh", "-c", f"{program} | head -c 1"], capture_output=True, text=True, check=False)
    assert ended.stdout == "{"
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr


def test_a_terminal_that_is_not_utf_8_gets_escapes_and_no_crash(tmp_path) -> None:
    file = tmp_path / "maker.yaml"
    file.write_text("a: [", encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "phoenix_cli", "check", "-f", str(file), "\u00e4bsent.yaml"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "\\xe4bsent.yaml: error: cannot be read" in ended.stderr


def test_the_table_imports_nothing_that_a_command_pays_for() -> None:
    code = (
        "import sys; from phoenix_cli.__main__ import main; main(['--help']);"
        "print(sorted({'rich', 'aiohttp', 'pydantic', 'websockets', 'kubernetes', 'kopf'}"
        " & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.strip() == "[]"


@pytest.mark.parametrize("command", ["stop", "resume", "status", "top"])
def test_on_this_machine_nobody_pays_for_a_client_of_clusters(command) -> None:
    code = (
        f"import sys; from phoenix_cli.__main__ import main; main(['{command}', *sys.argv[1:]]);"
        "print(sorted({'kubernetes', 'kopf', 'phoenix_operator.cluster'} & set(sys.modules)), file=sys.stderr)"
    )
    arguments = {"stop": ["x", "--reason", "r"], "resume": ["x", "--epoch", "1"]}.get(command, [])
    nowhere = ["--state-dir", "/nowhere"]
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments, *nowhere], capture_output=True, text=True, check=True
    )
    assert ended.stderr.splitlines()[-1] == "[]"


def test_a_report_that_names_a_directory_is_refused_before_anything_runs(tmp_path, capsys) -> None:
    assert main(["demo", "--report", str(tmp_path), "--for", "1s"]) == 1
    assert capsys.readouterr().err == f"phoenix demo: --report {tmp_path}: is a directory: name a file in it\n"
