"""Metrics over topic results; each module is imported only when a metric of it is asked for."""
