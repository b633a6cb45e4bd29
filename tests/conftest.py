"""For all tests: Hypothesis never judges by the clock, which on a busy machine would be a coin; Ctrl-C is heard."""

import signal

from hypothesis import settings

settings.register_profile("phoenix", deadline=None)
settings.load_profile("phoenix")

# A shell has its background jobs ignore it, which every program that a test starts would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
