"""What the operator costs and how fast it is with many makers, over a bare client that applies the same children.

    python benchmarks/operator_fleet.py [--makers 1000]

In one run, on one API server: the floor (server-side applies of ConfigMap, Deployment and status of each maker, as many
at once as the operator has workers), the same makers' twins by an operator that is started cold, a minute in which
nothing happens, hot parameters of makers at random, and a leader that is killed. All times are the API server's audit
log's but two: the start of the operator's process and the kill. There are no kubelets, so no pods, and no worker tells
of itself in Redis: reading records and nudging pods are not in these figures.
"""

import argparse
import asyncio
import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop
from operator_cluster import (
    Cluster,
    Write,
    cluster,
    cpu_s,
    in_turn,
    is_routine,
    look_at_page,
    missing,
    names_of,
    rss_mib,
    settings,
    until,
    until_silent,
    works_on_nothing,
)
from operator_process import OperatorProcess
from phoenix_operator.census import Census
from phoenix_operator.cluster.client import ClusterClient, connect
from phoenix_operator.cluster.resources import (
    BY_KIND,
    CONFIG_MAPS,
    DEPLOYMENTS,
    MARKET_MAKERS,
    TRADING_ACCOUNTS,
    Json,
    Resource,
)
from phoenix_operator.cluster.store import Store
from phoenix_operator.fleet import Fleet
from phoenix_operator.gather import Memory, maker_facts
from phoenix_operator.names import SELECTOR, Finalizer
from phoenix_operator.plan.maker import plan_maker

