"""A watchdog between launcher and rank; of the standard library alone, as each rank pays for it."""
