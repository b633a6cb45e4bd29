"""`python -m phoenix_operator.questions makers|operator|redis`: what the chart's own pods ask, once.

makers    `helm uninstall`: no maker and no account is left, anywhere; without the operator nobody would withdraw one
operator  `helm test`: our kinds are served, and somebody renews the Lease by which an operator leads
redis     `helm test`, where workers are: the Redis of their Secret answers, and is one that may be trusted to remember

The answer is the last line; 0 means yes.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from phoenix_coordination.redis import client as redis_client
from phoenix_coordination.redis.client import RedisFaultError, RedisUrlError

from phoenix_operator.cluster.client import ClusterClient, connect
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.lease import LeaseObject
from phoenix_operator.cluster.resources import OWN_KINDS
from phoenix_operator.settings import LeaderElection

YES, NO = 0, 1
PATIENCE_S = 60.0
"""A release that has just been installed may still be starting."""
_LOOK_S = 1.0
_TIMEOUT_S = 5.0
_TOLD = 10
REDIS_URL = Path("/etc/phoenix/redis/url")
_GRANTEE = "the operator (its roles are the chart's)"


class NoError(Exception):
    """The answer is no: why, and what to do."""


async def makers_are_gone(client: ClusterClient) -> str:
    """Of all namespaces, not only of those that are watched: what somebody else made would lose its definition, too."""
    left = []
    for kind in OWN_KINDS:
        try:
            left += [
                f"{kind.plural} {item['metadata']['namespace']}/{item['metadata']['name']}"
                for item in await client.list(kind, None)
            ]
        except ClusterFault as fault:
            if fault.fault is not Fault.NOT_FOUND:  # the definition itself has gone, and everything with it
                raise
    if not left:
        return "no maker and no account is left"
    named = ", ".join(left[:_TOLD]) + (f" and {len(left) - _TOLD} more" if len(left) > _TOLD else "")
    raise NoError(
        f"not uninstalled: {named} would be left without an operator, which withdraws the orders of what is deleted."
        " Delete them first (kubectl delete mm,ta --all -A), and uninstall again;"
        " `helm uninstall --no-hooks` goes on without asking"
    )


async def an_operator_leads(client: ClusterClient, patience_s: float = PATIENCE_S) -> str:
    """By the Lease's changes, not by its times: clocks of nodes differ."""
    for kind in OWN_KINDS:
        await client.list(kind, None)
    lease = LeaseObject(client, client.namespace, LeaderElection().lease_name)
    first = await lease.read()

    async def renewed() -> str | None:
        now = await lease.read()
        return f"the definitions are served, and {now.holder} leads" if now.holder and now != first else None

    return await _until(renewed, patience_s) or _no(
        f"nobody has renewed the Lease {lease.namespace}/{lease.name} for {patience_s:.0f} s: no operator leads;"
        " kubectl logs -l app.kubernetes.io/name=phoenix-operator says why"
    )


async def redis_answers(url_file: Path, patience_s: float = PATIENCE_S) -> str:
    """With the connection, the password and the checks of a worker."""
    fault = ""

    async def asked() -> str | None:
        nonlocal fault
        client = redis_client.connect(redis_client.read_url(f"@{url_file}"), _TIMEOUT_S)
        try:
            await client.execute_command("PING")
            server = await redis_client.check_server(client)
        except redis_client.FAULTS as error:
            fault = redis_client.fault_of(error)
            return None
        finally:
            await client.aclose()
        return f"Redis answers{f'; {server.warning}' if server.warning else ''}"

    return await _until(asked, patience_s) or _no(fault)


async def _until(look: Callable[[], Awaitable[str | None]], patience_s: float) -> str | None:
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        found = await look()
        if found is not None or asyncio.get_running_loop().time() >= deadline:
            return found
        await asyncio.sleep(_LOOK_S)


def _no(why: str) -> str:
    raise NoError(why)


async def _answer(question: str) -> str:
    if question == "redis":
        return await redis_answers(REDIS_URL)
    async with connect(None, None, _TIMEOUT_S, "phoenix", _GRANTEE) as client:
        return await (makers_are_gone if question == "makers" else an_operator_leads)(client)


def main(words: Sequence[str]) -> int:
    """The answer goes to stdout, for logs have one stream. The second word says what to do where it is no."""
    question, *then = words or ("",)
    if question not in {"makers", "operator", "redis"} or len(then) > 1:
        sys.stderr.write("usage: python -m phoenix_operator.questions makers|operator|redis [HINT]\n")
        return 2
    try:
        sys.stdout.write(asyncio.run(_answer(question)) + "\n")
    except (NoError, ClusterFault, RedisUrlError, RedisFaultError) as no:
        sys.stdout.write(". ".join([str(no), *then]) + "\n")
        return NO
    return YES


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
