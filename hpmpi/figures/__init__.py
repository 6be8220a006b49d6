"""The figures of a run: what series.py has found, drawn. This is the home of matplotlib."""
