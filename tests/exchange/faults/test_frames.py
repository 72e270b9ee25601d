"""What a spoilt message is to a client: read by the official one's own splitting rule."""

import pytest

from alphapanda.exchange.faults.frames import GARBAGE, malform
from alphapanda.exchange.faults.kinds import MALFORMED
from alphapanda.kite.encode import frame

PACKETS = [bytes([number]) * 184 for number in (1, 2, 3)]
GOOD = frame(PACKETS)


def split(message):
    """The packets that the counts and lengths promise, each as far as there are bytes."""
    packets, start = [], 2
    for _ in range(int.from_bytes(message[:2], "big")):
        length = int.from_bytes(message[start : start + 2], "big")
        packets.append(message[start + 2 : start + 2 + length])
        start += 2 + length
    return packets


def test_a_good_message_splits_into_its_packets():
    assert split(GOOD) == PACKETS


@pytest.mark.parametrize("sort", MALFORMED)
def test_no_spoilt_message_splits_into_its_packets(sort):
    spoilt = malform(GOOD, sort)
    assert isinstance(spoilt, str) or split(spoilt) != PACKETS


def test_each_sort_is_what_its_name_says():
    assert int.from_bytes(malform(GOOD, "count_too_high")[:2], "big") > len(PACKETS)
    assert split(malform(GOOD, "count_too_low")) == PACKETS[:2]
    assert len(split(malform(GOOD, "length_too_long"))[0]) == len(GOOD) - 4
    assert len(split(malform(GOOD, "length_too_short"))[0]) < 184
    assert len(malform(GOOD, "truncated")) < len(GOOD)
    strange, *true = split(malform(GOOD, "unknown_size"))
    assert len(strange) not in (8, 28, 32, 44, 184)
    assert true == PACKETS
    assert malform(GOOD, "empty") == b""
    assert malform(GOOD, "text") == GARBAGE


@pytest.mark.parametrize("sort", MALFORMED)
@pytest.mark.parametrize("short", [b"", b"\x00", b"\x00\x00", frame([b"\x00" * 8])])
def test_the_shortest_messages_can_be_spoilt_too(sort, short):
    assert isinstance(malform(short, sort), bytes | str)


@pytest.mark.parametrize("sort", MALFORMED)
@pytest.mark.parametrize("packets", [352, 353, 3_000])
def test_long_messages_can_be_spoilt_too_though_a_length_has_16_bits(sort, packets):
    good = frame(PACKETS[:1] * packets)
    spoilt = malform(good, sort)
    assert isinstance(spoilt, str) or split(spoilt) != PACKETS[:1] * packets
