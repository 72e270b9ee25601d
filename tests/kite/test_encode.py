"""Packets and frames that the official client reads as they were meant."""

import base64
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kite_packets import ASKS, BIDS, INFY_FULL, INFY_QUOTE, NIFTY_FULL, mixes
from kiteconnect import KiteTicker

from alphapanda.kite.encode import HEARTBEAT, frame, full_packet, index_packet
from alphapanda.kite.layout import FULL, INDEX_FULL

MOCKS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kite-mocks"
TICKER = KiteTicker("key", "token")


@pytest.mark.parametrize(("name", "packet"), [("ticker_full", INFY_FULL), ("ticker_quote", INFY_QUOTE)])
def test_a_packet_is_byte_for_byte_that_of_the_documentation(name, packet):
    if not MOCKS.is_dir():
        pytest.skip("the payloads of Kite's documentation are not beside the repository")
    assert base64.b64decode((MOCKS / f"{name}.packet").read_bytes()) == packet


@pytest.mark.parametrize(
    ("packet", "size", "mode"),
    [
        *[(INFY_FULL, 8, "ltp"), (INFY_FULL, 44, "quote"), (INFY_FULL, 184, "full")],
        *[(NIFTY_FULL, 8, "ltp"), (NIFTY_FULL, 28, "quote"), (NIFTY_FULL, 32, "full")],
    ],
)
def test_the_beginning_of_a_packet_is_its_smaller_form(packet, size, mode):
    (whole,) = TICKER._parse_binary(frame([packet]))
    (tick,) = TICKER._parse_binary(frame([packet[:size]]))
    assert tick == {name: whole[name] for name in tick} | {"mode": mode}


def test_levels_that_are_not_there_are_zeros():
    packet = full_packet(*range(16), BIDS[:2], ASKS[:1])
    (tick,) = TICKER._parse_binary(frame([packet]))
    assert len(packet) == FULL
    assert [level["quantity"] for level in tick["depth"]["buy"]] == [5, 140, 0, 0, 0]
    assert [level["quantity"] for level in tick["depth"]["sell"]] == [172, 0, 0, 0, 0]


def test_a_change_of_an_index_may_be_negative():
    packet = index_packet(256265, 1, 2, 3, 4, 5, -6, 7)
    assert len(packet) == INDEX_FULL
    assert struct.unpack(">i", packet[24:28]) == (-6,)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: full_packet(-1, *range(15), [], []),
        lambda: full_packet(1 << 32, *range(15), [], []),
        lambda: full_packet(*range(16), [*BIDS, *BIDS], []),
        lambda: full_packet(*range(16), [*BIDS, (1, 1, 1)], ASKS[:4]),
        lambda: index_packet(1, 2, 3, 4, 5, 6, 1 << 31, 7),
        lambda: frame([HEARTBEAT] * 65536),
    ],
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(struct.error):
        wrong()


@given(mixes)
def test_a_frame_is_split_into_its_packets_by_the_official_client(packets):
    assert TICKER._split_packets(frame(packets)) == packets


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_a_frame_may_hold_packets_of_any_size(packets):
    assert TICKER._split_packets(frame(packets)) == packets


def test_a_heartbeat_has_nothing_for_the_official_client():
    assert len(HEARTBEAT) == 1
    assert TICKER._parse_binary(HEARTBEAT) == []
