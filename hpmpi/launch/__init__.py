"""Start the ranks of a study and see them through; submit it."""
