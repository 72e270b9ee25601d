"""A quote's packet, read by the official client; copies; a book that is made when somebody looks."""

from kiteconnect import KiteTicker
from market_rules import INFY, NIFTY_50

from alphapanda.exchange.market import Quote, open_market
from alphapanda.exchange.options import Options
from alphapanda.kite.encode import frame


def read(packet: bytes) -> dict[str, object]:
    return KiteTicker("rehearsal", "token")._parse_binary(frame([packet]))[0]


def test_the_official_client_reads_what_a_share_shows():
    market = open_market(Options())
    quote = market.quote(INFY, market.starts_ns + 10**11)
    tick = read(quote.packet())
    assert (tick["instrument_token"], tick["last_price"]) == (INFY, quote.rupees(quote.last))
    assert (tick["volume_traded"], tick["total_buy_quantity"]) == (quote.volume, quote.buy)
    assert tick["ohlc"] == {
        name: quote.rupees(getattr(quote, name)) for name in ("open", "high", "low", "close")
    }
    for side, levels in (("buy", quote.bids), ("sell", quote.asks)):
        shown = [(each["quantity"], each["price"], each["orders"]) for each in tick["depth"][side]]
        assert shown == [(quantity, quote.rupees(price), orders) for quantity, price, orders in levels]


def test_the_official_client_reads_what_an_index_shows():
    market = open_market(Options())
    quote = market.quote(NIFTY_50, market.starts_ns + 10**11)
    tick = read(quote.packet())
    assert len(quote.packet()) == 32
    assert not tick["tradable"]
    assert (tick["last_price"], tick["ohlc"]["close"]) == (quote.rupees(quote.last), 24213.6)


def test_prices_of_currencies_are_exact_rupees():
    market = open_market(Options())
    token = market.listing.by_key("CDS:USDINR26APRFUT").token
    quote = market.quote(token, market.starts_ns)
    assert quote.money(quote.close) == market.listing.by_token(token).close
    assert read(quote.packet())["ohlc"]["close"] == float(quote.money(quote.close)) == 93.005


def test_a_packet_is_made_once_and_anew_after_the_next_tick():
    market = open_market(Options())
    quote = market.quote(INFY, market.starts_ns)
    first = quote.packet()
    assert quote.packet() is first
    assert market.quote(INFY, market.starts_ns + 10**10).packet() != first


def test_a_copy_has_what_was_changed_and_leaves_the_quote_as_it_was():
    market = open_market(Options())
    quote = market.quote(INFY, market.starts_ns)
    kept, packet = quote.figures(), quote.packet()
    other = quote.but(last=1, bids=[(5, 7, 1)])
    assert (other.last, other.bids, other.asks, other.volume) == (1, [(5, 7, 1)], quote.asks, quote.volume)
    assert other.packet() != packet
    assert quote.figures() == kept
    assert quote.but() == quote != other


def test_one_side_of_the_book_can_be_set_and_the_other_stays():
    market = open_market(Options())
    quote = market.quote(INFY, market.starts_ns).but()
    asks = quote.asks
    quote.bids = []
    assert (quote.bids, quote.asks) == ([], asks)
    plain = Quote(token=INFY, divisor=100, bids=[(1, 2, 3)])
    plain.asks = [(4, 5, 6)]
    assert (plain.bids, plain.asks, plain.last) == ([(1, 2, 3)], [(4, 5, 6)], 0)
