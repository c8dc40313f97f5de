"""Steering: topics as directions, text generated along them, and what came of it."""
