"""Price files as a feed: CSV, gzip CSV and Parquet, read row by row under the contract's rules."""

from alphapanda.venues.replay.dataset import DataSet
from alphapanda.venues.replay.rules import Counts

__all__ = ["Counts", "DataSet"]
