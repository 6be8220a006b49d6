"""A worker rank, and the process of its objective."""
