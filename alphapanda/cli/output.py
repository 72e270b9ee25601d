"""How results look: one JSON document for programs, tables that fit 100 columns for people."""

import sys
from collections.abc import Sequence
from typing import Any

import msgspec

DAY: Any = {"formats": ["%Y-%m-%d"], "metavar": "YYYY-MM-DD"}
"""How every option that takes a day reads it."""
WIDTH = 100
LEAST_WIDTH = 4


def print_json(document: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def rupees(amount: float | None) -> str:
    """₹1,23,456.50: the last three digits, then pairs."""
    if amount is None:
        return "-"
    whole, paise = f"{abs(amount):.2f}".split(".")
    head, tail = whole[:-3], whole[-3:]
    pairs: list[str] = []
    while head:
        pairs.insert(0, head[-2:])
        head = head[:-2]
    sign = "-" if amount < 0 else ""
    return f"{sign}₹{','.join([*pairs, tail])}.{paise}"


def counted(number: int, noun: str) -> str:
    """1 trade, 2 trades."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def clock(moment: str | None) -> str:
    """2016-08-16T09:15:00+05:30 as people read it."""
    return "-" if moment is None else f"{moment[:10]} {moment[11:19]}"


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    numbers: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """A plain table. Numbers are set flush right; they and `whole` columns are never broken or cut.

    A terminal too narrow for the whole columns gets lines longer than it is, never a figure without its end.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    cells = [["-" if value is None else str(value) for value in row] for row in rows]
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        kept = column in whole or column in numbers
        table.add_column(
            column,
            justify="right" if column in numbers else "left",
            overflow="fold",
            no_wrap=kept,
            min_width=max((len(row[index]) for row in cells), default=0) if kept else LEAST_WIDTH,
        )
    for row in cells:
        table.add_row(*row)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.width = max(console.width, Measurement.get(console, console.options, table).minimum)
    console.print(table)


def say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
