"""Times as people write them, read back exactly."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.times import IST, to_ns
from alphapanda.venues.replay.times import instant_reader, parse_time, time_reader

IN_IST = "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%d %H:%M:%S", "%Y%m%dT%H%M%S", "%Y/%m/%d %H:%M:%S"
DAY_FIRST = (
    "%d/%m/%Y %H:%M:%S",
    "%d-%m-%Y %H:%M:%S",
    "%d-%b-%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%d %B %Y %H:%M:%S",
)
moments = st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1), timezones=st.just(IST))


def read(text: str) -> datetime:
    moment, time_ns = time_reader()(text)
    assert time_ns == to_ns(moment)
    assert moment.utcoffset() == timedelta(hours=5, minutes=30)
    assert moment == parse_time(text) or "W" in text
    return moment


@given(
    moments,
    st.sampled_from(IN_IST + DAY_FIRST),
    st.sampled_from(["", " ", "fraction", "no seconds", "+05:30"]),
)
def test_every_format_reads_back_the_time_that_was_written(moment, shape, tail):
    whole = moment.replace(microsecond=0)
    text = whole.strftime(shape)
    if tail == "fraction":
        assert read(f"{text}.{moment.microsecond:06}") == moment
    elif tail == "no seconds":
        text = whole.strftime(shape.replace(":%S", "").replace("%M%S", "%M"))
        assert read(text) == whole.replace(second=0)
    else:
        assert read(text + tail) == whole


@given(moments, st.sampled_from(IN_IST[:3]), st.integers(-12 * 4, 14 * 4))
def test_a_zone_is_converted_to_ist(moment, shape, quarters):
    zone = timezone(timedelta(minutes=15 * quarters))
    there = moment.replace(microsecond=0).astimezone(zone)
    offset = there.strftime("%z")
    assert read(there.strftime(shape) + offset) == there
    assert read(f"{there.strftime(shape)}{offset[:3]}:{offset[3:]}") == there
    assert read(there.astimezone(UTC).strftime(shape) + "Z") == there


@given(st.lists(moments, min_size=2, max_size=6), st.sampled_from([*IN_IST, *DAY_FIRST]))
def test_a_reader_is_not_misled_by_the_rows_before(several, shape):
    reader = time_reader()
    for moment in several:
        for near in (moment, moment + timedelta(seconds=1), moment):
            whole = near.replace(microsecond=0)
            assert reader(whole.strftime(shape)) == (whole, to_ns(whole))


@given(moments)
def test_typed_instants_are_the_same_times(moment):
    assert instant_reader()(to_ns(moment) // 1000) == (moment, to_ns(moment))


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2020-01-01", "2020-01-01 00:00"),
        ("20200101", "2020-01-01 00:00"),
        ("20200101 09:16", "2020-01-01 09:16"),
        ("2020-1-2 9:05", "2020-01-02 09:05"),
        ("31/12/2020 09:15", "2020-12-31 09:15"),
        ("31-12-2020", "2020-12-31 00:00"),
        ("1/2/2020 09:15", "2020-02-01 09:15"),
        ("31-Dec-2020 09:15", "2020-12-31 09:15"),
        ("01-JAN-2020", "2020-01-01 00:00"),
        (" 2020-01-01 09:15:00 ", "2020-01-01 09:15"),
        ("2020-01-01T03:45:00Z", "2020-01-01 09:15"),
        ("2020-01-01 09:15:00+0530", "2020-01-01 09:15"),
        ("1970-01-01 05:30:00", "1970-01-01 05:30"),
        ("2020-01-01 09:15:05.123456789", "2020-01-01 09:15:05.123456"),
    ],
)
def test_these_are_times(text, iso):
    assert read(text) == datetime.fromisoformat(iso).replace(tzinfo=IST)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "blank"),
        ("1617181920", "bare number"),
        ("1617181920.5", "bare number"),
        ("1612123112345", "bare number"),
        ("1617181920123456789", "bare number"),
        ("202001010915", "bare number"),
        ("2020-13-01", "does not exist"),
        ("12/31/2020 09:15", "does not exist"),
        ("2020-02-30 09:15:00", "does not exist"),
        ("2020-01-01 24:00", "does not exist"),
        ("2020-01-01 09:15:60", "does not exist"),
        ("31-Foo-2020 09:15", "does not exist"),
        ("31/12-2020 09:15", "cannot read"),
        ("31/12/20 09:15", "cannot read"),
        ("2020-01-01 09:15:00 PM", "cannot read"),
        ("2020-01-01+05:30", "cannot read"),
        ("2020-01-01x09:15:00", "cannot read"),
        ("2020-01-01 09.15", "cannot read"),
        ("noon", "cannot read"),
        ("nan", "cannot read"),
    ],
)
def test_these_are_not_times(text, reason):
    with pytest.raises(ValueError, match=reason):
        time_reader()(text)


@given(st.text(max_size=30) | st.from_regex(r"[0-9:/. TZ+-]{8,26}", fullmatch=True))
def test_any_text_is_a_time_or_a_value_error(text):
    try:
        read(text)
    except ValueError:
        return
