"""What an order or a position claims: its whole value, or a declared share of it."""

import pytest
from builders import BUY, INFY, SELL
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.margins import FULL, OUT_OF_REACH, Claim, Declared
from alphapanda.core.segments import Segment
from alphapanda.events import Instrument, Money
from alphapanda.tables import declared_margins, margin_claims

FUTURE = Instrument(1, "NFO", "NIFTY26DECFUT")
CALL = Instrument(2, "NFO", "NIFTY26DEC26000CE")
PUT = Instrument(3, "NFO", "NIFTY26D0126000PE")
RUPEE = Instrument(4, "CDS", "USDINR26DECFUT")
GOLD = Instrument(5, "MCX", "GOLD26DECFUT")
UNREADABLE = Instrument(6, "NFO", "ODDCE", instrument_type="CE")
ALL = [INFY, FUTURE, CALL, PUT, RUPEE, GOLD]
QUANTITIES = st.integers(1, 100_000)
PRICES = st.decimals("0.05", "100000", places=2)


@given(st.sampled_from([*ALL, UNREADABLE]), st.sampled_from([BUY, SELL]), QUANTITIES, PRICES)
def test_full_is_the_value(instrument, side, quantity, price):
    assert FULL(instrument, "MIS", side, quantity, price) == quantity * price


@pytest.mark.parametrize(
    ("instrument", "product", "side", "quantity", "price", "claimed"),
    [
        (INFY, "MIS", BUY, 10, "1500", "3000"),
        (INFY, "MIS", SELL, 10, "1500", "3000"),
        (INFY, "CNC", BUY, 10, "1500", "15000"),
        (Instrument(7, "NSE", "NIFTYBEES"), "MIS", BUY, 10, "250", "500"),
        (FUTURE, "MIS", BUY, 65, "26000", "338000"),
        (FUTURE, "NRML", SELL, 65, "26000", "338000"),
        (CALL, "NRML", BUY, 65, "100", "6500"),
        (CALL, "NRML", SELL, 65, "100", "344500"),
        (PUT, "MIS", SELL, 65, "100", "344500"),
        (RUPEE, "NRML", BUY, 1000, "84", "4200"),
        (GOLD, "NRML", BUY, 1, "120000", "18000"),
        (UNREADABLE, "NRML", BUY, 65, "100", "6500"),
        (UNREADABLE, "NRML", SELL, 65, "100", str(OUT_OF_REACH)),
    ],
)
def test_declared_is_the_share_that_the_table_says(instrument, product, side, quantity, price, claimed):
    assert declared_margins()(instrument, product, side, quantity, Money(price)) == Money(claimed)


@given(
    st.sampled_from(ALL),
    st.sampled_from(["MIS", "CNC", "NRML"]),
    st.sampled_from([BUY, SELL]),
    QUANTITIES,
    QUANTITIES,
    PRICES,
)
def test_parts_claim_what_the_whole_claims_and_only_sold_options_more_than_their_value(
    instrument, product, side, one, other, price
):
    claims = declared_margins()
    parts = [claims(instrument, product, side, quantity, price) for quantity in (one, other)]
    assert sum(parts) == claims(instrument, product, side, one + other, price)
    assert all(part > 0 for part in parts)
    if side is BUY or instrument not in (CALL, PUT):
        assert parts[0] <= one * price
    else:
        assert parts[0] > one * price


def test_the_first_claim_that_fits_counts_and_without_one_the_value():
    claims = Declared(
        [
            Claim(percent=Money(10), source="a test", segments=(Segment.EQUITY,), side=SELL),
            Claim(percent=Money(50), source="a test", segments=(Segment.EQUITY,)),
        ]
    )
    asked = [(INFY, SELL), (INFY, BUY), (FUTURE, BUY)]
    assert [claims(traded, "MIS", side, 1, Money(100)) for traded, side in asked] == [10, 50, 100]


def test_every_claim_of_the_table_has_a_source_and_a_share():
    assert all(claim.source.startswith("declared") and 0 < claim.percent <= 100 for claim in margin_claims())
