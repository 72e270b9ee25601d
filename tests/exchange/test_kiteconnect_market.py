"""Instruments, quotes and candles by the official client."""

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from kite_shapes import PAYLOADS, published, unlike
from kite_trader import INDEX, SHARE
from kiteconnect.exceptions import KiteException

SEGMENT_OF_TOKEN = {"NSE": 1, "NFO": 2, "CDS": 3, "BSE": 4, "BFO": 5, "BCD": 6, "MCX": 7}
MINUTES = {
    "minute": 1,
    "3minute": 3,
    "5minute": 5,
    "10minute": 10,
    "15minute": 15,
    "30minute": 30,
    "60minute": 60,
}
LONGEST_DAYS = {
    "minute": 60,
    "3minute": 100,
    "5minute": 100,
    "10minute": 100,
    "15minute": 200,
    "30minute": 200,
    "60minute": 400,
    "day": 2000,
}


def test_the_list_of_instruments_is_kites(trader):
    listed = trader.kite.instruments()
    assert trader.reply.headers["content-type"].startswith("text/csv")
    header = PAYLOADS / "instruments_nse.csv"
    if header.exists():
        assert trader.reply.text.splitlines()[0] == header.read_text(encoding="utf-8").splitlines()[0]
    assert {"NSE", "BSE", "NFO", "CDS", "MCX"} <= {row["exchange"] for row in listed}
    assert {row["instrument_type"] for row in listed} == {"EQ", "FUT", "CE", "PE"}
    assert len({row["instrument_token"] for row in listed}) == len(listed)
    assert len({(row["exchange"], row["tradingsymbol"]) for row in listed}) == len(listed)
    for row in listed:
        assert (row["lot_size"] > 0, row["tick_size"] > 0) == (row["segment"] != "INDICES",) * 2, row
        assert isinstance(row["expiry"], date) == (row["instrument_type"] != "EQ"), row
        assert (row["strike"] > 0) == (row["instrument_type"] in ("CE", "PE")), row
        segment = 9 if row["segment"] == "INDICES" else SEGMENT_OF_TOKEN[row["exchange"]]
        assert row["instrument_token"] & 0xFF == segment, row
        assert row["instrument_token"] >> 8 == int(row["exchange_token"]), row


def test_the_list_of_one_exchange_is_its_part_of_the_whole(trader):
    whole = trader.kite.instruments()
    for exchange in ("NSE", "BSE", "NFO", "CDS", "MCX"):
        part = trader.kite.instruments(exchange)
        assert part == [row for row in whole if row["exchange"] == exchange]
        assert part


def test_well_known_instruments_have_kites_tokens(trader):
    tokens = {
        f"{row['exchange']}:{row['tradingsymbol']}": row["instrument_token"]
        for row in trader.kite.instruments()
    }
    assert (tokens["NSE:INFY"], tokens["NSE:SBIN"], tokens["NSE:NIFTY 50"]) == (408065, 779521, 256265)


def test_a_quote_is_what_kite_answers(trader):
    trader.step(30)
    keys = [
        SHARE,
        *(trader.first(exchange, "FUT") for exchange in ("NFO", "CDS", "MCX")),
        trader.first("NFO", "CE"),
    ]
    quotes = trader.kite.quote(*keys)
    assert set(quotes) == set(keys)
    (example,) = published("quote").values()
    for key, row in trader.data.items():
        assert unlike(row, [example], at=key) == []
    for key, quote in quotes.items():
        assert isinstance(quote["timestamp"], datetime)
        assert isinstance(quote["last_trade_time"], datetime)
        assert [len(side) for side in quote["depth"].values()] == [5, 5]
        assert quote["lower_circuit_limit"] < quote["last_price"] < quote["upper_circuit_limit"]
        assert quote["ohlc"]["low"] <= quote["last_price"] <= quote["ohlc"]["high"]
        tick = Decimal(str(trader.listed(key)["tick_size"]))
        edges = (quote["lower_circuit_limit"], quote["upper_circuit_limit"])
        for price in (quote["last_price"], *edges, *(level["price"] for level in quote["depth"]["buy"])):
            assert Decimal(str(price)) % tick == 0, (key, price, tick)
        best = quote["depth"]["buy"][0]["price"], quote["depth"]["sell"][0]["price"]
        assert best[0] < best[1] or 0 in best


def test_an_index_is_quoted_though_nobody_can_trade_it(trader):
    quote = trader.kite.quote(INDEX)[INDEX]
    assert quote["instrument_token"] == 256265
    assert {"timestamp", "last_price", "ohlc", "net_change"} <= set(quote)
    with pytest.raises(KiteException) as refused:
        trader.place(INDEX)
    assert refused.value.code == 400


def test_prices_alone_are_what_kite_answers(trader):
    trader.kite.ohlc(SHARE, INDEX)
    (example,) = published("ohlc").values()
    assert [line for row in trader.data.values() for line in unlike(row, [example])] == []
    assert set(trader.data) == {SHARE, INDEX}
    trader.kite.ltp(SHARE, INDEX)
    (example,) = published("ltp").values()
    assert [line for row in trader.data.values() for line in unlike(row, [example])] == []
    assert set(trader.data) == {SHARE, INDEX}


