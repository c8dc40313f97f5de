"""Boards: pure functions from a suite and its records to tables and pages."""
