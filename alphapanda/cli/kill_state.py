"""The kill switch of a stopped daemon, and what it would cancel and close: what the last commit says."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alphapanda.config import Settings

Row = dict[str, Any]


def stored(settings: "Settings") -> Row:
    """Of a stopped daemon: what the store says, or the kill file that stops its next start."""
    from alphapanda.errors import Fatal
    from alphapanda.store import offline
    from alphapanda.times import to_ist

    store, kill_file = Path(settings.storage.path), Path(settings.control.kill_file)
    by_file = {
        "on": True,
        "reason": f"kill file {kill_file}",
        "by": "kill file",
        "since": None,
        "leftovers": [],
    }
    try:
        row = offline.kill_switch(store)
    except Fatal:
        if kill_file.exists():  # a full disk keeps the store from being read
            return by_file
        raise
    if not row["is_on"] and kill_file.exists():
        return by_file
    return {
        "on": bool(row["is_on"]),
        "reason": row["reason"],
        "by": row["by_whom"],
        "since": to_ist(row["since_ns"]).isoformat() if row["since_ns"] else None,
        "leftovers": resting(store, "no daemon runs; its next start cancels it") if row["is_on"] else [],
    }


def resting(store: Path, why: str, *, paper: bool = False) -> list[Row]:
    """Orders that may trade while nobody looks; paper's only rest in our own book."""
    from alphapanda.events import OrderStatus
    from alphapanda.store import offline

    return [
        {
            "what": "order",
            "order_id": row["order_id"],
            "broker_order_id": row["broker_order_id"],
            "broker": row["broker"],
            "strategy_id": row["strategy_id"],
            "symbol": f"{row['exchange']}:{row['tradingsymbol']}",
            "quantity": (row["quantity"] - row["filled_quantity"]) * _sign(row),
            "status": row["status"],
            "why": why,
        }
        for row in offline.rows(store, "orders")
        if not OrderStatus(row["status"]).ended and (paper or row["broker"] != "paper")
    ]


def _sign(row: Row) -> int:
    return 1 if row["transaction_type"] == "BUY" else -1


def held(store: Path) -> list[Row]:
    from alphapanda.store import offline

    return [
        {
            "what": "position",
            "order_id": None,
            "broker_order_id": None,
            "broker": row["broker"],
            "strategy_id": row["strategy_id"],
            "symbol": f"{row['exchange']}:{row['tradingsymbol']}",
            "quantity": row["quantity"],
            "status": "",
            "why": "it would be closed",
        }
        for row in offline.rows(store, "positions")
        if row["quantity"]
    ]
