"""In which one situation a maker is. What must be heeded first is looked at first."""

from typing import assert_never

import msgspec
from phoenix_crds import MarketMakerSpec, TradingAccountSpec, conflicts

from phoenix_operator.names import Annotation, Finalizer
from phoenix_operator.plan import children, deletion, resolved, rollout
from phoenix_operator.plan.facts import MakerFacts
from phoenix_operator.plan.outcome import Situation
from phoenix_operator.plan.ramp import Stage
from phoenix_operator.plan.resolved import Resolved
from phoenix_operator.plan.rollout import Roll, Verdict
from phoenix_operator.settings import Settings


class Found(msgspec.Struct, frozen=True):
    """A maker's situation with a word on it, and what its workers shall read, where that can be said."""

    situation: Situation
    text: str = ""
    wanted: Resolved | None = None
    verdict: Verdict | None = None


def situate(facts: MakerFacts, settings: Settings, stage: Stage) -> Found:
    """The one situation that a maker is in, from what must be heeded first."""
    maker = facts.maker
    if maker.meta.deleting:
        wanted = _wanted(facts, maker.spec, stage) if maker.spec is not None else _as_it_was(facts, stage)
        stands = deletion.progress(facts, wanted)
        gone = stands.stage is deletion.Stage.GONE
        return Found(Situation.NOTHING_LEFT if gone else Situation.DELETING, stands.text, wanted)
    if facts.namespace_terminating:
        return Found(Situation.NAMESPACE_TERMINATING, "the namespace is being deleted: nothing is made there any more")
    if maker.is_disabled:
        wanted = _wanted(facts, maker.spec, stage)
        verdict = None if wanted is None else rollout.judge(facts, wanted, settings)
        return Found(
            Situation.DISABLED, f"nothing is changed while annotation {Annotation.RECONCILE} stands", wanted, verdict
        )
    if maker.spec is None:
        return _standing(Situation.INVALID, maker.problem, facts, settings, _as_it_was(facts, stage))
    if facts.older_twin:
        text = (
            f"maker {facts.older_twin} is older and trades {maker.spec.symbol} on account {maker.spec.account_ref}:"
            " one maker a symbol and account; delete one of the two"
        )
        return Found(Situation.SYMBOL_CONFLICT, text)
    if facts.elder:
        text = (
            f"maker {facts.elder} trades {maker.spec.symbol} on an account that is older than"
            f" {maker.spec.account_ref} and the same one at the exchange: one maker a symbol; delete one of the two"
        )
        return Found(Situation.SYMBOL_CONFLICT, text)
    account = _account_to_start_on(facts, maker.spec.account_ref)
    if isinstance(account, Found):
        return account
    if facts.foreign:
        text = f"{', '.join(facts.foreign)} is there and not ours: rename the maker, or remove it"
        return _standing(Situation.CHILD_NOT_OURS, text, facts, settings, _wanted(facts, maker.spec, stage))
    refusals = [f"spec.{each.field} {each.message}: {each.hint}" for each in conflicts(maker.spec, account)]
    if refusals:
        return _standing(
            Situation.NOT_ADMITTED, "; ".join(refusals), facts, settings, _wanted(facts, maker.spec, stage)
        )
    return _at_work(facts, settings, maker.spec, stage)


def _at_work(facts: MakerFacts, settings: Settings, spec: MarketMakerSpec, stage: Stage) -> Found:
    wanted = _wanted(facts, spec, stage)
    if wanted is None:
        return Found(Situation.ACCOUNT_INVALID, "the account does not validate")
    verdict = rollout.judge(facts, wanted, settings)
    if facts.rivals and not any(not pod.finished for pod in facts.pods):
        text = f"waits until pods of another maker of {spec.symbol} have gone: {', '.join(facts.rivals)}"
        return Found(Situation.OCCUPIED, text, wanted, verdict)
    match verdict.roll:
        case Roll.FIRST:
            situation = Situation.STARTING
        case Roll.DUE:
            situation = Situation.ROLL_DUE
        case Roll.WAITS:
            situation = Situation.ROLL_WAITS
        case Roll.HELD:
            situation = Situation.HELD
        case Roll.CURRENT:
            rolling = rollout.is_rolling(facts.deployment, facts.pods)
            situation = Situation.ROLLING if rolling else Situation.STEADY
        case _:
            assert_never(verdict.roll)
    return Found(situation, verdict.text, wanted, verdict)


def _account_to_start_on(facts: MakerFacts, name: str) -> TradingAccountSpec | Found:
    """Or why nothing can be."""
    account, maker = facts.account, facts.maker
    if account is None:
        remedy = "apply it (accountRef never changes: for another account make another maker)"
        text = f"no TradingAccount {name} in namespace {maker.meta.namespace}: {remedy}"
        return Found(Situation.NO_ACCOUNT, text)
    if account.spec is None:
        return Found(Situation.ACCOUNT_INVALID, f"TradingAccount {name} does not validate: {account.problem}")
    never_started = facts.deployment is None and Finalizer.WITHDRAW not in maker.meta.finalizers
    if account.meta.deleting and never_started:
        text = f"TradingAccount {name} is being deleted, so nothing is started on it: apply it again"
        return Found(Situation.ACCOUNT_DELETED, text)
    return account.spec


def _standing(situation: Situation, text: str, facts: MakerFacts, settings: Settings, wanted: Resolved | None) -> Found:
    """Nothing is made or replaced; what runs goes on to hear of hot values, the account's switch above all."""
    verdict = None if wanted is None else rollout.judge(facts, wanted, settings)
    return Found(situation, text, wanted, verdict)


def _wanted(facts: MakerFacts, spec: MarketMakerSpec | None, stage: Stage) -> Resolved | None:
    if spec is None or facts.account is None:
        return None
    meta, conflict = facts.maker.meta, bool(facts.account_conflict)
    return resolved.resolve(meta, spec, facts.account, stage=stage.stage, withdrawn=conflict)


def _as_it_was(facts: MakerFacts, stage: Stage) -> Resolved | None:
    """A maker that does not validate, as its pods were told last, from the ConfigMap of its template or the newest; of
    that generation: what is not valid is in force nowhere.
    """
    there = {each.meta.name: each for each in facts.config_maps}
    template = "" if facts.deployment is None else rollout.template_of(facts.deployment)
    own = there.get(children.config_map_name(facts.maker.meta.name, template))
    live = own or max(there.values(), key=lambda each: (each.meta.created_ms, each.meta.name), default=None)
    pair = None if live is None else resolved.read(live.manifest.get("data") or {})
    if pair is None or facts.account is None:
        return None
    meta = msgspec.structs.replace(facts.maker.meta, generation=pair[0].metadata.generation or 0)
    conflict = bool(facts.account_conflict)
    return resolved.resolve(meta, pair[0].spec, facts.account, stage=stage.stage, withdrawn=conflict)
