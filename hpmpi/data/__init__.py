"""Data sets, once per node: how they are read, where they lie, and what a trial sees of them."""
