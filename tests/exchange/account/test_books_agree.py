"""Through the real desk and market: positions, trades and funds tell one story, whatever was asked."""

from contextlib import suppress

from account_days import CARRIED
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.events import Money
from alphapanda.exchange.account.funds import purse_of
from alphapanda.exchange.calls import Refusal
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import Script
from alphapanda.exchange.options import Options
from alphapanda.times import SECOND_NS

wishes = st.lists(
    st.tuples(
        st.sampled_from(("NSE:INFY", "NSE:ITC", "BSE:ITC", CARRIED)),
        st.sampled_from(("BUY", "SELL")),
        st.sampled_from(("MIS", "CNC", "NRML")),
        st.integers(1, 60),
        st.sampled_from(("MARKET", "0.995", "1", "1.005")),
    ),
    min_size=1,
    max_size=12,
)


def form(exchange, wish):
    """The fields of an order at so much of the last price."""
    key, side, product, quantity, price = wish
    listed, now_ns = exchange.market.listing.by_key(key), exchange.clock.now_ns
    last, tick = exchange.market.last_price(listed.token, now_ns), listed.instrument.tick_size
    fields = {
        "exchange": listed.instrument.exchange,
        "tradingsymbol": listed.instrument.tradingsymbol,
        "transaction_type": side,
        "product": product,
        "quantity": str(quantity * listed.instrument.lot_size),
        "order_type": "LIMIT",
    }
    if price == "MARKET":
        return fields | {"order_type": "MARKET", "market_protection": "-1"}
    return fields | {"price": str(last * Money(price) // tick * tick)}


def sums(exchange):
    """(exchange:symbol, product) -> quantity and money of its trades, from the trade book."""
    totals = {}
    for row in exchange.desk.trades(exchange.clock.now_ns):
        key = f"{row['exchange']}:{row['tradingsymbol']}"
        many = exchange.market.listing.by_key(key).multiplier
        sign = 1 if row["transaction_type"] == "BUY" else -1
        quantity, value = totals.get((key, row["product"]), (0, Money(0)))
        spent = sign * row["quantity"] * Money(str(row["average_price"])) * many
        totals[key, row["product"]] = quantity + sign * row["quantity"], value - spent
    return totals


@settings(max_examples=40, deadline=None)
@given(wishes)
def test_positions_are_the_trades_and_funds_have_paid_for_them(wanted):
    exchange = Exchange(Options(cash=Money(2_000_000)), Script(()), wall=lambda: 0)
    ledger = exchange.account.ledger
    for wish in wanted:
        with suppress(Refusal):
            exchange.desk.place("regular", form(exchange, wish), exchange.clock.now_ns)
        exchange.advance(exchange.clock.now_ns + SECOND_NS)
        totals = sums(exchange)
        rows = exchange.account.positions(exchange.clock.now_ns)["net"]
        assert {
            (f"{row['exchange']}:{row['tradingsymbol']}", row["product"]): (
                row["quantity"],
                Money(str(row["value"])),
            )
            for row in rows
        } == totals
        for segment, opening in ledger.opening.items():
            spent = sum(
                value
                for (key, _), (_, value) in totals.items()
                if purse_of(exchange.market.listing.by_key(key)) == segment
            )
            assert ledger.cash[segment] == opening + spent
        for key in ("NSE:INFY", "NSE:ITC"):
            assert ledger.deliverable(exchange.market.listing.by_key(key)) >= 0
