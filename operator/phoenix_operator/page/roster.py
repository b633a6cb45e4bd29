"""What whoever serves the page knows by itself, without Redis: which makers and accounts there should be."""

import msgspec


class KnownMaker(msgspec.Struct, frozen=True, kw_only=True):
    """One maker as its resource has it. Quantities and money are decimal strings; None and "" where not known.

    `quoting`, `reason`, `message`: what was last said of it, by whoever looks after it. `restarts`: by the same.
    `position`: the last that is known, shown while no worker tells a newer one.
    """

    namespace: str
    name: str
    account: str
    symbol: str
    mode: str
    net_max: str = "0"
    paused: bool = False
    deleting: bool = False
    reason: str = ""
    message: str = ""
    restarts: int | None = None
    position: str | None = None

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def rehearses(self) -> bool:
        return self.mode == "DryRun"


class KnownAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `name` is `namespace/name`; `declared`: what its resource says of the emergency switch.

    `outage`: a sentence where its venue serves nobody. `problem`: why the resource cannot be read.
    """

    name: str
    environment: str = ""
    declared: str = "None"
    net_limit: str | None = None
    gross_limit: str | None = None
    outage: str = ""
    problem: str = ""


class Roster(msgspec.Struct, frozen=True):
    """`place`: the cluster or the run, for the head of the page. `problem`: why it may not be the whole truth."""

    place: str
    accounts: tuple[KnownAccount, ...] = ()
    makers: tuple[KnownMaker, ...] = ()
    problem: str = ""

    def makers_of(self, account: str) -> list[KnownMaker]:
        return [maker for maker in self.makers if f"{maker.namespace}/{maker.account}" == account]
