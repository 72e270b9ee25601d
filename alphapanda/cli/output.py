"""How results look: one JSON document for programs; tables for people that fit their terminal.

A table never cuts or breaks a figure. What does not fit is named in the title, left out, or set below.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache
from io import TextIOWrapper
from typing import Any, NamedTuple, TextIO

WIDTH = 100
"""What a pipe gets."""
NARROW = 80
"""A terminal that does not know its width."""
GAP = "  "
LEAST_TEXT = 8
LEAST_BESIDE = 20
BELOW = "    "
COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1"}

Cells = list[list[str]]


class Layout(NamedTuple):
    """What of a table is shown, and how wide; long texts of the column `below` stand under their row."""

    title: str
    shown: list[int]
    widths: dict[int, int]
    below: int | None


def print_json(document: Any) -> None:
    import msgspec

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as RFC 8259 has it, whatever the locale
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
    sign = "-" if amount < 0 and (whole, paise) != ("0", "00") else ""
    return f"{sign}₹{','.join([*pairs, tail])}.{paise}"


def profit(amount: float | None) -> str:
    """+₹1,234.50 or -₹1,234.50: rupees that say which way they went."""
    shown = rupees(amount)
    return f"+{shown}" if amount is not None and shown[0] == "₹" and shown != "₹0.00" else shown


def counted(number: int, noun: str) -> str:
    """1 trade, 2 trades."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def clock(moment: str | None) -> str:
    """2016-08-16T09:15:00+05:30 as people read it."""
    return "-" if moment is None else f"{moment[:10]} {moment[11:19]}"


def say(sentence: str) -> None:
    sys.stdout.write(fitted(_headed(sentence), sys.stdout) + "\n")


def warn(sentence: str) -> None:
    sys.stderr.write(fitted(sentence, sys.stderr) + "\n")


def put_folded(sentence: str) -> None:
    """A sentence that belongs to a table: no line of it is wider than a table may be, in a pipe too."""
    for line in wrapped(sentence, width()):
        put(line)


def put(line: str) -> None:
    """As it is: a row of a table, or a command to be copied, which stays one line."""
    sys.stdout.write(line + "\n")


def fitted(text: str, stream: TextIO) -> str:
    """`text` with its lines broken between words where `stream` is a terminal; elsewhere as it is."""
    if not stream.isatty():
        return text
    own = os.get_terminal_size(stream.fileno()).columns or NARROW
    room = shutil.get_terminal_size((own, 0)).columns
    return "\n".join(part for line in text.split("\n") for part in wrapped(line, room))


def width() -> int:
    """Columns of the terminal; 100 when nobody watches."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH


def coloured(text: str, colour: str) -> str:
    """`text` in one of COLOURS, on a terminal that has them and whose user did not say NO_COLOR."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if colour and _has_colours() else text


@cache
def _has_colours() -> bool:
    if not sys.stdout.isatty():
        return False
    from rich.console import Console

    console = Console()
    return not console.no_color and console.color_system is not None


MODE: list[str] = []
"""Stands at the head of what is printed: whose money it is, where it is not paper's."""


def _headed(text: str) -> str:
    return f"{MODE.pop()} · {text}" if MODE and text else text


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    numbers: Sequence[str] = (),
    whole: Sequence[str] = (),
    spare: Sequence[str] = (),
    profits: Sequence[str] = (),
    below: str | None = None,
) -> None:
    """A plain table, as wide as what is in it and never wider than the terminal.

    Where it would be wider: long texts of the column `below` (the last one) stand on lines of their own under
    their row; a `spare` column with one value throughout is named in the title instead; then `spare` columns
    are left out, the first one first, and the title says so; then the longest text is folded.
    `numbers` and `profits` (coloured by their sign) are set right; they and `whole` columns are never folded:
    a terminal too narrow even for them gets lines longer than it is.
    """
    title = _headed(title)
    blanks = ["" if name == below else "-" for name in columns]
    cells = [
        [blank if value is None else cleaned(str(value)) for value, blank in zip(row, blanks, strict=True)]
        for row in rows
    ]
    right = {*numbers, *profits}
    kept = {columns.index(name) for name in {*right, *whole}}
    layout = _laid_out(title, columns, cells, [columns.index(name) for name in spare], kept, below)
    for line in wrapped(layout.title, width()):
        put(coloured(line, "bold"))
    if cells:
        heads = [columns[index].ljust(layout.widths[index]) for index in layout.shown]
        for place, index in enumerate(layout.shown):
            if columns[index] in right:
                heads[place] = columns[index].rjust(layout.widths[index])
        put(GAP.join(heads).rstrip())
        put("─" * min(width(), _total(layout.widths, layout.shown)))
    tones = {columns.index(name) for name in profits}
    for row in cells:
        for line in _lines(row, layout, {columns.index(name) for name in right}, tones):
            put(line)
    put("")


