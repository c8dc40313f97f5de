"""Ratings from pairwise outcomes, with intervals that know which outcomes belong together."""
