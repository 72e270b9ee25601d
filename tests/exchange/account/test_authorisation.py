"""Leave to sell holdings, for an account without DDPI."""

import pytest
from account_days import BUY, ITC, NOW, SELL, SIX, TATASTEEL, account, holding, order, rest, trade

from alphapanda.exchange.calls import Refusal


def strict():
    return account(needs_authorisation=True)


def test_an_account_has_given_leave_for_all_unless_it_is_asked_for():
    assert account().needs_authorisation(order(ITC, SELL, 10, "305")) is None
    assert strict().needs_authorisation(order(ITC, SELL, 10, "305")) == (
        "10 quantity needs authorisation at depository."
    )


def test_leave_is_for_the_shares_of_the_demat_account_alone():
    one = strict()
    assert one.needs_authorisation(order(ITC, BUY, 10, "305")) is None
    assert one.needs_authorisation(order(ITC, SELL, 10, "305", "MIS")) is None
    one.on_trade(trade(ITC, BUY, 10, "305"))
    assert one.needs_authorisation(order(ITC, SELL, 10, "305")) is None
    assert one.needs_authorisation(order(ITC, SELL, 11, "305")).startswith("1 quantity")
    assert one.needs_authorisation(order(TATASTEEL, SELL, 100, "190")).startswith("60 quantity")


def test_a_granted_request_is_used_up_by_sales_and_resting_sales():
    one = strict()
    number = one.authorisations.ask([ITC.isin], ["15"])
    assert one.needs_authorisation(order(ITC, SELL, 1, "305")) is not None
    assert one.authorisations.grant(number, NOW)
    assert holding(one, ITC)["authorised_quantity"] == 15
    assert holding(one, ITC)["authorised_date"] == "2026-04-15 09:15:00"
    assert one.needs_authorisation(order(ITC, SELL, 15, "305")) is None
    resting = order(ITC, SELL, 10, "305")
    rest(one, [resting])
    assert one.needs_authorisation(order(ITC, SELL, 6, "305")).startswith("1 quantity")
    resting.filled_quantity = 10
    one.on_trade(trade(ITC, SELL, 10, "305"))
    assert one.needs_authorisation(order(ITC, SELL, 5, "305")) is None
    assert one.needs_authorisation(order(ITC, SELL, 6, "305")).startswith("1 quantity")


def test_a_request_without_names_is_for_all_of_it_and_ends_with_the_day():
    one = strict()
    number = one.authorisations.ask([], [])
    assert len(number) == 32
    one.authorisations.grant(number, NOW)
    assert one.needs_authorisation(order(TATASTEEL, SELL, 60, "190")) is None
    one.new_day(NOW + SIX)
    assert one.needs_authorisation(order(TATASTEEL, SELL, 60, "190")) is not None
    assert one.authorisations.grant(number, NOW + SIX)
    assert one.needs_authorisation(order(TATASTEEL, SELL, 60, "190")) is not None
    assert one.authorisations.ask([], []) != number
    assert not one.authorisations.grant("9" * 32, NOW)


@pytest.mark.parametrize(
    ("isins", "quantities"),
    [
        (["INE000000000"], ["1"]),
        ([ITC.isin], ["41"]),
        ([ITC.isin], ["9" * 400]),
        ([ITC.isin], ["x"]),
        ([ITC.isin], []),
    ],
)
def test_what_is_not_held_cannot_be_authorised(isins, quantities):
    with pytest.raises(Refusal) as refused:
        strict().authorisations.ask(isins, quantities)
    assert refused.value.code == 400
