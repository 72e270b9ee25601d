"""Times: nanoseconds since 1970 inside, aware IST for people."""

from datetime import UTC, datetime, timedelta, timezone

IST = timezone(timedelta(hours=5, minutes=30), "IST")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_ns(moment: datetime) -> int:
    """Nanoseconds since 1970 of an aware time; a naive one is IST."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=IST)
    return (moment - _EPOCH) // _MICROSECOND * 1000


def to_ist(time_ns: int) -> datetime:
    """The aware IST time of `time_ns`, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=time_ns // 1000)).astimezone(IST)
