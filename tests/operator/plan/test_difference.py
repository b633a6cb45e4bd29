import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_operator.names import Annotation
from phoenix_operator.plan.difference import difference, sealed

WISHED = sealed(
    {
        "kind": "Deployment",
        "metadata": {"name": "btc", "labels": {"a": "b"}},
        "spec": {
            "replicas": 1,
            "paused": False,
            "args": ["worker", "--http"],
            "containers": [
                {"name": "worker", "image": "phoenix:1", "volumeMounts": [{"mountPath": "/a", "name": "v"}]},
            ],
        },
    }
)


def changed(*path_and_value):
    *path, value = path_and_value
    live = copy.deepcopy(WISHED)
    at = live
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return live


def test_an_object_as_wished_shows_no_difference():
    assert difference(WISHED, copy.deepcopy(WISHED)) == ""


@pytest.mark.parametrize(
    "live",
    [
        pytest.param(changed("metadata", "labels", {"a": "b", "team": "desk"}), id="a label of somebody's"),
        pytest.param(changed("metadata", "annotations", "other", "x"), id="an annotation of somebody's"),
        pytest.param(changed("status", {"replicas": 3}), id="the status"),
        pytest.param(changed("spec", "dnsPolicy", "ClusterFirst"), id="the server's default"),
        pytest.param(
            changed("spec", "containers", [{"name": "mesh"}, WISHED["spec"]["containers"][0]]),
            id="a sidecar before ours",
        ),
    ],
)
def test_what_others_add_is_no_difference(live):
    assert difference(WISHED, live) == ""


@pytest.mark.parametrize(
    ("live", "told"),
    [
        pytest.param(changed("spec", "replicas", 3), "spec.replicas is 3, wished 1", id="a number"),
        pytest.param(changed("spec", "paused", 0), "spec.paused is 0, wished False", id="0 is not false"),
        pytest.param(changed("spec", "replicas", None), "spec.replicas is missing", id="a field that went"),
        pytest.param(
            changed("spec", "containers", 0, "image", "other:1"),
            "spec.containers[worker].image is other:1, wished phoenix:1",
            id="inside a named item",
        ),
        pytest.param(
            changed("spec", "containers", []), "spec.containers[worker] is missing", id="a named item that went"
        ),
        pytest.param(
            changed("spec", "args", ["worker", "--http", "--more"]),
            "spec.args is a list of 3, wished a list of 2",
            id="a plain list that grew",
        ),
        pytest.param(
            changed("spec", "args", ["--http", "worker"]), "spec.args[0] is --http, wished worker", id="another order"
        ),
        pytest.param(
            changed("spec", "containers", 0, "volumeMounts", [{"mountPath": "/b", "name": "v"}]),
            "spec.containers[worker].volumeMounts[/a] is missing",
            id="mounts by their path",
        ),
        pytest.param(changed("spec", "args", "worker"), "spec.args is worker, wished a list of 2", id="another kind"),
    ],
)
def test_the_first_wished_field_that_differs_is_told_with_both_values(live, told):
    assert difference(WISHED, live) == told


def test_a_field_that_is_no_longer_wished_shows_by_the_digest_of_the_whole_wish():
    less = copy.deepcopy(WISHED)
    del less["spec"]["args"], less["metadata"]["annotations"]
    assert difference(sealed(less), WISHED).startswith(f"metadata.annotations.{Annotation.WISHED.value} is ")


plain = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abcd"), plain, min_size=1), st.dictionaries(st.sampled_from("xyz"), plain))
def test_whatever_is_wished_is_there_once_it_was_written_beside_whatever_others_wrote(wished, foreign):
    assert difference(wished, copy.deepcopy(wished) | foreign) == ""


@given(st.dictionaries(st.sampled_from("abcd"), plain, min_size=1), st.data())
def test_a_wished_field_that_is_missing_is_always_seen(wished, data):
    gone = data.draw(st.sampled_from(sorted(wished)))
    assert difference(wished, {key: value for key, value in wished.items() if key != gone}) == f"{gone} is missing"
