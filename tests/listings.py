"""Instrument lists as Kite sends them, made by hand."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from alphapanda.venues.zerodha.dump import HEADER

DAY = date(2026, 4, 15)
INFY = "408065,1594,INFY,INFOSYS,0.0,,0.0,0.1,1,EQ,NSE,NSE"
TINY = "779521,3045,TINY,TINY LIMITED,0.0,,0.0,0.01,1,EQ,NSE,NSE"
NIFTY_50 = "256265,1001,NIFTY 50,NIFTY 50,0.0,,0.0,0.0,0,EQ,INDICES,NSE"
NIFTY_FUT = "14866434,58072,NIFTY26APRFUT,NIFTY,0.0,2026-04-28,0.0,0.1,65,FUT,NFO-FUT,NFO"
INFY_FUT = "14866690,58073,INFY26APRFUT,INFY,0.0,2026-04-28,0.0,0.1,400,FUT,NFO-FUT,NFO"
CALL = "14866946,58074,NIFTY26APR24500CE,NIFTY,0.0,2026-04-28,24500.0,0.05,65,CE,NFO-OPT,NFO"
ROWS = (INFY, TINY, NIFTY_50, NIFTY_FUT, INFY_FUT, CALL)
COLUMNS = HEADER.split(",")


def changed(row: str, **fields: Any) -> str:
    """The row with other cells."""
    cells = dict(zip(COLUMNS, row.split(","), strict=True)) | fields
    return ",".join(map(str, cells.values()))


def share(number: int, **fields: Any) -> str:
    """One of many."""
    return changed(INFY, instrument_token=1_000_000 + number, tradingsymbol=f"S{number}", **fields)


def csv_of(rows: Iterable[str] = ROWS) -> bytes:
    return "\n".join((HEADER, *rows, "")).encode()
