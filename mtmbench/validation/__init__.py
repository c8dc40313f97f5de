"""Judges held against people: ProxAnn and Hoyle et al. (2021), on the judges' board.

The face is :func:`mtmbench.validation.run.validate`.
"""
