"""What is true of every quote of the exchange, and a market to look at."""

from functools import cache

from alphapanda.exchange.listing import Listed
from alphapanda.exchange.market import Market, Quote, open_market
from alphapanda.exchange.options import Options
from alphapanda.times import SECOND_NS

INFY, NIFTY_50 = 408065, 256265


@cache
def seen_market(seed: int = 1) -> Market:
    """For questions about the whole day; those about the present open their own."""
    return open_market(Options(seed=seed))


def some_of_each(market: Market) -> list[Listed]:
    """The first, a middle and the last instrument of each segment."""
    by_segment: dict[str, list[Listed]] = {}
    for listed in market.listing.all():
        by_segment.setdefault(listed.segment, []).append(listed)
    return [row[at] for row in by_segment.values() for at in {0, len(row) // 2, len(row) - 1}]


def snapshot(quote: Quote) -> tuple[object, ...]:
    """Everything that it shows, as it is now."""
    return quote.packet(), quote.figures()


def check(market: Market, listed: Listed, now_ns: int) -> Quote:
    """The quote of now, after everything that must hold of it has been looked at."""
    quote = market.quote(listed.token, now_ns)
    lower, upper = market.circuit(listed.token, now_ns)
    tick = listed.instrument.tick_size
    prices = [quote.last, quote.open, quote.high, quote.low]
    prices += [price for _, price, _ in (*quote.bids, *quote.asks)]
    for price in (*map(quote.money, prices), lower, upper):
        assert lower <= price <= upper, (listed.key, price, lower, upper)
        assert price % tick == 0, (listed.key, price, tick)
        assert price > 0
    assert quote.low <= min(quote.open, quote.last) <= max(quote.open, quote.last) <= quote.high
    assert quote.low <= quote.average <= quote.high if listed.tradable else quote.average == 0
    assert quote.close > 0
    assert 0 < quote.last_trade_s <= quote.time_s <= now_ns // SECOND_NS
    if listed.tradable:
        check_book(quote, listed.instrument.lot_size)
    return quote


def check_book(quote: Quote, lot: int) -> None:
    assert quote.bids or quote.asks
    bids, asks = ([price for _, price, _ in side] for side in (quote.bids, quote.asks))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert len(set(bids)) == len(bids) <= 5
    assert len(set(asks)) == len(asks) <= 5
    if bids and asks:
        assert bids[0] < asks[0]
        assert bids[0] <= quote.last <= asks[0]
    for quantity, _, orders in (*quote.bids, *quote.asks):
        assert quantity >= lot
        assert quantity % lot == 0
        assert 1 <= orders <= quantity // lot
    assert quote.buy >= sum(level[0] for level in quote.bids)
    assert quote.sell >= sum(level[0] for level in quote.asks)
    assert quote.volume % lot == 0
