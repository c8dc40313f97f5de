"""A Ray cluster as the place where cells are played."""
