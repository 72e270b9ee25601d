"""The instrument book: one instrument for a key, no two that contradict each other."""

import pytest

from alphapanda.errors import DataError
from alphapanda.events import Instrument, Money
from alphapanda.venues.instruments import InstrumentBook, stable_token


def test_a_symbol_has_the_same_token_on_every_machine():
    assert stable_token("NSE:INFY") == stable_token("nse:infy") == 1861836816
    assert 0 < stable_token("BSE:INFY") < 2**32


def test_an_instrument_is_made_on_first_use_and_remembered():
    book = InstrumentBook()
    infy = book.resolve("NSE", "INFY")
    assert infy == Instrument(stable_token("NSE:INFY"), "NSE", "INFY", Money("0.05"), 1)
    assert book.by_key("infy") is book.by_key("NSE:INFY") is infy
    assert book.by_token(infy.instrument_token) is infy
    assert book.by_token(1) is None


def test_a_given_token_is_kept_for_later_rows_without_one():
    book = InstrumentBook()
    assert book.resolve("NSE", "INFY", 408065).instrument_token == 408065
    assert book.by_key("INFY").instrument_token == 408065


def test_one_symbol_with_two_tokens_is_refused_with_both():
    book = InstrumentBook()
    book.resolve("NSE", "INFY", 408065)
    with pytest.raises(
        DataError, match=r"NSE:INFY has two instrument tokens, 408065 and 5: give all its rows"
    ):
        book.resolve("NSE", "INFY", 5)


def test_two_symbols_with_one_token_are_refused_with_both():
    book = InstrumentBook()
    book.resolve("NSE", "INFY", 408065)
    with pytest.raises(
        DataError, match=r"NSE:INFY and NSE:TCS have the same instrument token 408065: give each"
    ):
        book.resolve("NSE", "TCS", 408065)


def test_the_store_gives_defaults_and_a_row_its_own_token():
    known = Instrument(408065, "NSE", "INFY", Money("0.10"), 1)
    assert InstrumentBook([known]).by_key("INFY") is known
    assert InstrumentBook([known]).by_token(408065) is known
    own = InstrumentBook([known]).resolve("NSE", "INFY", 7)
    assert (own.instrument_token, own.tick_size) == (7, Money("0.10"))
