"""What the chart's values do: each changes what is rendered; what cannot be is refused before anything is installed."""

import json
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
import yaml
from chart import CHART, SYSTEM, helm, render_all, template
from phoenix_crds.problems import InvalidResourceError
from phoenix_operator.settings import parse_settings

# Under which every value has something to change.
EVERYTHING: dict[str, Any] = {
    "crds.install": False,  # they are long
    "exchange.enabled": True,
    "monitoring.podMonitors": "Always",
    "monitoring.prometheusRule": "Always",
    "monitoring.dashboards.enabled": True,
}
# Another legal value of each that is neither on nor off.
ANOTHER: dict[str, Any] = {
    "image.repository": "registry.example.com:5000/desk/phoenix",
    "image.tag": "0.9",
    "image.digest": f"sha256:{'0' * 64}",
    "image.pullPolicy": "Always",
    "image.pullSecrets": ["registry"],
    "operator.replicas": 1,
    "operator.logLevel": "debug",
    "operator.resources.requests.cpu": "200m",
    "operator.resources.requests.memory": "300Mi",
    "operator.resources.limits.memory": "300Mi",
    "operator.priorityClassName": "system-cluster-critical",
    "operator.nodeSelector": {"pool": "system"},
    "operator.tolerations": [{"operator": "Exists"}],
    "operator.podLabels": {"team": "desk"},
    "operator.podAnnotations": {"team": "the desk"},
    "operator.settings.workers": 9,
    "operator.settings.resyncPeriod": "11m",
    "operator.settings.requestTimeout": "11s",
    "operator.settings.canaryPeriod": "31s",
    "operator.settings.leaderElection.leaseDuration": "16s",
    "operator.settings.leaderElection.renewDeadline": "11s",
    "operator.settings.leaderElection.retryPeriod": "3s",
    "workers.image": f"registry.example.com/phoenix:0.1@sha256:{'0' * 64}",
    "workers.resources.preset": "Dedicated",
    "workers.resources.cpu": 2,
    "workers.resources.memory": "1.5Gi",
    "workers.priorityClass.name": "desk",
    "workers.priorityClass.value": 5,
    "workers.nodeSelector": {"pool": "trading"},
    "workers.tolerations": [{"key": "pool", "value": "trading", "effect": "NoExecute", "tolerationSeconds": 60}],
    "workers.podLabels": {"team": "desk"},
    "workers.podAnnotations": {"team": "the desk"},
    "workers.propagatedLabels": ["example.com/team"],
    "workers.maxConcurrentRolls": 2,
    "workers.outageThreshold": "0.75",
    "podSecurity.runAsUser": 1001,
    "podSecurity.runAsGroup": 1001,
    "podSecurity.fsGroup": None,
    "makers.namespaces": ["trading", "desk"],
    "redis.bundled.image": "redis:8",
    "redis.bundled.storage.size": "2Gi",
    "redis.bundled.storage.className": "fast",
    "redis.existingSecret": "mine",
    "redis.url": "rediss://other:6380/1",
    "exchange.namespace": "desk",
    "exchange.image": "phoenix:0.1",
    "exchange.seed": 8,
    "exchange.existingSecret": "mine",
    "exchange.resources.requests.cpu": "200m",
    "exchange.resources.requests.memory": "1Gi",
    "exchange.resources.limits.memory": "1Gi",
    "networkPolicies.apiServerPorts": [443, 16443],
    "networkPolicies.redisPorts": [6379, 7000],
    "monitoring.podMonitors": "Never",
    "monitoring.prometheusRule": "Never",
    "monitoring.interval": "10s",
    "monitoring.labels": {"release": "prometheus"},
    "monitoring.dashboards.labels": {"grafana": "yes"},
}
# What has to be said beside it: without it, too, nothing would be legal, or nothing would show.
BESIDE: dict[str, dict[str, Any]] = {
    "redis.bundled.enabled": {"redis.existingSecret": "mine"},
    "redis.url": {"redis.bundled.enabled": False, "redis.url": "rediss://one:6380/1"},
    "exchange.namespace": {"makers.namespaces": ["trading", "desk"]},
}


