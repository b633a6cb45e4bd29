"""The page in a real Chromium: what it shows, and that nothing looks well that is not known to be."""

from collections.abc import AsyncIterator

import chromium
import msgspec
import pytest
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.state import Reason
from phoenix_operator.page import heard, picture
from phoenix_operator.page.server import PageServer

pytestmark = pytest.mark.skipif(chromium.found() is None, reason="no Chromium here (CHROMIUM names one)")

ROW = "document.querySelector('#makers tr[data-name=\"trading/{}\"]')"
TEXT = "document.body.innerText"


@pytest.fixture
async def tab() -> AsyncIterator[chromium.Tab]:
    program = chromium.found()
    assert program is not None
    async with chromium.browser(program) as tab:
        yield tab


async def said(tab: chromium.Tab, *texts: str, within: str = "document.body") -> None:
    """Waits until all of them can be read there."""
    for text in texts:
        await tab.until(f"{within}?.innerText.includes({text!r})")


async def test_it_shows_the_fleet_live_and_a_maker_s_details_by_keyboard_alone(tab, server, place):
    address = f"http://127.0.0.1:{server.port}/"
    await tab.open(address)
    btc = ROW.format("btc")
    await tab.until(f"{btc}?.dataset.mood === 'good'")
    await said(tab, "BTCUSDT", "Live", "Quoting", "59990.0", "60000.1 – 60000.2", "60010.0", within=btc)
    await said(tab, "0.025 of 0.1 · 25 %", "−3.25", "all +12.50", "41 in all", within=btc)
    await tab.until("document.title === '2/2 · Phoenix'")
    assert await tab.value("document.getElementById('totals').innerText.replace(/\\s+/g, ' ')") == (
        "Quoting 2 of 2 Emergency none PnL today, USDT −6.50 Gross exposure 0 Fills a minute – Restarts 2"
    )
    assert await tab.value(f"{btc}.querySelectorAll('.ladder rect.bid').length") == 2
    assert await tab.value(f"{btc}.querySelector('.ladder').getAttribute('aria-label')") == (
        "touch 60000.1 to 60000.2; 2 bids, 2 asks of ours"
    )

    changed = {"reason": Reason.COOLDOWN, "detail": "after a fill"}
    place.records["eth"] = msgspec.structs.replace(place.records["eth"], **changed)
    await said(tab, "Cooldown", "after a fill", within=ROW.format("eth"))
    await tab.until("document.title === '1/2 · Phoenix'")
    assert await tab.value("document.querySelector('#makers tr').dataset.name") == "trading/eth", "trouble comes first"

    await tab.value(f"{btc}.querySelector('button').focus()")
    await tab.press("Enter")
    await tab.until("document.getElementById('drawer').open")
    await said(tab, "Last fills", "60011.0", "sell", "From mid", "btc/1", within="document.getElementById('drawer')")
    assert await tab.value("location.hash") == "#trading%2Fbtc"
    await tab.press("Escape")
    await tab.until("!document.getElementById('drawer').open && location.hash === ''")
    assert await tab.value("document.activeElement.innerText") == "BTCUSDT"

    await tab.value("document.getElementById('filter').value = 'eth'")
    await tab.value("document.getElementById('filter').dispatchEvent(new Event('input'))")
    await tab.until("document.querySelectorAll('#makers tr').length === 1")
    assert tab.errors == []
    assert {url.split("?")[0].removeprefix(address) for url in tab.requests if not url.startswith("data:")} == {
        *("", "page.css", "page.js", "api/events"),
    }


async def test_it_tells_a_stop_a_silent_worker_and_its_own_blindness(tab, server, place, watch, monkeypatch):
    for module in (heard, picture):
        monkeypatch.setattr(module, "STALE_MS", 1_000)
    port = server.port
    await tab.open(f"http://127.0.0.1:{port}/#trading%2Fbtc", width=390, height=844, dark=True)
    await said(tab, "BTCUSDT", "Last fills", within="document.getElementById('drawer')")
    assert await tab.value("document.documentElement.scrollWidth") == 390, "a phone scrolls one way only"
    await tab.value("document.getElementById('close').click()")
    await place.switch(EmergencyLevel.FLATTEN, "looked <b>odd</b>")
    await said(tab, "FLATTEN trading/main: looked <b>odd</b> (anna)", "phoenix resume trading/main --epoch 1")
    await tab.until("document.title === 'FLATTEN · Phoenix'")

    del place.records["eth"]
    await tab.until(f"{ROW.format('eth')}.dataset.mood === 'bad'")
    await said(tab, "its worker has told nothing for", within=ROW.format("eth"))
    await said(tab, "of 1 of 2 makers: the rest is not known")

    await server.close()
    await said(tab, "STALE: the server has told nothing for")
    assert await tab.value("document.body.className") == "no-news"
    assert await tab.value("document.title") == "STALE · Phoenix"
    again = PageServer(type(watch)(place.asked, lambda: place.url, place.failures.append))
    await again.open("127.0.0.1", port)
    try:
        await tab.until("document.body.className === '' && document.title === 'FLATTEN · Phoenix'")
    finally:
        await again.close()
    assert not await tab.value(f"{TEXT}.includes('STALE')")
