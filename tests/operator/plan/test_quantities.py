import pytest
from phoenix_operator.plan.quantities import canonical_quantity


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("1", "1"),
        ("0", "0"),
        ("1000m", "1"),
        ("100m", "100m"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("1500m", "1500m"),
        ("1000", "1k"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("256Mi", "256Mi"),
        ("1Ki", "1Ki"),
        ("1000M", "1G"),
        ("500M", "500M"),
        ("256k", "256k"),
    ],
)
def test_a_quantity_is_written_as_the_api_server_writes_it_back(written, canonical):
    assert canonical_quantity(written) == canonical
    assert canonical_quantity(canonical) == canonical
