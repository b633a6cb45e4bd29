"""The account's key: a directory with `apiKey`, and `apiSecret` (HMAC) or `privateKey` (Ed25519), as mounted.

Read from files alone, never from arguments or the environment, and shown nowhere: not in a repr, a log or a crash.
"""

from pathlib import Path

from phoenix_worker.runtime.files import Look, look
from phoenix_worker.runtime.private_key import PrivateKey, PrivateKeyError
from phoenix_worker.runtime.redaction import Redactor

API_KEY = "apiKey"
API_SECRET = "apiSecret"  # noqa: S105 - the name of a file
PRIVATE_KEY = "privateKey"
NAMES = (API_KEY, API_SECRET, PRIVATE_KEY)
MOST_BYTES = 16_384
MOST_NAMES = 8


class CredentialsError(Exception):
    """The directory does not hold a usable key. The text names files, never what is in them."""


class Key:
    """What was read, of one kind: there is an `api_secret`, or else a `private_key`. `secrets` must never be seen."""

    __slots__ = ("api_key", "api_secret", "private_key")

    def __init__(self, api_key: str, api_secret: str, private_key: PrivateKey | None = None) -> None:
        self.api_key = api_key
        self.api_secret = api_secret
        self.private_key = private_key

    @property
    def secrets(self) -> tuple[str, ...]:
        if self.private_key is None:
            return (self.api_key, self.api_secret)
        return (self.api_key, *self.private_key.secrets)

    def __repr__(self) -> str:
        return "Key(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key is not copied out of the process")


def read_key(directory: Path) -> Key:
    """The key; raises `CredentialsError` that names each missing or unusable file and what to do."""
    api_key = _read_line(directory / API_KEY)
    api_secret = _read_line(directory / API_SECRET)
    pem = _read(directory / PRIVATE_KEY, "write it as PEM: openssl pkey -inform DER -in FILE -out privateKey")
    if api_secret and pem:
        raise CredentialsError(
            f"{directory}: holds both {API_SECRET} (HMAC) and {PRIVATE_KEY} (Ed25519): remove the one not in use"
        )
    missing = [] if api_key else [API_KEY]
    if not api_secret and not pem:
        missing.append(f"{API_SECRET} (or {PRIVATE_KEY})")
    if missing:
        raise CredentialsError(
            f"{directory}: {' and '.join(missing)} missing or empty{_found(directory)}: put the account's key there, "
            "one file each (in a cluster: keys of the Secret that the account names)"
        )
    if api_secret:
        return Key(api_key, api_secret)
    try:
        return Key(api_key, "", PrivateKey(pem))
    except PrivateKeyError as error:
        raise CredentialsError(f"{directory / PRIVATE_KEY}: {error}") from None


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
        seen = look(self.directory / name for name in NAMES)
        api_key, *secrets = seen
        return seen, "" if api_key and any(secrets) else _found(self.directory)


def _found(directory: Path) -> str:
    """What lies there instead, by name: keys of the Secret are often only called otherwise."""
    try:
        names = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    except OSError:
        return " (there is no such directory)"
    others = [name for name in names if name not in NAMES]
    if not others:
        return "" if names else " (the directory is empty)"
    more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
    return f" (there are {', '.join(others[:MOST_NAMES])}{more})"


def _read_line(path: Path) -> str:
    text = _read(path, "write the key as the exchange shows it")
    if any(character.isspace() for character in text):
        raise CredentialsError(f"{path}: is no key: write the key alone, on one line")
    return text


def _read(path: Path, what_to_do: str) -> str:
    """The file without surrounding white space, as editors and `echo` leave it; empty where it does not exist."""
    try:
        data = path.read_bytes()
        text = data.decode("ascii").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {error.strerror}: check owner and mode of the file") from None
    except UnicodeDecodeError:
        raise CredentialsError(f"{path}: is no text: {what_to_do}") from None
    if len(data) > MOST_BYTES:
        raise CredentialsError(f"{path}: is no key, being larger than any: {what_to_do}")
    return text
