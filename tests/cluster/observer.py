"""Runs in a pod beside the exchange, and tells when an account's book of a symbol was empty: `observer.py URL KEYFILE`.

One JSON object a line, on stdout: {"at": s, "symbol", "open", "fills"} whenever a symbol's book becomes empty or stops
being so, and {"at": s, "looks"} once a second, so that whoever reads it knows that somebody looked. It asks the
exchange itself, because what stands between (the API server, a port that is forwarded) is what tests take away.
"""

import http.client
import json
import pathlib
import sys
import time
import urllib.parse

LOOK_S = 0.02
SAY_S = 1.0


def main(url: str, key_file: str) -> None:
    host = urllib.parse.urlsplit(url).netloc
    path = f"/sim/account/{pathlib.Path(key_file).read_text(encoding='ascii').strip()}"
    rested: dict[str, bool] = {}
    looks, said = 0, time.monotonic()
    connection: http.client.HTTPConnection | None = None
    while True:
        try:
            connection = connection or http.client.HTTPConnection(host, timeout=2.0)
            connection.request("GET", path)
            books = json.loads(connection.getresponse().read())["symbols"]
            looks += 1
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            # The exchange is away: nobody looked, and that is what the missing `looks` tell.
            if connection is not None:
                connection.close()
            connection, books = None, {}
        for symbol, book in books.items():
            if rested.get(symbol) != bool(book["openOrders"]):
                rested[symbol] = bool(book["openOrders"])
                say(symbol=symbol, open=book["openOrders"], fills=book["fills"])
        if time.monotonic() - said >= SAY_S:
            say(looks=looks)
            looks, said = 0, time.monotonic()
        time.sleep(LOOK_S)


def say(**words: object) -> None:
    sys.stdout.write(json.dumps({"at": time.time(), **words}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
