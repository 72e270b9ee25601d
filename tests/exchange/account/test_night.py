"""The night: charges, deliveries, what is carried, what has expired."""

from account_days import (
    BSE_ITC,
    BUY,
    DAY_NS,
    INFY,
    ITC,
    NOW,
    SELL,
    SIX,
    TATASTEEL,
    account,
    holding,
    left,
    net,
    trade,
)
from msgspec.structs import replace

from alphapanda.core.money import to_paisa
from alphapanda.core.segments import Segment
from alphapanda.events import Money
from alphapanda.tables import tariff
from alphapanda.times import date_of, day_of

MORNING = NOW + SIX
TODAY = date_of(day_of(NOW))


def quantities(one, listed, now_ns=MORNING):
    row = holding(one, listed, now_ns)
    return row and [row[name] for name in ("quantity", "t1_quantity", "used_quantity")]


def test_purchases_are_t1_the_next_day_and_settled_after_it():
    """Bought on a Wednesday; the Thursday's morning shows them as T1, the Friday's as settled."""
    one = account()
    one.on_trade(trade(INFY, BUY, 4, "1300"))
    one.on_trade(trade(INFY, BUY, 6, "1310"))
    one.new_day(MORNING)
    assert quantities(one, INFY) == [0, 10, 0]
    assert holding(one, INFY, MORNING)["average_price"] == 1306
    assert one.positions(MORNING) == {"net": [], "day": []}
    one.new_day(MORNING + DAY_NS)
    assert quantities(one, INFY) == [10, 0, 0]


def test_no_share_is_settled_on_a_day_without_trading():
    """Friday's purchase is T1 over the weekend and on Monday."""
    one, friday = account(), NOW + 2 * DAY_NS
    one.new_day(friday - NOW + SIX + NOW - 2 * DAY_NS)
    one.on_trade(trade(INFY, BUY, 10, "1300", at=friday))
    for days in (0, 1, 2):
        one.new_day(friday + SIX + days * DAY_NS)
        assert quantities(one, INFY) == [0, 10, 0]
    one.new_day(friday + SIX + 3 * DAY_NS)
    assert quantities(one, INFY) == [10, 0, 0]


def test_sales_leave_the_holding_and_their_money_stays():
    one = account(0)
    one.on_trade(trade(TATASTEEL, SELL, 70, "190"))
    assert left(one) == 60 * 190
    one.new_day(MORNING)
    assert quantities(one, TATASTEEL) == [30, 0, 0]
    sheet = tariff().sheet("NSE", Segment.EQUITY, "CNC", SELL, Money(13300), TODAY)
    dp = tariff().dp("NSE", Segment.EQUITY, TODAY)
    assert Money(str(left(one, MORNING))) == 13300 - to_paisa(sheet.total) - to_paisa(dp)
    assert dp > 0


def test_charges_are_reckoned_on_the_order_and_not_on_its_parts():
    """Two halves of one order pay brokerage once: here the most that an order pays."""
    whole, halves = account(), account()
    whole.on_trade(trade(INFY, BUY, 100, "1300", "MIS", order_id="one"))
    whole.on_trade(trade(INFY, SELL, 100, "1300", "MIS", order_id="two"))
    for side, number in ((BUY, "one"), (SELL, "two")):
        for _ in range(2):
            halves.on_trade(trade(INFY, side, 50, "1300", "MIS", order_id=number))
    whole.new_day(MORNING)
    halves.new_day(MORNING)
    assert left(whole, MORNING) == left(halves, MORNING) < 1_000_000 - 40


def test_charges_are_taken_once():
    one = account()
    one.on_trade(trade(INFY, BUY, 10, "1300"))
    one.new_day(MORNING)
    charged = left(one, MORNING)
    assert charged < 1_000_000 - 13_000
    one.new_day(MORNING + DAY_NS)
    assert left(one, MORNING + DAY_NS) == charged


