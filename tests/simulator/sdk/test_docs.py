"""The bot of the documentation is one that runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sdk_world import Venue

PAGE = Path(__file__).resolve().parents[3] / "docs" / "exchange.md"


def test_a_stranger_copies_the_bot_from_the_page_and_it_trades(venue: Venue, keys: dict[str, str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (bot,) = [block for block in blocks if "binance_sdk" in block]
    # The SDK waits for one second: not enough for a machine that runs all tests at once.
    here = bot.replace("http://127.0.0.1:9000", venue.url).replace("api_key=", "timeout=20_000, api_key=")
    assert here != bot
    environment = {**os.environ, "KEY": keys["apiKey"], "SECRET": keys["apiSecret"]}
    ran = subprocess.run([sys.executable, "-c", here], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == ["FILLED 0.010", "NEW CANCELED"]
    said = PAGE.read_text(encoding="utf-8")
    assert all(f"`{line}`" in said for line in ran.stdout.splitlines())
