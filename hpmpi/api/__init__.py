"""What is called from Python: run a study, read what came of it."""