def test_the_brokers_own_square_off_costs_a_fee_an_order():
    mine, theirs = account(), account()
    for one, by in ((mine, "api"), (theirs, "rms")):
        one.on_trade(trade(INFY, BUY, 10, "1300", "MIS"))
        for quantity in (4, 6):
            one.on_trade(trade(INFY, SELL, quantity, "1300", "MIS", order_id="close", by=by))
        one.new_day(MORNING)
    assert round(left(mine, MORNING) - left(theirs, MORNING), 2) == 59


def test_what_was_bought_and_sold_on_two_exchanges_is_one_share():
    one = account()
    one.on_trade(trade(ITC, BUY, 10, "305"))
    one.on_trade(trade(BSE_ITC, SELL, 12, "306"))
    one.new_day(MORNING)
    assert quantities(one, ITC) == [38, 0, 0]


def test_intraday_shares_that_were_left_over_are_delivered_or_closed_out():
    one = account()
    one.on_trade(trade(INFY, BUY, 10, "1300", "MIS"))
    one.on_trade(trade(ITC, SELL, 10, "300", "MIS"))
    last = one.ledger.market.last_price(ITC.token, MORNING)
    cash = one.ledger.cash["equity"]
    one.ledger.turnovers.clear()
    one.new_day(MORNING)
    assert quantities(one, INFY) == [0, 10, 0]
    assert quantities(one, ITC) == [40, 0, 0]
    assert one.positions(MORNING)["net"] == []
    assert one.ledger.cash["equity"] == cash - 10 * last


def test_contracts_are_carried_at_their_cost(derivative):
    one = account(10_000_000)
    lot = derivative.instrument.lot_size
    one.on_trade(trade(derivative, BUY, 3 * lot, "24000", "NRML"))
    one.on_trade(trade(derivative, SELL, lot, "24100", "NRML"))
    one.on_trade(trade(derivative, SELL, lot, "24200", "MIS"))
    one.ledger.turnovers.clear()
    one.new_day(MORNING)
    row = net(one, derivative, "NRML", MORNING)
    assert (row["quantity"], row["overnight_quantity"], row["day_buy_quantity"]) == (lot, lot, 0)
    assert (row["average_price"], row["buy_value"]) == (24000, lot * 24000)
    assert row["m2m"] == row["pnl"] + lot * 24000 - row["buy_m2m"]
    assert net(one, derivative, "MIS", MORNING) is None
    assert one.positions(MORNING)["day"] == []
    opening = one.margins(MORNING)["equity"]["available"]["opening_balance"]
    assert opening == 10_000_000 + 100 * lot + 200 * lot
    assert left(one, MORNING) == opening - lot * 24000 // 5


def test_a_contract_that_expired_is_closed_out_at_its_last_price(derivative):
    one = account(10_000_000)
    gone = replace(derivative, instrument=replace(derivative.instrument, expiry=TODAY))
    lot = gone.instrument.lot_size
    one.on_trade(trade(gone, BUY, lot, "24000", "NRML"))
    one.ledger.turnovers.clear()
    last = one.ledger.market.last_price(gone.token, MORNING)
    one.new_day(MORNING)
    assert one.positions(MORNING)["net"] == []
    assert one.ledger.cash["equity"] == one.ledger.opening["equity"] == 10_000_000 + lot * (last - 24000)


def test_the_days_sums_begin_anew():
    one = account()
    one.on_trade(trade(INFY, BUY, 10, "1300", "MIS"))
    one.on_trade(trade(INFY, SELL, 10, "1320", "MIS"))
    assert one.margins(NOW)["equity"]["utilised"]["m2m_realised"] == 200
    one.new_day(MORNING)
    equity = one.margins(MORNING)["equity"]
    assert equity["utilised"]["m2m_realised"] == equity["utilised"]["debits"] == 0
    assert equity["available"]["opening_balance"] == equity["net"]
    assert 1_000_150 < equity["net"] < 1_000_200
