"""Which cluster is meant where nobody says: the one that kubectl would take."""

import os

import pytest
import yaml
from phoenix_cli.cluster import place
from phoenix_cli.cluster.place import Place, configured, current_context, kubeconfig_files
from phoenix_cli.refusal import Refused


@pytest.fixture
def kubeconfig(tmp_path):
    def write(name: str, content: object) -> str:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content))
        return str(path)

    return write


def test_the_first_file_that_names_a_context_counts_as_for_kubectl(kubeconfig, monkeypatch):
    files = [kubeconfig("none", {}), kubeconfig("first", {"current-context": "a"})]
    files += [kubeconfig("second", {"current-context": "b"}), "/is/not/there"]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(files))
    assert current_context() == configured() == "a"
    assert [path.name for path in kubeconfig_files(None)] == ["none", "first", "second"]


def test_what_is_typed_goes_before_the_environment(kubeconfig, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", kubeconfig("environment", {"current-context": "a"}))
    assert current_context(kubeconfig("typed", {"current-context": "b"})) == "b"


@pytest.mark.parametrize("content", [None, {}, {"current-context": ""}, [1]], ids=["empty", "none", "blank", "list"])
def test_a_kubeconfig_without_a_context_configures_no_cluster(kubeconfig, monkeypatch, content):
    monkeypatch.setenv("KUBECONFIG", kubeconfig("config", content))
    assert configured() == ""


def test_in_a_pod_the_cluster_is_the_one_around_it(kubeconfig, monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.touch()
    monkeypatch.setattr(place, "_SERVICE_ACCOUNT_TOKEN", token)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.delenv("KUBECONFIG")
    assert configured() == "the cluster around this pod"
    assert kubeconfig_files(None) == []
    monkeypatch.setenv("KUBECONFIG", kubeconfig("config", {"current-context": "elsewhere"}))
    assert configured() == "elsewhere"
    monkeypatch.delenv("KUBECONFIG")
    token.unlink()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert configured() == "", "a pod without a token speaks to no cluster"


@pytest.mark.parametrize(
    ("typed", "name", "meant"),
    [
        (Place(), "btc", Place()),
        (Place(), "trading/btc", Place(namespace="trading")),
        (Place(namespace="trading"), "trading/btc", Place(namespace="trading")),
        (Place(everywhere=True), "trading/btc", Place(namespace="trading")),
        (Place(everywhere=True), "btc", Place(everywhere=True)),
    ],
)
def test_a_name_may_bring_its_namespace(typed, name, meant):
    assert typed.of_name(name) == meant


def test_a_name_of_another_namespace_than_the_typed_is_refused():
    with pytest.raises(Refused, match="a/btc is in namespace a, and -n names b"):
        Place(namespace="b").of_name("a/btc")


def test_what_named_the_cluster_names_it_again():
    assert Place().typed == ""
    assert Place(kubeconfig="f", context="x", namespace="n").typed == " --kubeconfig f --context x"
