"""The door to SQLite: an append-only journal is the truth, the tables beside it are rebuilt from it."""

from alphapanda.store.recovery import Recovered
from alphapanda.store.reserve import Reserve
from alphapanda.store.store import Store, StoreFailed

__all__ = ["Recovered", "Reserve", "Store", "StoreFailed"]
