"""The run's own Redis: a real server, started, killed, emptied and stopped."""

import asyncio
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
import redis
from phoenix_cli.local import redis as redis_module
from phoenix_cli.local.layout import StateDirectory
from phoenix_cli.local.process import Guardian
from phoenix_cli.local.redis import absolute_file, check_redis, own_redis
from phoenix_cli.refusal import Refused


@pytest.fixture
def directory():
    """A state directory whose name is short enough for a socket."""
    root = Path(tempfile.mkdtemp(prefix="px-state-"))
    yield StateDirectory(root)
    shutil.rmtree(root)


@pytest.fixture
async def guardian():
    async with Guardian() as guardian:
        yield guardian


def client_of(url: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=url.removeprefix("unix://"), socket_timeout=5)


def silent(*_: object) -> None:
    pass


async def test_it_answers_never_evicts_and_is_its_owners_alone(directory, guardian):
    async with own_redis(directory, guardian, silent) as server:
        with client_of(server.url) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("port") == {"port": "0"}
        socket = Path(server.url.removeprefix("unix://"))
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    with client_of(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


async def test_what_it_holds_survives_the_run(directory, guardian):
    async with own_redis(directory, guardian, silent) as server:
        with client_of(server.url) as client:
            client.set("mm:a", "1")
    async with own_redis(directory, guardian, silent) as server:
        with client_of(server.url) as client:
            assert client.get("mm:a") == b"1"


async def test_killed_it_comes_back_with_what_it_had_and_that_is_told(directory, guardian):
    told: list[str] = []
    async with own_redis(directory, guardian, lambda _, text, __: told.append(text)) as server:
        with client_of(server.url) as client:
            client.set("mm:a", "1")
            run = client.info("server")["run_id"]
        supervision = asyncio.create_task(server.supervise())
        server.kill()
        async with asyncio.timeout(30):
            while "redis-server answers again" not in told:  # noqa: ASYNC110 - a process is waited for
                await asyncio.sleep(0.02)
        with client_of(server.url) as client:
            assert client.get("mm:a") == b"1"
            assert client.info("server")["run_id"] != run
        supervision.cancel()
    assert told == [
        "redis-server was ended by SIGKILL, is started again with what it had",
        "redis-server answers again",
    ]


async def test_made_to_forget_it_is_empty(directory, guardian):
    async with own_redis(directory, guardian, silent) as server:
        with client_of(server.url) as client:
            client.set("mm:a", "1")
            await server.forget()
            assert client.dbsize() == 0


async def test_a_server_that_cannot_start_is_refused_in_its_own_words(directory, guardian):
    (directory.redis / "appendonly.aof").write_text("this is no append-only file\n" * 3)
    with pytest.raises(Refused, match=r"redis-server did not start: .*(Bad file format|append only file)"):
        async with own_redis(directory, guardian, silent):
            pytest.fail("it must not be open")


async def test_a_directory_whose_name_is_too_long_for_a_socket_is_refused(tmp_path, guardian):
    with pytest.raises(Refused, match=r"too long for a socket.*shorter --state-dir"):
        async with own_redis(StateDirectory(tmp_path / ("x" * 100)), guardian, silent):
            pytest.fail("it must not be open")


async def test_a_machine_without_a_server_is_told_where_to_get_one(directory, guardian, monkeypatch):
    monkeypatch.setattr(redis_module, "find_server", lambda: None)
    with pytest.raises(Refused, match=r"no redis-server on this machine: install Redis .*--redis"):
        async with own_redis(directory, guardian, silent):
            pytest.fail("it must not be open")


async def test_a_redis_that_is_named_is_looked_at(redis_url, shared_redis, tmp_path):
    await check_redis(redis_url)
    (tmp_path / "url").write_text(f"{redis_url}\n")
    await check_redis(f"@{tmp_path / 'url'}")
    shared_redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Refused, match="--redis: Redis evicts what it holds"):
            await check_redis(redis_url)
    finally:
        shared_redis.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        pytest.param("redis://127.0.0.1:1/0", "cannot be reached", id="nobody-there"),
        pytest.param("redis://:secret@127.0.0.1:1/0", "a password in an argument .* use @FILE", id="password"),
        pytest.param("http://127.0.0.1", "none of redis://", id="no-redis"),
        pytest.param("@/nowhere/url", "/nowhere/url cannot be read: No such file", id="no-file"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_the_reason_and_never_the_password(argument, said):
    with pytest.raises(Refused, match=f"--redis: .*{said}") as refused:
        await check_redis(argument)
    assert "secret" not in str(refused.value)


def test_a_file_is_found_by_programs_that_start_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_file("@url") == f"@{tmp_path / 'url'}"
    assert absolute_file("redis://here") == "redis://here"
    assert absolute_file(None) is None
