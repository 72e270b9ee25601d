"""Mutual funds: the exchange has none, and says so. No call of the client may hang or break on it."""

import pytest
from kiteconnect.exceptions import DataException, KiteException


def empty_or_refused(call, *words):
    """Nothing, or a refusal that says why; never an answer that the client cannot read."""
    try:
        found, error = call(*words), None
    except KiteException as refused:
        found, error = [], refused
    assert found == []
    assert error is None or (
        error.code in (400, 403, 404) and str(error) and type(error) is not DataException
    )


def test_lists_of_funds_are_empty_or_refused(trader):
    kite = trader.kite
    empty_or_refused(kite.mf_orders)
    empty_or_refused(kite.mf_sips)
    empty_or_refused(kite.mf_holdings)
    empty_or_refused(kite.mf_instruments)


def test_orders_for_funds_are_refused(trader):
    kite = trader.kite
    calls = [
        lambda: kite.mf_orders("1"),
        lambda: kite.mf_sips("1"),
        lambda: kite.place_mf_order("INF174K01LS2", "BUY", amount=5000),
        lambda: kite.cancel_mf_order("1"),
        lambda: kite.place_mf_sip("INF174K01LS2", 1000, 6, "monthly"),
        lambda: kite.modify_mf_sip("1", amount=2000),
        lambda: kite.cancel_mf_sip("1"),
    ]
    for call in calls:
        with pytest.raises(KiteException) as refused:
            call()
        assert refused.value.code in (400, 403, 404)
        assert not isinstance(refused.value, DataException)
