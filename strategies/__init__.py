"""Strategies, one file each: prices in, signals out. `alphapanda strategies new NAME` writes another."""
