"""Packets of Kite's wire for tests: the vectors of the documentation, and any packet by hypothesis."""

from hypothesis import strategies as st

from alphapanda.kite.encode import full_packet, index_packet
from alphapanda.kite.layout import FULL, INDEX_FULL, INDEX_QUOTE, LTP, QUOTE, SEGMENTS

SIZES = (LTP, QUOTE, FULL, INDEX_QUOTE, INDEX_FULL)
INFY = 408065
BIDS = [(5, 157340, 1), (140, 157300, 2), (2, 157295, 1), (219, 157290, 7), (50, 157285, 1)]
ASKS = [(172, 157370, 3), (44, 157375, 3), (302, 157385, 3), (141, 157390, 2), (724, 157395, 5)]
INFY_FULL = full_packet(
    *(INFY, 157370, 7, 157037, 1192471, 256443, 363009),
    *(156915, 157500, 156105, 156780),
    *(1625461887, 0, 0, 0, 1625461887),
    *(BIDS, ASKS),
)
INFY_QUOTE = full_packet(
    *(INFY, 157315, 1, 157033, 1175986, 256511, 360503),
    *(156915, 157500, 156105, 156780),
    *(0, 0, 0, 0, 0, [], []),
)[:QUOTE]
"""INFY on 2021-07-05: what the payloads of Kite's documentation hold."""
NIFTY = 256265
NIFTY_FULL = index_packet(NIFTY, 2394995, 2410000, 2390000, 2400000, 2395000, -5, 1776225600)


@st.composite
def packets(draw, size=None):
    """Any bytes of a known size, as often as not an instrument of a known segment and with wild numbers."""
    size = size or draw(st.sampled_from(SIZES))
    wild = st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x01"])
    words = st.one_of(wild, st.binary(min_size=4, max_size=4))
    body = b"".join(draw(st.lists(words, min_size=size // 4, max_size=size // 4)))
    segment = draw(st.sampled_from([*SEGMENTS.values(), body[3]]))
    return body[:3] + bytes([segment]) + body[4:]


mixes = st.lists(packets(), max_size=8)
uniform = st.sampled_from(SIZES).flatmap(lambda size: st.lists(packets(size), min_size=1, max_size=6))
