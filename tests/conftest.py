"""Have hypothesis try the same examples each time, and take the time it needs."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
