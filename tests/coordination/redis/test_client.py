"""Which Redis is used, and what a person is told of one that is not."""

import pytest
from phoenix_coordination.redis.client import (
    RedisFaultError,
    RedisUrlError,
    check_server,
    check_url,
    connect,
    credentials_of,
    fault_of,
    passwords_of,
    read_url,
)
from redis import exceptions


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/2",
        "rediss://user:pass@host:6380",
        "unix:///run/redis.sock",
        "redis://[::1]:6380/",
        "redis://localhost?username=maker&password=secret",
        "rediss://host?ssl_ca_certs=/dev/null&ssl_certfile=/dev/null&ssl_keyfile=/dev/null",
        "unix:///run/redis.sock?db=2",
        "redis+sentinel://a:26379,b,[::1]:26380/main",
        "redis+sentinel://a/main?sentinel_username=maker&sentinel_password=secret",
        "rediss+sentinel://a/main?ssl_ca_certs=/dev/null",
        "rediss+sentinel://user:pass@a/main/3",
    ],
)
def test_a_url_of_a_redis_is_taken(url):
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://host:port",
        "redis://host:0/0",
        "redis://host:65536/0",
        "redis+sentinel://a:65536/service-a",
        "unix://",
        "redis+sentinel://sentinel-a",
        "redis+sentinel://a/main/xyz",
        "redis+sentinel://a:b/service-a",
        "unix+sentinel://a/service-a",
        "redis://[::1",
    ],
)
def test_what_is_no_redis_is_refused_without_repeating_it(url):
    with pytest.raises(RedisUrlError) as refused:
        check_url(url)
    host = url.rpartition("/")[2]
    assert not host or host not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://h?foo=bar", "has foo which is not used: after the ? redis:// takes username, password"),
        ("rediss://h?ssl_ca_cert=/dev/null", "has ssl_ca_cert which is not used"),
        ("redis://h?ssl_ca_certs=/dev/null", "has ssl_ca_certs which is not used"),
        ("rediss://h?ssl_cert_reqs=none", "has ssl_cert_reqs which is not used"),
        ("redis://h?socket_timeout=5", "has socket_timeout which is not used"),
        ("redis://h?decode_responses=true", "has decode_responses which is not used"),
        ("redis+sentinel://h/main?db=1", "has db which is not used"),
        ("rediss://h?ssl_ca_certs", "has a parameter without a value"),
        ("rediss://h?ssl_ca_certs=", "has a parameter without a value"),
        ("unix:///s?db=1&db=2", "has db twice"),
        ("rediss://h?ssl_ca_certs=/no/file", "under ssl_ca_certs that cannot be read: /no/file"),
        ("rediss://h?ssl_keyfile=/dev/null", "without ssl_certfile"),
        ("redis://h/notanumber", "database that is no number: end it with /0"),
        ("redis://h/1/2", "database that is no number"),
        ("unix:///s?db=x", "database that is no number: end it with ?db=0"),
        ("redis://h/0#12", "write %23"),
        ("redis://:6379", "with a host"),
        ("unix://run/redis.sock", "with three slashes"),
        ("redis+sentinel://a/main/x", "names no service"),
    ],
)
def test_what_would_not_be_used_of_a_url_is_refused_before_anything_is_opened(url, told):
    with pytest.raises(RedisUrlError) as refused:
        check_url(url)
    assert told in str(refused.value)
    with pytest.raises(RedisUrlError):
        connect(url, 1.0)


@pytest.mark.parametrize("secret", ["hunter2", "hun%26ter2=x"])
def test_what_may_be_half_a_password_is_not_told(secret):
    with pytest.raises(RedisUrlError) as refused:
        check_url(f"redis://maker?{secret}")
    assert "hun" not in str(refused.value)


def test_an_account_that_demands_tls_gets_it():
    check_url("rediss://host", require_tls=True)
    with pytest.raises(RedisUrlError, match="no TLS"):
        check_url("redis://host", require_tls=True)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:secret@host",
        "redis://:secret@host",
        "redis://host?password=secret",
        "redis+sentinel://host/main?sentinel_password=secret",
    ],
)
def test_a_password_in_an_argument_is_refused_and_not_repeated(url):
    with pytest.raises(RedisUrlError, match="@FILE") as refused:
        read_url(url)
    assert "secret" not in str(refused.value)


