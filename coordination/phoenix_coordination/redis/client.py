"""One worker's connections to Redis: from a URL, checked before use, each fault as one sentence.

`redis://host:6379/0`, `rediss://…` (TLS), `unix://…`, with `user:password@` for ACL users, and for Sentinel
`redis+sentinel://host:26379,host:26379/service/0` (`rediss+sentinel`: TLS). No command is ever repeated behind our
back: a lease counts from the moment at which its renewal was sent.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode, urlsplit, urlunsplit

import redis.asyncio as aioredis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

OLDEST = (6, 2)
_CONNECTIONS = 8
_SENTINEL_PORT = 26_379
_SCHEMES = frozenset({"redis", "rediss", "unix"})
_USER_AND_PASSWORD = ("username", "password")
_ENCRYPTED = frozenset({"rediss", "rediss+sentinel", "unix"})


class RedisUrlError(ValueError):
    """The text names no Redis that we would use; says what to write. Never holds the text: it may hold a password."""


class RedisFaultError(Exception):
    """Redis cannot be used right now; the text says why and what to do, without addresses' passwords."""


def read_url(argument: str) -> str:
    """The URL of `--redis`: `@FILE` is the file's first line; raises `RedisUrlError`.

    A password in an argument is refused: everybody on the machine can read it there.
    """
    if argument.startswith("@"):
        path = Path(argument[1:])
        try:
            url = path.read_text(encoding="utf-8").strip().partition("\n")[0].rstrip()
        except (OSError, UnicodeDecodeError) as error:
            raise RedisUrlError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        check_url(url, f"the URL in {path}")
        return url
    check_url(argument, "the URL")
    if urlsplit(argument).password is not None or "password=" in urlsplit(argument).query:
        raise RedisUrlError("a password in an argument is seen by everyone on this machine: use @FILE")
    return argument


def credentials_of(url: str) -> tuple[str, ...]:
    """User name and password, a password alone, or nothing."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    user, password = (
        unquote(written or "") or query.get(name, "")
        for written, name in zip((parts.username, parts.password), _USER_AND_PASSWORD, strict=True)
    )
    return (user, password) if user and password else (password,) if password else ()


def passwords_of(url: str) -> list[str]:
    """What nobody may be told of a URL, as it is written there and as it is meant."""
    return [written for meant in credentials_of(url)[-1:] for written in {meant, quote(meant), quote_plus(meant)}]


def check_url(url: str, what: str = "the URL", *, require_tls: bool = False) -> None:
    """Raises `RedisUrlError` where it names no Redis that may be used."""
    try:
        parts = urlsplit(url)
        _ = parts.password
        named = parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]
        if not parts.scheme.endswith("+sentinel"):
            _ = parts.port
    except ValueError:
        raise RedisUrlError(f"{what} is none: write redis://HOST:PORT/DATABASE") from None
    if parts.scheme.removesuffix("+sentinel") not in _SCHEMES or parts.scheme == "unix+sentinel" or not named:
        raise RedisUrlError(f"{what} is none of redis://, rediss://, unix:// or redis+sentinel://, with a host")
    if parts.scheme.endswith("+sentinel"):
        _sentinels(url)
    if require_tls and parts.scheme not in _ENCRYPTED:
        raise RedisUrlError(f"{what} has no TLS, which the account demands: write rediss://")


class Redis(Protocol):
    """What we use of redis-py's client, typed."""

    def execute_command(self, *words: str | bytes | float) -> Awaitable[Any]: ...

    def pipeline(self, *, transaction: bool) -> Any: ...  # noqa: ANN401 - redis-py's own, used in one place

    def pubsub(self) -> Any: ...  # noqa: ANN401 - as above

    async def aclose(self) -> None: ...


Credentials = Callable[[], tuple[str, ...]]
"""User name and password, a password alone, or nothing, as they are now. May raise `RedisUrlError`."""


