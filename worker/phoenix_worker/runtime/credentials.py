"""The account's key: a directory with `apiKey` and `apiSecret` (HMAC), as mounted.

Read from files alone, never from arguments or the environment, and shown nowhere: not in a repr, a log or a crash.
"""

from pathlib import Path

from phoenix_worker.runtime.files import Look, look
from phoenix_worker.runtime.redaction import Redactor

API_KEY = "apiKey"
API_SECRET = "apiSecret"  # noqa: S105 - the name of a file
PRIVATE_KEY = "privateKey"  # what people call that of an Ed25519 or RSA pair
MOST_BYTES = 16_384
MOST_NAMES = 8


class CredentialsError(Exception):
    """The directory does not hold a usable key. The text names files, never what is in them."""


class Key:
    """What was read. `secrets` is what must never be seen."""

    __slots__ = ("api_key", "api_secret")

    def __init__(self, api_key: str, api_secret: str) -> None:
        self.api_key = api_key
        self.api_secret = api_secret

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.api_key, self.api_secret)

    def __repr__(self) -> str:
        return "Key(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key is not copied out of the process")


def read_key(directory: Path) -> Key:
    """The key; raises `CredentialsError` that names each missing or unusable file and what to do."""
    api_key = _read(directory, API_KEY)
    api_secret = _read(directory, API_SECRET)
    if not api_secret and (directory / PRIVATE_KEY).exists():
        raise CredentialsError(
            f"{directory}: holds a {PRIVATE_KEY} (Ed25519 or RSA), and requests are signed with HMAC alone: create an "
            f"HMAC key at the exchange, and put {API_KEY} and {API_SECRET} there"
        )
    missing = [name for name, text in ((API_KEY, api_key), (API_SECRET, api_secret)) if not text]
    if missing:
        raise CredentialsError(
            f"{directory}: {' and '.join(missing)} missing or empty{_found(directory)}: put the account's key there, "
            "one file each (in a cluster: keys of the Secret that the account names)"
        )
    return Key(api_key, api_secret)


class MountedKey:
    """The key as it lies there now. `read` again where it has `changed` since: a mounted Secret is replaced whole."""

    def __init__(self, directory: Path, redact: Redactor) -> None:
        self.directory = directory
        self._redact = redact
        self._seen: tuple[Look, str] | None = None

    @property
    def changed(self) -> bool:
        """Whether the files are others than those that were read last."""
        return self._look() != self._seen

    def read(self) -> Key:
        """As `read_key`; nothing of it can be told from then on."""
        self._seen = self._look()
        key = read_key(self.directory)
        self._redact.hide(key.secrets)
        return key

    def _look(self) -> tuple[Look, str]:
        """Where there is no key yet, also what lies there instead: people are told that, too."""
        seen = look(self.directory / name for name in (API_KEY, API_SECRET))
        return seen, "" if all(seen) else _found(self.directory)


def _found(directory: Path) -> str:
    """What lies there instead, by name: keys of the Secret are often only called otherwise."""
    try:
        names = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    except OSError:
        return " (there is no such directory)"
    others = [name for name in names if name not in {API_KEY, API_SECRET}]
    if not others:
        return "" if names else " (the directory is empty)"
    more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
    return f" (there are {', '.join(others[:MOST_NAMES])}{more})"


def _read(directory: Path, name: str) -> str:
    """The file without surrounding white space, as editors and `echo` leave it; empty where it does not exist."""
    path = directory / name
    try:
        data = path.read_bytes()[: MOST_BYTES + 1]
        text = data.decode("ascii").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read: {error.strerror}: check owner and mode of the file") from None
    except UnicodeDecodeError:
        raise CredentialsError(f"{path}: is no text: write the key as the exchange shows it") from None
    if len(data) > MOST_BYTES or any(character.isspace() for character in text):
        raise CredentialsError(f"{path}: is no key: write the key alone, on one line")
    return text
