"""What a token says of its instrument."""

import pytest
from kiteconnect import KiteTicker

from alphapanda.kite import layout


@pytest.mark.parametrize(
    ("segment", "divisor"),
    [
        *[("nse", 100), ("nfo", 100), ("cds", 10_000_000), ("bse", 100), ("bfo", 100)],
        *[("bcd", 10_000), ("mcx", 100), ("mcxsx", 100), ("indices", 100), ("nco", 10_000)],
    ],
)
def test_a_segment_has_its_divisor(segment, divisor):
    assert layout.divisor_of(1234 << 8 | layout.SEGMENTS[segment]) == divisor


def test_a_segment_that_is_not_known_has_two_decimals():
    assert {layout.divisor_of(segment) for segment in set(range(256)) - {3, 6, 12}} == {100}


def test_segments_are_those_of_the_official_client():
    theirs = {name: number for name, number in KiteTicker.EXCHANGE_MAP.items() if name != "bsecds"}
    assert theirs == layout.SEGMENTS


def test_an_index_is_known_by_its_token():
    assert layout.is_index(256265)
    assert not layout.is_index(408065)
