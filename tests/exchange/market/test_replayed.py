"""Prices from files: their own times and dates, a book around them, and nothing outside the session."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest
from market_rules import INFY, check, snapshot

from alphapanda.errors import DataError
from alphapanda.events import Money
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.market import Market, open_market
from alphapanda.exchange.market.given import segment_token
from alphapanda.exchange.options import Options
from alphapanda.times import DAY_NS, IST, MINUTE_NS, SECOND_NS, to_ist, to_ns

TICKS = """\
timestamp,symbol,ltp,volume
2021-04-06 09:08:00,INFY,1390.00,100
2021-04-06 09:15:05,INFY,1400.00,1000
2021-04-06 09:15:05,FOOBAR,20.01,0
2021-04-06 09:15:09,INFY,1402.50,1500
2021-04-06 09:16:30,INFY,1399.95,1600
2021-04-06 15:29:58,INFY,1410.00,9000
2021-04-06 15:31:00,INFY,1500.00,9500
2021-04-07 09:15:00,INFY,1405.00,50
2021-04-07 11:00:00,INFY,1004.00,70
"""
BARS = """\
timestamp,symbol,open,high,low,close,volume
2022-03-07 09:15:00,NIFTYBEES,170.00,170.50,169.90,170.20,500
2022-03-07 09:16:00,NIFTYBEES,170.20,171.00,170.10,170.15,300
"""


def at(text: str) -> int:
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=IST))


def market_of(folder: Path, text: str, name: str = "prices.csv") -> Market:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return open_market(Options(data=(path,)))


def walked(market: Market, token: int, times: Iterable[int]) -> list[tuple[object, ...]]:
    return [snapshot(market.quote(token, now_ns)) for now_ns in times]


def test_the_clock_starts_at_the_first_row_of_a_session_and_the_files_are_listed(tmp_path):
    market = market_of(tmp_path, TICKS)
    assert to_ist(market.starts_ns).isoformat() == "2021-04-06T09:15:05+05:30"
    infy, other = market.listing.all()
    assert (infy.key, infy.token, infy.instrument.tick_size, infy.close) == (
        "NSE:INFY",
        INFY,
        Money("0.05"),
        Money("1400.00"),
    )
    assert (other.key, other.token & 0xFF, other.instrument.tick_size) == ("NSE:FOOBAR", 1, Money("0.01"))


def test_ticks_come_at_their_own_times_and_stand_after_the_last(tmp_path):
    market = market_of(tmp_path, TICKS)
    prices = {}
    now_ns = market.starts_ns
    while now_ns < market.starts_ns + 2 * MINUTE_NS:
        if INFY in market.step(now_ns, {INFY}):
            prices[to_ist(now_ns).strftime("%H:%M:%S")] = float(market.last_price(INFY, now_ns))
        now_ns = market.next_step_ns(now_ns)
    assert prices == {"09:15:05": 1400.0, "09:15:09": 1402.5, "09:16:30": 1399.95}
    end = market.quote(INFY, at("2021-04-06 16:00"))
    assert (end.last, end.open, end.high, end.low, end.volume) == (141000, 140000, 141000, 139995, 9000)
    following = market.quote(INFY, at("2021-04-07 09:15"))
    assert (following.last, following.open, following.close, following.volume) == (140500, 140500, 141000, 50)
    assert market.last_price(INFY, at("2021-04-30 12:00")) == Money("1004.00")


def test_the_book_is_whole_and_within_limits_that_hold_the_days_prices(tmp_path):
    market = market_of(tmp_path, TICKS)
    for text in (
        "04-06 09:15:05",
        "04-06 09:15:09",
        "04-06 15:29:59",
        "04-07 08:00",
        "04-07 11:00",
        "04-12 10:00",
    ):
        for listed in market.listing.all():
            check(market, listed, at(f"2021-{text}"))
    lower, upper = market_of(tmp_path, TICKS).circuit(INFY, at("2021-04-07 11:00"))
    assert lower == Money("1004.00")
    assert upper == Money("1692.00")


def test_a_replay_does_not_depend_on_who_looks(tmp_path):
    moments = [
        at(f"2021-04-0{day} {clock}")
        for day in (6, 7)
        for clock in ("09:15:05", "10:00", "15:29:58", "23:00")
    ]
    often = walked(market_of(tmp_path, TICKS), INFY, moments)
    once = [walked(market_of(tmp_path, TICKS), INFY, [moment])[0] for moment in moments]
    assert often == once


def test_candles_are_the_rows_and_before_them_an_invented_past(tmp_path):
    market = market_of(tmp_path, TICKS)
    now_ns = at("2021-04-07 12:00")
    rows = market.candles(INFY, "minute", at("2021-04-06 09:00"), now_ns, now_ns=now_ns)
    assert rows[:2] == [
        ["2021-04-06T09:15:00+0530", 1400.0, 1402.5, 1400.0, 1402.5, 1500],
        ["2021-04-06T09:16:00+0530", 1399.95, 1399.95, 1399.95, 1399.95, 100],
    ]
    days = market.candles(INFY, "day", now_ns - 30 * DAY_NS, now_ns, now_ns=now_ns)
    assert days[-2:] == [
        ["2021-04-06T00:00:00+0530", 1400.0, 1410.0, 1399.95, 1410.0, 9000],
        ["2021-04-07T00:00:00+0530", 1405.0, 1405.0, 1004.0, 1004.0, 70],
    ]
    assert len(days) > 15
    assert days[-3][4] == 1400.0


def test_what_a_bar_holds_comes_to_pass_within_its_own_time(tmp_path):
    market = market_of(tmp_path, BARS)
    listed = market.listing.by_key("NSE:NIFTYBEES")
    seen = {}
    now_ns = market.starts_ns
    while now_ns < market.starts_ns + 5 * MINUTE_NS:
        if market.step(now_ns, {listed.token}):
            quote = check(market, listed, now_ns)
            shown = quote.last, quote.open, quote.high, quote.low, quote.volume
            seen[to_ist(now_ns).strftime("%H:%M:%S")] = shown
        now_ns = market.next_step_ns(now_ns)
    assert seen == {
        "09:15:00": (17000, 17000, 17000, 17000, 125),
        "09:15:15": (16990, 17000, 17000, 16990, 250),
        "09:15:30": (17050, 17000, 17050, 16990, 375),
        "09:15:59": (17020, 17000, 17050, 16990, 500),
        "09:16:00": (17020, 17000, 17050, 16990, 575),
        "09:16:15": (17100, 17000, 17100, 16990, 650),
        "09:16:30": (17010, 17000, 17100, 16990, 725),
        "09:16:59": (17015, 17000, 17100, 16990, 800),
    }


def test_candles_of_the_day_are_the_bars_of_the_file_as_far_as_they_have_come(tmp_path):
    market = market_of(tmp_path, BARS)
    token, starts_ns = market.listing.all()[0].token, market.starts_ns

    def rows(seconds: float, interval: str = "minute") -> list[list[object]]:
        now_ns = starts_ns + int(seconds * SECOND_NS)
        return market.candles(token, interval, starts_ns, now_ns, now_ns=now_ns)

    first = ["2022-03-07T09:15:00+0530", 170.0, 170.5, 169.9, 170.2, 500]
    second = ["2022-03-07T09:16:00+0530", 170.2, 171.0, 170.1, 170.15, 300]
    assert rows(0) == [[first[0], 170.0, 170.0, 170.0, 170.0, 125]]
    assert rows(20) == [[first[0], 170.0, 170.0, 169.9, 169.9, 250]]
    assert rows(59) == rows(59.9) == [first]
    assert rows(80) == [first, [second[0], 170.2, 171.0, 170.2, 171.0, 150]]
    assert rows(119) == rows(400) == [first, second]
    assert rows(400, "day") == [["2022-03-07T00:00:00+0530", 170.0, 171.0, 169.9, 170.15, 800]]


def test_bars_are_as_long_as_the_nearest_two_are_apart_and_end_with_the_session(tmp_path):
    longer = """\
