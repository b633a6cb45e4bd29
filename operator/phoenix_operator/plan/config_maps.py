"""Which ConfigMaps there are, and what is in them: one for each template, hot values in all of them.

    in use      named by the Deployment or by a pod: never deleted
    kept        of the rest the newest, so that two are there in all: what `kubectl rollout undo` goes back to
    surplus     the others: deleted

The ConfigMap of an older template keeps its cold values (`resolved.for_template`); where they cannot be read the file
stays as it is, and the workers with it.
"""

from collections.abc import Mapping

import msgspec

from phoenix_operator.plan import children
from phoenix_operator.plan.difference import difference
from phoenix_operator.plan.facts import Child, MakerFacts
from phoenix_operator.plan.nudges import target_of
from phoenix_operator.plan.outcome import Apply, Delete
from phoenix_operator.plan.resolved import Resolved, for_template
from phoenix_operator.plan.rollout import Roll, Verdict, template_of
from phoenix_operator.settings import Settings

KEPT = 2


class ConfigMaps(msgspec.Struct, frozen=True):
    """What is to be written and deleted; `targets`: by template, what its workers shall report."""

    apply: tuple[Apply, ...]
    delete: tuple[Delete, ...]
    targets: Mapping[str, str]


def plan_config_maps(
    facts: MakerFacts, wanted: Resolved, verdict: Verdict, settings: Settings, *, target: bool
) -> ConfigMaps:
    """`target`: the template that is wished gets its ConfigMap, too, before a pod asks for it."""
    name = facts.maker.meta.name
    live = {each.meta.name.removeprefix(f"{name}-"): each for each in facts.config_maps}
    used = in_use(facts)
    kept, surplus = _sorted_out(live, used | {verdict.target} if target else used)
    applied: list[Apply] = []
    targets: dict[str, str] = {}
    for template in sorted(used | kept | ({verdict.target} if target else set())):
        there = live.get(template)
        content = _content(template, there, wanted, verdict)
        if content is None:
            continue
        targets[template] = target_of(content.hash, content.generation)
        manifest = children.config_map(facts.maker, template, content.data, settings)
        if there is None:
            applied.append(Apply(manifest, "", force=False))
        elif not there.meta.deleting and difference(manifest, there.manifest):
            applied.append(Apply(manifest, there.meta.uid, force=True))
    deleted = tuple(
        Delete("ConfigMap", live[template].meta.name, live[template].meta.uid)
        for template in sorted(surplus)
        if not live[template].meta.deleting
    )
    return ConfigMaps(tuple(applied), deleted, targets)


def in_use(facts: MakerFacts) -> set[str]:
    """Templates that the Deployment or a pod names."""
    used = {pod.template for pod in (*facts.pods, *facts.job_pods) if not pod.finished}
    if facts.deployment is not None:
        used.add(template_of(facts.deployment))
    return used - {""}


def _sorted_out(live: Mapping[str, Child], used: set[str]) -> tuple[set[str], set[str]]:
    """Of those that nobody uses: kept, surplus."""
    spare = sorted(set(live) - used, key=lambda each: (live[each].meta.created_ms, each), reverse=True)
    room = max(0, KEPT - len(used))
    return set(spare[:room]), set(spare[room:])


def _content(template: str, there: Child | None, wanted: Resolved, verdict: Verdict) -> Resolved | None:
    """What workers of a template shall read; None where that cannot be said."""
    held = verdict.roll is Roll.HELD and template == verdict.template  # rendered otherwise, and cold as today
    if template == verdict.target or held:
        return wanted
    return None if there is None else for_template(wanted, there.manifest.get("data") or {})
