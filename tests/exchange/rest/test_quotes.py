"""Instrument lists, quotes and candles as Kite gives them, and what is refused."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect
from market_rules import INFY
from msgspec.structs import replace

from alphapanda.events import Money
from alphapanda.exchange.calls import Call, Effects, Refusal
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.notation import plain
from alphapanda.exchange.options import Options
from alphapanda.exchange.rest import quotes
from alphapanda.times import MINUTE_NS, SECOND_NS, number_of, start_of

HOUR_NS = 60 * MINUTE_NS
MOCKS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "kite-mocks"


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    opened = Exchange(Options(), Script(()), wall=lambda: 0)
    opened.advance(opened.market.starts_ns + 100 * SECOND_NS)
    return opened


def ask(opened: Exchange, /, *names: str, dump: str = "", **fields: str) -> Call:
    return Call(
        method="GET",
        url="",
        query=[
            *(("i", name) for name in names),
            *((key.rstrip("_"), value) for key, value in fields.items()),
        ],
        path={
            key: value for key, value in fields.items() if key in ("exchange", "interval", "token", "side")
        },
        now_ns=opened.clock.now_ns,
        effects=Effects(dump=dump),
    )


def mock(name: str) -> Any:
    if not MOCKS.is_dir():
        pytest.skip("the mocks of Kite's answers are not beside the repository")
    return json.loads((MOCKS / name).read_text(encoding="utf-8"))["data"]


def shape(value: Any) -> Any:
    """Keys and kinds; a number is a number, with or without a fraction."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.parametrize(
    ("handler", "name"), [(quotes.quote, "quote.json"), (quotes.ohlc, "ohlc.json"), (quotes.ltp, "ltp.json")]
)
def test_rows_have_the_keys_and_kinds_of_kites(exchange, handler, name):
    found = plain(handler(exchange, ask(exchange, "NSE:INFY")))
    assert shape(found) == shape(mock(name))
    assert [*found["NSE:INFY"]] == [*mock(name)["NSE:INFY"]]


def test_candles_have_the_form_of_kites(exchange):
    call = ask(
        exchange, token=str(INFY), interval="minute", from_="2026-04-15 09:15:00", to="2026-04-15 09:30:00"
    )
    found = plain(quotes.historical(exchange, call))
    rows = mock("historical_minute.json")["candles"]
    assert {str(shape(row)) for row in found["candles"]} == {str(shape(row)) for row in rows}
    assert [row[0] for row in found["candles"]] == ["2026-04-15T09:15:00+0530", "2026-04-15T09:16:00+0530"]
    assert len(found["candles"][0][0]) == len(rows[0][0])


def test_the_list_is_read_by_the_official_client(exchange):
    reply = quotes.instruments(exchange, ask(exchange))
    rows = KiteConnect("rehearsal")._parse_instruments(reply.body)
    assert reply.content_type == "text/csv"
    assert len(rows) == len(exchange.market.listing.all())
    future = next(row for row in rows if row["tradingsymbol"] == "NIFTY26APRFUT")
    assert {key: future[key] for key in ("name", "expiry", "strike", "tick_size", "lot_size", "segment")} == {
        "name": "NIFTY",
        "expiry": date(2026, 4, 28),
        "strike": 0.0,
        "tick_size": 0.1,
        "lot_size": 65,
        "segment": "NFO-FUT",
    }
    infy = next(row for row in rows if row["instrument_token"] == INFY)
    assert (infy["tradingsymbol"], infy["expiry"], infy["instrument_type"]) == ("INFY", "", "EQ")
    for row in rows:
        listed = exchange.market.listing.by_key(f"{row['exchange']}:{row['tradingsymbol']}")
        assert row["strike"] == float(listed.strike)
        assert row["tick_size"] == (float(listed.instrument.tick_size) if listed.tradable else 0)


def test_a_contract_leaves_the_list_the_day_after_its_last(exchange):
    """Whoever reads the list of a later day takes one with a contract that has ended for an earlier day's."""

    def expiries(day: date, **words: str) -> set[date]:
        call = replace(ask(exchange, **words), now_ns=start_of(number_of(day)) + 8 * HOUR_NS)
        rows = KiteConnect("rehearsal")._parse_instruments(quotes.instruments(exchange, call).body)
        return {row["expiry"] for row in rows if row["expiry"]}

    first, second, *_ = sorted(expiries(date(2026, 4, 15)))
    assert first in expiries(first)
    assert min(expiries(first + timedelta(days=1))) == second
    nfo = expiries(date(2026, 4, 15), exchange="NFO")
    assert expiries(min(nfo) + timedelta(days=1), exchange="NFO") == nfo - {min(nfo)}
    after = first + timedelta(days=2)
    assert min(expiries(after, dump="yesterday")) == first + timedelta(days=1)


