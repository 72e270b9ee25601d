"""Frames of every make: quick ones, mixed ones, big ones, and those that should never have been sent."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kite_packets import INFY_FULL, NIFTY_FULL, SIZES, mixes, uniform
from random_frames import FrameTrial, blocks_after_collection, read

from alphapanda.kite.decode import Counts, Decoder
from alphapanda.kite.encode import HEARTBEAT, frame, full_packet, index_packet
from alphapanda.kite.ticks import FullTick, IndexFullTick, IndexQuoteTick, LtpTick, QuoteTick

FORMS = {8: LtpTick, 28: IndexQuoteTick, 32: IndexFullTick, 44: QuoteTick, 184: FullTick}
INFY_LTP = INFY_FULL[:8]
EACH_FORM = [INFY_LTP, NIFTY_FULL[:28], NIFTY_FULL, INFY_FULL[:44], INFY_FULL]
signed = st.integers(-(1 << 31), (1 << 31) - 1)


@given(uniform)
def test_the_quick_way_and_the_general_way_give_the_same_ticks(packets):
    quick, general = Decoder(), Decoder()
    data = frame(packets)
    general.counts.frames += 1
    assert quick.decode(data) == general._walk(data, len(packets))
    assert quick.counts == general.counts


@given(mixes)
def test_each_packet_is_read_as_if_it_were_alone(packets):
    alone = [tick for packet in packets for tick in Decoder().decode(frame([packet]))]
    assert Decoder().decode(frame(packets)) == alone
    assert [type(tick) for tick in alone] == [FORMS[len(packet)] for packet in packets]


@given(mixes)
def test_any_kind_of_buffer_gives_the_same_ticks_and_none_is_held(packets):
    data = bytearray(frame(packets))
    ticks = Decoder().decode(data)
    assert ticks == Decoder().decode(memoryview(bytes(data))) == Decoder().decode(bytes(data))
    every_second = bytes(byte for byte in data for _ in range(2))
    assert Decoder().decode(memoryview(every_second)[::2]) == ticks
    data.extend(b"a buffer that is still lent out could not grow")


@given(
    *[st.lists(st.integers(0, 0xFFFFFFFF), min_size=length, max_size=length) for length in (16, 7)], signed
)
def test_what_was_encoded_is_decoded(numbers, points, change):
    share, index = full_packet(*numbers, [], []), index_packet(*points[:6], change, points[6])
    full, index_full = Decoder().decode(frame([share, index]))
    assert [getattr(full, name) for name in FullTick.__struct_fields__[:-1]] == numbers
    names = IndexFullTick.__struct_fields__
    assert [getattr(index_full, name) for name in names] == [*points[:6], change, points[6]]


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_of_three_thousand_packets_of_one_form(size):
    packet = (NIFTY_FULL if size in (28, 32) else INFY_FULL)[:size]
    decoder = Decoder()
    ticks = decoder.decode(frame([packet] * 3000))
    assert len(ticks) == 3000
    assert set(map(type, ticks)) == {FORMS[size]}
    assert decoder.counts == Counts(frames=1, packets=3000)


def test_a_frame_of_three_thousand_packets_of_all_forms():
    decoder = Decoder()
    ticks = decoder.decode(frame(EACH_FORM * 600))
    assert [type(tick) for tick in ticks] == list(FORMS.values()) * 600
    assert decoder.counts == Counts(frames=1, packets=3000)


def test_the_largest_count_there_is():
    decoder = Decoder()
    assert len(decoder.decode(frame([INFY_LTP] * 65535))) == 65535
    assert decoder.decode(b"\xff\xff" + bytes(2 * 65535)) == []
    assert decoder.counts == Counts(frames=2, packets=65535, unknown_sizes=65535)


@pytest.mark.parametrize("data", [b"", HEARTBEAT, b"\x07", b"\xff"])
def test_less_than_two_bytes_are_a_heartbeat(data):
    decoder = Decoder()
    assert decoder.decode(data) == []
    assert decoder.counts == Counts(heartbeats=1)


def test_a_frame_may_hold_nothing():
    decoder = Decoder()
    assert decoder.decode(b"\0\0") == []
    assert decoder.counts == Counts(frames=1)


@pytest.mark.parametrize("size", [0, 1, 9, 43, 45, 183, 185, 440])
def test_a_packet_of_a_size_that_is_not_known_is_passed_over(size):
    decoder = Decoder()
    ticks = decoder.decode(frame([INFY_LTP, bytes(size), NIFTY_FULL]))
    assert [tick.instrument_token for tick in ticks] == [408065, 256265]
    assert decoder.counts == Counts(frames=1, packets=2, unknown_sizes=1)
    assert decoder.counts.malformed == 1


@pytest.mark.parametrize("packets", [[INFY_FULL] * 3, [INFY_LTP] * 3, [INFY_FULL, NIFTY_FULL, INFY_LTP]])
def test_a_frame_that_is_cut_anywhere_gives_nothing(packets):
    data, decoder = frame(packets), Decoder()
    for cut in range(2, len(data)):
        assert decoder.decode(data[:cut]) == []
    assert decoder.counts == Counts(frames=len(data) - 2, truncated=len(data) - 2)


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_with_more_behind_its_last_packet_gives_nothing(size):
    data, decoder = frame([INFY_FULL[:size]]), Decoder()
    for more in range(1, 200):
        assert decoder.decode(data + bytes(more)) == []
    assert decoder.counts == Counts(frames=199, trailing=199)


@pytest.mark.parametrize("count", [0, 1, 3, 0xFF, 0xFFFF])
def test_a_count_that_lies_gives_nothing(count):
    decoder = Decoder()
    assert decoder.decode(count.to_bytes(2, "big") + frame([INFY_FULL] * 2)[2:]) == []
    assert decoder.counts.truncated + decoder.counts.trailing == 1


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("told", [0, 7, 8, 44, 183, 185, 440, 0xFFFF])
def test_one_length_that_lies_gives_nothing_whichever_it_is(place, told):
    """Each frame has the length of a uniform one: only its lengths tell."""
    data = bytearray(frame([INFY_FULL] * 4))
    data[2 + 186 * place : 4 + 186 * place] = told.to_bytes(2, "big")
    decoder = Decoder()
    assert decoder.decode(data) == []
    assert decoder.counts.truncated + decoder.counts.trailing == 1


def test_lengths_that_lie_and_yet_come_out_are_believed():
    """Two packets of 8 bytes told as one of 18: nothing in the frame contradicts it."""
    decoder = Decoder()
    data = b"\0\2" + b"\0\x12" + INFY_LTP + b"\0\x08" + INFY_LTP + b"\0\x08" + INFY_LTP
    assert [tick.instrument_token for tick in decoder.decode(data)] == [408065]
    assert decoder.counts == Counts(frames=1, packets=1, unknown_sizes=1)


@given(st.binary(max_size=600))
def test_no_bytes_raise(data):
    decoder = Decoder()
    ticks = decoder.decode(data)
    assert all(read(tick) for tick in ticks)
    assert len(ticks) == decoder.counts.packets
    assert decoder.counts.frames + decoder.counts.heartbeats == 1


def test_M38_malformed_frames_neither_raise_nor_last_nor_grow():  # noqa: N802 - the fault's name
    """A hundred thousand of them; `scripts/campaign frames` has as many as are wanted."""
    trial = FrameTrial(38)
    trial.run(20_000)
    before = blocks_after_collection()
    trial.run(80_000)
    grown = blocks_after_collection() - before
    assert (trial.crashes, trial.first_crash, trial.hangs) == (0, "", 0)
    assert grown < 1000
    counts = trial.decoder.counts
    assert counts.frames + counts.heartbeats == trial.frames == 100_000
    assert trial.ticks == counts.packets > 50_000
    assert min(counts.heartbeats, counts.unknown_sizes, counts.truncated, counts.trailing) > 400


def test_a_crash_of_the_decoder_would_be_counted(monkeypatch):
    trial = FrameTrial(38)
    monkeypatch.setattr(trial.decoder, "_walk", lambda _data, _packets: 1 / 0)
    trial.run(100)
    assert trial.crashes > 10
    assert "ZeroDivisionError" in trial.first_crash


def test_the_decoder_needs_nothing_but_msgspec():
    program = """
import sys
before = set(sys.modules)
import alphapanda.kite.decode
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"alphapanda", "msgspec", "typing_extensions"}
