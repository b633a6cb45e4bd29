"""Alerts fire when they should and are silent when they should be, as Prometheus itself evaluates them."""

import subprocess
from collections import defaultdict
from pathlib import Path

import yaml
from metric_definitions import unknown_in

CASES = Path(__file__).with_name("alerts_test.yaml")
SEVERITIES = {"critical", "warning"}


def test_every_case_comes_out_as_it_is_written(promtool):
    done = subprocess.run(
        [promtool, "test", "rules", CASES.name], cwd=CASES.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(alerts):
    shown = defaultdict(set)
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for look in case["alert_rule_test"]:
            shown[look["alertname"]].add("fires" if look.get("exp_alerts") else "is silent")
    assert shown == {alert: {"fires", "is silent"} for alert in alerts}


def test_every_alert_says_how_grave_it_is_what_it_is_and_where_help_is(alerts):
    for name, rule in alerts.items():
        assert name.startswith("Phoenix"), name
        assert set(rule["labels"]) == {"severity"}, name
        assert rule["labels"]["severity"] in SEVERITIES, name
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{name}.md"), name


def test_alerts_ask_for_metrics_and_labels_that_there_are(alerts, definitions):
    assert [each for rule in alerts.values() for each in unknown_in(rule["expr"], definitions)] == []


def test_no_two_alerts_have_one_name():
    groups = yaml.safe_load((CASES.parents[2] / "charts/phoenix/files/alerts.yaml").read_text())["groups"]
    names = [rule["alert"] for group in groups for rule in group["rules"]]
    assert len(names) == len(set(names))
