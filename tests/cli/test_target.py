"""What a command is about, of all that may be typed and be there."""

import argparse
import os

import pytest
import yaml
from phoenix_cli.__main__ import main
from phoenix_cli.cluster.place import Place
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.runfile import RunFile, write_run_file
from phoenix_cli.local.view import RunView
from phoenix_cli.refusal import Refused
from phoenix_cli.target import Target, add_cluster_arguments, add_target_arguments, chosen

READS, ACTS = False, True


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The XDG state directory of a machine on which nothing runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "phoenix"


@pytest.fixture
def run(state):
    """A demo that goes on."""
    directory = StateDirectory(state / "demo")
    with directory.locked():
        view = RunView(title="demo", elapsed_s=1.0)
        write_run_file(directory, RunFile(os.getpid(), view, "unix:///run/demo.sock"))
        yield directory


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A kubeconfig whose current context is `kind-phoenix`."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump({"current-context": "kind-phoenix"}))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def choose(*arguments: str, acts: bool, name: str = "default", plugin: bool = False) -> Target | Place:
    parser = argparse.ArgumentParser()
    add_target_arguments(parser)
    add_cluster_arguments(parser, many=not acts)
    parser.set_defaults(plugin=plugin)
    return chosen(parser.parse_args(arguments), name, acts=acts)


@pytest.mark.parametrize("acts", [READS, ACTS], ids=["reads", "acts"])
@pytest.mark.usefixtures("state")
class TestWhatIsThere:
    def test_nothing_at_all_says_how_each_is_named(self, acts):
        with pytest.raises(Refused, match=r"no run is going on in .*--state-dir.*--context"):
            choose(acts=acts)

    @pytest.mark.usefixtures("run")
    def test_a_run_alone_is_meant(self, acts):
        target = choose(acts=acts)
        assert isinstance(target, Target)
        assert target.url == "unix:///run/demo.sock"

    @pytest.mark.usefixtures("cluster")
    def test_a_cluster_alone_is_meant(self, acts):
        assert choose(acts=acts) == Place()

    @pytest.mark.usefixtures("run", "cluster")
    def test_kubectls_user_means_kubectls_cluster(self, acts):
        assert choose(acts=acts, plugin=True) == Place()


@pytest.mark.usefixtures("run", "cluster")
def test_of_a_run_and_a_cluster_what_reads_takes_the_run_and_says_so(capsys):
    assert isinstance(choose(acts=READS), Target)
    said = capsys.readouterr().err
    assert said == "this is the run on this machine; a cluster is configured, too: -n NAMESPACE for kind-phoenix\n"


@pytest.mark.usefixtures("cluster")
def test_of_a_run_and_a_cluster_what_acts_has_to_be_told(run):
    with pytest.raises(Refused) as refusal:
        choose(acts=ACTS)
    assert str(refusal.value) == (
        f"a run goes on in {run.root}, and a cluster is configured: say which is meant,"
        " local/default for the run or -n NAMESPACE for kind-phoenix"
    )
    assert isinstance(choose("--state-dir", str(run.root), acts=ACTS), Target)
    assert choose("-n", "trading", acts=ACTS) == Place(namespace="trading")


@pytest.mark.parametrize("acts", [READS, ACTS], ids=["reads", "acts"])
@pytest.mark.usefixtures("run", "cluster")
def test_of_a_run_and_a_cluster_the_namespace_of_a_name_says_which(acts, capsys):
    assert isinstance(choose(acts=acts, name="local/default"), Target)
    assert choose(acts=acts, name="trading/default") == Place()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("acts", [READS, ACTS], ids=["reads", "acts"])
@pytest.mark.usefixtures("state", "cluster")
def test_without_a_run_a_namespace_local_is_one_of_the_cluster(acts):
    assert choose(acts=acts, name="local/default") == Place()


@pytest.mark.parametrize(
    ("typed", "acts", "meant"),
    [
        (["--context", "x"], ACTS, Place(context="x")),
        (["--kubeconfig", "f", "-n", "trading"], ACTS, Place(kubeconfig="f", namespace="trading")),
        (["-A"], READS, Place(everywhere=True)),
        (["-n", "trading", "--redis", "redis://h/0"], READS, Place(namespace="trading")),
        (["--redis", "redis://h/0"], READS, Target("redis://h/0", None)),
        (["--redis", "redis://h/0"], ACTS, Target("redis://h/0", None)),
    ],
    ids=["context", "kubeconfig", "all-namespaces", "live-figures", "redis", "redis-acts"],
)
@pytest.mark.usefixtures("run", "cluster")
def test_what_is_named_is_meant(typed, acts, meant):
    assert choose(*typed, acts=acts) == meant


@pytest.mark.parametrize(
    ("typed", "acts"),
    [
        (["--context", "x", "--state-dir", "d"], READS),
        (["--context", "x", "--state-dir", "d"], ACTS),
        (["-n", "x", "--redis", "redis://h/0"], ACTS),
        (["--redis", "redis://h/0", "--state-dir", "d"], ACTS),
    ],
    ids=["run-and-cluster", "run-and-cluster-acts", "redis-and-cluster-acts", "redis-and-run"],
)
@pytest.mark.usefixtures("state")
def test_two_that_are_named_are_refused(typed, acts):
    with pytest.raises(Refused, match="leave one of them out"):
        choose(*typed, acts=acts)


def test_a_namespace_beside_all_of_them_is_wrong_usage():
    with pytest.raises(SystemExit) as ended:
        choose("-A", "-n", "trading", acts=READS)
    assert ended.value.code == 2


@pytest.mark.parametrize("acts", [READS, ACTS], ids=["reads", "acts"])
def test_a_plug_in_still_takes_the_run_that_is_named(run, acts):
    assert isinstance(choose("--state-dir", str(run.root), acts=acts, plugin=True), Target)


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("command", [["status"], ["top"], ["stop", "x", "--reason", "r"]], ids=lambda words: words[0])
def test_a_kubeconfig_that_is_none_is_one_sentence(command, cluster, capsys):
    cluster.write_text("a: [")
    assert main(command) == 1
    assert capsys.readouterr().err == (
        f"phoenix {command[0]}: the kubeconfig {cluster} cannot be read: mend it, or name another with --kubeconfig\n"
    )


@pytest.mark.usefixtures("state")
def test_top_has_no_screen_for_a_redis_alone(capsys):
    assert main(["top", "--redis", "redis://127.0.0.1:1/0"]) == 1
    assert "phoenix status --redis URL" in capsys.readouterr().err
