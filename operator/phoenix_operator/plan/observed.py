"""From what the API server gives (decoded JSON) to facts. Pure; who watches does it once for each resourceVersion."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from phoenix_crds import AccountStatus, Instant, MakerStatus, MarketMaker, TradingAccount
from phoenix_crds.documents import Document
from phoenix_crds.validation import validate
from pydantic import BaseModel

from phoenix_operator.names import CONTAINER, Annotation, Component, Label
from phoenix_operator.plan.facts import AccountResource, Child, JobState, MakerResource, Manifest, Meta, PodFact
from phoenix_operator.plan.remembered import read_status, rescued

_LONGEST_PROBLEM = 1000
Model = TypeVar("Model", bound=BaseModel)


def meta_of(manifest: Manifest) -> Meta:
    """The metadata of any object."""
    meta = manifest["metadata"]
    controllers = (owner["uid"] for owner in meta.get("ownerReferences", ()) if owner.get("controller"))
    deleted = meta.get("deletionTimestamp")
    return Meta(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        generation=meta.get("generation", 0),
        created_ms=_ms(meta.get("creationTimestamp")),
        deleting_since_ms=_ms(deleted) if deleted else None,
        finalizers=tuple(meta.get("finalizers", ())),
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        controller_uid=next(controllers, ""),
    )


def maker_resource(manifest: Manifest, previous: MakerResource | None = None) -> MakerResource:
    """A maker, whatever somebody wrote. `previous`: an earlier version, whose spec is taken where it is still this one
    (same UID and generation), because validating costs ten times what the rest does.
    """
    meta = meta_of(manifest)
    status, _ = read_status(MakerStatus, manifest.get("status"))
    if previous is not None and _same_spec(previous.meta, meta):
        return msgspec.structs.replace(previous, meta=meta, status=status)
    maker, problem = _validated(MarketMaker, manifest)
    if maker is None:
        return MakerResource(meta, None, status, problem, _said(manifest, "accountRef"), _said(manifest, "symbol"))
    return MakerResource(meta, maker.spec, status, problem, maker.spec.account_ref, maker.spec.symbol)


def account_resource(manifest: Manifest, previous: AccountResource | None = None) -> AccountResource:
    """An account, likewise."""
    meta = meta_of(manifest)
    status, unread = read_status(AccountStatus, manifest.get("status"))
    if stops := [request for each in unread if (request := rescued(each)) is not None]:
        # They come last: a stop that follows a resume stops, whichever was asked first.
        status = status.model_copy(update={"requests": (*status.requests, *stops)})
        saved = {request.id for request in stops}
        unread = tuple(each for each in unread if each.field != "requests" or each.value.get("id") not in saved)
    if previous is not None and _same_spec(previous.meta, meta):
        return AccountResource(meta, previous.spec, status, previous.problem, unread)
    account, problem = _validated(TradingAccount, manifest)
    return AccountResource(meta, None if account is None else account.spec, status, problem, unread)


def child(manifest: Manifest) -> Child:
    """A Deployment, ConfigMap, PodDisruptionBudget or Job."""
    return Child(meta_of(manifest), manifest)


def is_anothers(manifest: Manifest, maker: Meta) -> bool:
    """Whether somebody else controls it. An earlier maker of this name is nobody else: what it leaves is taken over."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    controller = next((owner for owner in owners if owner.get("controller")), None)
    if controller is None or controller["uid"] == maker.uid:
        return False
    return (controller["kind"], controller["name"]) != ("MarketMaker", maker.name)


def pod_fact(manifest: Manifest) -> PodFact:
    """A pod with our labels. One whose component is none of ours counts as a worker: relabelling hides none."""
    meta = meta_of(manifest)
    status = manifest.get("status") or {}
    container: Mapping[str, Any] = next(
        (each for each in status.get("containerStatuses", ()) if each.get("name") == CONTAINER), {}
    )
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    component = meta.labels.get(Label.COMPONENT)
    return PodFact(
        name=meta.name,
        uid=meta.uid,
        component=Component.WITHDRAW if component == Component.WITHDRAW else Component.WORKER,
        template=meta.labels.get(Label.TEMPLATE, ""),
        created_ms=meta.created_ms,
        deleting=meta.deleting,
        running="running" in state,
        ready=conditions.get("Ready", {}).get("status") == "True",
        finished=status.get("phase") in {"Succeeded", "Failed"},
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        last_words=(ended.get("message") or "").strip(),
        container_restarts=container.get("restartCount", 0),
        unschedulable=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        nudge=meta.annotations.get(Annotation.NUDGE, ""),
        deletion_cost=meta.annotations.get(Annotation.DELETION_COST, ""),
    )


