"""Plain frozen data: what all wings speak of, and what ranks say to each other."""
