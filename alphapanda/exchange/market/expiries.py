"""When the listed contracts end, and what their symbols call that day."""

from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta

IsOpen = Callable[[date], bool]

TUESDAY, THURSDAY = 1, 3
_CODES = "123456789OND"
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def last_weekday(year: int, month: int, weekday: int, is_open: IsOpen) -> date:
    """The month's last such weekday, or the trading day before it when that is a holiday."""
    last = date(year, month, monthrange(year, month)[1])
    return on_or_before(last - timedelta(days=(last.weekday() - weekday) % 7), is_open)


def near_day(year: int, month: int, day: int, is_open: IsOpen) -> date:
    """That day of the month, or the trading day before it."""
    return on_or_before(date(year, month, min(day, monthrange(year, month)[1])), is_open)


def before_the_last(year: int, month: int, is_open: IsOpen) -> date:
    """Two trading days before the month's last: currencies."""
    day = date(year, month, monthrange(year, month)[1])
    for _ in range(2):
        day = on_or_before(day, is_open) - timedelta(days=1)
    return on_or_before(day, is_open)


def on_or_before(day: date, is_open: IsOpen) -> date:
    for _ in range(10):
        if is_open(day):
            break
        day -= timedelta(days=1)
    return day


def months(first: Callable[[int, int], date], since: date, count: int, every: int = 1) -> list[date]:
    """The next `count` ends of contracts that end in each, or every other, month, as `first` has them."""
    found: list[date] = []
    year, month = since.year, since.month
    while len(found) < count:
        if (ends := first(year, month)) >= since and month % every == 0:
            found.append(ends)
        year, month = year + month // 12, month % 12 + 1
    return found


def weeks(weekday: int, since: date, count: int, monthly: list[date], is_open: IsOpen) -> list[date]:
    """The next `count` weekly ends; a week in which a month ends has none of its own."""
    found: list[date] = []
    day = since + timedelta(days=(weekday - since.weekday()) % 7)
    while len(found) < count:
        ends = on_or_before(day, is_open)
        if ends not in monthly:
            found.append(ends)
        day += timedelta(days=7)
    return found


def monthly_code(ends: date) -> str:
    """26APR."""
    return f"{ends:%y}{_MONTHS[ends.month - 1]}"


def weekly_code(ends: date) -> str:
    """26421: year, month as one character, day."""
    return f"{ends:%y}{_CODES[ends.month - 1]}{ends:%d}"
