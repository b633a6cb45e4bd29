"""What a plan is made of, brought together for one resource: from the store, the census, the fleet and our own memory.

Nothing is asked of anybody here: what is not known by now is not known to the plan.
"""

import msgspec
from phoenix_crds import Mode

from phoenix_operator.census import Census, account_of
from phoenix_operator.cluster.resources import CONFIG_MAPS, DEPLOYMENTS, DISRUPTION_BUDGETS, JOBS, Json
from phoenix_operator.cluster.store import Name, Store
from phoenix_operator.fleet import Fleet
from phoenix_operator.names import Component, Finalizer, Label
from phoenix_operator.plan import children
from phoenix_operator.plan.facts import AccountFacts, AccountResource, Child, MakerFacts, MakerResource
from phoenix_operator.plan.observed import child, is_anothers, older_account, pod_fact


class Memory(msgspec.Struct):
    """What was learned by trying. `foreign`: names that are taken, and until when (monotonic s) that is believed.

    `terminating`: the namespace admits nothing new any more. `fault`: the last refusal, "" once a round went through.
    `conflicts`: rounds in a row that were begun anew because something had changed meanwhile.
    """

    foreign: dict[str, float] = {}
    terminating: bool = False
    fault: str = ""
    conflicts: int = 0


def maker_facts(
    maker: MakerResource, memory: Memory, store: Store, census: Census, fleet: Fleet, now_ms: int
) -> MakerFacts:
    """Everything about one maker."""
    name = (maker.meta.namespace, maker.meta.name)
    account = account_of(maker)
    known = census.account(account)
    pods = census.pods(name)
    seen = fleet.seen(account)
    return MakerFacts(
        maker=maker,
        account=known,
        now_ms=now_ms,
        account_conflict="" if known is None else conflict_of(known, census),
        older_twin=census.older_twin(maker),
        elder=census.elder(maker),
        rivals=_rivals(maker, store),
        foreign=tuple(sorted(memory.foreign)),
        deployment=_unless_anothers(store.get(DEPLOYMENTS, *name), maker),
        config_maps=tuple(each for each in map(child, store.children(CONFIG_MAPS, *name)) if _is_own(each, maker)),
        budget=_own(store.get(DISRUPTION_BUDGETS, *name), maker),
        job=_own(store.get(JOBS, name[0], children.job_name(name[1])), maker),
        pods=tuple(pod for pod in pods if pod.component is Component.WORKER),
        job_pods=tuple(pod for pod in pods if pod.component is Component.WITHDRAW),
        records=fleet.records_of(name),
        fleet_problem=seen.problem,
        siblings_rolling=census.siblings_rolling(maker),
        outage=fleet.outage_of(account),
        namespace_terminating=memory.terminating,
        restart=fleet.judged(name),
        history=fleet.history_of(name),
        fault=memory.fault,
    )


def account_facts(account: AccountResource, memory: Memory, census: Census, fleet: Fleet, now_ms: int) -> AccountFacts:
    """Everything about one account."""
    name = (account.meta.namespace, account.meta.name)
    makers = census.makers_of(name)
    seen = fleet.seen(name)
    return AccountFacts(
        account=account,
        now_ms=now_ms,
        makers=tuple(maker.meta.name for maker in makers),
        needed_by=tuple(maker.meta.name for maker in makers if Finalizer.WITHDRAW in maker.meta.finalizers),
        live_makers=tuple(maker.meta.name for maker in makers if _is_live(maker, census)),
        records=seen.records,
        older_twin=conflict_of(account, census),
        shared=seen.shared,
        fleet_problem=seen.problem,
        outage=fleet.outage_of(name),
        fault=memory.fault,
    )


def conflict_of(account: AccountResource, census: Census) -> str:
    """The older account that is the same one at the exchange, as `namespace/name`, else ""."""
    return older_account(account, account.status.identity, census.namesakes(account))


def _is_live(maker: MakerResource, census: Census) -> bool:
    if maker.spec is not None and maker.spec.mode is not Mode.LIVE:
        return False
    name: Name = (maker.meta.namespace, maker.meta.name)
    return any(pod.component is Component.WORKER and not pod.finished for pod in census.pods(name))


def _rivals(maker: MakerResource, store: Store) -> tuple[str, ...]:
    pods = store.pods_of((*account_of(maker), maker.symbol))
    others = (pod for pod in pods if pod["metadata"]["labels"].get(Label.MAKER) != maker.meta.name)
    return tuple(fact.name for fact in map(pod_fact, others) if not fact.finished)


def _is_own(found: Child, maker: MakerResource) -> bool:
    """Labels can be copied: a backup of a ConfigMap bears them, too. Who controls it is what counts."""
    return found.meta.controller_uid == maker.meta.uid


def _own(manifest: Json | None, maker: MakerResource) -> Child | None:
    found = None if manifest is None else child(manifest)
    return found if found is not None and _is_own(found, maker) else None


def _unless_anothers(manifest: Json | None, maker: MakerResource) -> Child | None:
    """A Deployment of our name and labels that has lost its owner runs our pods all the same: it is taken back."""
    if manifest is None or is_anothers(manifest, maker.meta):
        return None
    return child(manifest)