class _Present(CredentialProvider):
    """Asked for each connection."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        try:
            # Of an empty one nothing is sent, which redis-py's type does not tell.
            return cast("tuple[str]", self._credentials())
        except RedisUrlError as error:
            raise RedisFaultError(str(error)) from None

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def connect(url: str, timeout_s: float, credentials: Credentials | None = None) -> Redis:
    """A client that connects when first used. `timeout_s`: how long a connection, or an answer, may take.

    `credentials` are asked for each connection, so that changed ones need no restart; without, the URL's count.
    """
    parts = urlsplit(url)
    present = credentials_of(url)
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name not in _USER_AND_PASSWORD])
    url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query))
    options: dict[str, Any] = {
        "credential_provider": _Present(credentials or (lambda: present)),
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "max_connections": _CONNECTIONS,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "phoenix",
        "driver_info": None,
        "protocol": 2,
    }
    if not parts.scheme.endswith("+sentinel"):
        return cast("Redis", aioredis.Redis.from_url(url, **options))
    hosts, service, database = _sentinels(url)
    if parts.scheme == "rediss+sentinel":
        options["ssl"] = True
    # redis-py leaves this constructor untyped.
    new_sentinel: Callable[..., Sentinel] = Sentinel
    sentinel = new_sentinel(hosts, sentinel_kwargs={"socket_timeout": timeout_s, "retry": Retry(NoBackoff(), 0)})
    return cast("Redis", sentinel.master_for(service, redis_class=_Followed, db=database, **options))


class _Followed(aioredis.Redis):
    """The master that Sentinels name. Closing it closes the connections to them, too, which redis-py leaves open."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        pool = self.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.aclose()


def _sentinels(url: str) -> tuple[list[tuple[str, int]], str, int]:
    """(addresses, service, database) of a Sentinel URL."""
    parts = urlsplit(url)
    path = [part for part in parts.path.split("/") if part]
    addresses = []
    for address in parts.netloc.rpartition("@")[2].split(","):
        found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]+)(?::(\d{1,5}))?", address)
        if found is None:
            raise RedisUrlError("the URL names no Sentinels: write redis+sentinel://HOST:26379,HOST:26379/SERVICE")
        addresses.append((found[1].strip("[]"), int(found[2] or _SENTINEL_PORT)))
    if not path or len(path) > 2 or (len(path) == 2 and not path[1].isdigit()):
        raise RedisUrlError("the URL names no service: write redis+sentinel://HOST:26379/SERVICE or …/SERVICE/DATABASE")
    return addresses, path[0], int(path[1]) if len(path) == 2 else 0


class FitServer(NamedTuple):
    """A server that may be used: which of its lives this is, and what a person should know all the same (or empty)."""

    run: str
    warning: str


async def check_server(client: Redis) -> FitServer:
    """Raises `RedisFaultError` for a server that could forget what we keep there, or is not the one that counts."""
    told = await client.execute_command("INFO")
    if told.get("loading"):  # until it is done it does not say of itself what it will be
        raise RedisFaultError(_LOADING)
    version = tuple(int(part) for part in re.findall(r"\d+", str(told.get("redis_version", "")))[:2])
    if version < OLDEST:
        raise RedisFaultError(f"Redis is {told.get('redis_version')}: use 6.2 or newer, or Valkey")
    policy = told.get("maxmemory_policy")
    if policy != "noeviction":
        raise RedisFaultError(
            f"Redis evicts what it holds (maxmemory-policy {policy}): leases would vanish; set it to noeviction"
        )
    if told.get("role") != "master":
        raise RedisFaultError(_REPLICA)
    if told.get("cluster_enabled"):
        raise RedisFaultError("this is a Redis Cluster, which is not supported: name a single Redis, or Sentinels")
    if isinstance(client, _Followed) and "min_slaves_good_slaves" not in told:
        raise RedisFaultError(_ALONE)
    warning = "" if told.get("aof_enabled") else _NO_APPEND_ONLY_FILE
    return FitServer(str(told.get("run_id", "")), warning)


