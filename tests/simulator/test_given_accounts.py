"""Accounts of files: the exchange and its clients read one key from one place, as pods that mount a Secret do."""

import hashlib
import hmac
import os
import signal
import sys
import time
from asyncio import create_subprocess_exec, subprocess, wait_for

import aiohttp
import msgspec
import pytest
from phoenix_simulator.__main__ import main
from phoenix_simulator.given_accounts import read_accounts

KEY, SECRET = "k" * 64, "s" * 64


@pytest.fixture
def secret(tmp_path):
    """A Secret as the kubelet mounts it, with the line end that an editor leaves."""
    directory = tmp_path / "simulator-key"
    directory.mkdir()
    (directory / "apiKey").write_text(KEY + "\n")
    (directory / "apiSecret").write_text(SECRET + "\n")
    return directory


async def balances_of(url: str) -> dict[str, str]:
    query = f"timestamp={time.time_ns() // 1_000_000}"
    signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    async with (
        aiohttp.ClientSession(headers={"X-MBX-APIKEY": KEY}) as http,
        http.get(f"{url}/fapi/v3/balance?{query}&signature={signature}") as response,
    ):
        rows = msgspec.json.decode(await response.read())
        assert response.status == 200, rows
    return {row["asset"]: row["balance"] for row in rows if float(row["balance"])}


@pytest.mark.parametrize(
    ("arguments", "balances"),
    [
        pytest.param((), {"USDT": "100000.00000000", "USDC": "100000.00000000"}, id="by default in each margin asset"),
        pytest.param(("--balance", "USDT=12.5"), {"USDT": "12.50000000"}, id="as asked for"),
    ],
)
async def test_an_exchange_that_starts_anew_knows_the_key_again(secret, arguments, balances):
    command = ("-m", "phoenix_simulator", "--port", "0", "--symbols", "BTCUSDT", "--account", str(secret), *arguments)
    for _ in range(2):
        process = await create_subprocess_exec(
            sys.executable,
            *command,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            url = msgspec.json.decode(await wait_for(process.stdout.readline(), 30))["url"]
            assert await balances_of(url) == balances
        finally:
            process.send_signal(signal.SIGTERM)
            await wait_for(process.communicate(), 20)


def test_a_key_never_shows_in_a_representation(secret):
    (account,) = read_accounts([secret])
    assert (account.api_key, account.secret) == (KEY, SECRET)
    assert KEY not in repr(account)
    assert SECRET not in repr(account)


@pytest.mark.parametrize(
    ("files", "arguments", "told"),
    [
        pytest.param({"apiKey": None}, (), "holds no key: it needs the file apiKey, and apiSecret", id="no key"),
        pytest.param({"apiSecret": None}, (), "holds no key: it needs the file apiKey, and apiSecret", id="no secret"),
        pytest.param({"publicKey": "x"}, (), "apiSecret (HMAC) or publicKey", id="a secret and a public key"),
        pytest.param({"apiSecret": None, "publicKey": "x"}, (), "publicKey is no PEM", id="a public key that is none"),
        pytest.param({"apiKey": "short"}, (), "64 letters and digits", id="no key of the venue's form"),
        pytest.param({"apiKey": "k" * 20_000}, (), "larger than", id="a file that is no key"),
        pytest.param({"apiKey": "ключ"}, (), "is no text", id="letters of another alphabet"),
        pytest.param({}, ("--balance", "USDT"), "write ASSET=AMOUNT", id="a balance without an amount"),
        pytest.param({}, ("--balance", "USDT=-1"), "give a number from 0", id="a balance below nothing"),
    ],
)
def test_what_is_no_account_is_refused_in_one_sentence(secret, capsys, files, arguments, told):
    for name, content in files.items():
        if content is None:
            (secret / name).unlink()
        else:
            (secret / name).write_text(content)
    assert main(["--port", "0", "--account", str(secret), *arguments]) == 1
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_two_accounts_under_one_key_are_refused(secret, capsys):
    assert main(["--port", "0", "--account", str(secret), "--account", str(secret)]) == 1
    assert "hold the same apiKey" in capsys.readouterr().err
