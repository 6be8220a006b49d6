"""What a journal says, pure: one fold, and the tables and series that are made of it."""
