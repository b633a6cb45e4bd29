"""The page's HTTP: read only, shut to foreign pages, one reader for everybody, and none while nobody looks."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from phoenix_coordination.redis.client import connect
from phoenix_operator.page import server as module
from phoenix_operator.page.server import PageServer, is_own_name
from phoenix_operator.page.view import SCHEMA, FleetView
from phoenix_operator.page.watch import Watch

STATIC = Path(module.__file__).parent / "static"


async def test_what_the_page_shows_is_there_once_as_json(http):
    async with http.get("/api/fleet") as answer:
        fleet = msgspec.json.decode(await answer.read())
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert (fleet["schema"], fleet["place"], fleet["problem"]) == (SCHEMA, "a cluster", "")
    assert [each["name"] for each in fleet["makers"]] == ["btc", "eth"]
    assert fleet["totals"]["quoting"] == 2
    assert fleet["totals"]["day"] == [{"asset": "USDT", "value": "-6.50", "known": 2, "of": 2}]
    assert fleet["accounts"][0]["emergency"]["level"] == "None"


async def test_the_stream_tells_the_fleet_again_and_again_and_one_maker_s_details(http, events_of, place):
    async with http.get("/api/events", params={"maker": "trading/btc"}) as answer:
        assert answer.content_type == "text/event-stream"
        told = events_of(answer)
        kinds = [(await anext(told))[0] for _ in range(4)]
        assert kinds == ["fleet", "maker", "fleet", "maker"]
        place.records["btc"] = msgspec.structs.replace(place.records["btc"], detail="", guard="pin")
        async for kind, data in told:
            if kind == "maker" and data["guard"] == "pin":
                assert data["recentFills"][0]["price"] == "60011.0"
                break


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/api/fleet", "/no-such"])
async def test_whatever_is_answered_forbids_the_browser_everything_else(http, path):
    async with http.get(path) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/api/fleet", "/api/events"])
async def test_nothing_can_be_changed(http, method, path):
    async with http.request(method, path) as answer:
        assert answer.status == 405


def test_the_page_asks_nobody_else_for_anything():
    """And has neither scripts nor styles within it, which the policy would refuse."""
    text = "".join(each.read_text(encoding="utf-8") for each in sorted(STATIC.iterdir()))
    assert set(re.findall(r"https?://[^\s'\"<>]+", text)) == {"http://www.w3.org/2000/svg"}
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?! type=\"module\" src=\"page\.js\">)", page)
    assert "innerHTML" not in text


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("127.0.0.1:8080", True),
        ("10.1.2.3", True),
        ("[::1]:8080", True),
        ("phoenix-page", True),
        ("phoenix-page.phoenix-system.svc:80", True),
        ("phoenix-page.phoenix-system.svc.cluster.local", True),
        ("phoenix-page.phoenix-system.svc.cluster.local.:80", True),
        ("evil.example", False),
        ("svc.evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        (":80", False),
        ("[evil.example]", False),
    ],
)
def test_a_name_that_a_foreign_page_could_have_is_not_answered_to(host, own):
    assert is_own_name(host) == own


async def test_a_foreign_name_is_refused_whatever_is_asked(http):
    for path in ("/", "/api/fleet", "/api/events", "/no-such"):
        async with http.get(path, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421
            assert "foreign" in await answer.text()


async def test_all_who_look_share_one_reader_and_when_the_last_leaves_it_ends(http, events_of, place, server):
    client = connect(place.url, 5.0)

    async def readers() -> int:
        """Connections to Redis beside those that are there while nobody looks."""
        clients = await client.execute_command("INFO", "clients")
        return int(clients["connected_clients"]) - others

    others = 0
    others = await readers()
    async with http.get("/api/events") as one, http.get("/api/events") as other:
        await anext(events_of(one))
        await anext(events_of(other))
        assert (server.viewers, await readers()) == (2, 1)
    async with asyncio.timeout(20):
        while server.viewers or await readers():  # noqa: ASYNC110 - what is waited for is in Redis
            await asyncio.sleep(0.01)
    async with http.get("/api/events") as again:
        kind, fleet = await anext(events_of(again))
        assert (kind, fleet["makers"][0]["heardMs"]) == ("fleet", None), "what was seen before is not believed"
    await client.aclose()


async def test_there_is_an_end_to_how_many_may_look(http, events_of, monkeypatch):
    monkeypatch.setattr(module, "MOST_VIEWERS", 1)
    async with http.get("/api/events") as first:
        await anext(events_of(first))
        for path in ("/api/events", "/api/fleet"):
            async with http.get(path) as second:
                assert second.status == 503
                assert "looking already" in await second.text()


async def test_a_page_that_fails_says_so_is_told_of_and_comes_back(http, events_of, place):
    place.broken = KeyError("a mistake")
    async with http.get("/api/events") as answer:
        told = events_of(answer)
        _, fleet = await anext(told)
        assert fleet["problem"] == "the page itself has failed (KeyError): its server's log says more"
        assert (fleet["makers"], fleet["totals"]["emergency"]) == ([], "Unknown")
        assert [type(each) for each in place.failures[:1]] == [KeyError]
        place.broken = None
        async for _, fleet in told:
            if not fleet["problem"]:
                break
    assert len(fleet["makers"]) == 2


async def test_without_redis_nothing_is_known_of_anybody_but_who_there_is(place, tmp_path):
    watch = Watch(place.asked, lambda: f"unix://{tmp_path}/none", place.failures.append)
    async with watch.looking():
        shown = await watch.next(0)
    await watch.close()
    fleet = msgspec.convert(msgspec.json.decode(shown.fleet), FleetView)
    assert fleet.problem
    assert [(each.word, each.quoting, each.pnl) for each in fleet.makers] == [("NotKnown", False, None)] * 2
    assert not place.failures, "that is the world's fault, not the page's"


async def test_who_was_not_told_where_redis_is_says_that(place):
    watch = Watch(place.asked, lambda: "", place.failures.append)
    async with watch.looking():
        shown = await watch.next(0)
    await watch.close()
    assert b"was not told where Redis is" in shown.fleet


async def test_a_page_that_fails_while_redis_is_away_says_so_is_told_of_and_comes_back(place, monkeypatch):
    monkeypatch.setattr("phoenix_operator.page.watch.LOOK_S", 0.1)
    watch = Watch(place.asked, lambda: "", place.failures.append)
    async with watch.looking(), asyncio.timeout(10.0):
        shown = await watch.next(0)
        place.broken = KeyError("a mistake")
        while b"the page itself has failed (KeyError)" not in shown.fleet:
            shown = await watch.next(shown.number)
        assert [type(each) for each in place.failures[:1]] == [KeyError]
        place.broken = None
        while b"was not told where Redis is" not in shown.fleet:
            shown = await watch.next(shown.number)
    await watch.close()


async def test_an_address_that_is_taken_is_an_error_of_the_system_s(server, watch):
    with pytest.raises(OSError, match="address already in use"):
        await PageServer(watch).open("127.0.0.1", server.port)


async def test_its_end_sends_everybody_home_at_once(http, events_of, server):
    async with http.get("/api/events") as answer:
        await anext(events_of(answer))
        await server.close()
        assert [each async for each in events_of(answer)] == []
    assert server.viewers == 0