@pytest.mark.parametrize("method", ["quote", "ohlc", "ltp"])
def test_an_instrument_may_be_asked_for_by_its_token(trader, method):
    by_token = getattr(trader.kite, method)(408065)
    assert list(by_token) == ["408065"]
    by_symbol = getattr(trader.kite, method)([SHARE])  # a list, as old programs have it
    assert by_token["408065"] == by_symbol[SHARE]


@pytest.mark.parametrize("method", ["quote", "ohlc", "ltp"])
def test_what_is_not_listed_is_left_out(trader, method):
    assert set(getattr(trader.kite, method)(SHARE, "NSE:NOSUCH", "nonsense", 1)) == {SHARE}


@pytest.mark.parametrize(("method", "most"), [("quote", 500), ("ohlc", 1000), ("ltp", 1000)])
def test_more_instruments_than_kite_takes_are_refused(trader, method, most):
    getattr(trader.kite, method)(*range(1, most + 1))
    with pytest.raises(KiteException) as refused:
        getattr(trader.kite, method)(*range(1, most + 2))
    assert refused.value.code == 400


@pytest.fixture(scope="module")
def today(trader):
    """The opening of the exchange's day and its time now, at least some minutes later."""
    trader.step(200)
    now = datetime.fromisoformat(trader.clock()["now"]).replace(tzinfo=None)
    return now.replace(hour=9, minute=15, second=0, microsecond=0), now


@pytest.mark.parametrize("interval", MINUTES)
def test_candles_of_the_day_begin_at_the_open_and_follow_each_other(trader, today, interval):
    opening, now = today
    candles = trader.kite.historical_data(408065, opening, now, interval)
    assert unlike(trader.data, [published("historical_minute")]) == []
    minutes = MINUTES[interval]
    times = [candle["date"].replace(tzinfo=None) for candle in candles]
    assert times == [opening + timedelta(minutes=minutes * number) for number in range(len(times))]
    assert now - times[-1] <= timedelta(minutes=minutes)
    assert candles[0]["date"].utcoffset() == timedelta(hours=5, minutes=30)
    for candle in candles:
        assert candle["low"] <= min(candle["open"], candle["close"])
        assert candle["high"] >= max(candle["open"], candle["close"])
    quote = trader.kite.quote(SHARE)[SHARE]
    assert candles[0]["open"] == quote["ohlc"]["open"]
    assert max(candle["high"] for candle in candles) == quote["ohlc"]["high"]
    assert sum(candle["volume"] for candle in candles) == quote["volume"]


def test_a_candle_of_the_day_is_the_days_quote(trader, today):
    opening, now = today
    candles = trader.kite.historical_data(408065, opening.date().isoformat() + " 00:00:00", now, "day")
    quote = trader.kite.quote(SHARE)[SHARE]
    found = candles[-1]
    assert found["date"].replace(tzinfo=None) == opening.replace(hour=0, minute=0)
    assert {name: found[name] for name in ("open", "high", "low")} == {
        name: quote["ohlc"][name] for name in ("open", "high", "low")
    }
    assert (found["close"], found["volume"]) == (quote["last_price"], quote["volume"])


def test_open_interest_is_the_seventh_field_where_it_is_asked_for(trader, today):
    opening, now = today
    token = trader.listed(trader.first("NFO", "FUT"))["instrument_token"]
    assert all("oi" not in candle for candle in trader.kite.historical_data(token, opening, now, "minute"))
    with_oi = trader.kite.historical_data(token, opening, now, "minute", oi=True)
    assert with_oi
    assert all(candle["oi"] > 0 for candle in with_oi)


@pytest.mark.parametrize("interval", LONGEST_DAYS)
def test_candles_of_more_days_than_kite_gives_at_once_are_refused(trader, today, interval):
    _, now = today
    days = LONGEST_DAYS[interval]
    trader.kite.historical_data(408065, now, now + timedelta(days=days - 1), interval)  # hardly any yet
    with pytest.raises(KiteException) as refused:
        trader.kite.historical_data(408065, now - timedelta(days=days + 2), now, interval)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    "asked",
    [(408065, "2minute"), (1, "minute"), (408065, "minute", "nonsense")],
    ids=["interval", "token", "date"],
)
def test_candles_that_cannot_be_are_refused(trader, today, asked):
    opening, now = today
    token, interval, *since = asked
    with pytest.raises(KiteException) as refused:
        trader.kite.historical_data(token, since[0] if since else opening, now, interval)
    assert refused.value.code == 400


def test_the_range_of_a_cover_orders_trigger_has_two_ends(trader):
    ranges = trader.kite.trigger_range("BUY", SHARE)
    assert set(ranges) == {SHARE}
    assert {"instrument_token", "lower", "upper"} <= set(ranges[SHARE])
    assert ranges[SHARE]["lower"] < ranges[SHARE]["upper"]


def test_every_kind_of_instrument_is_listed_in_its_segment(trader):
    segments = Counter(row["segment"] for row in trader.kite.instruments())
    assert {"NSE", "BSE", "INDICES", "NFO-FUT", "NFO-OPT", "CDS-FUT", "MCX-FUT"} <= set(segments)
