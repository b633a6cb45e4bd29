"""For all tests: Hypothesis never judges by the clock, which on a busy machine would be a coin."""

from hypothesis import settings

settings.register_profile("phoenix", deadline=None)
settings.load_profile("phoenix")
