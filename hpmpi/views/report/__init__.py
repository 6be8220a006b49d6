"""`hpmpi report`: one page that tells all of a run, whole in one file."""
