"""One resource at a time: what is known of it, the plan, and the plan carried out.

Level-based: nothing depends on which event came, or whether one did. A round that fails is begun anew from what is
there then. What the API server refuses is said in the resource's status before the next try.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

import structlog
from phoenix_coordination.redis.account import AccountError

from phoenix_operator import switching
from phoenix_operator.census import Census, account_of
from phoenix_operator.cluster.access import Presence, presence_of
from phoenix_operator.cluster.client import ClusterClient
from phoenix_operator.cluster.events import EventPoster, Regarding, Told
from phoenix_operator.cluster.faults import ClusterFault, Fault
from phoenix_operator.cluster.resources import BY_KIND, MARKET_MAKERS, TRADING_ACCOUNTS, Resource
from phoenix_operator.cluster.store import Name, Store
from phoenix_operator.fights import Fights, is_correction, other_manager
from phoenix_operator.fleet import Fleet
from phoenix_operator.gather import Memory, account_facts, maker_facts
from phoenix_operator.names import EventAction, EventReason, EventType
from phoenix_operator.plan.account import answer_event, answered, plan_account
from phoenix_operator.plan.facts import AccountFacts, MakerFacts, MakerResource, Meta
from phoenix_operator.plan.maker import plan_maker
from phoenix_operator.plan.observed import is_anothers
from phoenix_operator.plan.outcome import AccountPlan, Apply, CarryOut, Event, Forget, MakerPlan, Refuse
from phoenix_operator.plan.restarts import Verdict
from phoenix_operator.queue import Key, Kind
from phoenix_operator.settings import Settings
from phoenix_operator.writer import NotOursError, Writer

_log = structlog.stdlib.get_logger()

FOREIGN_S = 60.0
"""For so long a name that is taken is believed to be; then it is tried again."""

CONFLICTS_TOLD = 3
"""Somebody may write between a plan and its write; one that goes on is somebody's trouble."""