timestamp,symbol,open,high,low,close,volume
2022-03-07 15:20:00,INFY,100,104,98,102,40
2022-03-07 15:25:00,INFY,102,103,101,101,40
2022-03-08 15:00:00,INFY,101,101,101,101,40
2022-03-08 15:28:00,INFY,101,105,99,103,40
2022-03-08 15:28:00,TCS,10,15,9,13,40
"""
    market = market_of(tmp_path, longer)
    infy, tcs = (market.listing.by_key(key).token for key in ("NSE:INFY", "NSE:TCS"))

    def times(token: int, opens: str) -> list[str]:
        now_ns, found = at(opens) - 1, []
        while now_ns < at(opens) + 10 * MINUTE_NS:
            market.quote(token, now_ns)
            if (source := market._sources[token]).ticked_ns >= at(opens):
                found.append(f"{to_ist(source.ticked_ns):%H:%M:%S}")
            now_ns += SECOND_NS // 4
        return list(dict.fromkeys(found))

    assert times(infy, "2022-03-07 15:25:00") == ["15:25:00", "15:26:15", "15:27:30", "15:29:59"]
    assert times(infy, "2022-03-08 15:28:00") == ["15:28:00", "15:28:30", "15:29:00", "15:29:59"]
    assert times(tcs, "2022-03-08 15:28:00") == ["15:28:00", "15:28:15", "15:28:30", "15:28:59"]
    opens, ends = at("2022-03-07 15:25:00"), at("2022-03-07 15:30:00")
    rows = market.candles(infy, "minute", opens, ends, now_ns=ends)
    assert [(row[0][11:16], row[4], row[5]) for row in rows] == [
        ("15:25", 102.0, 10),
        ("15:26", 103.0, 10),
        ("15:27", 101.0, 10),
        ("15:29", 101.0, 10),
    ]


def test_a_bar_is_over_when_a_tick_of_another_file_comes(tmp_path):
    (tmp_path / "a.csv").write_text(BARS, encoding="utf-8")
    tick = "timestamp,symbol,ltp,volume\n2022-03-07 09:16:20,NIFTYBEES,180,900\n"
    (tmp_path / "b.csv").write_text(tick, encoding="utf-8")
    market = open_market(Options(data=(tmp_path,)))
    token, now_ns = market.listing.all()[0].token, at("2022-03-07 09:16:20")
    assert [market.quote(token, each).last for each in (now_ns - 1, now_ns, now_ns + MINUTE_NS)] == [
        17015,
        18000,
        18000,
    ]


def test_resting_orders_trade_at_the_low_and_the_high_of_a_bar_and_stops_trigger(tmp_path):
    bars = """\
