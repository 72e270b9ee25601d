"""What the symbols of derivatives say."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.contracts import Contract, contract_of, expiry_of, is_of_index, strike_of, underlying_of
from alphapanda.events import Instrument, Money

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
CODES = "123456789OND"


@pytest.mark.parametrize(
    ("symbol", "contract"),
    [
        ("NIFTY26DECFUT", Contract("NIFTY", 2026, 12, None, option=False)),
        ("BANKNIFTY26NOVFUT", Contract("BANKNIFTY", 2026, 11, None, option=False)),
        ("NIFTYNXT5026NOVFUT", Contract("NIFTYNXT50", 2026, 11, None, option=False)),
        ("RELIANCE26DEC1400CE", Contract("RELIANCE", 2026, 12, None, option=True)),
        ("M&M26DEC3100.5PE", Contract("M&M", 2026, 12, None, option=True)),
        ("BAJAJ-AUTO26DECFUT", Contract("BAJAJ-AUTO", 2026, 12, None, option=False)),
        ("NIFTY26D0124000CE", Contract("NIFTY", 2026, 12, 1, option=True)),
        ("SENSEX2610885000PE", Contract("SENSEX", 2026, 1, 8, option=True)),
        ("USDINR26N2784.25CE", Contract("USDINR", 2026, 11, 27, option=True)),
    ],
)
def test_a_symbol_is_read(symbol, contract):
    assert contract_of(symbol) == contract


@pytest.mark.parametrize(
    "symbol", ["INFY", "NIFTY 50", "NIFTY26D3224000CE", "NIFTY2623024000CE", "26DECFUT", ""]
)
def test_what_is_not_a_derivative_is_none(symbol):
    assert contract_of(symbol) is None


names = st.sampled_from(
    ["NIFTY", "BANKNIFTY", "NIFTYNXT50", "RELIANCE", "M&M", "BAJAJ-AUTO", "360ONE", "SENSEX"]
)
ends = st.just("FUT") | st.builds(
    lambda strike, half, side: f"{strike}{'.5' if half else ''}{side}",
    st.integers(1, 99_999),
    st.booleans(),
    st.sampled_from(["CE", "PE"]),
)
months = st.dates(date(2000, 1, 1), date(2099, 12, 31))


@given(names, months, ends)
def test_a_monthly_symbol_says_what_it_was_made_of(name, day, end):
    symbol = f"{name}{day:%y}{MONTHS[day.month - 1]}{end}"
    assert contract_of(symbol) == Contract(name, day.year, day.month, None, option=end != "FUT")


@given(st.sampled_from(["NIFTY", "SENSEX", "BANKEX", "USDINR"]), months, ends)
def test_a_weekly_symbol_says_its_day(name, day, end):
    symbol = f"{name}{day:%y}{CODES[day.month - 1]}{day:%d}{end}"
    assert contract_of(symbol) == Contract(name, day.year, day.month, day.day, option=end != "FUT")


@given(st.text(max_size=30))
def test_any_text_is_a_contract_or_none(symbol):
    found = contract_of(symbol)
    assert found is None or symbol.startswith(found.underlying)


def weekday(day: date) -> bool:
    return day.weekday() < 5


def expiry(exchange: str, symbol: str, is_open=weekday, **fields) -> date | None:
    return expiry_of(Instrument(1, exchange, symbol, **fields), is_open)


@pytest.mark.parametrize(
    ("exchange", "symbol", "day"),
    [
        ("NFO", "NIFTY26DECFUT", date(2026, 12, 29)),
        ("NFO", "RELIANCE26DEC1400CE", date(2026, 12, 29)),
        ("BFO", "SENSEX26DECFUT", date(2026, 12, 31)),
        ("NFO", "NIFTY25SEPFUT", date(2025, 9, 30)),
        ("NFO", "NIFTY25AUGFUT", date(2025, 8, 28)),
        ("NFO", "BANKNIFTY25AUGFUT", date(2025, 8, 28)),
        ("NFO", "RELIANCE24JUNFUT", date(2024, 6, 27)),
        ("NFO", "NIFTY26D0124000CE", date(2026, 12, 1)),
        ("NFO", "BANKNIFTY24JUNFUT", None),
        ("BFO", "SENSEX25AUGFUT", None),
        ("MCX", "GOLD26DECFUT", None),
        ("NSE", "INFY", None),
        ("NFO", "SOMETHING", None),
    ],
)
def test_the_last_day_of_a_contract(exchange, symbol, day):
    assert expiry(exchange, symbol) == day


def test_a_contract_ends_on_the_trading_day_before_when_its_day_is_a_holiday():
    holidays = {date(2026, 11, 24)}
    assert expiry("NFO", "NIFTY26NOVFUT", lambda day: weekday(day) and day not in holidays) == date(
        2026, 11, 23
    )
    assert expiry("NFO", "NIFTY26DECFUT", lambda day: day.day < 26 and weekday(day)) == date(2026, 12, 25)


def test_what_the_instrument_list_says_wins():
    assert expiry("NFO", "NIFTY26DECFUT", expiry=date(2026, 12, 28)) == date(2026, 12, 28)
    assert expiry("MCX", "GOLD26DECFUT", expiry=date(2026, 12, 4)) == date(2026, 12, 4)


@given(st.dates(date(2025, 9, 1), date(2098, 12, 31)))
def test_a_month_ends_on_its_last_tuesday_and_at_bse_on_its_last_thursday(day):
    for exchange, number in (("NFO", 1), ("BFO", 3)):
        last = expiry(exchange, f"NIFTY{day:%y}{MONTHS[day.month - 1]}FUT")
        assert last is not None
        assert (last.month, last.weekday()) == (day.month, number)
        assert (last + timedelta(days=7)).month != day.month


def test_an_index_is_told_from_a_share():
    def index(symbol: str, name: str = "") -> bool:
        return is_of_index(Instrument(1, "NFO", symbol, name=name))

    assert index("NIFTY26DECFUT")
    assert index("SENSEX2610885000PE")
    assert not index("RELIANCE26DECFUT")
    assert not index("NIFTY26DECFUT", name="RELIANCE")
    assert not index("INFY")


@pytest.mark.parametrize(
    ("symbol", "strike"),
    [
        ("NIFTY26DEC24000CE", 24_000),
        ("NIFTY26D0124000CE", 24_000),
        ("NIFTY2611324000PE", 24_000),
        ("M&M26DEC3000CE", 3000),
        ("360ONE26DEC1000CE", 1000),
        ("USDINR26DEC84.25PE", Money("84.25")),
        ("BANKNIFTY_48500_CE", 48_500),
        ("BANKNIFTY48500CE", 48_500),
        ("NIFTY", None),
    ],
)
def test_the_strike_is_read_from_the_symbol(symbol, strike):
    assert strike_of(symbol) == strike


@pytest.mark.parametrize(
    ("symbol", "name", "underlying"),
    [
        ("NIFTY26DECFUT", "", "NIFTY"),
        ("NIFTYNXT5026NOVFUT", "", "NIFTYNXT50"),
        ("360ONE26DEC1000CE", "", "360ONE"),
        ("BANKNIFTY_48500_CE", "", "BANKNIFTY_"),
        ("CASTORSEED", "", "CASTORSEED"),
        ("26DECFUT", "", "26DECFUT"),
        ("X26DECFUT", "GOLD", "GOLD"),
    ],
)
def test_the_underlying_is_what_the_list_says_or_the_symbol(symbol, name, underlying):
    assert underlying_of(Instrument(1, "NFO", symbol, name=name)) == underlying
