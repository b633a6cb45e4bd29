"""What the workers tell and what the accounts' switches are, read from Redis about once a second.

Reading marks a resource only when something changed that a plan heeds: a thousand workers whose prices move cost the
API server nothing. From the same look comes the verdict on stale workers (`plan.restarts`), by venue and environment.

Without Redis the last look counts for as long as a record lives; then nothing is known: reconciling goes on, and nobody
is restarted.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import structlog
from phoenix_coordination.redis.account import AccountError, AccountTools, Glance, SwitchState, account_tools
from phoenix_coordination.redis.client import RedisUrlError, read_url
from phoenix_coordination.state import TTL_MS, StateRecord, pod_uid_of
from phoenix_crds import Mode

from phoenix_operator.census import Census, account_of
from phoenix_operator.cluster.store import Name
from phoenix_operator.plan.facts import AccountShared, Halted, MakerResource
from phoenix_operator.plan.restarts import (
    History,
    Judged,
    MakerHistory,
    Outage,
    Settings,
    Verdict,
    maker_of,
    plan_restarts,
)
from phoenix_operator.plan.restarts_kept import history_of
from phoenix_operator.queue import Key, Kind
from phoenix_operator.seen import Seen, differing, gist_of_account, gist_of_record
from phoenix_operator.switching import switch_of

_log = structlog.stdlib.get_logger()

LOOK_S = 1.0
AWAITED_S = 5.0
"""For so long after its file has changed a worker's report of it is looked for more often than that …"""
_QUICK_LOOK_S = 0.2
_SHARE = 4
"""… but never for more than a quarter of the time."""
_RETRY_S = (1.0, 15.0)
_WHERE = (
    "it has to run where the operator's redisUrlFile says, from the Secret phoenix-redis, or what redis.existingSecret "
    "names: start it, or correct that"
)
NOT_CONFIGURED = "the operator was not told where Redis is: set redisUrlFile in its configuration, or give it --redis"

Venue = tuple[str, str]
"""Venue and environment: what serves everybody or nobody."""