def _laid_out(
    title: str, columns: Sequence[str], cells: Cells, spare: list[int], kept: set[int], below: str | None
) -> Layout:
    room, shown = width(), list(range(len(columns)))
    under = columns.index(below) if below is not None else None
    widths = {index: max(map(_width, [columns[index], *(row[index] for row in cells)])) for index in shown}
    least = dict(widths)
    if under is not None:
        least[under] = min(widths[under], LEAST_BESIDE)
    named = []
    for index in [each for each in spare if cells and len({row[each] for row in cells}) == 1]:
        if _total(least, shown) > room:
            shown.remove(index)
            named.append(f"{columns[index]} {cells[0][index]}")
    if under is not None and _total(least, shown) > room:
        shown.remove(under)  # no room beside the others: all of its texts stand below
    left_out = []
    for index in spare:
        if index in shown and _total(least, shown) > room:
            shown.remove(index)
            left_out.append(columns[index])
    if under in shown:
        widths[under] = max(least[under], min(widths[under], room - _total(widths, [*shown[:-1]]) - len(GAP)))
    _fold(widths, [index for index in shown if index not in kept and index != under], shown, room)
    said = [title, *named, *([f"not shown: {', '.join(left_out)}"] if left_out else [])]
    return Layout(" · ".join(said), shown, widths, under)


def _fold(widths: dict[int, int], foldable: list[int], shown: list[int], room: int) -> None:
    """Take from the widest text until the table fits or no text can give more."""
    while foldable and _total(widths, shown) > room:
        widest = max(foldable, key=lambda index: widths[index])
        if widths[widest] <= LEAST_TEXT:
            return
        widths[widest] -= 1


def _total(widths: dict[int, int], shown: list[int]) -> int:
    return sum(widths[index] for index in shown) + len(GAP) * (len(shown) - 1)


def _lines(row: list[str], layout: Layout, right: set[int], tones: set[int]) -> list[str]:
    """One row: usually a line, more when a text is folded or set below."""
    under = layout.below
    beside = layout.widths[under] if under in layout.shown and under is not None else 0
    long = under is not None and _width(row[under]) > beside
    parts = {
        index: [""] if long and index == under else wrapped(row[index], layout.widths[index])
        for index in layout.shown
    }
    lines = []
    for number in range(max(map(len, parts.values()))):
        line = []
        for index in layout.shown:
            text = parts[index][number] if number < len(parts[index]) else ""
            space = " " * (layout.widths[index] - _width(text))
            tone = {"-": "red", "+": "green"}.get(text[:1], "") if index in tones and len(text) > 1 else ""
            line.append(space + coloured(text, tone) if index in right else coloured(text, tone) + space)
        lines.append(GAP.join(line).rstrip())
    if long and under is not None:
        lines += [BELOW + part for part in wrapped(row[under], max(width() - len(BELOW), LEAST_BESIDE))]
    return lines


def wrapped(text: str, room: int) -> list[str]:
    """`text` in lines of at most `room` columns, broken between words; a longer word is broken too."""
    lines = [""]
    for word in text.split(" ") if _width(text) > room else [text]:
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(joined) <= room:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and _width(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return lines


def _width(text: str) -> int:
    """How many columns a terminal gives it."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def cleaned(text: str) -> str:
    """A name or a reason is never an instruction to the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