def _leaves(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What is no part with parts of its own; labels that are given are one value."""
    if not isinstance(values, dict) or not values or path.endswith(".labels"):
        yield path, values
        return
    for name, value in values.items():
        yield from _leaves(value, f"{path}.{name}" if path else name)


LEAVES = dict(_leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
SWITCHES = {path: not value for path, value in LEAVES.items() if isinstance(value, bool)}


def test_of_every_value_another_one_is_known_here():
    assert LEAVES.keys() == ANOTHER.keys() | SWITCHES.keys()
    assert not {path for path, value in ANOTHER.items() if value == LEAVES[path]}


def _given(values: dict[str, Any]) -> list[str]:
    return [f"--set-json={path}={json.dumps(value)}" for path, value in values.items()]


@pytest.mark.usefixtures("helm_program")
@pytest.mark.timeout(300)
def test_every_value_alone_changes_what_is_rendered():
    without_effect = []
    plain = render_all(*_given(EVERYTHING))
    for path, value in (SWITCHES | ANOTHER).items():
        base = EVERYTHING | BESIDE.get(path, {})
        without = render_all(*_given(base)) if path in BESIDE else plain
        other = LEAVES[path] if path in EVERYTHING else value
        if render_all(*_given(base | {path: other})) == without:
            without_effect.append(path)
    assert without_effect == []


def _configuration(*arguments: str) -> Any:
    return yaml.safe_load(template(*arguments)["ConfigMap", SYSTEM, "phoenix-operator"]["data"]["config.yaml"])


@pytest.mark.usefixtures("helm_program")
def test_redis_lets_in_every_namespace_of_makers():
    policy = template("--set=makers.namespaces={trading,desk}")["NetworkPolicy", SYSTEM, "phoenix-redis"]["spec"]
    named = policy["ingress"][0]["from"][-1]["namespaceSelector"]["matchExpressions"][0]
    assert (named["key"], named["values"]) == ("kubernetes.io/metadata.name", ["trading", "desk"])


@pytest.mark.usefixtures("helm_program")
def test_all_of_them_together_the_operator_takes():
    alone = {"redis.bundled.enabled", "redis.url", "crds.install", "makers.everywhere"}
    found = _configuration(*_given({path: v for path, v in (SWITCHES | ANOTHER).items() if path not in alone}))
    settings = parse_settings("config.yaml", yaml.safe_dump(found).encode())
    assert (settings.outage_threshold, settings.max_concurrent_rolls) == (Decimal("0.75"), 2)
    assert (settings.tolerations[0].toleration_seconds, settings.namespaces) == (60, ("trading", "desk"))


# A value of the chart, the same field of the operator's configuration, values on both sides of what may be.
_SETTING = "operator.settings."
_ELECTION = f"{_SETTING}leaderElection."
EDGES: dict[str, tuple[str, list[Any]]] = {
    f"{_SETTING}resyncPeriod": ("resyncPeriod", ["9999ms", "10s", "24h", "1441m", "1h30m", "1.5h", "10"]),
    f"{_SETTING}requestTimeout": ("requestTimeout", ["999ms", "1s", "2m", "121s", "10m"]),
    f"{_SETTING}canaryPeriod": ("canaryPeriod", ["999ms", "1s", "10m", "601s", "1h", "01s"]),
    f"{_ELECTION}leaseDuration": ("leaderElection.leaseDuration", ["10s", "10001ms", "10m", "601s", "5s"]),
    f"{_ELECTION}renewDeadline": ("leaderElection.renewDeadline", ["2400ms", "2401ms", "14999ms", "15s", "499ms"]),
    f"{_ELECTION}retryPeriod": ("leaderElection.retryPeriod", ["99ms", "100ms", "8333ms", "8334ms", "2m"]),
    f"{_SETTING}workers": ("workers", [0, 1, 64, 65]),
    "workers.resources.cpu": ("resources.cpu", ["0", "0.000", "0m", "1m", "0.5", "0.0005", "1.25", "1.5m"]),
    "workers.resources.memory": (
        "resources.memory",
        ["0", "1.5m", "1.5Gi", "1.1Gi", "1.25G", "0.0G", "0.0005k", "64Mi"],
    ),
    "workers.propagatedLabels": (
        "propagatedLabels",
        [["-a"], ["a/b/c"], ["A/b"], ["team"], ["example.com/team"], [""]],
    ),
    "workers.podLabels": ("podLabels", [{"-a": "x"}, {"a b": "x"}, {"example.com/a": "x"}, {"": "x"}]),
    "workers.podAnnotations": ("podAnnotations", [{"-a": "x"}, {"a": "x y"}, {"a": 1}]),
    "workers.nodeSelector": ("nodeSelector", [{"a_": "x"}, {"a": "x"}]),
    "workers.tolerations": (
        "tolerations",
        [[{"key": "a b", "operator": "Exists"}], [{"key": "a", "value": "x" * 64}], [{"key": "a", "effect": "No"}]],
    ),
    "workers.outageThreshold": ("outageThreshold", ["0", "1", "1.0", "1.1", "-0.1", ".5", "0.5"]),
    "workers.maxConcurrentRolls": ("maxConcurrentRolls", [0, 1, 100, 101]),
    "image.pullSecrets": ("imagePullSecrets", [["a..b"], ["a.b"], ["A"], ["-a"]]),
}


@pytest.mark.usefixtures("helm_program")
@pytest.mark.timeout(300)
def test_the_chart_takes_what_the_operator_takes():
    """Else Helm would call an installation good whose operator ends at each start."""
    base = _configuration()
    verdicts = {
        (path, json.dumps(value)): (_helm_takes(path, value), _operator_takes(base, field, value))
        for path, (field, values) in EDGES.items()
        for value in values
    }
    assert {key: verdict for key, verdict in verdicts.items() if verdict[0] is not verdict[1]} == {}
    assert {verdict for verdict, _ in verdicts.values()} == {True, False}


def _helm_takes(path: str, value: Any) -> bool:
    words = ("--set=crds.install=false", f"--set-json={path}={json.dumps(value)}")
    return helm("template", "phoenix", str(CHART), "-n", SYSTEM, *words).returncode == 0


def _operator_takes(base: Any, field: str, value: Any) -> bool:
    given = deepcopy(base)
    *parts, name = field.split(".")
    place = given
    for part in parts:
        place = place[part]
    place[name] = value
    try:
        parse_settings("config.yaml", yaml.safe_dump(given).encode())
    except InvalidResourceError:
        return False
    return True


REFUSED = {
    "a value that is none": (("image.tagg=x",), "at '/image': additional properties 'tagg' not allowed"),
    "a part that is none": (("worker.x=1",), "additional properties 'worker' not allowed"),
    "another type": (("operator.replicas=many",), "at '/operator/replicas': got string, want integer"),
    "no operator": (("operator.replicas=0",), "at '/operator/replicas': minimum: got 0, want 1"),
    "a word that is none": (("workers.resources.preset=Big",), "value must be one of 'Shared', 'Dedicated'"),
    "no namespace": (("makers.namespaces=null",), "at '/makers': missing property 'namespaces'"),
    "a namespace that cannot be": (("makers.namespaces={Trading}",), "'Trading' does not match pattern"),
    "a digest that is none": (("image.digest=sha256:1",), "at '/image/digest'"),
    "an image without a tag": (("workers.image=phoenix",), "at '/workers/image': 'phoenix' does not match pattern"),
    "a duration that is none": (("operator.settings.resyncPeriod=soon",), "'soon' does not match pattern"),
    "no Redis": (("redis.bundled.enabled=false",), "there is no Redis: set redis.bundled.enabled=true, or"),
    "two Redis": (("redis.url=rediss://r:6379/0",), "redis.url names a Redis of yours, and redis.bundled"),
    "two names of one": (
        ("redis.bundled.enabled=false", "redis.url=rediss://r:6379/0", "redis.existingSecret=s"),
        "redis.url and redis.existingSecret both name a Redis",
    ),
    "a URL that is none": (
        ("redis.bundled.enabled=false", "redis.url=http://r:6379"),
        "redis.url is none of redis://, rediss://",
    ),
    "an exchange out of reach": (
        ("exchange.enabled=true", "exchange.namespace=other"),
        'exchange.namespace "other" is none of makers.namespaces (trading)',
    ),
    "parameters of a URL that mean nothing": (
        ("redis.bundled.enabled=false", "redis.url=redis://r:6379/0?db=1"),
        "after a ? it takes ssl_ca_certs, ssl_certfile and ssl_keyfile",
    ),
    "a port that our own policies shut": (
        ("redis.bundled.enabled=false", "redis.url=rediss://r:12345/0"),
        "our network policies let nobody out there: add it to networkPolicies.redisPorts (6379, 6380, 26379)",
    ),
    "a Sentinel's port that they shut": (
        ("redis.bundled.enabled=false", r"redis.url=redis+sentinel://a\,b:26380/main"),
        "redis.url leads to port 26380",
    ),
    "the port that Sentinels have unless told shut": (
        (
            "redis.bundled.enabled=false",
            "networkPolicies.redisPorts={6379}",
            "redis.url=redis+sentinel://a/main",
        ),
        "redis.url leads to port 26379",
    ),
    "the bundled Redis's port shut": (
        ("networkPolicies.redisPorts={6380}",),
        "redis.bundled.enabled leads to port 6379",
    ),
    "no port": (("networkPolicies.redisPorts=null",), "missing property 'redisPorts'"),
    "a port that is none": (("networkPolicies.apiServerPorts={0}",), "at '/networkPolicies/apiServerPorts/0': minimum"),
    "two tags": (("image.repository=reg/phoenix:0.1",), "at '/image/repository': 'reg/phoenix:0.1' does not match"),
    "a class of Kubernetes' own": (
        ("workers.priorityClass.name=system-node-critical",),
        'workers.priorityClass.name "system-node-critical" is Kubernetes\' own',
    ),
    "a period out of bounds": (
        ("operator.settings.resyncPeriod=1s",),
        "operator.settings.resyncPeriod is 1s: write a duration from 10s to 24h",
    ),
    "two leaders": (
        ("operator.settings.leaderElection.leaseDuration=5s",),
        "retryPeriod 2s × 1.2 < renewDeadline 10s < leaseDuration 5s does not hold",
    ),
    "half a CPU of one's own": (
        ("workers.resources.preset=Dedicated", "workers.resources.cpu=1500m"),
        "workers.resources.cpu is 1500m: a Dedicated worker gets whole CPUs",
    ),
    "half a byte": (("workers.resources.memory=1.5m",), "at '/workers/resources/memory'"),
    "a taint without a key": (("operator.tolerations[0].value=x",), "at '/operator/tolerations/0'"),
    "a label's value that is none": (("monitoring.labels.release=a b",), "at '/monitoring/labels/release'"),
    "makers beside the operator": (("makers.namespaces={phoenix-system}",), "makers live apart from the operator"),
}


@pytest.mark.usefixtures("helm_program")
@pytest.mark.parametrize(("settings", "words"), REFUSED.values(), ids=list(REFUSED))
def test_it_refuses(settings: tuple[str, ...], words: str):
    done = helm("template", "phoenix", str(CHART), "-n", SYSTEM, *(f"--set={setting}" for setting in settings))
    assert done.returncode == 1
    assert words in done.stderr


@pytest.mark.usefixtures("helm_program")
@pytest.mark.parametrize(
    "url",
    [
        "redis://phoenix:the-password@r:6379/0",
        "redis://:the-password@r:6379/0",
        "rediss://r:6379/0?password=the-password",
        "rediss://r:6379/0?username=phoenix&Password=the-password",
        "redis+sentinel://r/main?sentinel_password=the-password",
        "the-password@r:6379",
    ],
)
def test_a_password_in_values_is_refused_and_not_repeated(url: str):
    settings = ("--set=redis.bundled.enabled=false", f"--set=redis.url={url}")
    done = helm("template", "phoenix", str(CHART), "-n", SYSTEM, *settings)
    assert done.returncode == 1
    assert "put the URL into a Secret with the key url" in done.stderr
    assert "the-password" not in done.stdout + done.stderr


@pytest.mark.usefixtures("helm_program")
@pytest.mark.parametrize(
    "url",
    [
        "rediss://compass:6380/0?ssl_ca_certs=/etc/ssl/passed.pem",
        "redis://[::1]:6379/0",
        r"rediss+sentinel://a\,b:26379/main/0",
        "redis://r",
    ],
)
def test_a_url_without_a_password_is_taken(url: str):
    found = template("--set=redis.bundled.enabled=false", f"--set=redis.url={url}")
    assert found["Secret", SYSTEM, "phoenix-redis"]["stringData"]["url"] == url.replace("\\", "")


@pytest.mark.usefixtures("helm_program")
def test_without_our_network_policies_no_port_is_asked_about():
    words = ("redis.bundled.enabled=false", "redis.url=rediss://r:12345/0", "networkPolicies.enabled=false")
    assert template(*(f"--set={word}" for word in words))