class Reconciler:
    """`mark` is called with whom a change concerns, `restarted` with the reason of each restart that was made."""

    def __init__(
        self,
        client: ClusterClient,
        store: Store,
        census: Census,
        fleet: Fleet,
        events: EventPoster,
        settings: Settings,
        mark: Callable[[Key], None],
        restarted: Callable[[str], None],
    ) -> None:
        self._client = client
        self._store = store
        self._census = census
        self._fleet = fleet
        self._events = events
        self._settings = settings
        self._mark = mark
        self._restarted = restarted
        self._writer = Writer(client, store, census, mark)
        self._memories: defaultdict[Key, Memory] = defaultdict(Memory)
        self._rolls: defaultdict[Name, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._fights = Fights()

    async def reconcile(self, key: Key) -> float | None:
        """One round. In how many seconds another one is due though nothing happens, None: no need.

        Raises `ClusterFault` and `AccountError` after the resource's status has been told of it.
        """
        memory = self._memories[key]
        try:
            again_s = await (self._maker(key, memory) if key.kind is Kind.MAKER else self._account(key, memory))
        except ClusterFault as fault:
            memory.conflicts = memory.conflicts + 1 if fault.fault is Fault.CONFLICT else 0
            passes = fault.fault is Fault.CONFLICT and memory.conflicts < CONFLICTS_TOLD
            memory.fault = "" if passes or fault.fault is Fault.NOT_LEADING else str(fault)
            if fault.fault is Fault.TERMINATING or await self._is_ending(key.namespace, fault):
                memory.terminating, memory.fault = True, ""
            if memory.fault:
                await self._tell_of_fault(key, memory)
            raise
        memory.fault, memory.conflicts = "", 0
        return again_s

    async def _is_ending(self, namespace: str, refusal: ClusterFault) -> bool:
        """Whether rights are missing because the namespace is being deleted: its Role goes before what we hold."""
        if refusal.fault is not Fault.FORBIDDEN:
            return False
        return await presence_of(self._client, namespace) is Presence.ENDING

    # -- makers ------------------------------------------------------------------------------------

    async def _maker(self, key: Key, memory: Memory) -> float | None:
        name = (key.namespace, key.name)
        maker = self._census.maker(name)
        if maker is None:
            self._forget(key)
            return None
        now_s = time.monotonic()
        memory.foreign = {child: until for child, until in memory.foreign.items() if until > now_s}
        facts = self._facts(maker, memory)
        plan = plan_maker(facts, self._settings)
        if not plan.starts_roll:
            return await self._carry_out(facts, plan, memory)
        # Which siblings are rolling must not change between the plan and its first write.
        async with self._rolls[account_of(maker)]:
            maker = self._census.maker(name) or maker
            facts = self._facts(maker, memory)
            return await self._carry_out(facts, plan_maker(facts, self._settings), memory)

    def _facts(self, maker: MakerResource, memory: Memory) -> MakerFacts:
        return maker_facts(maker, memory, self._store, self._census, self._fleet, _now_ms())

    async def _carry_out(self, facts: MakerFacts, plan: MakerPlan, memory: Memory) -> float | None:
        """In the order of the plan's fields, which makes a crash at any point harmless."""
        meta, write = facts.maker.meta, self._writer
        waits_s = [] if plan.again_ms is None else [plan.again_ms / 1000]
        if plan.add_finalizer is not None:
            await write.add_finalizer(MARKET_MAKERS, meta, plan.add_finalizer.finalizer)
        for wish in plan.apply:
            waits_s += await self._apply(facts, wish, memory)
            if _told(wish) in memory.foreign:
                break  # what comes next reads it
        for scale in plan.scale:
            await write.scale(meta.namespace, scale)
        for patch in plan.pods:
            await write.patch_pod(meta.namespace, patch)
            self._fleet.awaits_report()
        if plan.status is not None:
            await write.write_maker_status(meta, plan.status)
        for delete in plan.delete:
            await write.delete(meta.namespace, delete)
        is_restart = any(delete.kind == "Pod" for delete in plan.delete)
        if is_restart and facts.restart is not None and facts.restart.verdict is Verdict.RESTART:
            self._fleet.restarted((meta.namespace, meta.name))
            self._restarted(facts.restart.verdict.value)
        self._tell(MARKET_MAKERS, meta, plan.events, post=not facts.namespace_terminating)
        if plan.remove_finalizer is not None:
            await write.remove_finalizer(MARKET_MAKERS, meta, plan.remove_finalizer.finalizer)
        return min(waits_s, default=None)

    async def _apply(self, facts: MakerFacts, wish: Apply, memory: Memory) -> list[float]:
        """In how many seconds it is to be tried again, nothing where it was done."""
        meta = facts.maker.meta
        if _told(wish) in memory.foreign:
            return [FOREIGN_S]
        live = self._store.get(BY_KIND[wish.kind], meta.namespace, wish.name)
        child = (wish.kind, meta.namespace, wish.name)
        is_fought_for = wish.force and is_correction(wish.manifest, live)
        now_s = time.monotonic()
        if is_fought_for and (wait_s := self._fights.wait_s(child, now_s)):
            return [wait_s]
        if not wish.uid and live is not None and is_anothers(live, meta):
            return self._taken(meta, memory, _told(wish))
        try:
            await self._writer.apply(meta.namespace, meta.uid, wish)
        except NotOursError as taken:
            return self._taken(meta, memory, str(taken))
        if live is not None and is_fought_for and self._fights.corrected(child, now_s):
            text = (
                f"{other_manager(live)} keeps changing {wish.kind} {wish.name}, which is the operator's: have it leave"
                " those fields alone; until then it is corrected ever more seldom"
            )
            event = Event(EventType.WARNING, EventReason.FIELD_FIGHT, text, EventAction.APPLY)
            self._tell(MARKET_MAKERS, meta, (event,), post=True)
        return []

    def _taken(self, meta: Meta, memory: Memory, child: str) -> list[float]:
        """Believed for a while, and planned with at once."""
        memory.foreign = {**memory.foreign, child: time.monotonic() + FOREIGN_S}
        self._mark(Key(Kind.MAKER, meta.namespace, meta.name))
        return [FOREIGN_S]

    # -- accounts ----------------------------------------------------------------------------------

    async def _account(self, key: Key, memory: Memory) -> float | None:
        account = self._census.account((key.namespace, key.name))
        if account is None:
            self._forget(key)
            return None
        facts = account_facts(account, memory, self._census, self._fleet, _now_ms())
        plan = plan_account(facts)
        meta = account.meta
        if plan.add_finalizer is not None:
            await self._writer.add_finalizer(TRADING_ACCOUNTS, meta, plan.add_finalizer.finalizer)
        refused = await self._tell_redis(key, plan)
        events = await self._answer(facts, plan)
        told = tuple(event for event in plan.events if refused is None or event.action is not EventAction.SEED)
        self._tell(TRADING_ACCOUNTS, meta, (*told, *events), post=True)
        if plan.remove_finalizer is not None:
            await self._writer.remove_finalizer(TRADING_ACCOUNTS, meta, plan.remove_finalizer.finalizer)
        if refused is not None:
            raise refused
        return None if plan.again_ms is None else plan.again_ms / 1000

    async def _tell_redis(self, key: Key, plan: AccountPlan) -> AccountError | None:
        """What Redis refuses keeps nothing from the status."""
        tools = self._fleet.tools
        if tools is None:
            return None
        try:
            switch = await switching.tell(tools, plan.declare, plan.seed)
        except AccountError as error:
            return error
        if switch is not None:
            self._fleet.switched((key.namespace, key.name), switch)
            self._mark(key)
        return None

    async def _answer(self, facts: AccountFacts, plan: AccountPlan) -> list[Event]:
        """Requests one after the other, each answered and forgotten before the next is begun: nobody carries one out
        again whose answer has been pushed out by later ones. Then the status where none was.
        """
        account, events = facts.account, []
        status = plan.status or account.status
        is_written = plan.status is None
        for request in plan.requests:
            match request:
                case Forget(id):
                    await self._writer.forget_request(account.meta, id)
                    continue
                case Refuse(asked, message):
                    ok, switch = False, None
                case CarryOut(identity, asked):
                    tools = self._fleet.tools
                    if tools is None:
                        continue  # Redis has gone since the plan was made: the request waits
                    try:
                        message, switch = await switching.carry_out(tools, identity, asked)
                        ok = True
                    except AccountError as error:
                        ok, message, switch = False, str(error), None
            if switch is not None:
                self._fleet.switched((account.meta.namespace, account.meta.name), switch)
            told = None if switch is None else switching.switch_of(switch)
            status = answered(status, asked, ok=ok, message=message, now_ms=_now_ms(), switch=told)
            await self._writer.write_account_status(account, status)
            is_written = True
            await self._writer.forget_request(account.meta, asked.id)
            events.append(answer_event(asked, ok=ok, message=message))
            self._mark(Key(Kind.ACCOUNT, account.meta.namespace, account.meta.name))
        if not is_written:
            await self._writer.write_account_status(account, status)
        return events

    # -- both --------------------------------------------------------------------------------------

    async def _tell_of_fault(self, key: Key, memory: Memory) -> None:
        """What a person must mend belongs into the status, which a plan that fails half-way would never reach."""
        try:
            if key.kind is Kind.MAKER:
                maker = self._census.maker((key.namespace, key.name))
                if maker is not None:
                    plan = plan_maker(self._facts(maker, memory), self._settings)
                    if plan.status is not None:
                        await self._writer.write_maker_status(maker.meta, plan.status)
                    observed = tuple(event for event in plan.events if event.action is EventAction.OBSERVE)
                    self._tell(MARKET_MAKERS, maker.meta, observed, post=not memory.terminating)
                return
            account = self._census.account((key.namespace, key.name))
            if account is not None:
                facts = account_facts(account, memory, self._census, self._fleet, _now_ms())
                plan_ = plan_account(facts)
                if plan_.status is not None:
                    await self._writer.write_account_status(account, plan_.status)
        except ClusterFault as fault:
            _log.warning("status not written", resource=str(key), reason=str(fault))
            self._tell_without_status(key, memory)

    def _tell_without_status(self, key: Key, memory: Memory) -> None:
        """The right to post Events is another one."""
        name = (key.namespace, key.name)
        resource = MARKET_MAKERS if key.kind is Kind.MAKER else TRADING_ACCOUNTS
        known = self._census.maker(name) if key.kind is Kind.MAKER else self._census.account(name)
        if known is not None and memory.fault:
            refused = Event(EventType.WARNING, EventReason.API_REFUSED, memory.fault, EventAction.RECONCILE)
            self._tell(resource, known.meta, (refused,), post=not memory.terminating)

    def _tell(self, resource: Resource, meta: Meta, events: tuple[Event, ...], *, post: bool) -> None:
        regarding = Regarding(resource, meta.namespace, meta.name, meta.uid)
        for event in events:
            self._events.tell(regarding, Told(event.type, event.reason, event.action, event.message), post=post)

    def _forget(self, key: Key) -> None:
        """It is gone, and its children with it: the garbage collector sees to that."""
        self._memories.pop(key, None)


def _told(wish: Apply) -> str:
    return f"{wish.kind} {wish.name}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
