"""Currencies and commodities that are listed when no data are given. Their quantities are lots.

What a lot holds is the `multiplier`. Nothing is listed that they follow: each has a course by its own name.
"""

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import NamedTuple

from alphapanda.exchange.market.day import Manner
from alphapanda.exchange.market.expiries import IsOpen, before_the_last, monthly_code, months, near_day
from alphapanda.exchange.market.following import OptionOn, Proportion
from alphapanda.exchange.market.given import CourseGiven, Given, contract
from alphapanda.kite.layout import DIVISORS, SEGMENTS
from alphapanda.times import number_of


class Pair(NamedTuple):
    """`close` and `tick` in wire units of CDS: rupees x 10,000,000."""

    name: str
    close: int
    moves: int = 30


class Good(NamedTuple):
    """`close` and `tick` in paise; contracts end near the `ends`th of each `every`th month.

    `like` is the larger contract of the same good, whose price it follows.
    """

    name: str
    close: int
    tick: int
    multiplier: int
    ends: int
    moves: int
    every: int = 1
    like: str = ""


PAIRS = (
    Pair("USDINR", 92_8650_000, 25),
    Pair("EURINR", 108_4125_000),
    Pair("GBPINR", 125_3075_000),
    Pair("JPYINR", 58_4200_000),
)
CURRENCY_TICK, CURRENCY_LOT = 25_000, 1000
GOODS = (
    Good("GOLD", 152_340_00, 1_00, 100, 5, 90, 2),
    Good("GOLDM", 152_120_00, 1_00, 10, 5, 90, like="GOLD"),
    Good("GOLDPETAL", 15_260_00, 1_00, 1, 31, 90, like="GOLD"),
    Good("SILVERM", 246_830_00, 1_00, 5, 30, 160),
    Good("CRUDEOIL", 5_842_00, 1_00, 100, 20, 200),
    Good("CRUDEOILM", 5_842_00, 1_00, 10, 20, 200, like="CRUDEOIL"),
    Good("NATURALGAS", 284_60, 10, 1250, 27, 220),
    Good("COPPER", 1_184_35, 5, 2500, 31, 110),
    Good("ZINC", 312_80, 5, 5000, 31, 110),
)
CARRY = 40
_YEARLY = 4
"""Percent that a rupee's rate moves in a year."""
_STRIKE_STEP = 2_500_000
_STRIKES = 6


def currencies(since: date, before: int, is_open: IsOpen) -> Iterator[tuple[CourseGiven, list[Given]]]:
    """Pairs on NSE (CDS); the dollar also on BSE (BCD), and with options."""
    for pair in PAIRS:
        ends = months(partial(before_the_last, is_open=is_open), since, 3)
        keys = f"CDS:{pair.name}{monthly_code(ends[-1])}FUT"
        course = CourseGiven(
            name=f"rate of {pair.name}",
            close=pair.close // CURRENCY_TICK,
            unit=CURRENCY_TICK,
            volatility=pair.moves,
            hours_of=keys,
        )
        given = [_rate("CDS", pair, course, day, number) for number, day in enumerate(ends, 1)]
        if pair.name == "USDINR":
            given += [_rate("BCD", pair, course, day, number) for number, day in enumerate(ends, 1)]
            given += _rate_options(course, ends[0], before)
        yield course, given


def _rate(exchange: str, pair: Pair, course: CourseGiven, ends: date, number: int) -> Given:
    divisor = DIVISORS[SEGMENTS[exchange.lower()]]
    tick = CURRENCY_TICK * divisor // 10_000_000
    following = Proportion(10_000 + 15 * number, 10_000)
    return _future(
        exchange, pair.name, course, following, ends, tick=tick, multiplier=CURRENCY_LOT, number=number
    )


def _rate_options(course: CourseGiven, ends: date, before: int) -> Iterator[Given]:
    spot = course.close * course.unit
    middle = spot // _STRIKE_STEP * _STRIKE_STEP
    for away in range(-_STRIKES, _STRIKES + 1):
        strike = middle + away * _STRIKE_STEP
        for kind in ("CE", "PE"):
            following = OptionOn(
                strike=strike,
                put=kind == "PE",
                unit=course.unit,
                tick=CURRENCY_TICK,
                yearly=spot * _YEARLY // 100,
                expires=number_of(ends),
            )
            symbol = f"USDINR{monthly_code(ends)}{strike / 10_000_000:g}{kind}"
            close = following.on(before)(course.close) * CURRENCY_TICK
            listed = contract(
                *("CDS", symbol, "USDINR", ends),
                kind=kind,
                close=close,
                tick=CURRENCY_TICK,
                strike=strike,
                multiplier=CURRENCY_LOT,
            )
            manner = Manner(
                volume=60_000 // (1 + away * away),
                queue=60,
                ticks=12,
                oi=40_000,
                reach=spot // (20 * CURRENCY_TICK),
            )
            yield Given(
                listed=listed, course=course.name, following=following, manner=manner, unit=CURRENCY_TICK
            )


def commodities(since: date, is_open: IsOpen) -> Iterator[tuple[CourseGiven, list[Given]]]:
    """Three contracts of each good. What is `like` another follows that one's course, given with it again."""
    courses: dict[str, CourseGiven] = {}
    for good in GOODS:
        ends = months(partial(near_day, day=good.ends, is_open=is_open), since, 3, good.every)
        course = courses.get(good.like) or CourseGiven(
            name=f"price of {good.name}",
            close=good.close // good.tick,
            unit=good.tick,
            volatility=good.moves,
            hours_of=f"MCX:{good.name}{monthly_code(ends[-1])}FUT",
        )
        courses[good.name] = course
        level = course.close * course.unit
        given = []
        for number, day in enumerate(ends, 1):
            dearer = 10_000 + CARRY * (number - 1)
            following = Proportion(good.close * course.unit * dearer, level * good.tick * 10_000)
            kept = {"tick": good.tick, "multiplier": good.multiplier, "number": number}
            given.append(_future("MCX", good.name, course, following, day, **kept))
        yield course, given


def _future(
    exchange: str,
    name: str,
    course: CourseGiven,
    following: Proportion,
    ends: date,
    *,
    tick: int,
    multiplier: int,
    number: int,
) -> Given:
    """`tick` in wire units; `number` is 1 for the contract that ends first."""
    close = following.on(0)(course.close) * tick
    symbol = f"{name}{monthly_code(ends)}FUT"
    listed = contract(exchange, symbol, name, ends, close=close, tick=tick, multiplier=multiplier)
    manner = Manner(
        volume=40_000 // (number * number),
        queue=20,
        ticks=60 if number == 1 else 15,
        wide=number,
        oi=24_000 // number,
        band=100,
    )
    return Given(listed=listed, course=course.name, following=following, manner=manner, unit=tick)
