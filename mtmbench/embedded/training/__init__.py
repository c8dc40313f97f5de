"""The scripts that made the embedded data."""
