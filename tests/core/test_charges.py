"""Flat charges, and Zerodha's: parts that add up, the cap of an order, the depository's share."""

from datetime import date
from decimal import ROUND_HALF_UP
from fractions import Fraction
from math import floor

import pytest
from builders import BUY, INFY, SELL, TCS, TEN_NS, fill, order
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core.charges import Part, Rate, Tariff, ZerodhaCharges, flat
from alphapanda.core.segments import Segment, Trade
from alphapanda.events import Instrument, Money
from alphapanda.tables import tariff

DAY_NS = 86_400_000_000_000
DP = Money("15.93")
"""Of the builders' day, 3 June 2024."""
FUTURE = Instrument(1, "NFO", "NIFTY24JUNFUT")
CALL = Instrument(2, "NFO", "NIFTY24JUN24000CE")
PRICES = st.decimals("0.05", "100000", places=2)
QUANTITIES = st.integers(1, 100_000)
SEGMENTS = {
    "NSE": (Segment.EQUITY, Segment.ETF),
    "BSE": (Segment.EQUITY, Segment.ETF),
    "NFO": (Segment.FUTURES, Segment.OPTIONS),
    "BFO": (Segment.FUTURES, Segment.OPTIONS),
    "CDS": (Segment.CURRENCY_FUTURES, Segment.CURRENCY_OPTIONS),
    "BCD": (Segment.CURRENCY_FUTURES, Segment.CURRENCY_OPTIONS),
    "MCX": (Segment.COMMODITY_FUTURES, Segment.COMMODITY_OPTIONS),
}
PLACES = st.sampled_from([(exchange, segment) for exchange, pair in SEGMENTS.items() for segment in pair])
PRODUCTS = st.sampled_from(["CNC", "MIS", "NRML"])
SIDES = st.sampled_from([BUY, SELL])
DAYS = st.dates(date(2020, 1, 1), date(2027, 12, 31))


def charged(charges, traded, parts, time_ns=TEN_NS):
    """What each of `parts`, (quantity, price), costs the order, which remembers those before."""
    found = []
    for quantity, price in parts:
        found.append(charges(traded, Money(price), quantity, time_ns))
        traded = replace(
            traded,
            filled_quantity=traded.filled_quantity + quantity,
            filled_value=traded.filled_value + quantity * Money(price),
        )
    return found


@pytest.mark.parametrize(
    ("percent", "price", "quantity", "expected"),
    [
        ("0.1", "1573.70", 10, "15.74"),
        ("0.1", "100", 1, "0.10"),
        ("0.1", "5", 1, "0.01"),
        ("0.1", "4.95", 1, "0.00"),
        ("0.1", "1005", 1, "1.01"),
        ("0", "1573.70", 10, "0.00"),
    ],
)
def test_a_fill_is_charged_half_up_to_the_paisa(percent, price, quantity, expected):
    assert str(flat(Money(percent))(order(), Money(price), quantity, TEN_NS)) == expected


def test_a_sale_is_charged_as_a_purchase():
    charge = flat(Money("0.1"))
    bought, sold = (charge(order(side), Money(100), 7, TEN_NS) for side in (BUY, SELL))
    assert bought == sold == Money("0.70")


@given(st.decimals("0", "5", places=4), PRICES, QUANTITIES)
def test_charges_equal_the_exact_percentage_rounded_half_up(percent, price, quantity):
    paise = Fraction(percent) * Fraction(price) * quantity
    charge = flat(percent)(order(), price, quantity, TEN_NS)
    assert Fraction(charge) * 100 == floor(paise + Fraction(1, 2))


@given(PLACES, PRODUCTS, SIDES, DAYS, st.decimals("0.05", "1000000000", places=2))
def test_every_part_of_a_sheet_is_at_least_nothing_and_they_add_up(place, product, side, day, turnover):
    sheet = tariff().sheet(*place, product, side, turnover, day)
    parts = [getattr(sheet, name) for name in sheet.__struct_fields__]
    assert all(part >= 0 for part in parts)
    assert sheet.total == sum(parts) > 0


@given(PLACES, PRODUCTS, SIDES, DAYS, PRICES, PRICES)
def test_more_turnover_never_costs_less(place, product, side, day, one, other):
    low, high = (tariff().sheet(*place, product, side, turnover, day) for turnover in sorted((one, other)))
    for name in low.__struct_fields__:
        assert getattr(low, name) <= getattr(high, name)


@given(
    st.sampled_from([INFY, FUTURE, CALL]),
    PRODUCTS,
    SIDES,
    st.lists(st.tuples(QUANTITIES, PRICES), min_size=1, max_size=8),
)
def test_the_parts_of_an_order_cost_what_the_whole_costs(instrument, product, side, parts):
    whole = order(side, sum(quantity for quantity, _ in parts), instrument=instrument, product=product)
    found = charged(ZerodhaCharges(tariff()), whole, parts)
    segment = {INFY: Segment.EQUITY, FUTURE: Segment.FUTURES, CALL: Segment.OPTIONS}[instrument]
    turnover = sum(quantity * price for quantity, price in parts)
    sheet = tariff().sheet(instrument.exchange, segment, product, side, turnover, date(2024, 6, 3))
    dp = DP if instrument is INFY and side is SELL and product != "MIS" else 0
    assert all(charge >= 0 and charge == charge.quantize(Money("0.01")) for charge in found)
    assert sum(found) == sheet.total.quantize(Money("0.01"), ROUND_HALF_UP) + dp


