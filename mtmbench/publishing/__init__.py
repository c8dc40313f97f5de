"""Runs leave the machine: records are submitted to a board, and boards are published.

:mod:`submission` checks an outsider's run for a board, which :mod:`merging` then takes in;
:mod:`publication` packs a board's page and data for a web server.
"""
