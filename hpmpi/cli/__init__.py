"""The command line: what is asked for goes to stdout, progress and errors to stderr."""