def test_brokerage_is_capped_by_the_order_and_not_by_the_part():
    parts = [(50, "1500"), (50, "1500")]
    together = charged(ZerodhaCharges(tariff()), order(quantity=100), parts)
    apart = [charged(ZerodhaCharges(tariff()), order(quantity=50), [part])[0] for part in parts]
    saved = sum(apart) - sum(together)  # twenty rupees of brokerage, and GST
    assert abs(saved - Money("23.60")) <= Money("0.01")


def test_an_option_order_pays_its_twenty_rupees_with_its_first_part():
    first, second = charged(ZerodhaCharges(tariff()), order(quantity=50, instrument=CALL), [(25, 10)] * 2)
    assert first > Money("23.60") > Money(1) > second


def test_the_depository_charges_a_symbol_once_a_day():
    charges = ZerodhaCharges(tariff())

    def sold(sequence, instrument=INFY, time_ns=TEN_NS):
        paid = order(SELL, product="CNC", instrument=instrument, sequence=sequence)
        return charges(paid, Money(100), 1, time_ns)

    first = sold(1)
    later = sold(2)
    assert first - later == DP
    assert sold(1) == first  # asked again
    assert [sold(3, TCS), sold(4), sold(5, time_ns=TEN_NS + DAY_NS)] == [first, later, first]


@pytest.mark.parametrize(
    "free",
    [
        {"product": "MIS"},
        {"transaction_type": BUY, "product": "CNC"},
        {"product": "NRML", "instrument": FUTURE},
        {"product": "NRML", "instrument": CALL},
    ],
)
def test_what_does_not_leave_the_account_costs_nothing_there(free):
    asked = replace(order(SELL), **free)
    charges = ZerodhaCharges(tariff())
    assert charges(asked, Money(100), 1, TEN_NS) == charges(asked, Money(100), 1, TEN_NS)
    other = replace(asked, order_id="O000009")
    assert charges(asked, Money(100), 1, TEN_NS) == charges(other, Money(100), 1, TEN_NS)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans(), st.booleans()), max_size=12))
def test_after_a_restart_the_same_fills_cost_the_same(fills):
    """(day, whether it is INFY, whether it sells, whether it is delivery) of each fill."""
    charges, made = ZerodhaCharges(tariff()), []
    for number, (day, infy, sells, delivery) in enumerate(fills, 1):
        instrument, side = INFY if infy else TCS, SELL if sells else BUY
        product = "CNC" if delivery else "MIS"
        time_ns = TEN_NS + day * DAY_NS
        asked = order(side, instrument=instrument, product=product, sequence=number)
        restarted = ZerodhaCharges(tariff(), made)
        cost = charges(asked, Money(100), 10, time_ns)
        assert cost == restarted(asked, Money(100), 10, time_ns)
        made.append(
            fill(
                side,
                trade=number,
                order_id=asked.order_id,
                instrument=instrument,
                product=product,
                charges=cost,
                traded_ns=time_ns,
            )
        )


def rate(part, day, percent, **only):
    return Rate(
        part=part, effective_from=date.fromisoformat(day), source="a test", percent=Money(percent), **only
    )


def test_a_rate_counts_from_its_day_on_and_the_first_one_before_it_too():
    rates = Tariff(
        [rate(Part.EXCHANGE, "2024-10-01", 3, exchanges=("NSE",), segments=(Segment.EQUITY,))]
        + [rate(Part.STT, day, percent) for day, percent in (("2026-04-01", 2), ("2024-10-01", 1))]
    )

    def stt(day):
        return rates.sheet("NSE", Segment.EQUITY, "CNC", BUY, Money(100), date.fromisoformat(day)).stt

    assert [stt("2020-01-01"), stt("2024-10-01"), stt("2026-03-31"), stt("2026-04-01")] == [1, 1, 1, 2]
    assert rates.known_from("NSE", Segment.EQUITY, "CNC", BUY) == date(2024, 10, 1)


def test_a_rate_counts_only_for_what_its_row_names():
    exchange = rate(Part.EXCHANGE, "2024-01-01", 1, exchanges=("NSE",), segments=(Segment.EQUITY,))
    only = rate(Part.STT, "2024-01-01", 1, trade=Trade.INTRADAY, side=SELL)
    rates = Tariff([exchange, only])

    def stt(product, side):
        return rates.sheet("NSE", Segment.EQUITY, product, side, Money(100), date(2024, 6, 3)).stt

    assert [stt(product, side) for product in ("MIS", "CNC") for side in (SELL, BUY)] == [1, 0, 0, 0]


def test_an_exchange_without_rates_is_an_error_and_never_free():
    assert not tariff().knows("NCO", Segment.COMMODITY_FUTURES)
    with pytest.raises(LookupError, match="no charges for commodity_futures on NCO"):
        tariff().sheet("NCO", Segment.COMMODITY_FUTURES, "NRML", BUY, Money(100), date(2026, 6, 1))
    with pytest.raises(LookupError, match="on NCO"):
        ZerodhaCharges(tariff())(order(instrument=Instrument(9, "NCO", "GOLDFUT")), Money(1), 1, TEN_NS)