class Fleet:
    """`mark` is called with what a plan should look at again. `source`: of `--redis`, a URL or @FILE; "" where unknown.

    `problem`: why nothing is known, "" while it is.
    """

    def __init__(self, source: str, census: Census, outage_threshold: float, mark: Callable[[Key], None]) -> None:
        self._source = source
        self._census = census
        self._outage_threshold = outage_threshold
        self._mark = mark
        self._tools: AccountTools | None = None
        self._seen: dict[Name, Seen] = {}
        self._records: dict[str, tuple[StateRecord, ...]] = {}
        self._gists: dict[Key, object] = {}
        self._heeded: dict[Name, object] = {}
        self._histories: dict[Venue, History] = {}
        self._outages: dict[Venue, Outage] = {}
        self._judged: dict[str, Judged] = {}
        self._to_restart: dict[str, Judged] = {}
        self._last_look_s: float | None = None
        self._awaited_until_s = 0.0
        self.looked = asyncio.Event()
        """Redis was read, or it is known why not. Set at once where there is none to be read."""
        if not source:
            self.looked.set()
        self.problem = "Redis has not been read yet" if source else NOT_CONFIGURED

    # -- asked by plans ----------------------------------------------------------------------------

    @property
    def reads(self) -> bool:
        """Whether there is a Redis to read: else `run` ends at once."""
        return bool(self._source)

    @property
    def tools(self) -> AccountTools | None:
        """To change something with; None without Redis."""
        return self._tools

    def records_of(self, maker: Name) -> tuple[StateRecord, ...]:
        return self._records.get(f"{maker[0]}/{maker[1]}", ())

    def seen(self, account: Name) -> Seen:
        """`problem` where that account cannot be read, whatever the others."""
        if self.problem:
            return Seen(problem=self.problem)
        known, seen = self._census.account(account), self._seen.get(account)
        if seen is None or known is None or seen.uid != known.meta.uid:
            return Seen(shared=AccountShared())  # younger than the last look: no worker has named it yet
        return seen

    def outage_of(self, account: Name) -> str:
        venue = self._venue_of(account)
        outage = self._outages.get(venue) if venue is not None else None
        return outage.text if outage is not None else ""

    def judged(self, maker: Name) -> Judged | None:
        """A restart stands until it was carried out (`restarted`), or is needed no more."""
        name = f"{maker[0]}/{maker[1]}"
        return self._to_restart.get(name) or self._judged.get(name)

    def history_of(self, maker: Name) -> MakerHistory | None:
        known = self._census.maker(maker)
        venue = self._venue_of(account_of(known)) if known is not None else None
        history = self._histories.get(venue) if venue is not None else None
        return history.makers.get(f"{maker[0]}/{maker[1]}") if history is not None else None

    @property
    def everything(self) -> Iterable[StateRecord]:
        return (record for records in self._records.values() for record in records)

    @property
    def outages(self) -> Mapping[Venue, Outage]:
        return self._outages

    # -- told by who carries plans out ---------------------------------------------------------------

    def awaits_report(self) -> None:
        """Workers have just been told to read their files again."""
        self._awaited_until_s = time.monotonic() + AWAITED_S

    def restarted(self, maker: Name) -> None:
        self._to_restart.pop(f"{maker[0]}/{maker[1]}", None)

    def switched(self, account: Name, switch: SwitchState) -> None:
        """What a change of ours has made of the switch: known at once, not a second later."""
        seen = self._seen.get(account)
        if seen is not None and seen.shared is not None:
            shared = msgspec.structs.replace(seen.shared, switch=switch_of(switch))
            self._seen[account] = msgspec.structs.replace(seen, shared=shared)
            # Where Redis is emptied before the next look, that one finds what the last one found: news all the same.
            self._gists.pop(Key(Kind.ACCOUNT, *account), None)

    # -- looking -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Looks until it is cancelled."""
        pause_s = _RETRY_S[0]
        while self._source:
            try:
                async with account_tools(read_url(self._source)) as tools:
                    self._tools = tools
                    while True:
                        began_s = time.monotonic()
                        await self._look(tools)
                        pause_s = _RETRY_S[0]
                        await asyncio.sleep(self._pause_s(began_s, time.monotonic()))
            except (AccountError, RedisUrlError) as error:
                self._failed(f"{error} ({_WHERE})")
            finally:
                self._tools = None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _RETRY_S[1])

    def _pause_s(self, began_s: float, now_s: float) -> float:
        took_s = now_s - began_s
        period_s = LOOK_S
        if now_s < self._awaited_until_s:
            period_s = min(LOOK_S, max(_QUICK_LOOK_S, _SHARE * took_s))
        return max(0.0, period_s - took_s)

    async def _look(self, tools: AccountTools) -> None:
        accounts = {name: f"{name[0]}/{name[1]}" for name, _ in self._census.accounts}
        uids = {name: account.meta.uid for name, account in self._census.accounts}
        identities = await tools.identities(list(accounts.values()))
        starting = await tools.starting(list(accounts.values()))
        glances = await self._glances(tools, {name: identities.get(told, "") for name, told in accounts.items()})
        seen: dict[Name, Seen] = {}
        for name, told in accounts.items():
            waiting = tuple(starting[told].records) if told in starting else ()
            identity = identities.get(told, "")
            glance = glances.get(identity)
            if isinstance(glance, str):
                seen[name] = Seen(uids[name], waiting, problem=glance)
            elif glance is None:
                seen[name] = Seen(uids[name], waiting, AccountShared())
            else:
                # Two resources of one identity meet in one place: each is told of its own workers.
                own = (record for record in glance.published.records if record.account == told)
                seen[name] = Seen(uids[name], (*own, *waiting), _shared(identity, glance), glance.run)
        self._take_in(seen)

    async def _glances(self, tools: AccountTools, identities: Mapping[Name, str]) -> dict[str, Glance | str]:
        """By identity; a text says why one cannot be read. Raises where none of them can."""
        makers: defaultdict[str, set[tuple[str, bool]]] = defaultdict(set)
        for name, identity in identities.items():
            if identity:
                makers[identity] |= {market for maker in self._census.makers_of(name) for market in _markets(maker)}
        found: dict[str, Glance | str] = {}
        failed: AccountError | None = None
        for identity, markets in makers.items():
            try:
                found[identity] = await tools.account(identity).glance(sorted(markets))
            except AccountError as error:
                found[identity], failed = str(error), error
        if failed is not None and all(isinstance(each, str) for each in found.values()):
            raise failed
        return found

    def _take_in(self, seen: dict[Name, Seen]) -> None:
        self._seen = seen
        was_blind, self.problem = bool(self.problem), ""
        self.looked.set()
        self._last_look_s = time.monotonic()
        records: defaultdict[str, list[StateRecord]] = defaultdict(list)
        for each in seen.values():
            for record in each.records:
                records[maker_of(record)].append(record)
        self._records = {maker: tuple(sorted(told, key=lambda one: one.holder)) for maker, told in records.items()}
        self._judge()
        self._mark_news(was_blind=was_blind)
        if was_blind:
            _log.info("redis read", accounts=len(seen), workers=sum(map(len, self._records.values())))

    def _mark_news(self, *, was_blind: bool) -> None:
        """What is heeded of an account and of its workers, against the last look; what a maker heeds of its account is
        looked at once for all its makers.
        """
        gists: dict[Key, object] = {}
        heeded: dict[Name, object] = {}
        for name, account in self._seen.items():
            is_outage = self.outage_of(name) != ""
            gists[Key(Kind.ACCOUNT, *name)] = (gist_of_account(account), is_outage)
            if (problem := self.seen(name).problem) or is_outage:
                heeded[name] = (is_outage, problem)
        for maker in self._told_of():
            gists[Key(Kind.MAKER, *maker)] = self._gist_of_maker(maker)
        before, self._gists = self._gists, gists
        heeded_before, self._heeded = self._heeded, heeded
        concerned = {
            Key(Kind.MAKER, maker.meta.namespace, maker.meta.name)
            for account in differing(heeded_before, heeded)
            for maker in self._census.makers_of(account)
        }
        for key in self._census.keys() if was_blind else differing(before, gists) | concerned:
            if self._census.has(key):
                self._mark(key)

    def _told_of(self) -> set[Name]:
        """The makers whose workers tell something, or did: of the others nothing is to be found out, so that a look
        costs nothing for them.
        """
        told = set(self._records)
        for history in self._histories.values():
            told.update(history.makers)
        return {name for each in told if self._census.maker(name := _name_of(each)) is not None}

    def _failed(self, problem: str) -> None:
        """The last look counts for a while: a Redis that is restarted is not worth two writes a maker."""
        self._to_restart.clear()
        self.looked.set()
        last = self._last_look_s
        if last is not None and time.monotonic() - last < TTL_MS / 1000:
            return
        is_news, self.problem = problem != self.problem, problem
        self._records, self._gists, self._heeded, self._judged = {}, {}, {}, {}
        if is_news:  # another trouble than the one that was told has another remedy
            _log.warning("redis", reason=problem)
            for key in self._census.keys():  # noqa: SIM118 - a method, of no mapping
                self._mark(key)

    # -- judging -----------------------------------------------------------------------------------

    def _judge(self) -> None:
        """The verdicts, by venue and environment, on makers for which they would be heeded."""
        members: defaultdict[Venue, list[MakerResource]] = defaultdict(list)
        for name in self._told_of().union(self._census.restarted):
            maker = self._census.maker(name)
            venue = self._venue_of(account_of(maker)) if maker is not None else None
            if maker is not None and venue is not None:
                members[venue].append(maker)
        now_ms = time.time_ns() // 1_000_000
        self._judged, outages = {}, {}
        for venue in members.keys() | self._histories.keys():
            makers = members[venue]
            # A restart that nobody carries out would be counted, and hold the account's others up.
            served = {_told(maker): maker for maker in makers if self._census.serves(maker)}
            records = [record for name, maker in served.items() for record in self._judged_records(name, maker)]
            patience = {name: maker.spec.restart_after.ms for name, maker in served.items() if maker.spec is not None}
            settings = Settings(patience, self._outage_threshold)
            plan = plan_restarts(records, self._remembered(venue, makers), now_ms, settings)
            self._histories[venue] = plan.history
            self._judged |= {each.maker: each for each in plan.judged}
            if plan.outage is None:
                self._to_restart |= {each.maker: each for each in plan.restarts}
            else:
                outages[venue] = plan.outage
        self._to_restart = {
            maker: judged for maker, judged in self._to_restart.items() if self._is_due_still(maker, judged.holder)
        }
        for venue in outages.keys() ^ self._outages.keys():
            _log.warning("venue", venue="/".join(venue), outage=outages[venue].text if venue in outages else "over")
        self._outages = outages

    def _judged_records(self, name: str, maker: MakerResource) -> list[StateRecord]:
        """Not what a pod has told that has gone, or goes: it would be counted as restarted a second time."""
        pods = self._census.pods((maker.meta.namespace, maker.meta.name))
        there = {pod.uid for pod in pods if not (pod.deleting or pod.finished)}
        return [record for record in self._records.get(name, ()) if pod_uid_of(record.holder) in there]

    def _remembered(self, venue: Venue, makers: Sequence[MakerResource]) -> History:
        """What the status of each remembers, where we do not know better. Makers that have gone are forgotten; one that
        nobody serves just now is none of them: its back-off is not over.
        """
        known = self._histories.get(venue, History())
        strangers = [maker for maker in makers if _told(maker) not in known.makers]
        kept = {
            name: history for name, history in known.makers.items() if self._census.maker(_name_of(name)) is not None
        }
        return msgspec.structs.replace(known, makers={**kept, **history_of(strangers).makers})

    def _is_due_still(self, maker: str, holder: str) -> bool:
        """Whether the worker that is to be replaced is still there, and still needs it; not during an outage."""
        judged = self._judged.get(maker)
        return (
            judged is not None
            and judged.verdict not in {Verdict.VENUE_OUTAGE, Verdict.VENUE_MAINTENANCE}
            and any(record.holder == holder and not record.ready for record in self._records.get(maker, ()))
        )

    def _venue_of(self, account: Name) -> Venue | None:
        known = self._census.account(account)
        return None if known is None or known.spec is None else (known.spec.venue, known.spec.environment)

    def _gist_of_maker(self, maker: Name) -> object:
        """What a plan heeds of a maker's workers: no figures, no ages."""
        judged, history = self.judged(maker), self.history_of(maker)
        return (
            [gist_of_record(record) for record in self.records_of(maker)],
            (judged.verdict, judged.holder) if judged is not None else None,
            (history.total, history.restarts, history.awaiting_ready) if history is not None else None,
        )


def _told(maker: MakerResource) -> str:
    """As its workers call it."""
    return f"{maker.meta.namespace}/{maker.meta.name}"


def _name_of(told: str) -> Name:
    namespace, _, name = told.partition("/")
    return namespace, name


def _shared(identity: str, glance: Glance) -> AccountShared:
    halts = (
        Halted(halt.symbol, halt.dry_run, halt.switch.epoch, halt.switch.reason)
        for halt in glance.halts
        if halt.switch.level
    )
    return AccountShared(identity, switch_of(glance.switch), tuple(sorted(halts)))


def _markets(maker: MakerResource) -> set[tuple[str, bool]]:
    """What it may be halted in: symbol, rehearsal."""
    if maker.spec is None:
        return {(maker.symbol, False), (maker.symbol, True)} if maker.symbol else set()
    return {(maker.symbol, maker.spec.mode is Mode.DRY_RUN)}
