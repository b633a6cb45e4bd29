"""Binance USDⓈ-M futures behind the port: `gateway` joins the parts, every other module knows one of them.

endpoints, signing, clock_sync     where, who, when
transport → streams → messages     bytes of a socket to core events (market_streams, user_stream: what they carry)
rest, wsapi → orders               commands to bytes, their replies to answers; outcomes: the one table of verdicts
limits                             what may still be sent
truth, preflight, reference        what the exchange says about us, the account, and the symbol
"""
