"""Times: nanoseconds since 1970 (UTC) inside, aware IST for people; a day is its number since 1970 in IST."""

from datetime import date, datetime, timedelta, timezone

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS
IST_OFFSET_NS = 330 * MINUTE_NS

IST = timezone(timedelta(hours=5, minutes=30), "IST")
_EPOCH = datetime(1970, 1, 1, 5, 30, tzinfo=IST)
"""In IST, because two times with the same zone object are subtracted without asking it for its offset."""


def to_ns(moment: datetime) -> int:
    """Nanoseconds since 1970 of an aware time; a naive one is IST."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=IST)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def to_ist(time_ns: int) -> datetime:
    """The aware IST time of `time_ns`, to the microsecond."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def day_of(time_ns: int) -> int:
    """The IST day of a moment, in days since 1970-01-01."""
    return (time_ns + IST_OFFSET_NS) // DAY_NS


def week_of(day: int) -> int:
    """A number that changes with the ISO week: 1970-01-01 was a Thursday."""
    return (day + 3) // 7


def start_of(day: int) -> int:
    """The nanosecond at which an IST day begins."""
    return day * DAY_NS - IST_OFFSET_NS


def midnight_after(time_ns: int) -> int:
    """The nanosecond at which the IST day after that of `time_ns` begins."""
    return start_of(day_of(time_ns) + 1)


def date_of(day: int) -> date:
    return _EPOCH.date() + timedelta(days=day)


def number_of(day: date) -> int:
    """The day that `date_of` makes this date of."""
    return (day - _EPOCH.date()).days
