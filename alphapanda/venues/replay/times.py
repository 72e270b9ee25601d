"""Times as people write them in price files, read exactly and fast.

Two ways: the common shapes go straight to `datetime.fromisoformat`, everything else through one pattern.
A first field of four digits is year-first, any other is day-first; without a zone it is IST.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from alphapanda.times import to_ns

ZONE = timezone(timedelta(hours=5, minutes=30))
YEAR_2000_NS = to_ns(datetime(2000, 1, 1, tzinfo=ZONE))
YEAR_2200_NS = to_ns(datetime(2200, 1, 1, tzinfo=ZONE))
"""Beyond it a time is a mistake, and soon more nanoseconds than 63 bits hold."""

TimeReader = Callable[[Any], tuple[datetime, int]]
"""A row's time in, the IST time and its nanoseconds out; ValueError (null: TypeError) when it is none."""

_from_iso = datetime.fromisoformat
_GAPS = frozenset(" T")
_SECONDS = {f"{second:02}": second * 1_000_000_000 for second in range(60)}
_YEAR_1_TO_1970_NS = datetime(1970, 1, 1, 5, 30).toordinal() * 86_400_000_000_000 + 19_800_000_000_000
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PATTERN = re.compile(
    r"""(?: (?P<compact>\d{8})
        | (?P<year>\d{4}) (?P<s1>[-/.]) (?P<month>\d{1,2}) (?P=s1) (?P<day>\d{1,2})
        | (?P<dfday>\d{1,2}) (?P<s2>[-/.\ ]) (?P<dfmonth>\d{1,2}|[A-Za-z]{3,9}) (?P=s2) (?P<dfyear>\d{4}) )
    (?: (?:[Tt]|\s+) (?P<hour>\d{1,2}) (?: :(?P<minute>\d{2}) (?: :(?P<second>\d{2}) )?
                                         | (?P<cminute>\d{2}) (?P<csecond>\d{2})? )
        (?: [.,](?P<fraction>\d{1,9}) )? \s* (?P<zone>[Zz]|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})? )?""",
    re.VERBOSE | re.ASCII,
)


def parse_time(text: str) -> datetime:
    """The aware IST time that `text` says, or a ValueError that says why it says none."""
    text = text.strip()
    found = _PATTERN.fullmatch(text)
    if found is None or (found["fraction"] and not (found["second"] or found["csecond"])):
        raise ValueError(_reason(text))
    try:
        return _assemble(found)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"time {text!r} does not exist: {error}") from None


def _reason(text: str) -> str:
    if not text:
        return "the time is blank"
    number = text.removeprefix("-").replace(".", "", 1)
    if number.isdigit() and number.isascii():
        return f"time {text!r} is a bare number, not a date: write it like 2024-01-31 09:15:00"
    return f"cannot read time {text!r}: write it like 2024-01-31 09:15:00 or 31/01/2024 09:15"


def _assemble(found: re.Match[str]) -> datetime:
    naive = datetime(
        *_date_of(found),
        int(found["hour"] or 0),
        int(found["minute"] or found["cminute"] or 0),
        int(found["second"] or found["csecond"] or 0),
        int((found["fraction"] or "").ljust(6, "0")[:6]),
        tzinfo=_zone_of(found["zone"]),
    )
    return naive.astimezone(ZONE)


def _date_of(found: re.Match[str]) -> tuple[int, int, int]:
    if compact := found["compact"]:
        return int(compact[:4]), int(compact[4:6]), int(compact[6:])
    if found["year"]:
        return int(found["year"]), int(found["month"]), int(found["day"])
    return int(found["dfyear"]), _month_of(found["dfmonth"]), int(found["dfday"])


def _month_of(text: str) -> int:
    if text.isdigit():
        return int(text)
    if text[:3].lower() not in _MONTHS:
        raise ValueError(f"no month is called {text!r}")
    return _MONTHS.index(text[:3].lower()) + 1


def _zone_of(text: str | None) -> timezone:
    if text is None:
        return ZONE
    if text.upper() in {"Z", "UTC"}:
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[3:].lstrip(":") or 0))
    return timezone(-ahead if text[0] == "-" else ahead)


def _quick(text: str) -> datetime | None:
    """Common shapes without a zone or in +05:30. Checks where the separators stand, because `fromisoformat`
    takes any character between date and time, and would read `1612123112345` as a day in the year 1612.
    """
    if text[10:11] in _GAPS and text[13:14] == ":":
        if text[2] in "-/":
            text = f"{text[6:10]}-{text[3:5]}-{text[:2]}{text[10:]}" if text[2] == text[5] else ""
        return _from_iso(text if text[-6:] == "+05:30" else text + "+05:30")
    if text[8:9] in _GAPS and text[11:12] == ":":
        return _from_iso(text + "+05:30")
    if len(text) == 10 and text[4] == "-":
        return _from_iso(text + " 00:00+05:30")
    return None


def time_reader() -> TimeReader:
    """Of text. Ticks share their minute with the row before, so only its seconds are looked at again."""
    minute, start_ns = "", 0

    def read(text: str) -> tuple[datetime, int]:
        nonlocal minute, start_ns
        if text[:17] == minute and (second_ns := _SECONDS.get(text[17:])) is not None:
            return _from_iso(text + "+05:30"), start_ns + second_ns
        moment = _moment(text)
        time_ns = _nanoseconds(moment)
        if len(text) == 19 and text[4] == "-" and text[13] == text[16] == ":" and text[17:] in _SECONDS:
            minute, start_ns = text[:17], time_ns - _SECONDS[text[17:]]
        return moment, time_ns

    return read


def _moment(text: str) -> datetime:
    try:
        moment = _quick(text)
    except ValueError:
        moment = None
    return parse_time(text) if moment is None else moment


def _nanoseconds(moment: datetime) -> int:
    """`to_ns` of a time in IST, at half the price."""
    seconds = moment.toordinal() * 86_400 + moment.hour * 3600 + moment.minute * 60 + moment.second
    return (seconds * 1_000_000 + moment.microsecond) * 1000 - _YEAR_1_TO_1970_NS


def instant_reader() -> TimeReader:
    """Of typed times: microseconds since 1970 (UTC)."""
    minute, date = -1, (1970, 1, 1, 5, 30)

    def read(microseconds: int) -> tuple[datetime, int]:
        nonlocal minute, date
        this_minute, rest = divmod(microseconds, 60_000_000)
        if this_minute != minute:
            start = datetime.fromtimestamp(this_minute * 60, ZONE)
            date = (start.year, start.month, start.day, start.hour, start.minute)
            minute = this_minute
        second, microsecond = divmod(rest, 1_000_000)
        return datetime(*date, second, microsecond, ZONE), microseconds * 1000

    return read
