"""Rank 0: begins or goes on with a run, leads it, logs it, and has its results written."""
