"""Leave alone what is imported by runs, and where PyTorch is."""

collect_ignore = ["watched.py"]
