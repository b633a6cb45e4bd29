"""What decides: no I/O, no clock, no randomness, no logging, no awaiting. The same events give the same actions.

Prices are integer ticks and quantities integer steps wherever they act; money that was paid is an integer of
`MONEY` (1e-8 of the quote asset). Floats are statistics. Times named `at` or `*_ns` are monotonic nanoseconds of
the run's clock; times named `*_ms` are what the exchange says (Unix milliseconds).
"""
