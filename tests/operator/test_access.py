"""What the API server says of a namespace, and what that means where our rights there are missing."""

import pytest
from phoenix_operator.cluster.access import Presence, presence_of
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import NAMESPACES


class Telling:
    """A client that has one answer to who asks for a namespace."""

    def __init__(self, answer: dict[str, object] | ClusterFault | None) -> None:
        self._answer = answer

    async def get(self, resource, namespace, name):
        assert (resource, namespace, name) == (NAMESPACES, None, "trading")
        if isinstance(self._answer, ClusterFault):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "presence"),
    [
        pytest.param({"metadata": {"name": "trading"}}, Presence.THERE, id="there"),
        pytest.param({"metadata": {"deletionTimestamp": "2026-11-21T12:00:00Z"}}, Presence.ENDING, id="being deleted"),
        pytest.param(None, Presence.ABSENT, id="not there"),
        pytest.param(ClusterFault(Fault.FORBIDDEN, "no"), Presence.UNKNOWN, id="may not ask"),
        pytest.param(ClusterFault(Fault.UNREACHABLE, "no"), Presence.UNKNOWN, id="nobody answers"),
    ],
)
async def test_a_namespace_is_there_ends_is_absent_or_nobody_says(answer, presence):
    assert await presence_of(Telling(answer), "trading") is presence
