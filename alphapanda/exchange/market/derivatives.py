"""The futures and options that are listed when no data are given: three months, and chains around the money.

Lots are those of 2026 (NSE/FAOP/70616 of 3 October 2025 for the indices). Prices follow their underlying.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from alphapanda.exchange.market.day import Manner
from alphapanda.exchange.market.expiries import (
    THURSDAY,
    TUESDAY,
    IsOpen,
    last_weekday,
    monthly_code,
    months,
    weekly_code,
    weeks,
)
from alphapanda.exchange.market.following import OptionOn, Proportion
from alphapanda.exchange.market.given import CourseGiven, Given, contract
from alphapanda.exchange.market.shares import COMPANIES
from alphapanda.times import number_of
from alphapanda.venues.simulated.listing import tick_of

CARRY = 55
"""Basis points by which a future stands above its underlying for each month to its end."""
BANDED, REACH = 100, 5
"""Futures move by 10 percent at most, options by a fifth of their underlying."""
_INDEX_BANDS = ((15_000_00, 5), (30_000_00, 10))
_DEAREST_INDEX = 20
_BSE_TICK = 5
"""Of futures on the indices of BSE, at any level."""


class Underlying(NamedTuple):
    """`step` is between strikes, in paise; `weekly` and `monthly` how many ends have options, `strikes` how
    many on each side of the money; `yearly` the usual move of a year, in percent.
    """

    name: str
    course: str
    lot: int
    exchange: str = "NFO"
    step: int = 0
    weekly: int = 0
    monthly: int = 0
    strikes: int = 0
    yearly: int = 28
    futures: int = 3

    @property
    def of_index(self) -> bool:
        return self.name not in COMPANIES


UNDERLYINGS = (
    Underlying("NIFTY", "NSE:NIFTY 50", 65, "NFO", 50_00, 2, 2, 15, 14),
    Underlying("BANKNIFTY", "NSE:NIFTY BANK", 30, "NFO", 100_00, 0, 2, 15, 16),
    Underlying("FINNIFTY", "NSE:NIFTY FIN SERVICE", 60, "NFO", 100_00, 0, 1, 6, 16),
    Underlying("SENSEX", "BSE:SENSEX", 20, "BFO", 100_00, 2, 1, 10, 14),
    Underlying("BANKEX", "BSE:BANKEX", 30, "BFO", futures=1),
)
_STRIKES = {"RELIANCE": 20_00, "INFY": 20_00, "HDFCBANK": 10_00, "SBIN": 10_00}
"""Shares with options, and what lies between their strikes."""


def underlyings() -> Iterator[Underlying]:
    yield from UNDERLYINGS
    for symbol, company in COMPANIES.items():
        step = _STRIKES.get(symbol, 0)
        chain = (step, 0, 1, 8) if step else (0, 0, 0, 0)
        yield Underlying(symbol, f"NSE:{symbol}", company.lot, "NFO", *chain)


def contracts(courses: dict[str, CourseGiven], since: date, before: int, is_open: IsOpen) -> Iterator[Given]:
    """All of them. `before` is the day of the courses' closes."""
    for underlying in underlyings():
        weekday = THURSDAY if underlying.exchange == "BFO" else TUESDAY
        monthly = months(lambda y, m, w=weekday: last_weekday(y, m, w, is_open), since, 3)  # type: ignore[misc]
        course = courses[underlying.course]
        for number, ends in enumerate(monthly[: underlying.futures], 1):
            yield _future(underlying, course, ends, number)
        weekly = weeks(weekday, since, underlying.weekly, monthly, is_open)
        named = [(ends, weekly_code(ends)) for ends in weekly]
        named += [(ends, monthly_code(ends)) for ends in monthly[: underlying.monthly]]
        for ends, code in sorted(named):
            yield from _chain(underlying, course, ends, code, before)


def _future(underlying: Underlying, course: CourseGiven, ends: date, number: int) -> Given:
    tick = tick_of(course.close * course.unit)
    if underlying.of_index:
        level = course.close * course.unit
        tick = next((tick for top, tick in _INDEX_BANDS if level <= top), _DEAREST_INDEX)
        tick = _BSE_TICK if underlying.exchange == "BFO" else tick
    following = Proportion(course.unit * (10_000 + CARRY * number), tick * 10_000)
    close = following.on(0)(course.close) * tick
    symbol = f"{underlying.name}{monthly_code(ends)}FUT"
    listed = contract(
        underlying.exchange, symbol, underlying.name, ends, close=close, tick=tick, lot=underlying.lot
    )
    volume = (8_000_00 if underlying.of_index else 2_000_00) * underlying.lot // (number * number * 100)
    manner = Manner(
        volume=volume,
        queue=underlying.lot * 6,
        ticks=60 if number == 1 else 20,
        wide=number,
        oi=volume * 2,
        band=BANDED,
    )
    return Given(listed=listed, course=course.name, following=following, manner=manner, unit=tick)


def _chain(
    underlying: Underlying, course: CourseGiven, ends: date, code: str, before: int
) -> Iterable[Given]:
    spot = course.close * course.unit
    middle = (spot + underlying.step // 2) // underlying.step * underlying.step
    tick = 1 if spot < 250_00 and not underlying.of_index else 5
    for away in range(-underlying.strikes, underlying.strikes + 1):
        strike = middle + away * underlying.step
        for kind in ("CE", "PE"):
            following = OptionOn(
                strike=strike,
                put=kind == "PE",
                unit=course.unit,
                tick=tick,
                yearly=spot * underlying.yearly // 100,
                expires=number_of(ends),
            )
            close = following.on(before)(course.close) * tick
            text = f"{strike // 100}" if strike % 100 == 0 else f"{strike / 100:g}"
            listed = contract(
                *(underlying.exchange, f"{underlying.name}{code}{text}{kind}", underlying.name, ends),
                kind=kind,
                close=close,
                tick=tick,
                lot=underlying.lot,
                strike=strike,
            )
            volume = underlying.lot * 40_000 // (1 + away * away)
            manner = Manner(
                volume=volume,
                queue=underlying.lot * 10,
                ticks=max(4, 60 // (1 + abs(away) // 3)),
                wide=1 + close // (tick * 400),
                oi=volume // 2,
                reach=spot // (REACH * tick),
            )
            yield Given(listed=listed, course=course.name, following=following, manner=manner, unit=tick)
