import argparse
import json

import msgspec
import pytest
from phoenix_cli import replay as command
from phoenix_cli.refusal import Refused
from phoenix_worker.runtime.replay import Difference, Orders, Report, ShadowReport

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


def test_what_is_no_recording_is_refused_with_other_parameters_too(tmp_path):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(Refused, match="holds no recording"):
        command.run(parser.parse_args([str(tmp_path), "--parameters", "maker.yaml"]))


def test_parameters_are_a_file_and_no_tree_is_searched_for_them(tmp_path):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(Refused, match="is a directory: name the file"):
        command.run(parser.parse_args([str(tmp_path), "--parameters", str(tmp_path)]))


def test_a_shadow_is_told_beside_the_live_engine_and_its_differences_are_its_own(monkeypatch, capsys):
    shadow = ShadowReport(events=40, decisions=9, differing=1, orders=Orders(places=3, amends=2, cancels=1))
    difference = msgspec.structs.replace(OTHER.differences[0], shadow=True)
    report = msgspec.structs.replace(OTHER, differences=[difference], orders=Orders(places=5), shadow=shadow)
    assert replayed(monkeypatch, report) == 1
    said = capsys.readouterr().out
    assert "shadow, beside 40 of the events: 3 places, 2 amends, 1 cancels; the live engine: 5 places" in said
    assert "shadow at event 42 of 00000001.phx" in said
