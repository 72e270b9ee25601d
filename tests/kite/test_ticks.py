"""Ticks tell what KiteTicker tells, value by value, whatever is in their packets."""

import base64
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from kite_packets import INFY_FULL, INFY_QUOTE, NIFTY_FULL, mixes, uniform
from kiteconnect import KiteTicker

from alphapanda.events import Depth, DepthLevel
from alphapanda.kite.decode import Decoder
from alphapanda.kite.encode import frame, full_packet
from alphapanda.times import IST

MOCKS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kite-mocks"
TICKER = KiteTicker("key", "token")
AT = datetime(2021, 7, 5, 10, 41, 27, tzinfo=IST)
SINCE = datetime(1970, 1, 1, 5, 30, tzinfo=IST)


def decoded(*packets):
    return Decoder().decode(frame(packets))


def side(levels):
    return [{"quantity": one.quantity, "price": one.price, "orders": one.orders} for one in levels]


def as_theirs(tick):
    """Our tick under KiteTicker's keys."""
    told = {name: getattr(tick, name) for name in ("tradable", "mode", "instrument_token", "last_price")}
    if tick.mode == "ltp":
        return told
    told["ohlc"] = {name: getattr(tick, name) for name in ("open", "high", "low", "close")}
    told["change"] = tick.change
    names = ["last_traded_quantity", "average_traded_price", "volume_traded"]
    names += ["total_buy_quantity", "total_sell_quantity", "last_trade_time", "oi", "oi_day_high"]
    names += ["oi_day_low", "exchange_timestamp"]
    told |= {name: getattr(tick, name) for name in names if hasattr(tick, name)}
    if hasattr(tick, "depth"):
        told["depth"] = {"buy": side(tick.depth.buy), "sell": side(tick.depth.sell)}
    return told


def in_ist(told):
    """KiteTicker's tick with aware times."""
    for name in ("last_trade_time", "exchange_timestamp"):
        if name in told:
            told[name] = told[name].astimezone(IST)
    return told


@given(mixes)
def test_every_value_of_a_mixed_frame_is_that_of_the_official_client(packets):
    theirs = [in_ist(told) for told in TICKER._parse_binary(frame(packets))]
    assert [as_theirs(tick) for tick in decoded(*packets)] == theirs


@given(uniform)
def test_every_value_of_a_uniform_frame_is_that_of_the_official_client(packets):
    theirs = [in_ist(told) for told in TICKER._parse_binary(frame(packets))]
    assert [as_theirs(tick) for tick in decoded(*packets)] == theirs


def test_a_full_tick_of_a_share():
    (tick,) = decoded(INFY_FULL)
    assert (tick.mode, tick.tradable, tick.instrument_token, tick.divisor) == ("full", True, 408065, 100)
    assert (tick.last_price, tick.average_traded_price, tick.last_traded_quantity) == (1573.7, 1570.37, 7)
    assert (tick.volume_traded, tick.total_buy_quantity, tick.total_sell_quantity) == (
        *(1192471, 256443),
        363009,
    )
    assert (tick.open, tick.high, tick.low, tick.close) == (1569.15, 1575.0, 1561.05, 1567.8)
    assert tick.change == pytest.approx(5.9 / 1567.8 * 100)
    assert (tick.oi, tick.oi_day_high, tick.oi_day_low) == (0, 0, 0)
    assert (tick.last_trade_time, tick.exchange_timestamp) == (AT, AT)
    assert str(tick.exchange_timestamp) == "2021-07-05 10:41:27+05:30"
    assert tick.depth == Depth(
        buy=(
            *(DepthLevel(1573.4, 5, 1), DepthLevel(1573.0, 140, 2), DepthLevel(1572.95, 2, 1)),
            *(DepthLevel(1572.9, 219, 7), DepthLevel(1572.85, 50, 1)),
        ),
        sell=(
            *(DepthLevel(1573.7, 172, 3), DepthLevel(1573.75, 44, 3), DepthLevel(1573.85, 302, 3)),
            *(DepthLevel(1573.9, 141, 2), DepthLevel(1573.95, 724, 5)),
        ),
    )


def test_the_same_share_in_quote_and_in_ltp_form():
    quote, ltp = decoded(INFY_QUOTE, INFY_QUOTE[:8])
    assert (quote.mode, ltp.mode) == ("quote", "ltp")
    assert quote.last_price == ltp.last_price == 1573.15
    assert (quote.last_traded_quantity, quote.volume_traded, quote.close) == (1, 1175986, 1567.8)
    assert not hasattr(quote, "depth")
    assert not hasattr(ltp, "close")


def test_an_index_is_not_tradable_and_its_change_is_signed():
    full, quote, ltp = decoded(NIFTY_FULL, NIFTY_FULL[:28], NIFTY_FULL[:8])
    assert [tick.tradable for tick in (full, quote, ltp)] == [False] * 3
    assert [tick.mode for tick in (full, quote, ltp)] == ["full", "quote", "ltp"]
    assert full.last_price == quote.last_price == ltp.last_price == 23949.95
    assert (full.open, full.high, full.low, full.close) == (24000.0, 24100.0, 23900.0, 23950.0)
    assert full.price_change == quote.price_change == -0.05
    assert full.change == quote.change == pytest.approx(-0.05 / 23950 * 100)
    assert full.exchange_timestamp == datetime(2026, 4, 15, 9, 30, tzinfo=IST)


@pytest.mark.parametrize(("segment", "price"), [(1, 850_000.0), (3, 8.5), (6, 8500.0), (12, 8500.0)])
def test_prices_and_depth_have_the_divisor_of_their_segment(segment, price):
    packet = full_packet(256 | segment, 85_000_000, *range(14), [(1, 85_000_000, 1)], [])
    (tick,) = decoded(packet)
    assert tick.last_price == tick.depth.buy[0].price == price


def test_a_packet_of_zeros_is_of_the_first_second():
    (tick,) = decoded(full_packet(*[0] * 16, [], []))
    assert (tick.last_trade_time, tick.exchange_timestamp, tick.change) == (SINCE, SINCE, 0)


def test_the_last_second_of_the_wire_is_a_time():
    (tick,) = decoded(full_packet(*[0xFFFFFFFF] * 16, [], []))
    assert tick.exchange_timestamp == datetime(2106, 2, 7, 11, 58, 15, tzinfo=IST)


@pytest.mark.parametrize("name", ["ticker_full", "ticker_quote"])
def test_the_payloads_of_the_documentation_say_the_same_in_both_their_forms(name):
    if not MOCKS.is_dir():
        pytest.skip("the payloads of Kite's documentation are not beside the repository")
    told = json.loads((MOCKS / f"{name}.json").read_bytes())
    (tick,) = decoded(base64.b64decode((MOCKS / f"{name}.packet").read_bytes()))
    ours = as_theirs(tick)
    del told["change"], ours["change"]  # the payload has rupees there, every client per cent
    names = {"last_traded_quantity": "last_quantity", "average_traded_price": "average_price"}
    names |= {"volume_traded": "volume", "total_buy_quantity": "buy_quantity"}
    names |= {"total_sell_quantity": "sell_quantity", "exchange_timestamp": "timestamp"}
    ours = {names.get(key, key): value for key, value in ours.items()}
    for key in ("last_trade_time", "timestamp"):
        if key in ours:
            ours[key] = ours[key].isoformat()
    assert ours == told
