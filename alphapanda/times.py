"""Times: nanoseconds since 1970 inside, aware IST for people."""

from datetime import datetime, timedelta, timezone

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