MAKERS = 1000
STEADY_S = 60.0
LOOKS_S = 30.0
CHANGES = 200
BETWEEN_CHANGES_S = 0.1
_CONVERGES_S = 300.0
_TAKES_OVER_S = 60.0
_AUDIT_PAUSE_S = 2.0
"""Reading the whole log takes CPU that those who are measured want."""
_CHILDREN = frozenset({"configmaps", "deployments", "marketmakers", "marketmakers/status"})


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds, but for `rss_…` (of a process with its page, then with somebody at it), `steady_core` (a share of one)
    and what is counted a maker or a minute.

    `cold_s` from the start of the process, `writing_s` from its first write to a child or maker, both to the last one;
    `floor_s` the same of the bare client, `finalizers_s` of its adding the finalizers afterwards; `told_s` from that
    first write to the last Event: makers come first.
    """

    makers: int
    floor_s: float
    floor_cpu_s: float
    finalizers_s: float
    cold_s: float
    writing_s: float
    told_s: float
    cold_cpu_s: float
    writes_a_maker: float
    steady_a_minute: float
    routine_a_minute: float
    steady_core: float
    change_p50_s: float
    change_p99_s: float
    rss_mib: float
    rss_looked_at_mib: float
    failover_s: float


async def measure(makers: int = MAKERS) -> Figures:
    async with cluster() as world:
        _tell("floor")
        floor = await _floor(world, makers)
        _tell("makers for the operator")
        await world.fill(makers)
        _tell("operator, cold")
        began_s = time.time()
        with world.operator() as first:
            await until("the operator is through", lambda: works_on_nothing(first, makers), _CONVERGES_S)
            await _check_complete(world, makers)
            written = [each for each in world.writes() if each.resource in _CHILDREN and not is_routine(each)]
            cold_cpu_s = cpu_s(first.pid)
            _tell("silence")
            await until_silent(first, _CONVERGES_S)
            told = [each.done_s for each in world.writes() if each.resource == "events"]
            _tell("steady state")
            steady = await _steady(world, first)
            resident_mib = rss_mib(first.pid)
            _tell("somebody at the page")
            await look_at_page(first, LOOKS_S)
            looked_at_mib = rss_mib(first.pid)
            _tell("changes")
            changes_s = await _changes(world, makers)
            _tell("failover")
            with world.operator(lease=first.lease) as second:
                await until("the standby is ready", lambda: second.get("/readyz")[0] == 200, _TAKES_OVER_S)
                failover_s = await _failover(world, first)
        ended_s = max(each.done_s for each in written)
        first_s = min(each.received_s for each in written)
        return Figures(
            makers=makers,
            floor_s=floor.children_s,
            floor_cpu_s=floor.cpu_s,
            finalizers_s=floor.finalizers_s,
            cold_s=ended_s - began_s,
            writing_s=ended_s - first_s,
            told_s=max(told) - first_s,
            cold_cpu_s=cold_cpu_s,
            writes_a_maker=len(written) / makers,
            steady_a_minute=steady.others,
            routine_a_minute=steady.routine,
            steady_core=steady.core,
            change_p50_s=statistics.median(changes_s),
            change_p99_s=statistics.quantiles(changes_s, n=100)[98],
            rss_mib=resident_mib,
            rss_looked_at_mib=looked_at_mib,
            failover_s=failover_s,
        )


def _tell(stage: str) -> None:
    """It takes minutes, and what it waits for should show."""
    print(f"{time.strftime('%H:%M:%S')} {stage}", file=sys.stderr)


# -- the floor ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Floor:
    """Of a bare client: children and statuses with its CPU, then the finalizers, which nobody can do without."""

    children_s: float
    cpu_s: float
    finalizers_s: float


async def _floor(world: Cluster, makers: int) -> _Floor:
    """What is written is made before the clock runs."""
    wished = _wished(await world.fill(makers))
    guard = [{"op": "add", "path": "/metadata/finalizers", "value": [Finalizer.WITHDRAW.value]}]
    async with connect(str(world.server.kubeconfig_for("floor", "system:masters")), field_manager="floor") as client:

        async def write(each: Sequence[tuple[Resource, Json, str]]) -> None:
            for resource, manifest, subresource in each:
                await client.apply(resource, world.namespace, manifest, subresource)

        async def hold(name: str) -> None:
            await client.json_patch(MARKET_MAKERS, world.namespace, name, guard)

        cpu_before_s = time.process_time()
        await in_turn(wished, write, settings().workers)
        used_s = time.process_time() - cpu_before_s
        await in_turn([each[-1][1]["metadata"]["name"] for each in wished], hold, settings().workers)
    writes = world.writes("floor")
    finalizers = [each for each in writes if each.resource == MARKET_MAKERS.plural]
    return _Floor(
        _span_s([each for each in writes if each.resource != MARKET_MAKERS.plural]), used_s, _span_s(finalizers)
    )


def _span_s(writes: Sequence[Write]) -> float:
    """From the first request to the last answer."""
    return max(each.done_s for each in writes) - min(each.received_s for each in writes)


def _wished(made: Sequence[Json]) -> list[list[tuple[Resource, Json, str]]]:
    """By maker what the operator's own plan would apply: ConfigMap, Deployment, then the status."""
    store = Store()
    census = Census(store)
    for each in made:
        change = store.observe(TRADING_ACCOUNTS if each["kind"] == "TradingAccount" else MARKET_MAKERS, each)
        assert change is not None, "each is told once"
        census.observe(change)
    fleet = Fleet("", census, 0.5, lambda _: None)
    wished = []
    for (namespace, name), maker in census.makers:
        plan = plan_maker(maker_facts(maker, Memory(), store, census, fleet, time.time_ns() // 1_000_000), settings())
        assert plan.status is not None, "a new maker gets a status"
        assert len(plan.apply) == 2, "a new maker gets two children"
        status = {
            "apiVersion": MARKET_MAKERS.api_version,
            "kind": MARKET_MAKERS.kind,
            "metadata": {"name": name, "namespace": namespace},
            "status": plan.status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        children = [(BY_KIND[each.kind], dict(each.manifest), "") for each in plan.apply]
        wished.append([*children, (MARKET_MAKERS, status, "status")])
    return wished


# -- the operator ------------------------------------------------------------------------------------


async def _check_complete(world: Cluster, makers: int) -> None:
    """Quick is no virtue of who leaves something out."""
    found = await world.client.list(MARKET_MAKERS, world.namespace)
    unseen = [each for each in found if (each.get("status") or {}).get("observedGeneration") != 1]
    deployments = await world.client.list(DEPLOYMENTS, world.namespace, SELECTOR)
    owners = Counter(
        owner["name"]
        for each in await world.client.list(CONFIG_MAPS, world.namespace, SELECTOR)
        for owner in each["metadata"].get("ownerReferences", ())
    )
    names = names_of(found)
    if len(names) != makers or unseen or names_of(deployments) != names or owners != Counter(names):
        raise SystemExit(
            f"not converged: {len(names)} makers, {len(unseen)} without a status, {len(deployments)} Deployments,"
            f" {len(owners)} with a ConfigMap"
        )


@dataclass(frozen=True, slots=True)
class _Steady:
    """A minute's writes, and CPU as a share of a core."""

    others: float
    routine: float
    core: float


async def _steady(world: Cluster, operator: OperatorProcess) -> _Steady:
    began_s, cpu_before_s = time.time(), cpu_s(operator.pid)
    await asyncio.sleep(STEADY_S)
    ended_s, used_s = time.time(), cpu_s(operator.pid) - cpu_before_s
    written = [is_routine(each) for each in world.writes() if began_s <= each.received_s <= ended_s]
    a_minute = 60 / (ended_s - began_s)
    return _Steady(written.count(False) * a_minute, written.count(True) * a_minute, used_s / (ended_s - began_s))


async def _changes(world: Cluster, makers: int) -> list[float]:
    """From the server's getting a person's patch to its having stored the ConfigMap, of makers at random."""
    numbers = random.Random(7).sample(range(makers), min(CHANGES, makers))  # noqa: S311 - a sample, no secret
    names = [f"maker-{number:05d}" for number in numbers]
    before_s = time.time()
    for name in names:
        await world.client.merge_patch(MARKET_MAKERS, world.namespace, name, {"spec": {"minSpreadBps": 7}})
        await asyncio.sleep(BETWEEN_CHANGES_S)
    took: list[float] = []

    def all_applied() -> bool:
        asked = {each.name: each for each in world.writes("admin") if each.received_s >= before_s}
        took[:] = [
            applied.done_s - asked[name].received_s
            for name in names
            if (applied := _first_config_map(world.writes(), name, asked[name].received_s)) is not None
        ]
        return len(took) == len(names)

    await until("each change is in a ConfigMap", all_applied, _TAKES_OVER_S, _AUDIT_PAUSE_S)
    return took


async def _failover(world: Cluster, leader: OperatorProcess) -> float:
    """From the kill of the leader to the ConfigMap of a maker that is changed at once."""
    killed_s = time.time()
    leader.signal(signal.SIGKILL)
    await _patch_first(world.client, world.namespace)
    found: list[Write] = []

    def applied() -> bool:
        write = _first_config_map(world.writes(), "maker-00000", killed_s)
        found[:] = [] if write is None else [write]
        return write is not None

    await until("the standby has reconciled", applied, _TAKES_OVER_S, _AUDIT_PAUSE_S)
    return found[0].done_s - killed_s


async def _patch_first(client: ClusterClient, namespace: str) -> None:
    await client.merge_patch(MARKET_MAKERS, namespace, "maker-00000", {"spec": {"minSpreadBps": 11}})


def _first_config_map(writes: Sequence[Write], maker: str, since_s: float) -> Write | None:
    return next(
        (
            each
            for each in writes
            if each.resource == "configmaps" and each.received_s >= since_s and each.name.startswith(f"{maker}-")
        ),
        None,
    )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--makers", type=int, default=MAKERS, help="default %(default)s")
    options = parser.parse_args(argv)
    if lacks := missing():
        print(f"skipped: {lacks}")
        return 0
    figures = uvloop.run(measure(options.makers))
    for name in figures.__dataclass_fields__:
        print(f"{name:<20} {getattr(figures, name):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
