"""The dated tables of the markets: TOML files beside this one, with a source on every row.

A rate that changes is a new row with its `effective_from`; an old row is never edited, because backtests of
its time still need it.
"""

import tomllib
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TypeVar

import msgspec

from alphapanda.core.charges import Rate, Tariff
from alphapanda.core.margins import Claim, Declared
from alphapanda.core.rules import Freeze, FreezeRow
from alphapanda.core.sessions import CalendarTable

Table = TypeVar("Table")


class _Charges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rates: tuple[Rate, ...]


class _Margins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    claims: tuple[Claim, ...]


class _Freeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    quantities: tuple[FreezeRow, ...]


@cache
def tariff() -> Tariff:
    """What a trade costs at Zerodha, from charges.toml."""
    return Tariff(charge_rates())


def charge_rates() -> tuple[Rate, ...]:
    return _read("charges.toml", _Charges).rates


@cache
def declared_margins() -> Declared:
    """The shares of a value that margins.toml declares."""
    return Declared(margin_claims())


def margin_claims() -> tuple[Claim, ...]:
    return _read("margins.toml", _Margins).claims


@cache
def calendar_table() -> CalendarTable:
    """Hours, holidays and special days of the markets, from calendar.toml."""
    return _read("calendar.toml", CalendarTable)


@cache
def freeze() -> Freeze:
    """The exchange's largest orders, from freeze.toml."""
    return Freeze(_read("freeze.toml", _Freeze).quantities)


def _read(name: str, kind: type[Table]) -> Table:
    """The table in `name` beside this file; its numbers are exact."""
    text = files(__name__).joinpath(name).read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text, parse_float=Decimal), kind)
