"""Between the launcher and the rank; with the standard library alone, as each rank pays for it."""
