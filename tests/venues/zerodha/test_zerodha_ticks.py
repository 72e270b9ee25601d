"""Kite's ticks into ours: the official client's figures, cheap, and each of its own instrument."""

from datetime import datetime

import pytest
from builders import tick
from hypothesis import given
from hypothesis import strategies as st
from kite_packets import INFY, INFY_FULL, INFY_QUOTE, NIFTY, NIFTY_FULL, mixes, uniform

from alphapanda.core.rules.marks import Marks
from alphapanda.events import Depth, DepthLevel, TickBatch
from alphapanda.kite.decode import Counts, Decoder
from alphapanda.kite.encode import HEARTBEAT, frame
from alphapanda.times import IST, to_ist
from alphapanda.venues.zerodha.book_rows import Level, Levels, Ohlc, Quote
from alphapanda.venues.zerodha.ticks import Converter, WireDepth, tick_of_quote, time_of

NOW_NS = 1_776_224_700_250_000_000


def converted(*packets, wanted=(INFY, NIFTY)):
    return Converter().convert(Decoder(brief=True).decode(frame(list(packets))), wanted, NOW_NS)


def test_a_share_in_full_mode():
    made = converted(INFY_FULL)
    (one,) = made.ticks
    assert (made.newest_s, made.dropped) == (1625461887, 0)
    assert one == tick(
        1573.70,
        timestamp=datetime(2021, 7, 5, 10, 41, 27, tzinfo=IST),
        open=1569.15,
        high=1575.0,
        low=1561.05,
        close=1567.8,
        volume=1192471,
        depth=Depth(
            tuple(
                DepthLevel(*each)
                for each in [
                    (1573.4, 5, 1),
                    (1573.0, 140, 2),
                    (1572.95, 2, 1),
                    (1572.9, 219, 7),
                    (1572.85, 50, 1),
                ]
            ),
            tuple(
                DepthLevel(*each)
                for each in [
                    (1573.7, 172, 3),
                    (1573.75, 44, 3),
                    (1573.85, 302, 3),
                    (1573.9, 141, 2),
                    (1573.95, 724, 5),
                ]
            ),
        ),
    )


def test_what_has_no_time_of_its_own_has_the_clocks():
    """Quote and ltp mode, an index before its first value, a share that has not been quoted yet."""
    untimed = [INFY_QUOTE, INFY_FULL[:8], NIFTY_FULL[:28], NIFTY_FULL[:28] + bytes(4)]
    untimed.append(INFY_FULL[:60] + bytes(4) + INFY_FULL[64:])
    made = converted(*untimed)
    assert [one.timestamp for one in made.ticks] == [to_ist(NOW_NS)] * 5
    assert made.newest_s == 0
    assert [one.last_price for one in made.ticks] == [1573.15, 1573.7, 23949.95, 23949.95, 1573.7]
    assert [one.close for one in made.ticks] == [1567.8, 0.0, 23950.0, 23950.0, 1567.8]


def test_what_is_not_wanted_here_is_left_out_and_counted():
    made = converted(INFY_FULL, NIFTY_FULL, INFY_QUOTE, wanted=frozenset({NIFTY}))
    assert ([one.instrument_token for one in made.ticks], made.dropped) == ([NIFTY], 2)


@given(mixes)
def test_figures_are_those_of_the_wire_and_no_bytes_raise(packets):
    wire = Decoder().decode(frame(packets))
    brief = Decoder(brief=True).decode(frame(packets))
    made = Converter().convert(brief, {each.instrument_token for each in wire}, NOW_NS)
    assert made.dropped == 0
    for ours, theirs in zip(made.ticks, wire, strict=True):
        assert ours.instrument_token == theirs.instrument_token
        if theirs.last_units <= 0x7FFFFFFF:
            assert ours.last_price == theirs.last_price
        for name in ("open", "high", "low", "close"):
            assert getattr(ours, name) == getattr(theirs, name, 0.0)
        assert ours.volume == getattr(theirs, "volume_traded", 0)
        assert ours.depth == getattr(theirs, "depth", None)
        if getattr(theirs, "time_s", 0):
            assert ours.timestamp == theirs.exchange_timestamp


