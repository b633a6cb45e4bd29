"""Every key and channel, in one place. The braces keep an account's keys in one slot of a Redis Cluster.

mm:account:<namespace>/<name>                 identity of the account that the resource names
mm:{<account>}:emergency                      hash: level, epoch, reason, source, at_ms, seeded
mm:{<account>}:emergency:changed              channel
mm:{<account>}:[dry:]lease:<symbol>           hash: holder, token, beat, released, run; or vacant
mm:{<account>}:[dry:]lease:<symbol>:freed     channel
mm:{<account>}:[dry:]ledger                   hash: rebuilt, vacant, epoch, e:<symbol>
mm:{<account>}:[dry:]ledger:rebuilding        string: who rebuilds it
mm:{<account>}:[dry:]snapshot:<symbol>        hash: schema, token, saved_wall_ns, memory
mm:{<account>}:record:<symbol>:<holder>       string, lives as long as a record does
mm:{<account>}:records                        sorted set of those keys, by the server's time in ms
"""

import msgspec


def identity_of(account: str) -> str:
    """`account`: `namespace/name` of the resource."""
    return f"mm:account:{account}"


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

    def lease(self, symbol: str) -> str:
        return self._rehearsable(f"lease:{symbol}")

    def freed(self, symbol: str) -> str:
        return self._rehearsable(f"lease:{symbol}:freed")

    def snapshot(self, symbol: str) -> str:
        return self._rehearsable(f"snapshot:{symbol}")

    def record(self, symbol: str, holder: str) -> str:
        return self._key(f"record:{symbol}:{holder}")

    def _key(self, rest: str) -> str:
        return f"mm:{{{self.account}}}:{rest}"

    def _rehearsable(self, rest: str) -> str:
        return self._key(f"dry:{rest}" if self.dry_run else rest)
