"""Who is there: makers and accounts as they stand, parsed, and who has to do with whom.

A change of one resource concerns others: a maker its account and its twins, an account all its makers, a pod its maker
and whoever waits for the same symbol. Who they are is answered here, from indexes that follow the store.
"""

from collections.abc import Collection, Iterable

from phoenix_operator.cluster.resources import DEPLOYMENTS, MARKET_MAKERS, PODS, TRADING_ACCOUNTS
from phoenix_operator.cluster.store import Change, Market, Name, Store, leave
from phoenix_operator.plan.facts import AccountResource, MakerResource, PodFact
from phoenix_operator.plan.observed import (
    account_resource,
    child,
    elder_of,
    maker_resource,
    older_accounts,
    older_twin,
    pod_fact,
)
from phoenix_operator.plan.rollout import is_rolling
from phoenix_operator.queue import Key, Kind


class Census:
    """Of everything that the store holds; `observe` is told of each change of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._makers: dict[Name, MakerResource] = {}
        self._accounts: dict[Name, AccountResource] = {}
        self._by_account: dict[Name, set[Name]] = {}
        self._by_market: dict[Market, set[Name]] = {}
        self._by_identity: dict[str, set[Name]] = {}
        self._rolling: dict[Name, Name] = {}
        self._rolling_of: dict[Name, set[Name]] = {}
        self._restarted: set[Name] = set()

    # -- told --------------------------------------------------------------------------------------

    def observe(self, change: Change) -> set[Key]:
        """Whom the change concerns; nobody where it is a quiet one, which only is to be known."""
        name = (change.namespace, change.name)
        if change.resource == MARKET_MAKERS:
            concerned = self._observe_maker(name)
            return set() if change.quiet else concerned
        if change.resource == TRADING_ACCOUNTS:
            return self._observe_account(name)
        if not change.maker or change.quiet:
            return set()
        maker = (change.namespace, change.maker)
        concerned = {_maker_key(maker)}
        if change.resource in {PODS, DEPLOYMENTS}:
            self._observe_rolling(maker)
            if (known := self._makers.get(maker)) is not None:
                concerned |= self._who_has_the_symbol(known)
        return concerned

    # -- asked -------------------------------------------------------------------------------------

    def maker(self, name: Name) -> MakerResource | None:
        return self._makers.get(name)

    def account(self, name: Name) -> AccountResource | None:
        return self._accounts.get(name)

    @property
    def makers(self) -> Iterable[tuple[Name, MakerResource]]:
        return self._makers.items()

    @property
    def accounts(self) -> Iterable[tuple[Name, AccountResource]]:
        return self._accounts.items()

    @property
    def restarted(self) -> Collection[Name]:
        """Makers whose status remembers that workers of theirs have been restarted."""
        return self._restarted

    def has(self, key: Key) -> bool:
        """Whether it is there still."""
        return (key.namespace, key.name) in (self._makers if key.kind is Kind.MAKER else self._accounts)

    def keys(self) -> list[Key]:
        """Everything that there is."""
        return [*map(_account_key, self._accounts), *map(_maker_key, self._makers)]

    def makers_of(self, account: Name) -> list[MakerResource]:
        """Those that name it, deleting ones too, by name."""
        return [self._makers[name] for name in sorted(self._by_account.get(account, ()))]

    def namesakes(self, account: AccountResource) -> list[AccountResource]:
        """The other accounts that are the same one at the exchange."""
        others = self._by_identity.get(account.status.identity, set())
        return [self._accounts[name] for name in others - {(account.meta.namespace, account.meta.name)}]

    def older_twin(self, maker: MakerResource) -> str:
        """Name of the oldest maker of its symbol on its account that is older, else ""."""
        twins = self._twins_of(maker)
        return older_twin(maker, (self._makers[name] for name in twins)) if twins else ""

    def elder(self, maker: MakerResource) -> str:
        """`namespace/name` of the maker that has its symbol on an older account of the same identity, else ""."""
        account = self._accounts.get(account_of(maker))
        if account is None or len(self._by_identity.get(account.status.identity, ())) < 2:
            return ""
        accounts = older_accounts(account, account.status.identity, self.namesakes(account))
        markets = ((older.meta.namespace, older.meta.name, maker.symbol) for older in accounts)
        names = (name for market in markets for name in self._by_market.get(market, ()))
        return elder_of(maker, (self._makers[name] for name in names if self._store.version(DEPLOYMENTS, *name)))

    def siblings_rolling(self, maker: MakerResource) -> int:
        """How many other makers of its account are being rolled."""
        rolling = self._rolling_of.get(account_of(maker), set())
        return len(rolling) - ((maker.meta.namespace, maker.meta.name) in rolling)

    def pods(self, maker: Name) -> list[PodFact]:
        return [pod_fact(manifest) for manifest in self._store.children(PODS, *maker)]

    def serves(self, maker: MakerResource) -> bool:
        """Whether it is to have a worker, and we see to that."""
        if maker.spec is None or maker.meta.deleting or maker.is_disabled:
            return False
        return not (self.older_twin(maker) or self.elder(maker))

    # -- helpers -----------------------------------------------------------------------------------

    def _observe_maker(self, name: Name) -> set[Key]:
        before = self._makers.get(name)
        after = self._parse_maker(name)
        concerned = {_maker_key(name)}
        if _others_heed(before) == _others_heed(after):
            return concerned
        for each in (before, after):
            if each is not None:
                concerned.add(_account_key(account_of(each)))
                concerned |= self._who_has_the_symbol(each)
        if before is None or after is None:
            self._observe_rolling(name)
        return concerned

    def _parse_maker(self, name: Name) -> MakerResource | None:
        before = self._makers.pop(name, None)
        if before is not None:
            leave(self._by_account, account_of(before), name)
            leave(self._by_market, _market_of(before), name)
            self._restarted.discard(name)
        manifest = self._store.get(MARKET_MAKERS, *name)
        if manifest is None:
            return None
        maker = maker_resource(manifest, before)
        self._makers[name] = maker
        self._by_account.setdefault(account_of(maker), set()).add(name)
        self._by_market.setdefault(_market_of(maker), set()).add(name)
        if maker.status.restarts.total:
            self._restarted.add(name)
        return maker

    def _observe_account(self, name: Name) -> set[Key]:
        """Of two accounts that turn out to be one, the younger one's makers withdraw, whichever was told last."""
        before = self._accounts.get(name)
        after = self._parse_account(name)
        concerned: set[Key] = set()
        if before is None or after is None or _gist(before) != _gist(after):
            concerned.add(_account_key(name))
            concerned |= {_maker_key(maker) for maker in self._by_account.get(name, ())}
        was, now = (each.status.identity if each is not None else "" for each in (before, after))
        if was != now:
            for other in {name, *self._by_identity.get(was, ()), *self._by_identity.get(now, ())}:
                concerned.add(_account_key(other))
                concerned |= {_maker_key(maker) for maker in self._by_account.get(other, ())}
        return concerned

    def _parse_account(self, name: Name) -> AccountResource | None:
        before = self._accounts.pop(name, None)
        if before is not None:
            leave(self._by_identity, before.status.identity, name)
        manifest = self._store.get(TRADING_ACCOUNTS, *name)
        if manifest is None:
            return None
        account = account_resource(manifest, before)
        self._accounts[name] = account
        if account.status.identity:
            self._by_identity.setdefault(account.status.identity, set()).add(name)
        return account

    def _observe_rolling(self, maker: Name) -> None:
        known = self._makers.get(maker)
        deployment = self._store.get(DEPLOYMENTS, *maker)
        if (account := self._rolling.pop(maker, None)) is not None:
            leave(self._rolling_of, account, maker)
        if known is None or deployment is None:
            return
        if is_rolling(child(deployment), self.pods(maker)):
            account = self._rolling[maker] = account_of(known)
            self._rolling_of.setdefault(account, set()).add(maker)

    def _who_has_the_symbol(self, maker: MakerResource) -> set[Key]:
        """The other makers of its symbol, on its account and on those that are the same one at the exchange."""
        found = self._twins_of(maker)
        if (account := self._accounts.get(account_of(maker))) is not None:
            for other in self.namesakes(account):
                found |= self._by_market.get((other.meta.namespace, other.meta.name, maker.symbol), set())
        return {_maker_key(name) for name in found}

    def _twins_of(self, maker: MakerResource) -> set[Name]:
        return self._by_market.get(_market_of(maker), set()) - {(maker.meta.namespace, maker.meta.name)}


def account_of(maker: MakerResource) -> Name:
    """The account that a maker names, also one whose spec is not valid."""
    return (maker.meta.namespace, maker.account_ref)


def _others_heed(maker: MakerResource | None) -> tuple[object, ...]:
    """What of it its account and its twins depend on: not our finalizer, nor any other word of its metadata."""
    return () if maker is None else (maker.meta.uid, maker.meta.generation, maker.meta.deleting)


def _gist(account: AccountResource) -> tuple[object, ...]:
    """What of it plans depend on and we do not write ourselves."""
    meta = account.meta
    asked = account.status.requests, account.unread
    return meta.uid, meta.generation, meta.deleting, meta.finalizers, account.spec, asked


def _market_of(maker: MakerResource) -> Market:
    return (*account_of(maker), maker.symbol)


def _maker_key(name: Name) -> Key:
    return Key(Kind.MAKER, *name)


def _account_key(name: Name) -> Key:
    return Key(Kind.ACCOUNT, *name)
