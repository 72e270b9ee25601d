"""The names of a simulated session: real ones with Kite's tokens, and any other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.events import Instrument, Money
from alphapanda.venues.instruments import stable_token
from alphapanda.venues.simulated import BUILT_IN, instrument_of
from alphapanda.venues.simulated.listing import listing_of, tick_of


@pytest.mark.parametrize(
    ("rupees", "tick"),
    [
        ("0.01", 1),
        ("249.99", 1),
        ("250", 5),
        ("1000", 5),
        ("1000.10", 10),
        ("5000", 10),
        ("5000.50", 50),
        ("10000", 50),
        ("10001", 100),
        ("20000", 100),
        ("20001", 500),
    ],
)
def test_the_tick_size_goes_by_the_price(rupees, tick):
    assert tick_of(int(Money(rupees) * 100)) == tick


def test_a_known_name_has_its_kite_token_and_its_tick_size():
    assert instrument_of("NSE:INFY") == Instrument(408065, "NSE", "INFY", Money("0.10"), 1)
    assert instrument_of("NSE:MARUTI") == Instrument(2815745, "NSE", "MARUTI", Money("1.00"), 1)
    assert instrument_of("NSE:TATASTEEL").tick_size == Money("0.01")
    assert instrument_of("nse:m&m") == instrument_of("M&M") == instrument_of("NSE:M&M")


def test_the_built_in_names_are_twenty_with_tokens_of_their_own():
    listings = [listing_of(key) for key in BUILT_IN]
    assert len({listing.key for listing in listings}) == len({listing.token for listing in listings}) == 20
    # Kite's token of an NSE share: the exchange's own number times 256, plus 1 for the segment.
    assert {listing.token % 256 for listing in listings} == {1}


def test_any_other_name_has_a_price_that_is_its_own():
    paytm, bse = listing_of("NSE:PAYTM"), listing_of("BSE:PAYTM")
    assert (paytm.token, bse.token) == (stable_token("NSE:PAYTM"), stable_token("BSE:PAYTM"))
    assert bse.instrument.exchange == "BSE"
    assert (paytm.close, paytm.tick) == (198400, 10)
    assert paytm.close != bse.close


@given(st.sampled_from(BUILT_IN) | st.from_regex(r"[A-Z]{3}:[A-Z0-9&-]{1,12}", fullmatch=True))
def test_every_listing_is_plausible(key):
    listing = listing_of(key)
    assert listing == listing_of(key)
    assert listing.instrument.key == key
    assert 20_00 <= listing.close <= 20_000_00
    assert listing.close % listing.tick == 0
    assert listing.instrument.tick_size * 100 == listing.tick
    assert 0.3 < listing.beta < 1.5
    assert listing.volume >= 1000
    assert listing.grade in (1, 2, 3, 4)
