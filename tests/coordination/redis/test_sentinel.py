"""Four real servers: a master, two replicas and a Sentinel, which promotes one of them when the master is gone."""

import asyncio
import socket
import subprocess
import time

import pytest
from phoenix_coordination.port import (
    AccountTerms,
    EmergencyChanged,
    EmergencyLevel,
    LeaseGranted,
    LeaseLost,
    LeaseTimes,
    Unreachable,
)
from phoenix_coordination.redis.account import account_tools
from phoenix_coordination.redis.client import FAULTS, RedisFaultError, check_server, connect, fault_of
from phoenix_coordination.redis.coordinator import RedisCoordinator
from phoenix_coordination.redis.server import find_server
from tls_terminator import tls_before

ACCOUNT = "binance-usdm:simulator:abc"
TERMS = AccountTerms(10**12, 10**12, EmergencyLevel.NONE)


class Clock:
    rate = 1.0
    monotonic_ns = staticmethod(time.monotonic_ns)
    wall_ns = staticmethod(time.time_ns)


FENCED = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")


class Service:
    """Each server in a directory of its own, on a free port of this machine."""

    def __init__(self, directory) -> None:
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self.master, self.replica, self.other, self.sentinel = (self._free_port() for _ in range(4))

    async def start(self, *, fenced: bool) -> None:
        options = FENCED if fenced else ()
        self._run(self.master, *options)
        for replica in (self.replica, self.other):
            self._run(replica, "--replicaof", "127.0.0.1", str(self.master), *options)
            await self._until(replica, lambda told: told.get("master_link_status") == "up")
        await self._until(self.master, lambda told: told.get("connected_slaves") == 2)
        if fenced:
            await self._until(self.master, lambda told: told["min_slaves_good_slaves"] == 2)
        file = self._directory / "sentinel.conf"
        file.write_text(
            f"sentinel monitor main 127.0.0.1 {self.master} 1\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
        )
        self._run(self.sentinel, config=str(file), more=["--sentinel"])
        await self._until(self.sentinel, lambda told: told.get("master0", {}).get("slaves") == 2)

    async def demand(self, password) -> None:
        """Of who asks the Sentinel."""
        client = connect(f"redis://127.0.0.1:{self.sentinel}", 5.0)
        await client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")
        await client.aclose()

    async def run_of_master(self) -> str:
        client = connect(f"redis://127.0.0.1:{self.master}", 5.0)
        try:
            return (await client.execute_command("INFO", "server"))["run_id"]
        finally:
            await client.aclose()

    def kill_the_master(self) -> None:
        self._processes[0].kill()
        self._processes[0].wait()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _run(self, port, *options, config=None, more=()) -> None:
        directory = self._directory / str(port)
        directory.mkdir()
        kept = [] if config else ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        words = [str(find_server()), *([config] if config else []), "--port", str(port), "--dir", str(directory)]
        arguments = [*words, "--bind", "127.0.0.1", *kept, *options, *more]
        self._processes.append(subprocess.Popen(arguments, stdout=subprocess.DEVNULL))

    @staticmethod
    async def _until(port, holds) -> None:
        client = connect(f"redis://127.0.0.1:{port}", 5.0)
        async with asyncio.timeout(30):
            while True:
                try:
                    if holds(await client.execute_command("INFO")):
                        break
                except FAULTS:
                    pass
                await asyncio.sleep(0.05)
        await client.aclose()

    @staticmethod
    def _free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])


@pytest.fixture
async def service(tmp_path, request):
    if find_server() is None:
        pytest.skip("no redis-server here")
    service = Service(tmp_path)
    try:
        await service.start(fenced=getattr(request, "param", True))
        yield service
    finally:
        service.close()


@pytest.mark.parametrize("service", [False], indirect=True, ids=["unfenced"])
async def test_a_master_that_writes_without_a_replica_is_refused(service):
    """Cut off, it would keep its leaders while another master has others: two traders of one symbol."""
    client = connect(f"redis+sentinel://127.0.0.1:{service.sentinel}/main", 5.0)
    with pytest.raises(RedisFaultError, match="set min-replicas-to-write 1 and min-replicas-max-lag 2"):
        await check_server(client)
    await client.aclose()


async def test_a_worker_follows_the_master_and_a_stop_survives_the_fail_over(service, member_of):
    url = f"redis+sentinel://127.0.0.1:{service.sentinel}/main"
    async with account_tools(url) as tools:
        account = tools.account(ACCOUNT)
        await account.seed(EmergencyLevel.NONE, 0, "", "runner")
        member = member_of(
            RedisCoordinator(
                url,
                "BTCUSDT",
                "pod/1",
                "local/main",
                "k3f9a0",
                TERMS,
                Clock(),
                dry_run=False,
                read_holdings=nothing,
                times=LeaseTimes(ttl_s=1.0, renew_s=0.2, margin_s=0.2),
            )
        )
        await member.coordinator.join(ACCOUNT)
        await member.coordinator.start(member.sink)
        token = (await member.hears(LeaseGranted)).token
        member.coordinator.raise_emergency(EmergencyLevel.HALT, "drawdown")
        await member.hears(EmergencyChanged, after=member.count)
        heard = member.count
        service.kill_the_master()
        await member.hears(Unreachable, after=heard)
        await member.hears(LeaseLost, after=heard)
        assert (await member.hears(LeaseGranted, after=heard)).token > token
        assert (await account.switch()).level is EmergencyLevel.HALT
        switches = [told for told in member.told[heard:] if isinstance(told, EmergencyChanged)]
        assert all(told.level is EmergencyLevel.HALT for told in switches)
        await member.coordinator.stop()


async def test_sentinels_that_want_tls_and_a_password_get_both(service, certificate):
    """Nothing is said in the clear, to the master or to the Sentinels: who answers in their place names the master."""
    await service.demand("hun&ter2")
    host, master = b"$9\r\n127.0.0.1", b"$5\r\n%d"
    async with tls_before(to(service.master), certificate) as of_master:
        told = {host: b"$9\r\nlocalhost", master % service.master: master % of_master}
        async with tls_before(to(service.sentinel), certificate, told) as of_sentinel:
            place = f"localhost:{of_sentinel}/main?ssl_ca_certs={certificate[0]}"

            async def server(url):
                client = connect(url, 5.0)
                try:
                    return await check_server(client)
                finally:
                    await client.aclose()

            found = await server(f"rediss+sentinel://{place}&sentinel_password=hun%26ter2")
            assert found.run == await service.run_of_master()
            refused_key, distrusted = "the Sentinels refuse the user name or password", "that is not trusted"
            ca = f"ssl_ca_certs={certificate[0]}"
            for url, why in (
                (f"rediss+sentinel://{place}", refused_key),
                (f"rediss+sentinel://{place}&sentinel_password=wrong", refused_key),
                (f"rediss+sentinel://localhost:{of_sentinel}/main", distrusted),
                (f"rediss+sentinel://127.0.0.1:{of_sentinel}/main?{ca}", distrusted),
                (f"redis+sentinel://localhost:{of_sentinel}/main", "may want TLS"),
                (f"redis+sentinel://localhost:{service.sentinel}/other?sentinel_password=hun%26ter2", "no master"),
            ):
                with pytest.raises(FAULTS) as refused:
                    await server(url)
                assert why in fault_of(refused.value)


def to(port):
    return lambda: asyncio.open_connection("127.0.0.1", port)


async def nothing():
    return []