@pytest.mark.parametrize("units", [0, -5, -157370])
def test_a_price_that_is_none_is_passed_on_and_ignored_by_the_marks(units):
    packet = INFY_FULL[:4] + units.to_bytes(4, "big", signed=True) + INFY_FULL[8:]
    made = converted(packet)
    assert made.ticks[0].last_price == units / 100
    marks = Marks()
    marks.take(TickBatch(time_ns=NOW_NS, ticks=made.ticks))
    assert marks.mark(INFY) is None


def test_depth_is_read_when_somebody_looks_and_equal_however_it_came():
    (one,), (other,) = converted(INFY_FULL).ticks, converted(INFY_FULL).ticks
    assert isinstance(one.depth, WireDepth)
    assert one.depth.read is None
    plain = Depth(one.depth.buy, one.depth.sell)
    assert one.depth.read == plain
    assert one.depth == plain
    assert plain == one.depth == other.depth
    assert hash(one.depth) == hash(other.depth) == hash(plain)
    assert one == other
    assert converted(INFY_FULL[:64] + bytes(120)).ticks[0].depth != plain
    assert one.depth != None  # noqa: E711 - what `==` says to something else


@given(st.one_of(mixes, uniform), st.integers(1, 9))
def test_the_slices_joined_are_the_ticks_of_the_frame(packets, most):
    whole, sliced = Decoder(), Decoder()
    data = frame(packets)
    slices = list(sliced.decode_slices(data, most))
    assert [tick for each in slices for tick in each] == whole.decode(data)
    assert whole.counts == sliced.counts
    assert all(len(each) == most for each in slices[:-1])
    assert all(slices)


@given(st.one_of(mixes, uniform).map(frame), st.integers(0, 400), st.integers(1, 255))
def test_a_broken_frame_is_the_same_in_slices_as_whole(data, at, off):
    at %= len(data)
    for broken in (data[:at], data[:at] + bytes([data[at] ^ off]) + data[at + 1 :], data + b"\0"):
        whole, sliced = Decoder(), Decoder()
        assert [tick for each in sliced.decode_slices(broken, 3) for tick in each] == whole.decode(broken)
        assert whole.counts == sliced.counts


def test_a_heartbeat_has_no_slices():
    decoder = Decoder()
    assert list(decoder.decode_slices(HEARTBEAT, 3)) == list(decoder.decode_slices(b"", 3)) == []
    assert decoder.counts == Counts(heartbeats=2)


def test_a_quote_of_rest_is_a_tick():
    quote = Quote(
        instrument_token=INFY,
        timestamp="2021-06-08 15:45:56",
        last_price=1412.95,
        volume=7360198,
        ohlc=Ohlc(open=1396.0, high=1421.75, low=1395.55, close=1389.65),
        depth=Levels(buy=(Level(price=0.0),), sell=(Level(price=1412.95, quantity=5191, orders=13),)),
    )
    assert tick_of_quote(quote, INFY, NOW_NS) == tick(
        1412.95,
        timestamp=datetime(2021, 6, 8, 15, 45, 56, tzinfo=IST),
        open=1396.0,
        high=1421.75,
        low=1395.55,
        close=1389.65,
        volume=7360198,
        depth=Depth((DepthLevel(0.0, 0, 0),), (DepthLevel(1412.95, 5191, 13),)),
    )
    bare = tick_of_quote(Quote(last_price=7.5), INFY, NOW_NS)
    assert (bare.timestamp, bare.depth, bare.last_price) == (to_ist(NOW_NS), None, 7.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01 05:30:01", 1),
        ("2021-06-08 15:45:56", 1623147356),
        ("2021-06-08T10:15:56+00:00", 1623147356),
        (None, 0),
        ("", 0),
        ("yesterday", 0),
        ("1969-01-01 00:00:00", 0),
        ("0001-01-01 00:00:00", 0),
        ("9999-12-31T23:59:59-12:00", 0),
    ],
)
def test_times_of_rest_are_ist(text, seconds):
    assert time_of(text) == seconds
