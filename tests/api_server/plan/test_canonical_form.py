"""What a real server gives back of a child shows no difference to what was wished: at rest nothing is written."""

import pytest
from manifests_of import account_manifest, maker_manifest
from phoenix_operator.names import FIELD_MANAGER
from phoenix_operator.plan import children, resolved
from phoenix_operator.plan.difference import difference
from phoenix_operator.plan.observed import account_resource, maker_resource
from phoenix_operator.settings import Settings

PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps/{}",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments/{}",
    "Job": "/apis/batch/v1/namespaces/{}/jobs/{}",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/{}",
}
SETTINGS = {
    "the defaults": {"image": "phoenix:1"},
    "everything set": {
        "image": "registry.example/phoenix:1",
        "imagePullPolicy": "Always",
        "imagePullSecrets": ["pull"],
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [
            {"key": "trading", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
            {"key": "team", "value": "desk"},
        ],
        "priorityClassName": "trading",
        "resources": {"preset": "Dedicated", "cpu": "2", "memory": "1024Mi"},
        "podSecurity": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
        "podLabels": {"mesh": "off"},
        "podAnnotations": {"example.com/scrape": "true"},
        "propagatedLabels": ["team"],
    },
    "odd quantities": {"image": "phoenix:1", "resources": {"cpu": "0.5", "memory": "1.5Gi"}},
}


@pytest.fixture(params=SETTINGS)
def rendered(request, namespace):
    settings = Settings.model_validate(SETTINGS[request.param])
    maker, account = maker_manifest(standby=True), account_manifest()
    maker["metadata"] |= {"namespace": namespace, "uid": "u-1", "generation": 3, "labels": {"team": "desk"}}
    account["metadata"] |= {"namespace": namespace, "uid": "u-2", "generation": 1}
    one, of = maker_resource(maker), account_resource(account)
    wanted = resolved.resolve(one.meta, one.spec, of, stage=None, withdrawn=False)
    template = children.template_hash(wanted, settings)
    return {
        "ConfigMap": children.config_map(one, template, wanted.data, settings),
        "Deployment": children.deployment(one, wanted, template, settings),
        "Job": children.withdraw_job(one, wanted, template, settings),
        "PodDisruptionBudget": children.budget(one, settings),
    }


@pytest.mark.parametrize("kind", PATHS)
def test_what_the_server_gives_back_is_as_it_was_wished(api_server, namespace, rendered, kind):
    wished = rendered[kind]
    path = PATHS[kind].format(namespace, wished["metadata"]["name"])
    first = api_server.admin.apply(path, wished, FIELD_MANAGER).expect()
    assert difference(wished, first) == ""
    again = api_server.admin.apply(path, wished, FIELD_MANAGER, force="true").expect()
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
