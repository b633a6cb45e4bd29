"""Accounts that an exchange begins with, under keys that its clients know already.

Keys that the exchange makes up (`POST /sim/account`) are gone when its process is. Where clients and exchange are
started by others, as pods are, both read the same key from files: the exchange and its clients mount one Secret.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from phoenix_simulator.api.auth import KEY_FORMAT
from phoenix_simulator.api.public_keys import PublicKey, read_public_key
from phoenix_simulator.exchange.symbols import BUILT_IN, to_e8

DEFAULT_BALANCES: Final[Mapping[str, Decimal]] = {
    asset: Decimal(100_000) for asset in sorted({spec.margin_asset for spec in BUILT_IN.values()})
}
"""Enough for every example maker; in each margin asset."""
_LARGEST_BALANCE: Final = 1_000_000_000_000
_LARGEST_FILE: Final = 16_384
_ASSET: Final = re.compile(r"[A-Z0-9]{2,20}")


class GivenAccountError(ValueError):
    """Files or balances that make no account; the text says what to do, and never what a key is."""


class GivenAccount:
    """A key, and by what its signatures are judged: a secret, or a public key. Its repr hides what must not be seen."""

    __slots__ = ("api_key", "label", "public_key", "secret")

    def __init__(self, label: str, api_key: str, secret: str, public_key: PublicKey | None) -> None:
        self.label = label
        self.api_key = api_key
        self.secret = secret
        self.public_key = public_key

    def __repr__(self) -> str:
        return f"GivenAccount({self.label!r}, …)"


def read_accounts(directories: Sequence[Path]) -> tuple[GivenAccount, ...]:
    """One account of each directory; GivenAccountError where one cannot be, or where two have one key."""
    accounts = tuple(_read_account(directory) for directory in directories)
    seen: dict[str, Path] = {}
    for account, directory in zip(accounts, directories, strict=True):
        if account.api_key in seen:
            raise GivenAccountError(f"{directory} and {seen[account.api_key]} hold the same apiKey; give each its own")
        seen[account.api_key] = directory
    return accounts


def _read_account(directory: Path) -> GivenAccount:
    api_key, secret, public_key = (_read(directory / name) for name in ("apiKey", "apiSecret", "publicKey"))
    if not api_key or bool(secret) == bool(public_key):
        raise GivenAccountError(
            f"{directory} holds no key: it needs the file apiKey, and apiSecret (HMAC) or publicKey (Ed25519, RSA: PEM)"
        )
    if not KEY_FORMAT.fullmatch(api_key):
        raise GivenAccountError(f"{directory}/apiKey is no key of the venue's form: 64 letters and digits")
    try:
        return GivenAccount(directory.name, api_key, secret, read_public_key(public_key) if public_key else None)
    except ValueError as error:
        raise GivenAccountError(f"{directory}: {error}") from None


def _read(file: Path) -> str:
    """Without the white space around it, as editors and `echo` leave it; empty where there is no file."""
    try:
        with file.open("rb") as content:
            data = content.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            raise GivenAccountError(f"{file} is no key: it is larger than {_LARGEST_FILE} bytes")
        return data.decode("ascii").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise GivenAccountError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GivenAccountError(f"{file} is no text; write the key as it was made") from None


def parse_balances(texts: Sequence[str]) -> Mapping[str, int]:
    """`ASSET=AMOUNT` each → asset to 1e-8; none given: the default ones."""
    balances = dict(_parse_balance(text) for text in texts) or DEFAULT_BALANCES
    return {asset: amount_e8(asset, amount) for asset, amount in balances.items()}


def _parse_balance(text: str) -> tuple[str, Decimal]:
    asset, _, number = text.partition("=")
    try:
        if _ASSET.fullmatch(asset):
            return asset, Decimal(number)
    except InvalidOperation:
        pass
    raise GivenAccountError(f"{text!r} is no balance; write ASSET=AMOUNT, as USDT=100000")


def amount_e8(asset: str, amount: Decimal) -> int:
    """A balance in 1e-8; GivenAccountError for one that nobody has."""
    if not amount.is_finite() or not 0 <= amount <= _LARGEST_BALANCE:
        raise GivenAccountError(f"balance of {asset} is {amount}; give a number from 0 to {_LARGEST_BALANCE}")
    try:
        return to_e8(amount)
    except ValueError as error:
        raise GivenAccountError(f"balance of {asset}: {error}") from None
