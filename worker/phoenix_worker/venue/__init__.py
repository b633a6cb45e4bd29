"""The exchange behind one port. `port` says what the worker needs of any venue; `binance` gives it."""
