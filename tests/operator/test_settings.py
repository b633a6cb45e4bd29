"""The operator's configuration is read strictly: each mistake with its line and what to do."""

import pytest
from phoenix_crds.problems import InvalidResourceError
from phoenix_operator.settings import ResourcePreset, Settings, parse_settings


def test_an_image_is_enough():
    settings = parse_settings("operator.yaml", b"image: phoenix:dev\n")
    assert settings == Settings(image="phoenix:dev")
    assert (settings.max_concurrent_rolls, settings.roll_on_upgrade, settings.namespaces) == (1, False, ())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds 0 documents"),
        (b"namespaces: [a]\n", "image: is required"),
        (b"image: x\nworker: 3\n", "operator.yaml:2: error: worker: unknown field (did you mean workers?)"),
        (b"image: x\nworkers: 0\n", "workers: must be at least 1"),
        (b"image: x\nresources: {preset: Dedicated, cpu: 200m}\n", "gets whole CPUs"),
        (b"image: x\nresources: {memory: 500K}\n", "resources.memory"),
        (b"image: x\nresources: {cpu: 12.5m}\n", "whole thousandths"),
        (b"image: x\nresources: {memory: 0Mi}\n", "more than none"),
        (b"image: x\nleaderElection: {renewDeadline: 20s}\n", "two operators would act at once"),
        (b"image: x\noutageThreshold: 0.5\n", "put it in quotes"),
        (b"image: x\nnamespaces: [Trading]\n", "namespaces[0]"),
        (b"image: x\nresyncPeriod: 1s\n", "resyncPeriod: 1s is outside 10s"),
        (b"image: x\n---\nimage: y\n", "holds 2 documents"),
    ],
    ids=[
        *("empty", "no image", "unknown", "too few", "half a CPU", "no unit", "half a thousandth", "none"),
        *("election", "float", "name", "duration", "twice"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(content, told):
    with pytest.raises(InvalidResourceError) as refused:
        parse_settings("operator.yaml", content)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("resources", "cpu", "memory", "is_limited"),
    [
        ({}, "100m", "256Mi", False),
        ({"preset": "Dedicated"}, "1", "512Mi", True),
        ({"cpu": "250m", "memory": "1Gi"}, "250m", "1Gi", False),
    ],
    ids=["shared", "dedicated", "own figures"],
)
def test_presets_give_figures(resources, cpu, memory, is_limited):
    found = Settings.model_validate({"image": "x", "resources": resources}).resources
    assert (found.cpu_quantity, found.memory_quantity, found.cpu_is_limited) == (cpu, memory, is_limited)
    assert found.preset in set(ResourcePreset)
