"""One worker's connections to Redis: from a URL, checked before use, each fault as one sentence.

`redis://host:6379/0`, `rediss://…` (TLS), `unix:///run/redis.sock?db=0`, with `user:password@` for ACL users, and for
Sentinel `redis+sentinel://host:26379,host:26379/service/0` (`rediss+sentinel`: TLS to the Sentinels, too). With TLS
`?ssl_ca_certs=FILE&ssl_certfile=FILE&ssl_keyfile=FILE`, of Sentinels that want a password
`?sentinel_username=…&sentinel_password=…`. Other parameters are refused: time-outs and retries are ours, since no
command may be repeated behind our back: a lease counts from the moment at which its renewal was sent.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

import redis.asyncio as aioredis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

OLDEST = (6, 2)
_CONNECTIONS = 8
_PORT = 6379
_SENTINEL_PORT = 26_379
_USER_AND_PASSWORD = ("username", "password")
_OF_SENTINELS = ("sentinel_username", "sentinel_password")
_CERTIFICATE, _KEY = "ssl_certfile", "ssl_keyfile"
_TLS_FILES = ("ssl_ca_certs", _CERTIFICATE, _KEY)
_PARAMETERS = {
    "redis": _USER_AND_PASSWORD,
    "rediss": (*_USER_AND_PASSWORD, *_TLS_FILES),
    "unix": (*_USER_AND_PASSWORD, "db"),
    "redis+sentinel": (*_USER_AND_PASSWORD, *_OF_SENTINELS),
    "rediss+sentinel": (*_USER_AND_PASSWORD, *_OF_SENTINELS, *_TLS_FILES),
}
"""Of the query, by scheme."""
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
    parts, _ = _split(argument)
    if parts.password is not None or "password=" in parts.query:
        raise RedisUrlError("a password in an argument is seen by everyone on this machine: use @FILE")
    return argument


def credentials_of(url: str) -> tuple[str, ...]:
    """User name and password, a password alone, or nothing."""
    parts, _ = _split(url)
    query = dict(parse_qsl(parts.query))
    user, password = (
        unquote(written or "") or query.get(name, "")
        for written, name in zip((parts.username, parts.password), _USER_AND_PASSWORD, strict=True)
    )
    return _of_list(user, password)


def _of_list(user: str, password: str) -> tuple[str, ...]:
    return (user, password) if user and password else (password,) if password else ()


def passwords_of(url: str) -> list[str]:
    """What nobody may be told of a URL, as it is written there and as it is meant."""
    sentinels = dict(parse_qsl(_split(url)[0].query)).get(_OF_SENTINELS[1], "")
    secrets = [*credentials_of(url)[-1:], *filter(None, [sentinels])]
    return [written for meant in secrets for written in {meant, quote(meant), quote_plus(meant)}]


def check_url(url: str, what: str = "the URL", *, require_tls: bool = False) -> None:
    """Raises `RedisUrlError` where it names no Redis that may be used."""
    _address(url, what)
    if require_tls and _split(url)[0].scheme not in _ENCRYPTED:
        raise RedisUrlError(f"{what} has no TLS, which the account demands: write rediss://")


class _Address(NamedTuple):
    """What a URL names. `hosts`: the server, or the Sentinels that know the one of `service`; none where it is a
    `socket`. `tls`: None without; else files, by redis-py's own names.
    """

    socket: str
    hosts: Sequence[tuple[str, int]]
    service: str
    database: int
    tls: Mapping[str, str] | None
    sentinel_credentials: tuple[str, ...]


def _split(url: str) -> tuple[SplitResult, str]:
    """Its parts, and its hosts as they are written; raises `ValueError` for what is no URL.

    Sentinels are several, and an IPv6 address among several is refused by Python since a security fix of 2025
    (CVE-2025-0938). So a name stands for them while the rest is taken apart.
    """
    scheme, _, rest = url.partition("://")
    if not scheme.lower().endswith("+sentinel"):
        parts = urlsplit(url)
        return parts, parts.netloc.rpartition("@")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, hosts = authority.rpartition("@")
    return urlsplit(f"{scheme}://{user}{at}{'sentinels' if hosts else ''}{rest[len(authority) :]}"), hosts


def _address(url: str, what: str) -> _Address:
    try:
        parts, hosts = _split(url)
        port = _PORT if parts.scheme.endswith("+sentinel") or parts.port is None else parts.port
    except ValueError:
        port = 0
    if not port:
        raise RedisUrlError(f"{what} is none: write redis://HOST:PORT/DATABASE")
    known = _PARAMETERS.get(parts.scheme)
    socket, host = unquote(parts.path) if parts.scheme == "unix" else "", unquote(parts.hostname or "")
    if socket and host:
        raise RedisUrlError(f"{what} names a host beside a socket: write unix:///PATH, with three slashes")
    if known is None or not (socket or host):
        raise RedisUrlError(f"{what} is none of redis://, rediss://, unix:// or redis+sentinel://, with a host")
    if parts.fragment:
        raise RedisUrlError(f"{what} has a # that means nothing there: write %23 where it is part of a password")
    query = _query(parts, known, what)
    tls = {name: query[name] for name in _TLS_FILES if name in query} if parts.scheme.startswith("rediss") else None
    asked = _of_list(*(query.get(name, "") for name in _OF_SENTINELS))
    if parts.scheme.endswith("+sentinel"):
        return _Address("", *_sentinels(parts, hosts, what), tls, asked)
    database = query.get("db", "") if socket else parts.path.strip("/")
    if not re.fullmatch(r"[0-9]*", database):
        raise RedisUrlError(f"{what} names a database that is no number: end it with {'?db=0' if socket else '/0'}")
    return _Address(socket, () if socket else ((host, port),), "", int(database or 0), tls, ())


def _query(parts: SplitResult, known: Sequence[str], what: str) -> dict[str, str]:
    """Each parameter once, with a value; files are there."""
    found: dict[str, str] = {}
    for pair in filter(None, parts.query.split("&")):
        name, _, value = pair.partition("=")
        if name not in known or not value or name in found:
            # Only a plain name is told: half of a password that was not escaped may stand there.
            told = name if value and re.fullmatch(r"[a-z_]{1,30}", name) else "a parameter"
            why = "twice" if name in found else "without a value" if name in known else "which is not used"
            raise RedisUrlError(f"{what} has {told} {why}: after the ? {parts.scheme}:// takes {', '.join(known)}")
        found[name] = unquote_plus(value)
    for name in _TLS_FILES:
        if name in found and not os.access(found[name], os.R_OK):
            raise RedisUrlError(f"{what} names a file under {name} that cannot be read: {found[name]}")
    if _KEY in found and _CERTIFICATE not in found:
        raise RedisUrlError(f"{what} has {_KEY} without {_CERTIFICATE}: name the certificate, too")
    return found


def _sentinels(parts: SplitResult, hosts: str, what: str) -> tuple[list[tuple[str, int]], str, int]:
    """(addresses, service, database)."""
    path = [part for part in parts.path.split("/") if part]
    addresses = []
    for address in hosts.split(","):
        found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]+)(?::(\d{1,5}))?", address)
        if found is None or not 0 < int(found[2] or _SENTINEL_PORT) < 65_536:
            raise RedisUrlError(f"{what} names no Sentinels: write redis+sentinel://HOST:26379,HOST:26379/SERVICE")
        addresses.append((found[1].strip("[]"), int(found[2] or _SENTINEL_PORT)))
    if not path or len(path) > 2 or (len(path) == 2 and not re.fullmatch(r"[0-9]+", path[1])):
        raise RedisUrlError(f"{what} names no service: write redis+sentinel://HOST:26379/SERVICE or …/SERVICE/DATABASE")
    return addresses, path[0], int(path[1]) if len(path) == 2 else 0


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

    `credentials` are asked for each connection, so that changed ones need no restart; without, the URL's count. To
    Sentinels the URL's own count always.
    """
    address, present = _address(url, "the URL"), credentials_of(url)
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,
        "protocol": 2,
    }
    if address.tls is not None:
        options |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, **address.tls}
    of_server: dict[str, Any] = {
        **options,
        "db": address.database,
        "credential_provider": _Present(credentials or (lambda: present)),
        "max_connections": _CONNECTIONS,
        "client_name": "phoenix",
    }
    if address.socket:
        return cast("Redis", aioredis.Redis(unix_socket_path=address.socket, **of_server))
    if not address.service:
        ((host, port),) = address.hosts
        return cast("Redis", aioredis.Redis(host=host, port=port, **of_server))
    # Encrypted as the server is: who answers instead of a Sentinel chooses which server is believed.
    of_sentinels = {**options, "credential_provider": _Present(lambda: address.sentinel_credentials)}
    # redis-py leaves this constructor untyped.
    new_sentinel: Callable[..., Sentinel] = _Asked
    sentinel = new_sentinel(address.hosts, sentinel_kwargs=of_sentinels)
    return cast("Redis", sentinel.master_for(address.service, redis_class=_Followed, **of_server))


