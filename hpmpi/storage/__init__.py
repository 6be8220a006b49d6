"""The run folder: the journal, the results file, the lock, and whole files."""