def test_the_list_has_kites_header_and_number_of_cells(exchange):
    lines = quotes.instruments(exchange, ask(exchange, exchange="NSE")).body.decode().splitlines()
    if not MOCKS.is_dir():
        pytest.skip("the mocks of Kite's answers are not beside the repository")
    kites = (MOCKS / "instruments_nse.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == kites[0]
    assert {line.count(",") for line in lines} == {kites[0].count(",")}
    assert all(line.endswith(",NSE") for line in lines[1:])
    cells, kites_cells = lines[10].split(","), kites[10].split(",")
    assert [cell == "" for cell in cells] == [cell == "" for cell in kites_cells]
    assert ["." in cell for cell in cells[4:9]] == ["." in cell for cell in kites_cells[4:9]]


def test_a_number_too_long_for_a_token_is_only_unknown(exchange):
    endless = "9" * 5000
    assert quotes.ltp(exchange, ask(exchange, endless)) == {}
    fields = {"token": endless, "interval": "day", "from_": "2026-04-15", "to": "2026-04-15"}
    with pytest.raises(Refusal, match="invalid token"):
        quotes.historical(exchange, ask(exchange, **fields))


def test_unknown_names_are_left_out_and_a_token_is_a_name_too(exchange):
    found = quotes.ltp(exchange, ask(exchange, "NSE:INFY", "NSE:NOBODY", str(INFY), "99", "NSE:NIFTY 50"))
    assert [*found] == ["NSE:INFY", str(INFY), "NSE:NIFTY 50"]
    assert found["NSE:INFY"] == found[str(INFY)]


@pytest.mark.parametrize(("handler", "most"), [(quotes.quote, 500), (quotes.ohlc, 1000), (quotes.ltp, 1000)])
def test_more_instruments_than_allowed_are_refused(exchange, handler, most):
    assert len(handler(exchange, ask(exchange, *["NSE:INFY"] * most))) == 1
    with pytest.raises(Refusal, match=str(most)) as refused:
        handler(exchange, ask(exchange, *["NSE:INFY"] * (most + 1)))
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"interval": "2minute"}, "invalid interval"),
        ({"token": "12"}, "invalid token"),
        ({"token": "INFY"}, "invalid token"),
        ({"from_": "yesterday"}, "invalid from date"),
        ({"to": ""}, "invalid to date"),
        ({"from_": "2026-04-16"}, "from date cannot be after to date"),
        ({"from_": "2026-02-01"}, "interval exceeds max limit: 60 days"),
        ({"from_": "2020-01-01", "interval": "day"}, "interval exceeds max limit: 2000 days"),
    ],
)
def test_candles_that_cannot_be_given_are_refused(exchange, fields, told):
    asked = {
        "token": str(INFY),
        "interval": "minute",
        "from_": "2026-04-14",
        "to": "2026-04-15 10:00:00",
        **fields,
    }
    with pytest.raises(Refusal, match=told) as refused:
        quotes.historical(exchange, ask(exchange, **asked))
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")


@pytest.mark.parametrize(
    ("key", "interval"),
    [("NFO:NIFTY26APRFUT", "minute"), ("NSE:INFY", "day"), ("CDS:USDINR26APRFUT", "day")],
)
def test_continuous_candles_are_those_of_days_of_some_futures(exchange, key, interval):
    def rows(key: str, interval: str) -> Any:
        token = str(exchange.market.listing.by_key(key).token)
        asked = {"token": token, "from_": "2026-04-09", "to": "2026-04-15", "continuous": "1"}
        return quotes.historical(exchange, ask(exchange, **asked, interval=interval))["candles"]

    assert rows("NFO:NIFTY26APRFUT", "day")
    with pytest.raises(Refusal, match="day candles of futures") as refused:
        rows(key, interval)
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")


def test_open_interest_comes_when_asked_for(exchange):
    token = exchange.market.listing.by_key("NFO:NIFTY26APRFUT").token
    asked = {"token": str(token), "interval": "day", "from_": "2026-04-09", "to": "2026-04-15"}
    rows = [quotes.historical(exchange, ask(exchange, **asked, oi=oi))["candles"] for oi in ("0", "1")]
    assert {len(row) for row in rows[0]} == {6}
    assert all(row[6] > 0 for row in rows[1])
    assert [row[:6] for row in rows[1]] == rows[0]


def test_the_stop_of_a_cover_order_lies_on_its_side_of_the_price(exchange):
    price = quotes.ltp(exchange, ask(exchange, "NSE:INFY"))["NSE:INFY"]["last_price"]
    buy = quotes.trigger_range(exchange, ask(exchange, "NSE:INFY", side="buy"))["NSE:INFY"]
    sell = quotes.trigger_range(exchange, ask(exchange, "NSE:INFY", side="sell"))["NSE:INFY"]
    assert buy["lower"] < buy["upper"] == price == sell["lower"] < sell["upper"]
    for limit in (buy["lower"], sell["upper"]):
        assert Money(str(limit)) % exchange.market.listing.by_token(INFY).instrument.tick_size == 0


def test_a_trigger_range_is_asked_for_one_of_two_sides(exchange):
    with pytest.raises(Refusal, match="BUY or SELL") as refused:
        quotes.trigger_range(exchange, ask(exchange, "NSE:INFY", side="hold"))
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")


def test_a_fault_spoils_the_list(exchange):
    def dumped(sort: str) -> bytes:
        return quotes.instruments(exchange, ask(exchange, dump=sort)).body

    whole = quotes.instruments(exchange, ask(exchange)).body
    with pytest.raises(Refusal) as missing:
        dumped("missing")
    assert missing.value.code == 404
    assert whole.startswith(dumped("truncated"))
    assert not dumped("truncated").endswith(b"\n")
    tokens = [line.split(",")[0] for line in dumped("reused").decode().splitlines()]
    assert len(tokens) == len(set(tokens)) + 1
    rows = KiteConnect("rehearsal")._parse_instruments(dumped("yesterday"))
    expired = [row for row in rows if row["expiry"] == date(2026, 4, 14)]
    assert {row["name"] for row in expired} >= {"NIFTY", "BANKNIFTY", "SENSEX", "GOLD"}
    assert len(rows) < whole.count(b"\n") - 1
