"""A stand-in for a worker: its command line, its state record, its signals. It trades nothing.

Whenever it is asked it publishes its record in Redis, which names its account, and tells the switch that lies there.

STANDIN_WORKER chooses what goes wrong: `refuses` (ends at once, saying why), `deaf` (ignores SIGTERM), `unready`
(its price is stale for ever), `mute` (serves nothing), `fails-late` (ends with 1 when it is stopped).
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from aiohttp import web
from phoenix_coordination import state
from phoenix_coordination.redis import records
from phoenix_coordination.redis.client import connect, read_url
from phoenix_coordination.redis.keys import AccountKeys
from phoenix_crds import read_resolved

IDENTITY = "binance-usdm:simulator:standin"


def record(
    maker_file: Path, account_file: Path, role: state.Role, began: float, emergency: state.EmergencyState
) -> state.StateRecord:
    maker, account = read_resolved(maker_file, account_file)
    stale = os.environ.get("STANDIN_WORKER") == "unready"
    reason = state.Reason.PRICE_STALE if stale else state.Reason.QUOTING
    age_ms = int((time.monotonic() - began) * 1000)
    return state.StateRecord(
        schema=state.SCHEMA,
        symbol=maker.spec.symbol,
        holder=f"standin-{os.getpid()}",
        namespace=str(maker.metadata.namespace),
        maker=maker.metadata.name,
        account=f"{account.metadata.namespace}/{account.metadata.name}",
        installation="abcdef",
        role=role,
        mode=state.Mode.LIVE,
        ready=not stale,
        reason=reason,
        reasons_not_ready=[reason] if stale else [],
        detail="no frame for 2 s" if stale else "",
        guard="",
        token=1,
        build="standin",
        fresh_connection_silent=False,
        published_ms=time.time_ns() // 1_000_000,
        configuration=state.Configuration(generation=maker.metadata.generation or 0),
        emergency=emergency if emergency.level != "None" else state.EmergencyState(str(account.spec.emergency)),
        prices=state.Prices(bid="61234.5", ask="61234.6", mid=61234.55),
        quotes=state.Quotes(bids=[state.Quote("61230.0", "0.004", "q")], asks=[state.Quote("61240.0", "0.004", "q")]),
        position=state.Position(qty="0.004", net_max=str(maker.spec.net_max), max_worst_case_ratio=0.4),
        pnl=state.Pnl(realised="1.5", unrealised="-0.25", fees="0.12345678", fees_by_asset={"USDT": "0.12345678"}),
        ages=state.Ages(book=10, user=10, reason=age_ms, running=age_ms),
        activity=state.Activity(
            market_events=100,
            decisions=10,
            orders_sent=6,
            orders_rejected={"would-take": 1},
            fills=3,
            bought="0.008",
            sold="0.004",
            volume="734.81",
            tick_to_order_us=state.Latency(200.0, 900.0),
            decision_us=state.Latency(40.0, 90.0),
            rss_mib=40.0,
        ),
    )


async def serve(args: argparse.Namespace) -> int:
    wrong = os.environ.get("STANDIN_WORKER", "")
    began = time.monotonic()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: wrong == "deaf" or stopped.set())

    redis, keys = connect(read_url(args.redis), 5.0), AccountKeys(IDENTITY)

    async def answer(_: web.Request) -> web.Response:
        role = state.Role.DRAINING if stopped.is_set() else state.Role.LEADING
        switch = await redis.execute_command("HMGET", keys.emergency, "level", "epoch", "reason")
        level, epoch, reason = (field or b"0" for field in switch)
        emergency = state.EmergencyState(("None", "Halt", "Flatten")[int(level)], int(epoch), reason.decode())
        told = record(args.maker, args.account, role, began, emergency)
        await records.publish(redis, keys, told, 1.0)
        return web.Response(body=state.encode(told))

    app = web.Application()
    app.router.add_get("/state", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    host, _, port = args.http.rpartition(":")
    if wrong != "mute":
        await web.TCPSite(runner, host, int(port)).start()
    await stopped.wait()
    await asyncio.sleep(0.2)  # withdrawing takes a moment
    await runner.cleanup()
    await redis.aclose()
    return 1 if wrong == "fails-late" else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    for option in ("--maker", "--account", "--credentials", "--state-dir"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--http", required=True)
    args = parser.parse_args()
    if os.environ.get("STANDIN_WORKER") == "refuses":
        sys.stderr.write("starting\nleverage of BTCUSDT is 20, the account declares 10: set settings.apply\n")
        return 1
    if (args.credentials / "apiKey").read_text() != "the-key":
        sys.stderr.write("another key\n")
        return 1
    return asyncio.run(serve(args))


if __name__ == "__main__":
    sys.exit(main())
