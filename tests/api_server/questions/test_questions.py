"""What the chart's hooks ask, against a real API server with the rights that the chart gives, and a real Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from api_server import ApiServer
from phoenix_operator.cluster.client import ClusterClient, connect
from phoenix_operator.cluster.lease import LeaseObject
from phoenix_operator.questions import (
    NoError,
    an_operator_leads,
    main,
    makers_are_gone,
    redis_answers,
)
from redis_process import redis_client

ROOT = Path(__file__).resolve().parents[3]
SYSTEM = "phoenix-system"
OPERATOR = f"system:serviceaccount:{SYSTEM}:phoenix-operator"


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    api_server.kubectl("apply", "-k", str(ROOT / "deploy" / "operator"))
    return api_server


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[ClusterClient]:
    """As the operator's service account, which the hooks' pods have."""
    async with connect(str(server.kubeconfig_for(OPERATOR))) as client:
        client.namespace = SYSTEM
        yield client


async def test_a_release_may_go_once_it_has_no_makers_and_they_are_named_with_what_to_do():
    """On a server of its own: the whole cluster is asked about, and others' tests leave their makers."""
    with ApiServer.started() as server:
        server.install_crds()
        server.kubectl("apply", "-k", str(ROOT / "deploy" / "operator"))
        maker = yaml.safe_load((ROOT / "configs/cluster/btcusdt.yaml").read_text())
        namespace = maker["metadata"]["namespace"] = server.namespace()  # one that nobody watches
        server.kubectl("create", "-f", "-", stdin=yaml.safe_dump(maker))
        async with connect(str(server.kubeconfig_for(OPERATOR))) as client:
            with pytest.raises(NoError) as no:
                await makers_are_gone(client)
            server.kubectl("delete", "-n", namespace, "mm", "btcusdt")
            assert await makers_are_gone(client) == "no maker and no account is left"
    assert f"marketmakers {namespace}/btcusdt" in str(no.value)
    assert "kubectl delete mm,ta --all -A" in str(no.value)


async def test_a_lease_that_is_renewed_is_a_leader(client: ClusterClient):
    lease = LeaseObject(client, SYSTEM, "phoenix-operator")
    taken = await lease.take(await lease.read(), "one_of_two", 15.0)
    assert taken is not None
    with pytest.raises(NoError, match="nobody has renewed the Lease phoenix-system/phoenix-operator"):
        await an_operator_leads(client, patience_s=0.0)

    reads = 0

    class Renewing(ClusterClient):
        async def get(self, *words, **named):
            nonlocal reads, taken
            reads += 1
            if reads > 1 and taken is not None:
                taken = await lease.take(taken, "one_of_two", 15.0)
            return await client.get(*words, **named)

    renewing = object.__new__(Renewing)
    renewing.__dict__ = client.__dict__
    assert "one_of_two leads" in await an_operator_leads(renewing, patience_s=10.0)


async def test_redis_is_asked_as_a_worker_would(tmp_path: Path):
    url = tmp_path / "url"
    with redis_client() as server:
        url.write_text(f"unix://{server.connection_pool.connection_kwargs['path']}?db=0")
        assert (await redis_answers(url, patience_s=0.0)).startswith("Redis answers")
        url.write_text(f"unix://:wrong-password@{server.connection_pool.connection_kwargs['path']}?db=0")
        with pytest.raises(NoError) as no:
            await redis_answers(url, patience_s=0.0)
    assert "password" in str(no.value)
    assert "wrong-password" not in str(no.value)


def test_nobody_to_ask_is_no_yes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(["makers", "To keep it: do this"]) == 1
    told = capsys.readouterr().out
    assert "kubeconfig" in told
    assert told.endswith(". To keep it: do this\n")
    assert main(["redis"]) == 1
    assert "cannot be read" in capsys.readouterr().out
    assert [main([]), main(["who"]), main(["redis", "a", "b"])] == [2, 2, 2]
