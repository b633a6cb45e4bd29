"""The venue that is judged: an exchange of ours, started for the suite, or whatever `--venue` names.

    pytest tests/conformance --venue https://demo-fapi.binance.com \
        --venue-streams wss://fstream.binancefuture.com --venue-ws-api wss://testnet.binancefuture.com/ws-fapi/v1

with PHOENIX_VENUE_KEY and PHOENIX_VENUE_SECRET in the environment (an HMAC key of a testnet account with money; the
suite places small orders, fills some and clears the symbol before and after each test). For Ed25519 signatures and
`session.logon` the path of such a key's PEM in PHOENIX_VENUE_ED25519, and its API key in PHOENIX_VENUE_ED25519_KEY.

Every test is marked with the page of the Binance USDⓈ-M documentation that it holds the venue to.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from venue_client import Address, Client, Keys, Rules, hmac_keys, is_production

SYMBOL = "BTCUSDT"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--venue", metavar="URL", help="REST base URL of the venue to judge (default: an exchange of ours)")
    group.addoption("--venue-streams", metavar="URL", help="base URL of its streams (default: that of --venue)")
    group.addoption("--venue-ws-api", metavar="URL", help="its WebSocket API (default: /ws-fapi/v1 at --venue)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "documented(page): the page of the Binance USDⓈ-M documentation that is asserted"
    )
    config.addinivalue_line("markers", "ours_alone(why): not asked of a testnet")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if item.get_closest_marker("documented") is None:
            raise pytest.UsageError(f"{item.nodeid} names no page of the documentation: mark it with `documented`")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    marker = item.get_closest_marker("documented")
    if report.failed and marker is not None:
        report.sections.append(("documented", f"Binance USDⓈ-M documentation, {marker.args[0]}"))
    return report


@pytest.fixture(scope="session")
def judged(request: pytest.FixtureRequest) -> str | None:
    """The URL of a venue that is not ours; None for our own exchange. Production is refused: the suite trades."""
    for option in ("--venue", "--venue-streams", "--venue-ws-api"):
        if is_production(request.config.getoption(option, default=None) or ""):
            pytest.exit(f"{option} is production, and this suite trades: give a testnet", returncode=1)
    url: str | None = request.config.getoption("--venue", default=None)
    return url.rstrip("/") if url else None


@pytest.fixture(scope="session")
def exchange(judged: str | None) -> Iterator[str]:
    """Its base URL. Ours is a program of its own, started as a person starts it."""
    if judged is not None:
        yield judged
        return
    command = [
        sys.executable,
        "-m",
        "phoenix_simulator",
        "--port",
        "0",
        "--symbols",
        f"{SYMBOL},ETHUSDC",
        "--seed",
        "7",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def address(request: pytest.FixtureRequest, exchange: str) -> Address:
    base = exchange.replace("http", "ws", 1)
    streams = request.config.getoption("--venue-streams", default=None) or base
    ws_api = request.config.getoption("--venue-ws-api", default=None) or f"{base}/ws-fapi/v1"
    return Address(exchange, streams.rstrip("/"), ws_api)


@pytest.fixture(scope="session")
def keys(judged: str | None, exchange: str) -> Keys:
    if judged is None:
        made = new_account(exchange)
        return hmac_keys(made["apiKey"], made["apiSecret"])
    try:
        return hmac_keys(os.environ["PHOENIX_VENUE_KEY"], os.environ["PHOENIX_VENUE_SECRET"])
    except KeyError as missing:
        pytest.exit(f"{missing} is not set: an account at {judged} is needed", returncode=1)


@pytest.fixture(scope="session")
def ed25519_keys(judged: str | None, exchange: str) -> Keys:
    if judged is None:
        pair = ECC.generate(curve="Ed25519")
        api_key = new_account(exchange, publicKey=pair.public_key().export_key(format="PEM"))["apiKey"]
    else:
        path, api_key = (os.environ.get(name, "") for name in ("PHOENIX_VENUE_ED25519", "PHOENIX_VENUE_ED25519_KEY"))
        if not path or not api_key:
            pytest.skip("Ed25519 wants PHOENIX_VENUE_ED25519 (path of a PEM) and PHOENIX_VENUE_ED25519_KEY")
        pair = ECC.import_key(Path(path).read_text(encoding="ascii"))
    signer = eddsa.new(pair, "rfc8032")
    return Keys(api_key, lambda text: b64encode(signer.sign(text.encode())).decode())


@pytest.fixture(autouse=True)
def _ours_alone(request: pytest.FixtureRequest, judged: str | None) -> None:
    """What the documentation leaves open is nothing to hold the venue itself to; nor does one provoke a ban there."""
    marker = request.node.get_closest_marker("ours_alone")
    if judged is not None and marker is not None:
        pytest.skip(f"asked of our exchange alone: {marker.args[0]}")


def new_account(exchange: str, **options: object) -> dict[str, str]:
    """At our own exchange: an account with money."""
    body = json.dumps({"balances": {"USDT": "1000000"}, **options}).encode()
    with urllib.request.urlopen(f"{exchange}/sim/account", body, timeout=10) as response:  # noqa: S310 - ours, http
        made: dict[str, str] = json.load(response)
        return made


@pytest.fixture(scope="session")
def rules_and_offset(address: Address) -> tuple[Rules, int]:
    """Of the symbol, and how far the venue's clock is from ours, in ms: asked once, for weight is scarce."""
    with urllib.request.urlopen(f"{address.rest}/fapi/v1/exchangeInfo", timeout=10) as response:  # noqa: S310 - the venue
        info = json.load(response)
    entry = next(entry for entry in info["symbols"] if entry["symbol"] == SYMBOL)
    return Rules.of(entry), info["serverTime"] - time.time_ns() // 1_000_000


@pytest.fixture
async def client(address: Address, keys: Keys, rules_and_offset: tuple[Rules, int]) -> AsyncIterator[Client]:
    """An account without orders and without a position; what a test leaves is cleared after it."""
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": "conformance"}) as http:
        client = Client(address, keys, rules_and_offset[0], http, rules_and_offset[1])
        yield client
        if client.has_traded:
            await client.clear()
