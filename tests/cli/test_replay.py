import argparse
import json

import pytest
from phoenix_cli import replay as command
from phoenix_cli.refusal import Refused
from phoenix_worker.runtime.replay import Difference, Report

SAME = Report(
    events=100, decisions=7, differing=0, differences=[], notes=["cut"], complete=False, build="b1", symbol="BTCUSDT"
)
OTHER = Report(
    events=100,
    decisions=7,
    differing=1,
    differences=[Difference(42, "00000001.phx", {"bid": 1.0}, [["Place"]], [])],
    notes=[],
    complete=True,
    build="b1",
    symbol="BTCUSDT",
)


def replayed(monkeypatch, report: Report, *arguments: str) -> int:
    monkeypatch.setattr(command, "replay", lambda _: report)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(["recording", *arguments]))


def test_equal_decisions_end_with_0_and_what_is_missing_is_said(monkeypatch, capsys):
    assert replayed(monkeypatch, SAME) == 0
    assert capsys.readouterr().out == (
        "BTCUSDT, recorded by b1: 100 events, 7 with actions: every decision is the same\nnote: cut\n"
    )


def test_other_decisions_end_with_1_and_show_where_it_began(monkeypatch, capsys):
    assert replayed(monkeypatch, OTHER) == 1
    said = capsys.readouterr().out
    assert "1 events are decided otherwise" in said
    assert "event 42 of 00000001.phx: {'bid': 1.0}" in said
    assert "recorded: ['Place']" in said
    assert "replayed: nothing" in said


def test_the_report_is_there_as_json(monkeypatch, capsys):
    assert replayed(monkeypatch, OTHER, "-o", "json") == 1
    assert json.loads(capsys.readouterr().out)["differences"][0]["event_number"] == 42


def test_what_is_no_recording_is_refused(tmp_path):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(Refused, match="absent"):
        command.run(parser.parse_args([str(tmp_path / "absent")]))


def test_other_parameters_come_with_a_later_release(monkeypatch):
    with pytest.raises(Refused, match="strategy release"):
        replayed(monkeypatch, SAME, "--parameters", "maker.yaml")
