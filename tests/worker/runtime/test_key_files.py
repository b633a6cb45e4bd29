"""The account's key as it comes and goes where it is mounted, and a worker that lives on."""

import asyncio
import signal

import pytest
from phoenix_coordination.redis.account import account_tools
from phoenix_coordination.state import Reason, Role
from private_keys import ed25519_pair, encrypted
from worker_world import state_of, text_of

pytestmark = pytest.mark.scenario


async def announced(world, wanted):
    """What a worker tells that does not know its account yet, once it is as wanted."""
    async with asyncio.timeout(60), account_tools(world.redis.url) as tools:
        while True:
            found = (await tools.starting(["default/default"])).get("default/default")
            if found is not None and wanted(found.records[0]):
                return found.records[0]
            await asyncio.sleep(0.05)


async def test_a_missing_key_is_waited_for_and_named_on_readyz_and_to_the_operator(world):
    """As a mounted Secret comes: empty, under other names, and then as it should be. Nothing is restarted."""
    secret = (world.credentials / "apiSecret").read_text()
    (world.credentials / "apiSecret").rename(world.credentials / "api-secret")
    worker, url = await world.worker()
    told = await announced(world, lambda record: record.reason is Reason.CREDENTIALS_MISSING)
    assert "apiSecret (or privateKey) missing or empty (there are api-secret)" in told.detail
    assert (told.role, told.ready) == (Role.STARTING, False)
    status, text = await text_of(f"{url}/readyz")
    assert status == 503
    assert text == f"CredentialsMissing: {told.detail}\n"
    assert (await text_of(f"{url}/startupz"))[0] == 200
    (world.credentials / "apiSecret").write_text("not-the-secret")
    told = await announced(world, lambda record: record.reason is Reason.CREDENTIALS_REFUSED)
    assert "the exchange refuses the key" in told.detail
    (world.credentials / "apiSecret").write_text(secret)
    await state_of(url, lambda record: record.reason is Reason.QUOTING and record.quotes.bids)
    async with account_tools(world.redis.url) as tools:
        assert await tools.starting(["default/default"]) == {}, "it tells more elsewhere now"
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.end() == 0
    everything = "".join(worker.lines) + worker.errors
    assert secret not in everything
    assert "not-the-secret" not in everything


async def test_a_key_that_is_replaced_is_used_without_a_restart_and_one_of_another_account_never(world):
    worker, url = await world.worker()
    first = await state_of(url, lambda record: record.quotes.bids)
    own = {name: (world.credentials / name).read_text() for name in ("apiKey", "apiSecret")}
    async with world.exchange.post("/sim/account", json={"balances": {"USDT": "100000"}}) as response:
        other = await response.json()
    swap(world.credentials, other)
    record = await state_of(url, lambda record: record.configuration.refused)
    assert "the key is another account's" in record.configuration.refused
    assert record.quotes.bids, "the key before stays in use"
    swap(world.credentials, {**own, "apiSecret": "not-the-secret"})
    await state_of(url, lambda record: "the exchange refuses the key" in record.configuration.refused)
    swap(world.credentials, own)
    record = await state_of(url, lambda record: not record.configuration.refused and record.quotes.bids)
    assert record.token == first.token, "nobody was restarted, and the lease was kept"
    async with world.exchange.get(f"/sim/account/{other['apiKey']}") as response:
        assert "px" not in await response.text(), "nothing of ours reached the other account"
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.end() == 0
    assert other["apiSecret"] not in "".join(worker.lines) + worker.errors


async def test_a_worker_trades_with_an_ed25519_key_and_from_one_kind_to_the_other_without_a_restart(world):
    """The same account's: preflight, user stream, orders and their cancels are signed with it."""
    private, public = ed25519_pair()
    body = {"sameAs": world.account["apiKey"], "publicKey": public}
    async with world.exchange.post("/sim/account", json=body) as response:
        pair = {"apiKey": (await response.json())["apiKey"], "privateKey": private}
    swap(world.credentials, pair)
    worker, url = await world.worker()
    first = await state_of(url, lambda record: record.quotes.bids and record.quotes.asks)
    books = f"/sim/account/{world.account['apiKey']}"
    async with world.exchange.get(books) as response:
        assert (await response.json())["symbols"]["BTCUSDT"]["openOrders"] > 0
    swap(world.credentials, {**pair, "privateKey": encrypted()})
    record = await state_of(url, lambda record: record.configuration.refused)
    assert "privateKey: is encrypted" in record.configuration.refused
    for key in (world.account, pair):
        swap(world.credentials, key)
        await worker.line(lambda text: '"key replaced' in text)
    record = await state_of(url, lambda record: record.quotes.bids)
    assert record.token == first.token, "nobody was restarted, and the lease was kept"

    shown = [await text_of(f"{url}{path}") for path in ("/state", "/metrics", "/readyz?verbose", "/livez", "/startupz")]
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.end() == 0, worker.errors
    async with world.exchange.get(books) as response:
        assert (await response.json())["symbols"]["BTCUSDT"]["openOrders"] == 0
    kept = [path.read_bytes().decode(errors="replace") for path in world.state.rglob("*") if path.is_file()]
    everything = "\n".join([*(text for _, text in shown), *worker.lines, worker.errors, *kept])
    assert '"BTCUSDT"' in everything
    secrets = [pair["apiKey"], *(line for line in private.splitlines() if not line.startswith("-----"))]
    assert [secret for secret in secrets if secret in everything] == []


def swap(credentials, key):
    """As a mounted Secret changes: all at once."""
    fresh = credentials.with_name("fresh")
    fresh.mkdir(exist_ok=True)
    for name in ("apiKey", "apiSecret", "privateKey"):
        if name in key:
            (fresh / name).write_text(key[name])
            (fresh / name).replace(credentials / name)
        else:
            (credentials / name).unlink(missing_ok=True)


async def test_what_changed_while_a_worker_waited_to_start_is_in_force_before_it_quotes(world):
    secret = world.credentials / "apiSecret"
    secret.rename(secret.with_name("later"))
    worker, url = await world.worker()
    await state_of(url, lambda record: record.reason is Reason.CREDENTIALS_MISSING)
    world.files.edit(world.files.maker, "minSpreadBps: 5", "minSpreadBps: 5\n  paused: true")
    secret.with_name("later").rename(secret)
    record = await state_of(url, lambda record: record.role is Role.LEADING and record.reason is Reason.PAUSED)
    assert record.activity.orders_sent == 0
    worker.process.send_signal(signal.SIGTERM)
    assert await worker.end() == 0
