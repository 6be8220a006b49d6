"""The decisions, pure: no clock, no file, no MPI."""
