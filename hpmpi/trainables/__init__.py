"""Objectives that need no code: models by name, through the same door as a user's own."""