_NO_APPEND_ONLY_FILE = (
    "Redis keeps no append-only file: after a restart makers stand still until what it forgot is rebuilt"
    " (set appendonly yes)"
)
_LOADING = "Redis is loading its data"
_WRONG_KEY = "Redis refuses the user name or password: put the right one into the URL's file"
_ALONE = (
    "the master that the Sentinels name takes writes without a replica: one that was cut off would keep its leaders"
    " beside the next one's; set min-replicas-to-write 1 and min-replicas-max-lag 2 on every Redis of the service"
)
_REPLICA = "Redis is a replica here: name its master, or the Sentinels that know it"
_NO_ANSWER = "Redis does not answer in time"
_UNTRUSTED = (
    "Redis has a certificate that is not trusted: name its authority (rediss://…?ssl_ca_certs=FILE),"
    " and the host as the certificate does: {error}"
)
_NO_MEMORY = "Redis is out of memory (maxmemory): give it more, it must not forget"
_CLOSED = "Redis closes the connection: if it goes on to, it may want TLS (rediss://)"
_TAKEN = "two accounts of one name in this Redis ({error}): give one another name, or a Redis of its own"
# The first that fits: subclasses come before what they are made of.
_SENTENCES: tuple[tuple[type[Exception], str, str], ...] = (
    (RedisFaultError, "", "{error}"),
    (exceptions.AuthenticationError, "", _WRONG_KEY),
    (exceptions.AuthorizationError, "", _WRONG_KEY),
    (exceptions.NoPermissionError, "", "Redis: this user may not do what workers need: {error}"),
    (exceptions.ReadOnlyError, "", _REPLICA),
    (exceptions.BusyLoadingError, "", _LOADING),
    (MasterNotFoundError, "", "the Sentinels know no master of this service, or none answers"),
    (exceptions.TimeoutError, "", _NO_ANSWER),
    (TimeoutError, "", _NO_ANSWER),
    (exceptions.ConnectionError, "CERTIFICATE_VERIFY_FAILED", _UNTRUSTED),
    (exceptions.ConnectionError, "closed by server", _CLOSED),
    (exceptions.ConnectionError, "", "Redis cannot be reached: {error}"),
    (OSError, "", "Redis cannot be reached: {error}"),
    (exceptions.ResponseError, "FOREIGN ", "Redis holds what no worker wrote: {error}"),
    (exceptions.ResponseError, "TAKEN ", _TAKEN),
    (exceptions.ResponseError, "NOREPLICAS", "Redis has too few replicas to write: what it took could be lost"),
    (exceptions.OutOfMemoryError, "", _NO_MEMORY),
    (exceptions.ResponseError, "OOM ", _NO_MEMORY),  # told by a script
    (exceptions.ResponseError, "WRONGTYPE", "Redis holds a foreign value under one of our keys (mm:…): move it away"),
    (exceptions.ResponseError, "NOAUTH", _WRONG_KEY),
    (exceptions.ResponseError, "WRONGPASS", _WRONG_KEY),
    (Exception, "", "Redis: {error}"),
)


def fault_of(error: Exception) -> str:
    """One sentence for a person: what is wrong with Redis and what to do. Never holds what was sent."""
    cause = error.__cause__ or error.__context__
    if type(error) is exceptions.ConnectionError and isinstance(cause, exceptions.RedisError | TimeoutError):
        error = cause  # what went wrong while connecting comes wrapped
    told = str(error)
    sentence = next(text for kind, part, text in _SENTENCES if isinstance(error, kind) and part in told)
    for code in ("FOREIGN ", "TAKEN "):
        told = told.rpartition(code)[2]
    return sentence.format(error=told)


FAULTS = (RedisFaultError, exceptions.RedisError, OSError, TimeoutError, asyncio.IncompleteReadError)
"""What the world does to a connection; everything else is a defect of ours and not caught."""
