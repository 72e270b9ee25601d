"""Conversion of positions: what moves, what is refused, and what it claims."""

from contextlib import suppress

import pytest
from account_days import (
    BUY,
    CARRIED,
    DAY_NS,
    INFY,
    ITC,
    MARKET,
    NOW,
    SELL,
    account,
    left,
    net,
    order,
    rest,
    trade,
)  # fmt: skip
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.events import Money
from alphapanda.exchange.calls import Refusal

CONTRACT = MARKET.listing.by_key(CARRIED)


def asked(quantity, **changes):
    return {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "position_type": "day",
        "quantity": str(quantity),
        "old_product": "MIS",
        "new_product": "CNC",
    } | changes


def bought(cash=100_000):
    """Ten within the day at 1,300 and 1,320."""
    one = account(cash)
    one.on_trade(trade(INFY, BUY, 4, "1300", "MIS"))
    one.on_trade(trade(INFY, BUY, 6, "1320", "MIS"))
    return one


def test_the_oldest_lots_move_with_their_prices_and_claim_as_the_new_product():
    one = bought()
    assert left(one) == 100_000 - (4 * 260 + 6 * 264)
    assert one.convert(asked(5), NOW) is True
    old, new = net(one, INFY, "MIS"), net(one, INFY, "CNC")
    assert (old["quantity"], old["buy_value"]) == (5, 5 * 1320)
    assert (new["quantity"], new["buy_value"]) == (5, 4 * 1300 + 1320)
    assert left(one) == 100_000 - 5 * 264 - (4 * 1300 + 1320)
    assert one.convert(asked(5, old_product="CNC", new_product="MIS"), NOW) is True
    assert net(one, INFY, "CNC") is None
    assert net(one, INFY, "MIS")["buy_value"] == 4 * 1300 + 6 * 1320


def test_a_short_position_of_the_day_becomes_no_delivery():
    one = account()
    one.on_trade(trade(INFY, SELL, 3, "1300", "MIS"))
    with pytest.raises(Refusal) as refused:
        one.convert(asked(1, transaction_type="SELL"), NOW)
    assert "cannot be converted" in refused.value.message


def test_what_cannot_be_paid_is_not_converted():
    one = bought(10_000)
    with pytest.raises(Refusal) as refused:
        one.convert(asked(10), NOW)
    assert (refused.value.code, refused.value.error_type) == (400, "MarginException")
    assert refused.value.message.startswith("Insufficient funds. Required margin is 10496.00 but available")
    assert net(one, INFY, "MIS")["quantity"] == 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantity": "11"}, "only 10 is open"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "x"}, "quantity"),
        ({"quantity": "9" * 5000}, "quantity"),
        ({"quantity": ""}, "quantity"),
        ({"tradingsymbol": "NOSUCH"}, "tradingsymbol"),
        ({"tradingsymbol": "ITC"}, "no open MIS position"),
        ({"transaction_type": "SELL"}, "transaction_type"),
        ({"position_type": "week"}, "position_type"),
        ({"position_type": "overnight"}, "only 0 is open"),
        ({"new_product": "MIS"}, "from MIS to MIS"),
        ({"new_product": "NRML"}, "from MIS to NRML"),
        ({"old_product": "CNC", "new_product": "MIS"}, "no open CNC position"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(changes, words):
    one = bought()
    with pytest.raises(Refusal) as refused:
        one.convert(asked(5) | changes, NOW)
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")
    assert words in refused.value.message
    assert [row["quantity"] for row in one.positions(NOW)["net"]] == [10]


def test_nothing_becomes_intraday_after_the_square_off():
    one = account()
    one.on_trade(trade(INFY, BUY, 5, "1300", "CNC"))
    late = MARKET.hours.square_off_ns(INFY, NOW)
    with pytest.raises(Refusal, match="square-off"):
        one.convert(asked(5, old_product="CNC", new_product="MIS"), late)
    assert one.convert(asked(5, old_product="CNC", new_product="MIS"), late - 1) is True


def test_contracts_are_converted_in_whole_lots():
    """Less than a lot nobody could close again."""
    one = account(10_000_000)
    one.on_trade(trade(CONTRACT, BUY, 2 * CONTRACT.lot, "24000", "NRML"))
    words = {"exchange": "NFO", "tradingsymbol": CONTRACT.instrument.tradingsymbol}
    words |= {"old_product": "NRML", "new_product": "MIS"}
    with pytest.raises(Refusal, match="multiple of the lot size"):
        one.convert(asked(CONTRACT.lot - 1) | words, NOW)
    assert one.convert(asked(CONTRACT.lot) | words, NOW) is True


def test_shares_that_an_open_order_sells_are_not_converted_away():
    """Else the order would sell for delivery what is not there."""
    one = account(100_000)
    one.on_trade(trade(INFY, BUY, 10, "1300", "CNC"))
    resting = order(INFY, SELL, 6, "1400")
    rest(one, [resting])
    with pytest.raises(Refusal, match="Open orders sell 1 of"):
        one.convert(asked(5, old_product="CNC", new_product="MIS"), NOW)
    assert one.convert(asked(4, old_product="CNC", new_product="MIS"), NOW) is True


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((BUY, SELL)), st.integers(1, 30), st.integers(1, 9)), max_size=8),
    st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=6),
)
def test_conversions_keep_totals(trades, conversions):
    """Whatever is converted or refused, all rows together are the trades."""
    one = account(10_000_000)
    quantity, value = 0, Money(0)
    for side, units, step in trades:
        price = Money(1300 + step)
        one.on_trade(trade(ITC, side, units, price, "MIS"))
        quantity += side.sign * units
        value -= side.sign * units * price
    cash = one.ledger.cash.copy()
    for back, units in conversions:
        old, new = ("CNC", "MIS") if back else ("MIS", "CNC")
        fields = asked(units, tradingsymbol="ITC", old_product=old, new_product=new)
        with suppress(Refusal):
            one.convert(fields, NOW)
    rows = one.positions(NOW)["net"]
    assert sum(row["quantity"] for row in rows) == quantity
    assert sum(Money(str(row["value"])) for row in rows) == value
    assert one.ledger.cash == cash
    assert all(row["buy_quantity"] >= 0 for row in rows)


def test_a_carried_position_is_converted_as_overnight(derivative):
    one = account(10_000_000)
    lot, symbol = derivative.instrument.lot_size, derivative.instrument.tradingsymbol
    one.on_trade(trade(derivative, BUY, lot, "24000", "NRML"))
    one.new_day(NOW + DAY_NS)
    fields = asked(
        lot,
        exchange=derivative.instrument.exchange,
        tradingsymbol=symbol,
        position_type="overnight",
        old_product="NRML",
        new_product="MIS",
    )
    assert one.convert(fields, NOW + DAY_NS) is True
    row = net(one, derivative, "MIS", NOW + DAY_NS)
    assert (row["quantity"], row["overnight_quantity"], row["buy_value"]) == (lot, lot, lot * 24000)
    assert net(one, derivative, "NRML", NOW + DAY_NS) is None
