import pytest
from phoenix_cli.demo import find_configs
from phoenix_cli.local.fleet import load_fleet
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.parameters import Parameters
from phoenix_crds import Emergency, read_resolved, resolved_hash


@pytest.fixture
def assignment():
    configs = find_configs()
    return load_fleet([configs / "accounts", configs / "makers" / "btcusdt.yaml"])[0]


@pytest.fixture
def parameters(tmp_path):
    return Parameters(StateDirectory(tmp_path))


def read(place):
    return read_resolved(place / "maker.yaml", place / "account.yaml")


def test_a_worker_reads_what_was_written_in_the_local_namespace(parameters, assignment):
    maker, account = read(parameters.put(assignment.maker, assignment.account))
    assert (maker.metadata.namespace, account.metadata.namespace) == ("local", "local")
    assert (maker.metadata.generation, account.metadata.generation) == (1, 1)
    assert resolved_hash(maker.spec, account.spec) == resolved_hash(assignment.maker.spec, assignment.account.spec)


def test_what_has_not_changed_is_no_new_generation(parameters, assignment):
    for _ in range(2):
        place = parameters.put(assignment.maker, assignment.account)
    assert read(place)[0].metadata.generation == 1


def test_a_changed_account_reaches_the_files_as_a_new_generation_and_nothing_else_changes(parameters, assignment):
    parameters.put(assignment.maker, assignment.account)
    spec = assignment.account.spec.model_copy(update={"emergency": Emergency.HALT})
    place = parameters.put(assignment.maker, assignment.account.model_copy(update={"spec": spec}))
    maker, account = read(place)
    assert account.spec.emergency is Emergency.HALT
    assert account.metadata.generation == maker.metadata.generation == 2
    assert maker.spec == assignment.maker.spec
