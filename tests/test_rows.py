"""Rows: the shapes that the store keeps and that scripts are promised."""

from decimal import Decimal

import pytest
from builders import BUY, INFY, LIMIT, SELL, TEN_NS, fill, order, signal
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.portfolio import Standing
from alphapanda.events import Approved, Balance, Money, OrderStatus, Position, Refused, Verdict
from alphapanda.rows import (
    MONEY,
    balance_row,
    for_people,
    order_row,
    position_row,
    signal_row,
    standing_row,
    text,
    trade_row,
)

TEN_TEXT = "2024-06-03T10:00:00+05:30"


def position(**fields):
    defaults = {
        "broker": "paper",
        "strategy_id": "momentum_1",
        "instrument": INFY,
        "product": "MIS",
        "quantity": 3,
        "average_price": Money("100.123456"),
        "last_price": Money("101.5"),
        "realized_pnl": Money("-2.345"),
        "unrealized_pnl": Money("4.129632"),
    }
    return Position(**defaults | fields)


def balance(**fields):
    return Balance(**{"broker": "paper", "starting_cash": Money(1000), "cash": Money("999.5")} | fields)


def test_an_order_row_has_the_promised_columns_in_their_order():
    row = for_people(order_row(order(SELL, 10, filled_quantity=3, filled_value=Money("301.01"))))
    assert row == {
        "order_id": "O000001",
        "tag": "test00000001",
        "broker": "paper",
        "broker_order_id": None,
        "strategy_id": "momentum_1",
        "instrument_token": 408065,
        "tradingsymbol": "INFY",
        "exchange": "NSE",
        "transaction_type": "SELL",
        "order_type": "MARKET",
        "product": "MIS",
        "quantity": 10,
        "filled_quantity": 3,
        "price": None,
        "average_price": 100.34,
        "status": "PREPARED",
        "reason": "",
        "created_at": TEN_TEXT,
        "updated_at": TEN_TEXT,
        "trigger_price": None,
        "validity": "DAY",
    }
    assert list(row)[:5] == ["order_id", "tag", "broker", "broker_order_id", "strategy_id"]


def test_an_order_without_fills_has_no_average_and_a_limit_order_shows_its_price():
    row = order_row(order(order_type=LIMIT, price=Money("99.95"), status=OrderStatus.OPEN))
    assert (row["average_price"], row["price"], row["status"]) == (None, "99.95", "OPEN")


def test_an_average_price_is_kept_to_four_places():
    row = order_row(order(quantity=3, filled_quantity=3, filled_value=Money(100)))
    assert row["average_price"] == "33.3333"


def test_a_trade_row_has_the_promised_columns():
    assert for_people(trade_row(fill(BUY, 4, "100.05", charges=Money("0.40")))) == {
        "trade_id": "T000001",
        "order_id": "O000001",
        "broker": "paper",
        "strategy_id": "momentum_1",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": 4,
        "price": 100.05,
        "charges": 0.4,
        "traded_at": TEN_TEXT,
    }


def test_a_position_row_has_the_promised_columns():
    assert for_people(position_row(position())) == {
        "broker": "paper",
        "strategy_id": "momentum_1",
        "tradingsymbol": "INFY",
        "exchange": "NSE",
        "product": "MIS",
        "quantity": 3,
        "average_price": 100.12,
        "last_price": 101.5,
        "realized_pnl": -2.35,
        "unrealized_pnl": 4.13,
        "overnight_quantity": 0,
        "t1_quantity": 0,
    }


def test_a_balance_row_keeps_every_digit():
    row = balance_row(balance(cash=Money("999.123456789"), charges=Money("0.10")))
    assert row == {
        "broker": "paper",
        "starting_cash": "1000",
        "cash": "999.123456789",
        "realized_pnl": "0",
        "charges": "0.10",
    }


def test_a_standing_row_has_the_promised_columns():
    standing = Standing(balance(), [position(quantity=1, last_price=Money("0.75"))])
    assert for_people(standing_row(standing)) == {
        "starting_cash": 1000.0,
        "cash": 999.5,
        "equity": 1000.25,
        "realized_pnl": 0.0,
        "unrealized_pnl": 0.25,
        "charges": 0.0,
    }


def test_an_approval_becomes_a_signal_row_with_the_quantity_that_was_ordered():
    asked = signal(SELL, 9, signal_id="S000007", reason="it fell")
    row = for_people(signal_row(Approved(order(SELL, 4), asked)))
    assert row == {
        "signal_id": "S000007",
        "strategy_id": "momentum_1",
        "broker": "paper",
        "tradingsymbol": "INFY",
        "transaction_type": "SELL",
        "quantity": 4,
        "verdict": "approved",
        "rule": None,
        "reason": "it fell",
        "at": TEN_TEXT,
    }


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.NOTHING_TO_CLOSE, Verdict.DROPPED])
def test_a_refusal_becomes_a_signal_row_with_its_rule_and_its_sentence(verdict):
    refused = Refused(
        signal=signal(),
        broker="paper",
        verdict=verdict,
        rule="a_rule",
        why="why",
        quantity=1,
        instrument=INFY,
    )
    row = signal_row(refused)
    assert (row["verdict"], row["rule"], row["reason"]) == (verdict.value, "a_rule", "why")
    assert (row["tradingsymbol"], row["at_ns"]) == ("INFY", TEN_NS)


def test_an_instrument_that_was_never_listed_is_named_by_its_token():
    refused = Refused(
        signal=signal(instrument_token=99),
        broker="paper",
        verdict=Verdict.REFUSED,
        rule="unknown_instrument",
        why="",
        quantity=1,
    )
    assert signal_row(refused)["tradingsymbol"] == "99"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15))
def test_money_text_is_exact_and_has_no_exponent(amount):
    assert Decimal(text(amount)) == amount
    assert "E" not in text(amount).upper()


@given(st.decimals("-1000000000", "1000000000", places=4))
def test_people_see_money_as_a_number_of_whole_paise(amount):
    for column in MONEY:
        shown = for_people({column: text(amount)})[column]
        assert isinstance(shown, float)
        assert Decimal(repr(shown)) == round(Decimal(repr(shown)), 2)
        assert abs(Decimal(repr(shown)) - amount) <= Decimal("0.005")