def test_a_password_in_a_file_is_read(tmp_path):
    (tmp_path / "url").write_text("rediss://user:secret@host:6380/1\n")
    assert read_url(f"@{tmp_path / 'url'}") == "rediss://user:secret@host:6380/1"
    with pytest.raises(RedisUrlError, match="cannot be read"):
        read_url(f"@{tmp_path / 'none'}")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (exceptions.AuthenticationError("WRONGPASS"), "user name or password"),
        (exceptions.ResponseError("NOAUTH Authentication required"), "user name or password"),
        (exceptions.ConnectionError("refused"), "cannot be reached"),
        (exceptions.TimeoutError("x"), "in time"),
        (
            exceptions.ResponseError("Error running script: FOREIGN mm:x is not ours"),
            "what no worker wrote: mm:x is not",
        ),
        (exceptions.ResponseError("WRONGTYPE Operation against"), "foreign value"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "too few replicas"),
        (exceptions.ResponseError("OOM command not allowed when used memory > 'maxmemory'."), "out of memory"),
        (exceptions.NoPermissionError("NOPERM this user has no permissions"), "may not do"),
        (exceptions.ReadOnlyError("x"), "replica"),
        (exceptions.BusyLoadingError("x"), "loading"),
        (ConnectionRefusedError("x"), "cannot be reached"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_fault_is_one_sentence(error, told):
    assert told in fault_of(error)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        pytest.param("redis://host", (), id="none"),
        pytest.param("redis://user@host", (), id="a user without a password is nobody"),
        pytest.param("redis://:se%2Fcret@host", ("se/cret",), id="a password alone, decoded"),
        pytest.param("rediss://user:se%40cret@host:6380/1", ("user", "se@cret"), id="a user of an access list"),
        pytest.param("unix:///run/redis.sock?db=2&password=se%2Fcret", ("se/cret",), id="in the query"),
        pytest.param("redis+sentinel://user:secret@a,b/main", ("user", "secret"), id="beside Sentinels"),
    ],
)
def test_who_connects_and_what_nobody_may_be_told(url, found):
    assert credentials_of(url) == found
    hidden = passwords_of(url)
    assert set(found[-1:]) <= set(hidden)
    for password in found[-1:]:
        left = url
        for written in hidden:
            left = left.replace(written, "")
        assert password.removeprefix("se").strip("/@") not in left


class Told:
    """A server as its INFO tells of it: of versions and kinds that cannot be run here."""

    def __init__(self, **info) -> None:
        fit = {
            "redis_version": "6.2.14",
            "maxmemory_policy": "noeviction",
            "role": "master",
            "aof_enabled": 1,
            "run_id": "a",
        }
        self._info = {**fit, **info}

    async def execute_command(self, *words):
        assert words == ("INFO",)
        return self._info


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "7.4.1", "8.0.0", "10.0.0"])
async def test_a_version_that_has_what_is_needed_is_used(version):
    assert await check_server(Told(redis_version=version)) == ("a", "", "")


async def test_a_valkey_calls_itself_by_the_version_of_redis_that_it_stands_for():
    assert await check_server(Told(redis_version="7.2.4", server_name="valkey", valkey_version="8.1.0")) == (
        "a",
        "",
        "",
    )


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"redis_version": "6.0.16"}, "Redis is 6.0.16: use 6.2 or newer, or Valkey"),
        ({"redis_version": "5.0.14"}, "use 6.2 or newer"),
        ({"redis_version": ""}, "use 6.2 or newer"),
        ({"maxmemory_policy": "volatile-ttl"}, "evicts what it holds (maxmemory-policy volatile-ttl)"),
        ({"role": "slave"}, "name its master"),
        ({"cluster_enabled": 1}, "Cluster, which is not supported"),
        ({"loading": 1}, "loading its data"),
    ],
    ids=["old", "older", "nameless", "evicting", "replica", "cluster", "loading"],
)
async def test_a_server_that_may_not_be_used_is_one_sentence(info, told):
    with pytest.raises(RedisFaultError) as refused:
        await check_server(Told(**info))
    assert told in fault_of(refused.value)


async def test_a_server_that_keeps_nothing_is_used_with_a_word_of_warning():
    assert "appendonly yes" in (await check_server(Told(aof_enabled=0))).warning


def test_a_password_of_sentinels_is_hidden_beside_that_of_the_server():
    url = "redis+sentinel://user:secret@a/main?sentinel_password=other%26one"
    assert {"secret", "other&one", "other%26one"} <= set(passwords_of(url))
