"""Slurm as the place where cells are played: the pool that submits jobs, and what a job does."""
