"""A fault script: TOML or JSON text becomes checked faults.

    [[fault]]
    on = "order.place"
    do = "drop_after"
    nth = 3

JSON has the same keys: `{"fault": [{"on": "order.place", ...}]}`, and over the admin door `"clear": true`.
"""

from collections.abc import Mapping
from datetime import time
from typing import Any

import msgspec
from msgspec import Struct

from alphapanda.errors import DataError
from alphapanda.exchange.faults import points, values
from alphapanda.exchange.faults.fault import Fault, When
from alphapanda.exchange.faults.kinds import KINDS, Kind

WHEN = ("nth", "every", "p", "times", "at", "after_s", "until", "for_s")
WINDOW = ("at", "after_s", "until", "for_s")
SELECTORS = ("symbol", "tag")


class Script(Struct, frozen=True):
    """Faults in the order they were written. `clear` takes away all that came before."""

    faults: tuple[Fault, ...] = ()
    clear: bool = False


def read_script(text: str, name: str) -> Script:
    """The script in `text`; `name` is the file or door that it came from. A mistake is a DataError."""
    try:
        decode = msgspec.json.decode if text.lstrip().startswith("{") else msgspec.toml.decode
        raw = decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        message = f"{name}: neither TOML nor JSON: {error}"
        raise DataError(message) from error
    if not isinstance(raw, dict) or (unknown := sorted(raw.keys() - {"fault", "clear"})):
        said = f"unknown key {unknown[0]!r}" if isinstance(raw, dict) else "not a table"
        message = f"{name}: {said}; a script has [[fault]] tables, and `clear`"
        raise DataError(message)
    clear, tables = raw.get("clear", False), raw.get("fault", [])
    if not isinstance(clear, bool):
        message = f"{name}: clear = {clear!r}; allowed: true or false"
        raise DataError(message)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        message = f"{name}: fault is not a list of tables; write [[fault]], or a JSON list of objects"
        raise DataError(message)
    faults = []
    for number, table in enumerate(tables, 1):
        try:
            faults.append(_fault(number, table))
        except values.Mistake as mistake:
            message = f"{name}: fault {number}: {mistake}"
            raise DataError(message) from mistake
    return Script(tuple(faults), clear)


def _fault(number: int, table: Mapping[str, Any]) -> Fault:
    do = table.get("do")
    if not isinstance(do, str) or do not in KINDS:
        raise values.Mistake(f"do = {do!r}; allowed: {', '.join(KINDS)}")
    kind = KINDS[do]
    allowed = {"do", "on", *SELECTORS, *WHEN, *kind.needs, *kind.takes}
    for key in table:
        if key not in allowed:
            raise values.Mistake(f"{key} means nothing to {do}; allowed: {', '.join(sorted(allowed))}")
    for key in kind.needs:
        if key not in table:
            raise values.Mistake(f"{do} needs {key}: {values.allowed(key, kind)}")
    read = {key: values.read(key, value, kind) for key, value in table.items() if key not in ("do", "on")}
    on = _on(table, do, kind, read)
    return Fault(
        number=number,
        do=do,
        on=on,
        when=When(**{key: read.pop(key) for key in WHEN if key in read}),
        symbols=read.pop("symbol", frozenset()),
        tags=read.pop("tag", frozenset()),
        **{**kind.presets, **read},
    )


def _on(table: Mapping[str, Any], do: str, kind: Kind, read: Mapping[str, Any]) -> str:
    """Where it strikes, and whether that goes with the kind, the selectors and the time."""
    on = table.get("on", "")
    if not isinstance(on, str) or ("on" in table and not points.points_of(on)):
        raise values.Mistake(f"on = {on!r}; allowed: {points.names()}")
    _check_when(read)
    if not on:
        return _timed(do, kind, read)
    struck = points.points_of(on)
    if wrong := struck - kind.at:
        there = "any call" if kind.at == points.CALLS else ", ".join(sorted(kind.at))
        raise values.Mistake(f"on = {on!r}: {do} does not strike at {min(wrong)}; allowed: {there}")
    for key, bearing in (("symbol", points.HAVE_SYMBOL), ("tag", points.HAVE_TAG)):
        if key in read and (wrong := struck - bearing):
            raise values.Mistake(
                f"{key}: {min(wrong)} has none; allowed where on is {', '.join(sorted(bearing))}"
            )
    if "connection" in read and struck == {points.UPDATE}:
        raise values.Mistake(
            "connection: an update goes to all of them; allowed: ws.connect, ws.message, frame"
        )
    return on


def _timed(do: str, kind: Kind, read: Mapping[str, Any]) -> str:
    if not kind.timed:
        raise values.Mistake(f"{do} needs on: {', '.join(sorted(kind.at))}, or a prefix such as order")
    for key in ("nth", "every", "p", "times", "until", "for_s", *SELECTORS):
        if key in read:
            raise values.Mistake(f"{key} counts calls, and {do} without on has none; allowed: at or after_s")
    return ""


def _check_when(read: Mapping[str, Any]) -> None:
    for alternatives in (("nth", "every", "p"), ("at", "after_s"), ("until", "for_s")):
        said = [key for key in alternatives if key in read]
        if len(said) > 1:
            raise values.Mistake(f"{said[0]} and {said[1]} contradict each other; allowed: one of them")
    at, until = read.get("at"), read.get("until")
    if isinstance(at, time) and isinstance(until, time) and until <= at:
        raise values.Mistake(f"until = {until} is not after at = {at}; allowed: a later time of the same day")
    if "times" in read and len(read.get("nth", ())) > 0 and read["times"] >= len(read["nth"]):
        raise values.Mistake(
            f"times = {read['times']} adds nothing to nth; allowed: fewer than nth names, or none"
        )
