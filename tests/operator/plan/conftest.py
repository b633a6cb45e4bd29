import msgspec
import pytest
from manifests_of import account_manifest, maker_manifest
from phoenix_coordination import state
from phoenix_coordination.state import Configuration, Mode, Reason, Role, StateRecord
from phoenix_operator.names import Component
from phoenix_operator.plan import children, resolved
from phoenix_operator.plan.facts import MakerFacts, PodFact
from phoenix_operator.plan.observed import account_resource, child, maker_resource
from phoenix_operator.settings import Settings
from state_records import leading_record

POD_UID = "0a000000-0000-4000-8000-000000000001"
NOW_MS = 1_790_000_000_000


@pytest.fixture(scope="session")
def record():
    """A ready worker of a maker, or an unready one: `record("btc", stale=True)`."""

    def make(
        maker,
        *,
        stale=False,
        reasons=None,
        pod=1,
        account="default/main",
        symbol=None,
        role=None,
        silent=False,
        refused=False,
    ):
        unready = reasons if reasons is not None else ([Reason.PRICE_STALE] if stale else [])
        return StateRecord(
            schema=state.SCHEMA,
            symbol=symbol or f"{maker.upper()}USDT",
            holder=f"{maker}-{pod}",
            namespace="default",
            maker=maker,
            account=account,
            installation="k3f9a0",
            role=role or Role.LEADING,
            mode=Mode.LIVE,
            ready=not unready,
            reason=state.first_of(unready),
            reasons_not_ready=unready,
            detail="",
            guard="normal",
            token=1,
            build="0",
            fresh_connection_silent=silent,
            fresh_connection_refused=refused,
            published_ms=0,
        )

    return make


@pytest.fixture(scope="session")
def platform():
    """The operator's settings, all at their defaults."""
    return Settings(image="phoenix:1")


@pytest.fixture(scope="session")
def maker():
    """A maker as the API server has it: `maker(mode="DryRun", _generation=3)`; names with _ are metadata."""

    def make(name="btcusdt", symbol="BTCUSDT", status=None, **spec):
        meta = {key[1:]: spec.pop(key) for key in [*spec] if key.startswith("_")}
        manifest = maker_manifest(name, symbol, **spec)
        times = {"creationTimestamp": "2026-01-31T08:00:00Z"}
        manifest["metadata"] |= {"uid": f"uid-{name}", "generation": 1, **times, **meta}
        return maker_resource(manifest | ({"status": status} if status else {}))

    return make


@pytest.fixture(scope="session")
def account():
    """Its account, likewise."""

    def make(status=None, **spec):
        meta = {key[1:]: spec.pop(key) for key in [*spec] if key.startswith("_")}
        manifest = account_manifest(**spec)
        manifest["metadata"] |= {"uid": "uid-account", "generation": 1, **meta}
        return account_resource(manifest | ({"status": status} if status else {}))

    return make


@pytest.fixture(scope="session")
def wanted(maker, account):
    """What a maker of an account shall read."""

    def make(of=None, at=None, **spec):
        one = of or maker(**spec)
        return resolved.resolve(one.meta, one.spec, at or account(), stage=None, withdrawn=False)

    return make


@pytest.fixture(scope="session")
def quoting(maker, account, wanted, platform):
    """Facts of a maker whose only pod leads and quotes with everything in force; changes by name."""

    def make(of=None, at=None, pod=None, record=None, deployment=None, **changes):
        one, its_account = of or maker(), at or account()
        content = wanted(one, its_account)
        template = children.template_hash(content, platform)
        live = children.deployment(one, content, template, platform) if deployment is None else deployment
        live = {**live, "metadata": {**live["metadata"], "uid": "uid-deployment"}}
        data = children.config_map(one, template, content.data, platform)
        data = {**data, "metadata": {**data["metadata"], "uid": "uid-map"}}
        runs = PodFact(f"{one.meta.name}-1", POD_UID, Component.WORKER, template, running=True, ready=True)
        told = leading_record(
            holder=f"{POD_UID}/7f3a",
            namespace="trading",
            account="trading/default",
            configuration=Configuration(hash=content.hash, generation=content.generation),
        )
        facts = MakerFacts(
            maker=one,
            account=its_account,
            now_ms=NOW_MS,
            deployment=child(live),
            config_maps=(child(data),),
            pods=(msgspec.structs.replace(runs, **(pod or {})),),
            records=(msgspec.structs.replace(told, **(record or {})),),
        )
        return msgspec.structs.replace(facts, **changes)

    return make
