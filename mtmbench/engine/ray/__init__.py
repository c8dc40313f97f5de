"""A Ray cluster as the place where cells are played: its nodes, the pool, the actors."""
