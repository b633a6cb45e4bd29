"""Every key and channel, in one place. The braces keep an account's keys in one slot of a Redis Cluster.

mm:account:<namespace>/<name>                 identity of the account that the resource names
mm:starting:<namespace>/<name>                sorted set like `records`: workers that do not know the identity yet
mm:starting:<namespace>/<name>:<symbol>:<holder>  string like a record
mm:{<account>}:emergency                      hash: level, epoch, reason, source, at_ms, seeded (run_id),
                                              declared
mm:{<account>}:emergency:changed              channel
mm:{<account>}:[dry:]lease:<symbol>           hash: holder, token, beat, released, run; or vacant (the office: steward)
mm:{<account>}:[dry:]lease:<symbol>:freed     channel
mm:{<account>}:[dry:]warm:<symbol>            sorted set: candidates that could quote at once, by server's time in ms
mm:{<account>}:[dry:]halt:<symbol>            hash like the emergency's
mm:{<account>}:[dry:]halt:<symbol>:changed    channel
mm:{<account>}:[dry:]ledger                   hash: rebuilt, vacant, epoch, net_limit, gross_limit, e:<symbol>
mm:{<account>}:[dry:]ledger:rebuilding        string: who rebuilds it
mm:{<account>}:[dry:]snapshot:<symbol>        hash: schema, token, saved_wall_ns, memory
mm:{<account>}:[dry:]snapshot:steward         hash like a symbol's: what the steward saw of the account
mm:{<account>}:record:<symbol>:<holder>       string, lives as long as a record does
mm:{<account>}:records                        sorted set of those keys, by the server's time in ms
mm:{<account>}:orders                         hash: window, h:<holder> (msgpack): see spend.lua
mm:{<account>}:orders:speakers                sorted set: who spoke when
mm:{<account>}:orders:short                   sorted set: who got less than it would use, and when
mm:{<account>}:orders:back-off                channel
mm:egress:<egress>:weight                     as the account's orders, with speakers, short and back-off
mm:egress:<egress>:starts                     of that weight what starts read, with speakers and short
mm:egress:<egress>:makers                     hash: by worker its fixed weight, when it spoke, its line (admit.lua)
"""

import msgspec

OFFICE = "steward"
"""Stands where a symbol does; no exchange lists a symbol in small letters."""


def identity_of(account: str) -> str:
    """`account`: `namespace/name` of the resource."""
    return f"mm:account:{account}"


class StartingKeys(msgspec.Struct, frozen=True):
    """What workers of an account tell before they know the exchange's identity of it. `account`: `namespace/name`."""

    account: str

    @property
    def records(self) -> str:
        return f"mm:starting:{self.account}"

    def record(self, symbol: str, holder: str) -> str:
        return f"{self.records}:{symbol}:{holder}"


class AccountKeys(msgspec.Struct, frozen=True):
    """What belongs to the account as a whole. `account`: the exchange's own identity of it."""

    account: str
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not self.account or set("{}") & set(self.account):
            raise ValueError(f"account identity {self.account!r}: braces and nothing are no name")

    @property
    def emergency(self) -> str:
        return self._key("emergency")

    @property
    def emergency_changed(self) -> str:
        return self._key("emergency:changed")

    @property
    def ledger(self) -> str:
        return self._rehearsable("ledger")

    @property
    def rebuilding(self) -> str:
        return self._rehearsable("ledger:rebuilding")

    @property
    def records(self) -> str:
        return self._key("records")

    @property
    def orders(self) -> str:
        return self._key("orders")

    @property
    def orders_speakers(self) -> str:
        return self._key("orders:speakers")

    @property
    def orders_short(self) -> str:
        return self._key("orders:short")

    @property
    def back_off(self) -> str:
        return self._key("orders:back-off")

    def lease(self, symbol: str) -> str:
        return self._rehearsable(f"lease:{symbol}")

    def freed(self, symbol: str) -> str:
        return self._rehearsable(f"lease:{symbol}:freed")

    def warm(self, symbol: str) -> str:
        return self._rehearsable(f"warm:{symbol}")

    def halt(self, symbol: str) -> str:
        return self._rehearsable(f"halt:{symbol}")

    def halt_changed(self, symbol: str) -> str:
        return self._rehearsable(f"halt:{symbol}:changed")

    def snapshot(self, symbol: str) -> str:
        return self._rehearsable(f"snapshot:{symbol}")

    @property
    def steward(self) -> str:
        """Of the office, which is campaigned for like a symbol."""
        return self.snapshot(OFFICE)

    def maker(self, symbol: str) -> str:
        """No key: the line that all workers of the symbol share among the makers of an egress."""
        return self._rehearsable(f"maker:{symbol}")

    def record(self, symbol: str, holder: str) -> str:
        return self._key(f"record:{symbol}:{holder}")

    def _key(self, rest: str) -> str:
        return f"mm:{{{self.account}}}:{rest}"

    def _rehearsable(self, rest: str) -> str:
        return self._key(f"dry:{rest}" if self.dry_run else rest)


class EgressKeys(msgspec.Struct, frozen=True):
    """What belongs to a public IP, whichever accounts trade from behind it."""

    egress: str

    @property
    def weight(self) -> str:
        return self._key("weight")

    @property
    def weight_speakers(self) -> str:
        return self._key("weight:speakers")

    @property
    def weight_short(self) -> str:
        return self._key("weight:short")

    @property
    def starts(self) -> str:
        return self._key("starts")

    @property
    def starts_speakers(self) -> str:
        return self._key("starts:speakers")

    @property
    def starts_short(self) -> str:
        return self._key("starts:short")

    @property
    def back_off(self) -> str:
        return self._key("weight:back-off")

    @property
    def makers(self) -> str:
        return self._key("makers")

    def _key(self, rest: str) -> str:
        return f"mm:egress:{self.egress}:{rest}"
