"""Judges, one file each; the registry names them."""
