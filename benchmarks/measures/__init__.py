"""One file a measure. Each runs every round of every system and returns the rows of its table."""
