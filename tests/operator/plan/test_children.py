import json
from pathlib import Path

import pytest
from phoenix_operator.names import Annotation, Label
from phoenix_operator.plan import children
from phoenix_operator.plan.difference import digest
from phoenix_operator.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
EVERYTHING_SET = {
    "image": "registry.example/phoenix:1",
    "imagePullSecrets": ["pull"],
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "trading", "operator": "Exists", "effect": "NoSchedule"}],
    "priorityClassName": "trading",
    "resources": {"preset": "Dedicated", "memory": "1024Mi"},
    "podLabels": {"mesh": "off"},
    "podAnnotations": {"example.com/scrape": "true"},
}


@pytest.fixture
def rendered(maker, wanted, platform):
    """All children of a maker, by kind, as they are applied."""

    def make(settings=platform, **spec):
        one = maker(**spec)
        content = wanted(one)
        template = children.template_hash(content, settings)
        return {
            "Deployment": children.deployment(one, content, template, settings),
            "ConfigMap": children.config_map(one, template, content.data, settings),
            "PodDisruptionBudget": children.budget(one, settings),
            "Job": children.withdraw_job(one, content, template, settings),
        }

    return make


def pod_of(manifest):
    return manifest["spec"]["template"]["spec"]


@pytest.mark.parametrize("kind", ["Deployment", "Job", "PodDisruptionBudget"])
def test_a_rendering_that_changes_has_a_new_revision_and_a_new_golden_file(rendered, kind):
    """After raising TEMPLATE_REVISION (a change of pods alone needs that): write what is printed into the file."""
    golden = json.loads((GOLDEN / f"{kind.lower()}.json").read_text())
    manifest = rendered()[kind]
    assert manifest == golden["manifest"], json.dumps(manifest, indent=1)
    assert golden["revision"] == children.TEMPLATE_REVISION


def test_the_template_hash_of_a_revision_never_changes(wanted, platform):
    """Else every pod of a version that is already out would be replaced by an operator that only looks at it."""
    assert children.template_hash(wanted(), platform, revision=1) == "3f9c4c9da2"
    assert children.template_hash(wanted(), Settings.model_validate(EVERYTHING_SET), revision=1) == "58f45cfa25"


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
@pytest.mark.parametrize("settings", [None, EVERYTHING_SET], ids=["defaults", "everything set"])
def test_a_pod_passes_pod_security_restricted(rendered, platform, kind, settings):
    pod = pod_of(rendered(platform if settings is None else Settings.model_validate(settings))[kind])
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(pod)
    assert all(set(volume) & {"configMap", "secret", "emptyDir"} for volume in pod["volumes"])


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_a_pod_has_no_token_and_no_secret_but_as_files(rendered, kind):
    pod = pod_of(rendered()[kind])
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert [each["name"] for each in container["env"]] == ["POD_UID"]
    assert "envFrom" not in container
    assert not any("subPath" in mount for mount in container["volumeMounts"])


def test_whatever_a_resource_says_image_account_and_mounts_are_the_operators(rendered):
    usual = pod_of(rendered()["Deployment"])
    other = pod_of(
        rendered(name="other", symbol="ETHUSDT", mode="DryRun", standby=True, onDelete="Flatten")["Deployment"]
    )
    for field in ("serviceAccountName", "securityContext"):
        assert other[field] == usual[field]
    for field in ("image", "command", "args", "env", "volumeMounts", "securityContext"):
        assert other["containers"][0][field] == usual["containers"][0][field]


def test_a_dedicated_worker_is_guaranteed_whole_cpus_in_the_servers_spelling(rendered):
    (container,) = pod_of(rendered(Settings.model_validate(EVERYTHING_SET))["Deployment"])["containers"]
    assert container["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi"},
        "requests": {"cpu": "1", "memory": "1Gi"},
    }


def test_a_job_serves_nothing_is_bounded_and_never_counts_as_a_worker(rendered):
    job = rendered()["Job"]
    (container,) = pod_of(job)["containers"]
    assert not {"ports", "livenessProbe", "readinessProbe", "startupProbe"} & set(container)
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (3, 120)
    selector = rendered()["Deployment"]["spec"]["selector"]["matchLabels"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert any(labels.get(key) != value for key, value in selector.items())


def test_every_child_belongs_to_its_maker_and_blocks_no_deletion(rendered):
    for manifest in rendered().values():
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("MarketMaker", "uid-btcusdt", True)
        assert owner["blockOwnerDeletion"] is False
        assert manifest["metadata"]["labels"][Label.MAKER.value] == "btcusdt"
        assert manifest["metadata"]["annotations"][Annotation.WISHED.value]


def test_the_selector_names_what_never_changes(rendered):
    before = rendered()["Deployment"]["spec"]["selector"]
    after = rendered(Settings.model_validate(EVERYTHING_SET), mode="DryRun", standby=True)["Deployment"]["spec"][
        "selector"
    ]
    assert before == after
    pod = rendered()["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert before["matchLabels"].items() <= pod.items()


def test_only_listed_labels_of_a_maker_are_handed_on_and_never_to_pods(rendered):
    settings = Settings(image="phoenix:1", propagatedLabels=["team"])
    found = rendered(settings, _labels={"team": "desk", "private": "x", Label.MAKER.value: "forged"})["Deployment"]
    assert found["metadata"]["labels"]["team"] == "desk"
    assert "private" not in found["metadata"]["labels"]
    assert found["metadata"]["labels"][Label.MAKER.value] == "btcusdt"
    assert "team" not in found["spec"]["template"]["metadata"]["labels"]


def test_the_longest_name_fits_into_every_name_that_is_made_of_it(maker, wanted, platform):
    one = maker("m" * 52)
    assert not one.problem
    template = children.template_hash(wanted(one), platform)
    assert len(children.config_map_name(one.meta.name, template)) <= 63
    assert len(children.job_name(one.meta.name)) <= 63


def test_nothing_is_written_that_the_server_would_leave_out(rendered):
    def empty(value):
        if isinstance(value, dict):
            return [key for key, each in value.items() if each in ({}, [], None) or empty(each)]
        return [each for each in value if empty(each)] if isinstance(value, list) else []

    for settings in (Settings(image="a"), Settings.model_validate(EVERYTHING_SET)):
        for manifest in rendered(settings).values():
            assert empty(manifest) == []


def test_the_digest_of_data_does_not_depend_on_the_order_of_its_fields():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})
