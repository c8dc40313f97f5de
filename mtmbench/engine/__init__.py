"""Suites are planned, played and stored."""
