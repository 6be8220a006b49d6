"""What a journal says, pure: standings, progress, series and tables."""