def job_state(job: Child) -> JobState:
    """Whether a Job has come to its end, and to which."""
    conditions = (job.manifest.get("status") or {}).get("conditions") or ()
    held = {each["type"] for each in conditions if each.get("status") == "True"}
    if held & {"Complete", "SuccessCriteriaMet"}:
        return JobState.SUCCEEDED
    return JobState.FAILED if held & {"Failed", "FailureTarget"} else JobState.RUNNING


def older_twin(maker: MakerResource, makers: Iterable[MakerResource]) -> str:
    """The oldest maker that trades the same symbol on the same account and is older than this one, by name; "" where
    there is none. Age is the server's creation time, and the UID where two are of the same second. One that does not
    validate any more may have a worker that trades on.
    """
    if maker.spec is None:
        return ""
    mine = _age(maker)
    older = [
        other
        for other in makers
        if other.meta.uid != maker.meta.uid and _age(other) < mine and _same_market(other, maker)
    ]
    return min(older, key=_age).meta.name if older else ""


def elder_of(maker: MakerResource, makers: Iterable[MakerResource]) -> str:
    """`namespace/name` of the first of these makers, which have its symbol on older accounts of one identity, that is
    in the same mode: a rehearsal and a trade have a lease each. One that does not validate may be in either.
    """
    spec = maker.spec
    if spec is None:
        return ""
    same = (each.meta for each in makers if each.spec is None or each.spec.mode is spec.mode)
    return min((f"{meta.namespace}/{meta.name}" for meta in same), default="")


def older_account(account: AccountResource, identity: str, accounts: Iterable[AccountResource]) -> str:
    """`namespace/name` of the oldest account with this identity that is older than this one, else ""."""
    oldest = min(older_accounts(account, identity, accounts), key=_age_of_account, default=None)
    return f"{oldest.meta.namespace}/{oldest.meta.name}" if oldest else ""


def older_accounts(
    account: AccountResource, identity: str, accounts: Iterable[AccountResource]
) -> list[AccountResource]:
    """Those with this identity that are older than this one."""
    mine = _age_of_account(account)
    return [
        other for other in accounts if identity and other.status.identity == identity and _age_of_account(other) < mine
    ]


def _age_of_account(account: AccountResource) -> tuple[int, str]:
    return account.meta.created_ms, account.meta.uid


def _age(maker: MakerResource) -> tuple[int, str]:
    return maker.meta.created_ms, maker.meta.uid


def _same_market(one: MakerResource, other: MakerResource) -> bool:
    market = one.meta.namespace, one.symbol, one.account_ref
    return all(market) and market == (other.meta.namespace, other.symbol, other.account_ref)


def _said(manifest: Manifest, field: str) -> str:
    """A word of the spec as it was written."""
    spec = manifest.get("spec")
    word = spec.get(field) if isinstance(spec, Mapping) else None
    return word if isinstance(word, str) else ""


def _same_spec(one: Meta, other: Meta) -> bool:
    return (one.uid, one.generation) == (other.uid, other.generation)


def _validated(model: type[Model], manifest: Manifest) -> tuple[Model | None, str]:
    """By the rules of `phoenix check`; the status is not the person's, so it is left out."""
    meta = manifest["metadata"]
    written = {
        "apiVersion": manifest.get("apiVersion"),
        "kind": manifest.get("kind"),
        "metadata": {"name": meta["name"], "namespace": meta.get("namespace")},
        "spec": manifest.get("spec"),
    }
    found, problems = validate(model, Document("", written))
    text = "; ".join(
        f"{each.field}: {each.message}" + (f" ({each.hint})" if each.hint else "") for each in _distinct(problems)
    )
    return found, text[:_LONGEST_PROBLEM]


def _distinct(problems: Sequence[Any]) -> Sequence[Any]:
    return list(dict.fromkeys(problems))


def _ms(written: str | None) -> int:
    return Instant.parse(written).ms if written else 0