timestamp,symbol,open,high,low,close,volume
2022-03-07 09:15:00,INFY,205,206,204,205,4000
2022-03-07 09:16:00,INFY,205,210,200,204,4000
2022-03-07 09:17:00,INFY,204,204,204,204,4000
"""
    path = tmp_path / "prices.csv"
    path.write_text(bars, encoding="utf-8")
    exchange = Exchange(Options(data=(path,)), Script(()), wall=lambda: 0)
    exchange.advance(exchange.market.starts_ns + 20 * SECOND_NS)

    def order(**fields: str) -> str:
        form = {"exchange": "NSE", "tradingsymbol": "INFY", "product": "MIS", "quantity": "1", **fields}
        return exchange.desk.place("regular", form, exchange.clock.now_ns)["order_id"]

    orders = [
        order(transaction_type="BUY", order_type="LIMIT", price="200"),
        order(transaction_type="BUY", order_type="LIMIT", price="199.95"),
        order(transaction_type="SELL", order_type="LIMIT", price="210"),
        order(transaction_type="SELL", order_type="SL", price="195", trigger_price="202"),
        order(transaction_type="BUY", order_type="SL", price="215", trigger_price="208"),
    ]
    exchange.advance(exchange.market.starts_ns + 170 * SECOND_NS)
    book = {row["order_id"]: row for row in exchange.desk.book(exchange.clock.now_ns)}
    assert [(row["status"], float(row["average_price"])) for row in map(book.get, orders)] == [
        ("COMPLETE", 200.0),
        ("OPEN", 0.0),
        ("COMPLETE", 210.0),
        ("COMPLETE", 199.95),
        ("COMPLETE", 210.05),
    ]


def test_an_instrument_has_its_first_price_before_its_first_row_and_then_always_its_last(tmp_path):
    text = TICKS + "2021-04-09 11:00:00,TCS,3300.00,70\n2021-04-13 11:00:00,TCS,3310.00,70\n"
    moments = [at(f"2021-04-{text}") for text in ("06 10:00", "08 10:00", "09 10:59", "09 11:00", "13 10:00")]
    market = market_of(tmp_path, text)
    tcs = market.listing.by_key("NSE:TCS")
    assert [check(market, tcs, now_ns).last for now_ns in moments] == [330000] * 5
    assert f"{to_ist(market.quote(tcs.token, moments[-1]).time_s * SECOND_NS):%d %H:%M}" == "09 11:00"
    once = [walked(market_of(tmp_path, text), tcs.token, [moment])[0] for moment in moments]
    assert walked(market_of(tmp_path, text), tcs.token, moments) == once
    days = market.candles(tcs.token, "day", moments[0] - 30 * DAY_NS, moments[-1], now_ns=moments[-1])
    assert [day[0][:10] for day in days[-2:]] == ["2021-04-05", "2021-04-09"]
    assert days[-2][4] == 3300.0


def test_a_file_without_a_header_is_read_with_the_names_of_its_columns(tmp_path):
    path = tmp_path / "INFY.csv"
    path.write_text("2021-04-06 09:15:05,1400.00,1000\n2021-04-06 09:15:09,1402.50,1500\n", encoding="utf-8")
    with pytest.raises(DataError, match="needs --columns"):
        open_market(Options(data=(path,)))
    market = open_market(Options(data=(path,), columns=("timestamp", "ltp", "volume")))
    assert market.last_price(INFY, at("2021-04-06 09:15:10")) == Money("1402.50")


def test_contracts_of_a_file_are_known_by_their_symbols(tmp_path):
    text = "timestamp,symbol,exchange,ltp\n2025-11-17 10:00:00,NIFTY25NOV26000CE,NFO,120.05\n"
    listed = market_of(tmp_path, text).listing.all()[0]
    assert (listed.segment, listed.strike, listed.instrument.name, listed.token & 0xFF) == (
        "NFO-OPT",
        26000,
        "NIFTY",
        2,
    )


def test_contracts_of_one_index_keep_their_own_last_days(tmp_path):
    symbols = "NIFTY26D0824000CE", "NIFTY26D1524000CE", "NIFTY26NOVFUT", "NIFTY26DECFUT"
    rows = [
        f"2026-12-08 {clock}:00,{symbol},NFO,100.05" for clock in ("15:29", "15:35") for symbol in symbols
    ]
    market = market_of(tmp_path, "timestamp,symbol,exchange,ltp\n" + "\n".join(rows))
    assert [
        (each.instrument.tradingsymbol, f"{each.instrument.expiry}") for each in market.listing.all()
    ] == [
        ("NIFTY26D0824000CE", "2026-12-08"),
        ("NIFTY26D1524000CE", "2026-12-15"),
        ("NIFTY26DECFUT", "2026-12-29"),
    ]
    assert market.notes == ["NFO:NIFTY26NOVFUT: not listed, for none of its rows lies in a trading session"]
    after = at("2026-12-08 15:40")
    last = [
        f"{to_ist(market.quote(each.token, after).time_s * SECOND_NS):%H:%M}" for each in market.listing.all()
    ]
    assert last == ["15:29", "15:35", "15:35"]


def test_names_whose_invented_tokens_are_equal_get_two(tmp_path):
    text = "timestamp,symbol,ltp\n2021-04-06 10:00:00,SYM2430,100\n2021-04-06 10:00:00,SYM3392,200\n"
    first, second = market_of(tmp_path, text).listing.all()
    assert (first.key, second.key) == ("NSE:SYM2430", "NSE:SYM3392")
    assert segment_token(first.key, "nse") == segment_token(second.key, "nse") == first.token
    assert second.token != first.token
    assert second.token & 0xFF == 1


def test_rows_that_cannot_be_read_are_left_out_when_asked(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text(TICKS + "2021-04-07 11:00:01,INFY,0,80\n", encoding="utf-8")
    with pytest.raises(DataError, match="--skip-bad-rows"):
        open_market(Options(data=(path,)))
    market = open_market(Options(data=(path,), skip_bad_rows=True))
    assert market.notes == [f"{path}: 1 of 10 rows bad and skipped"]


def test_a_volume_beyond_the_wire_stops_at_its_limit(tmp_path):
    rows = [f"2022-03-07 09:{minute}:00,INFY,10,10,10,10,{10**30}" for minute in (15, 16)]
    market = market_of(tmp_path, "timestamp,symbol,open,high,low,close,volume\n" + "\n".join(rows))
    quote = market.quote(INFY, at("2022-03-07 09:17"))
    assert quote.volume == 4_000_000_000
    assert len(quote.packet()) == 184


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("timestamp,symbol,ltp\n2021-04-06 10:00:00,INFY,50000000\n", "does not fit Kite's packets"),
        ("timestamp,symbol,ltp\n2027-04-06 10:00:00,INFY,1400\n", "known until 2026-12-31"),
        ("timestamp,symbol,ltp\n2021-04-06 03:00:00,INFY,1400\n", "no row lies in a trading session"),
        ("timestamp,symbol,ltp\n2021-04-06 10:00:00,INFY,cheap\n", "line 2"),
        ("timestamp,symbol,exchange,ltp\n2021-04-06 10:00:00,GOOG,NYSE,140\n", "NYSE is not an exchange"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_refused_with_its_reason(tmp_path, text, told):
    with pytest.raises(DataError, match=told):
        market_of(tmp_path, text)
