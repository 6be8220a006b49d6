"""The figures of a run: what history/series.py has found, drawn. This is the home of matplotlib."""
