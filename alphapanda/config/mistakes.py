"""A mistake in the configuration, as one line that names the key and the file and says what to do.

msgspec's words (`$.risk.max_order_quantity`, `array`, `enum value`) are put into those of config.toml.
"""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches

from alphapanda.config.keys import KEYS, NAMES
from alphapanda.errors import CannotStart

_PATH = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_WORDS = {
    "`object`": "a table",
    "`array`": "a list",
    "`str`": "text in quotes",
    "`int`": "a whole number",
    "`float`": "a number",
    "`decimal`": "a number",
    "`float | str`": 'a number or "max"',
    "`bool`": "true or false",
    "`date`": "a date such as 2027-01-26",
    "`datetime`": "a date with a time",
    "`time`": "a time of day",
    "Invalid RFC3339 encoded date": "is not a date such as 2027-01-26",
}


class ConfigError(CannotStart):
    """Always one printable line: keys and paths may hold anything."""

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else "�" for c in message))


class NoConfiguration(ConfigError):  # noqa: N818 - names the fact
    """None was named, and none lies where one is looked for."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What to do about a name that nobody knows."""
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else "remove it"


def wrong(key: str, place: str, problem: str) -> ConfigError:
    return ConfigError(f"{key} in {place}: {problem}")


def explained(message: str, place_of: Callable[[str], str]) -> ConfigError:
    """Our error for the complaint of msgspec about one value."""
    found = _PATH.fullmatch(message)
    problem, path = (found[1], found[2] or "") if found else (message, "")
    if unknown := _UNKNOWN.fullmatch(problem):
        key = f"{path}.{unknown[1]}" if path else unknown[1]
        return wrong(key, place_of(key), f"unknown key; {nearest(unknown[1], NAMES)}")
    if missing := _MISSING.fullmatch(problem):
        return wrong(f"{path}.{missing[1]}", place_of(path), f"is missing; add {missing[1]} = …")
    return wrong(path, place_of(path), f"{_in_our_words(problem, path)}; correct it there")


def _in_our_words(problem: str, path: str) -> str:
    if problem.startswith("Invalid enum value ") and path in KEYS:
        value = problem.removeprefix("Invalid enum value ")
        return f"{value} is not one of {', '.join(KEYS[path].choices)}"
    for word, ours in _WORDS.items():
        problem = problem.replace(word, ours)
    return problem[:1].lower() + problem[1:]
