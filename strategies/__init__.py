"""Strategies, one file each. They import `alphapanda.core.strategy` and `alphapanda.events`, nothing else."""
