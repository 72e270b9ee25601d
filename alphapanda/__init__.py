"""Alpha Panda: a trading daemon for Indian markets. Start reading at pipeline.py, then core/."""

__version__ = "0.1.0"
