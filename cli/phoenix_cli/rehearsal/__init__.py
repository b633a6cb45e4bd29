"""A maker against the simulator's own matching, in virtual time: no wire, no event loop, no clock but the market's.

`market` is what it trades on, `venue` and `feed` are the way between it and the exchange, `maker` is who quotes, `run`
lets time pass, `figures` says what came of it.
"""