class _Asked(Sentinel):
    """Tells why no Sentinel names a master, which redis-py keeps to itself."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        why: Exception | None = None
        for sentinel in list(self.sentinels):
            try:
                masters = cast("dict[str, dict[str, Any]]", await sentinel.sentinel_masters())
            except FAULTS as error:
                why = error
                continue
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels.remove(sentinel)  # who has answered is asked first the next time
                self.sentinels.insert(0, sentinel)
                return state["ip"], state["port"]
        if isinstance(why, exceptions.AuthenticationError | exceptions.NoPermissionError) or "NOAUTH" in str(why):
            raise RedisFaultError(_SENTINELS_KEY)
        raise RedisFaultError(_NO_MASTER if why is None else f"{_NO_MASTER}: {fault_of(why)}")


class _Followed(aioredis.Redis):
    """The master that Sentinels name. Closing it closes the connections to them, too, which redis-py leaves open."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        pool = self.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.aclose()


class Server(NamedTuple):
    """One that answers for what is kept there. `run`: which of its lives this is. `unfit`: why nothing new may rest on
    it, or empty. `warning`: what a person should know all the same, or empty.
    """

    run: str
    unfit: str
    warning: str


async def look_at(client: Redis) -> Server:
    """Raises `RedisFaultError` where what it says now, or is told, does not count."""
    told = await client.execute_command("INFO")
    if told.get("loading"):  # until it is done it does not say of itself what it will be
        raise RedisFaultError(_LOADING)
    if told.get("role") != "master":
        raise RedisFaultError(_REPLICA)
    unfit = _unfit(told, by_sentinels=isinstance(client, _Followed))
    return Server(str(told.get("run_id", "")), unfit, "" if told.get("aof_enabled") else _NO_APPEND_ONLY_FILE)


async def check_server(client: Redis) -> Server:
    """Raises `RedisFaultError` for a server that could forget what we keep there, or is not the one that counts."""
    server = await look_at(client)
    if server.unfit:
        raise RedisFaultError(server.unfit)
    return server


def _unfit(told: Mapping[str, Any], *, by_sentinels: bool) -> str:
    version = tuple(int(part) for part in re.findall(r"\d+", str(told.get("redis_version", "")))[:2])
    if version < OLDEST:
        return f"Redis is {told.get('redis_version')}: use 6.2 or newer, or Valkey"
    policy = told.get("maxmemory_policy")
    if policy != "noeviction":
        return f"Redis evicts what it holds (maxmemory-policy {policy}): leases would vanish; set it to noeviction"
    if told.get("cluster_enabled"):
        return "this is a Redis Cluster, which is not supported: name a single Redis, or Sentinels"
    return _ALONE if by_sentinels and "min_slaves_good_slaves" not in told else ""


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
_SENTINELS_KEY = (
    "the Sentinels refuse the user name or password: put sentinel_password=…, and sentinel_username=… where they have"
    " users, into the query of the URL in its file"
)
_NO_MASTER = "the Sentinels name no master of this service"
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
