"""The official client and ours put the same request on the wire, for every kind of order.

Both speak to one server that records. Compared are method, path and query, every header, and every field.
"""

from itertools import cycle, product

import anyio
import pytest
from builders import BUY, INFY, LIMIT, order
from hypothesis import given, settings
from hypothesis import strategies as st
from kiteconnect import KiteConnect
from msgspec.structs import replace
from order_peers import PATIENCE_S, asked, fact, recorder, wired

from alphapanda.events import PRICED, STOPS, Money, OrderType, TransactionType, Validity
from alphapanda.venues.zerodha.requests import UNPRICED, Requests
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session

KEY, TOKEN = "key", "today"
DIFFERENT = {
    "user-agent": "says who calls: Kiteconnect-python/5.2.2 there, alphapanda here",
    "accept-encoding": "an answer to an order is short: we ask for it as it is (identity), it for gzip",
    "connection": "keep-alive is what HTTP/1.1 means when nothing is said: we do not say it",
}
"""The headers that differ on purpose, and why.

Of the fields one differs in how it is spelt: prices are floats there (1500.0) and decimals here (1500), and
are compared as numbers. Ours always says `validity` and `tag`, which the official client leaves out where its
caller does, and says `market_protection` with orders that are or become MARKET or SL-M, always and then only.
Changed prices are put on the tick first. A root with a path of its own
(https://sandbox.kite.trade/oms) keeps it here, and loses it there.
"""
NUMBERS = ("price", "trigger_price", "market_protection")
VARIETIES = ("regular", "amo", "co", "iceberg", "auction")
PRODUCTS = ("CNC", "NRML", "MIS", "MTF")
PARAMETERS = (
    {},
    {"disclosed_quantity": 7},
    {"iceberg_legs": 5, "iceberg_quantity": 13},
    {"auction_number": "2026041500012"},
    {"algo_id": "EXCH/42 a"},
    {"market_protection": Money("2.5")},
    {"autoslice": True},
    {
        "disclosed_quantity": 65,
        "iceberg_legs": 2,
        "iceberg_quantity": 33,
        "auction_number": "1",
        "algo_id": "7",
        "autoslice": True,
        "market_protection": Money(100),
    },
)
SYMBOLS = cycle(
    [("NSE", "INFY"), ("NSE", "M&M"), ("BSE", "SBIN"), ("NFO", "NIFTY26APR24000CE"), ("MCX", "GOLD 1")]
)


@pytest.fixture(scope="module")
def server():
    with recorder() as recording:
        kite = KiteConnect(KEY, TOKEN, root=recording.url, timeout=PATIENCE_S)
        recording.kite = kite
        yield recording
        kite.reqsession.close()


def official(an_order, variety, more, kite):
    """What a caller of the official client says for this order: floats for prices, nothing it need not."""
    fields = {
        "variety": variety,
        "exchange": an_order.instrument.exchange,
        "tradingsymbol": an_order.instrument.tradingsymbol,
        "transaction_type": an_order.transaction_type.value,
        "quantity": an_order.quantity,
        "product": an_order.product,
        "order_type": an_order.order_type.value,
        "validity": an_order.validity.value,
        "tag": an_order.tag,
    }
    if an_order.order_type in PRICED:
        fields["price"] = float(an_order.price)
    if an_order.order_type in STOPS:
        fields["trigger_price"] = float(an_order.trigger_price)
    if an_order.validity is Validity.TTL:
        fields["validity_ttl"] = an_order.validity_ttl
    options = {name: value for name, value in more.items() if name not in ("autoslice", "market_protection")}
    if an_order.order_type in UNPRICED:
        options["market_protection"] = float(more["market_protection"]) if "market_protection" in more else -1
    place = kite.place_autoslice_order if more.get("autoslice") else kite.place_order
    place(**fields, **options)


def ours(server, requests):
    """These bytes through the wire, one after the other."""

    async def main():
        async with wired(server.url, connections=1) as wire:
            for request in requests:
                answered = anyio.Event()
                with anyio.fail_after(PATIENCE_S):
                    await fact(wire.idle)
                    wire.send(request, lambda _, told=answered: told.set())
                    await answered.wait()

    anyio.run(main)


def taken(server):
    requests = [asked(request) for request in server.requests]
    server.requests.clear()
    return requests


def same(there, here):
    assert (here.method, here.target) == (there.method, there.target)
    assert here.headers.keys() | DIFFERENT.keys() == there.headers.keys() | DIFFERENT.keys()
    for name in here.headers.keys() - DIFFERENT.keys() - {"content-length"}:
        assert here.headers[name] == there.headers[name]
    assert here.fields.keys() == there.fields.keys()
    for name, text in here.fields.items():
        if name in NUMBERS:
            assert Money(text) == Money(there.fields[name])
        else:
            assert text == there.fields[name]


def compare(server, cases):
    """(what the official client is told to do, our bytes) -> both as the server saw them, pair by pair."""
    taken(server)
    for told, _ in cases:
        told(server.kite)
    there = taken(server)
    ours(server, [request for _, request in cases])
    here = taken(server)
    assert len(there) == len(here) == len(cases)
    for one, other in zip(there, here, strict=True):
        same(one, other)
    return there, here


def placing(requests, an_order, variety, more):
    told = lambda kite: official(an_order, variety, more, kite)  # noqa: E731 - one line is enough
    return told, requests.place(an_order, variety=variety, **({"market_protection": Money(-1)} | more))


def requests_to(server):
    return Requests(roots_at(server.url), Session(KEY, TOKEN))


@pytest.mark.parametrize("more", PARAMETERS, ids=lambda more: "+".join(more) or "plain")
def test_every_order_is_placed_as_the_official_client_places_it(server, more):
    cases = []
    kinds = product(OrderType, Validity, VARIETIES, PRODUCTS, TransactionType)
    for number, (kind, validity, variety, carried, side) in enumerate(kinds):
        exchange, symbol = next(SYMBOLS)
        an_order = order(
            side,
            65 + number,
            instrument=replace(INFY, exchange=exchange, tradingsymbol=symbol),
            order_type=kind,
            product=carried,
            validity=validity,
            validity_ttl=1 + number % 30,
            price=Money(1500) + Money("0.05") * number,
            trigger_price=Money("1499.95") + Money("0.05") * number,
            tag=f"same{number}",
        )
        cases.append(placing(requests_to(server), an_order, variety, more))
    there, here = compare(server, cases)
    assert len(there) == 480
    assert {request.fields["order_type"] for request in here} == {"MARKET", "LIMIT", "SL", "SL-M"}


CHANGES = {
    "quantity": 12,
    "price": Money("1501.35"),
    "order_type": OrderType.SL,
    "trigger_price": Money("1500.10"),
    "validity": Validity.IOC,
    "disclosed_quantity": 5,
    "market_protection": Money(3),
    "parent_order_id": "2604150000009",
}


def changing(requests, an_order, variety, changes):
    plain = {
        name: float(value) if isinstance(value, Money) else value.value if hasattr(value, "value") else value
        for name, value in changes.items()
    }
    told = lambda kite: kite.modify_order(variety, an_order.broker_order_id, **plain)  # noqa: E731 - one line is enough
    return told, requests.modify(an_order, variety=variety, **changes)


def test_every_change_is_asked_for_as_the_official_client_does(server):
    an_order = order(order_type=LIMIT, price=Money(1500), broker_order_id="2604150000001")
    wanted = [{}, CHANGES, *({name: value} for name, value in CHANGES.items())]
    wanted += [
        {"order_type": kind, "market_protection": Money(-1)} for kind in (OrderType.MARKET, OrderType.SL_M)
    ]
    wanted += [{"order_type": kind, "price": Money("99.95")} for kind in PRICED]
    wanted += [{"validity": validity} for validity in Validity]
    cases = [
        changing(requests_to(server), an_order, variety, changes)
        for variety in VARIETIES
        for changes in wanted
    ]
    there, _ = compare(server, cases)
    assert {request.method for request in there} == {"PUT"}


def test_every_cancel_is_asked_for_as_the_official_client_does(server):
    cases = []
    for variety in VARIETIES:
        for parent in (None, "2604150000009"):
            an_order = order(broker_order_id="1914227164488687616")

            def told(kite, variety=variety, parent=parent):
                kite.cancel_order(variety, "1914227164488687616", parent)

            request = requests_to(server).cancel(an_order, variety=variety, parent_order_id=parent)
            cases.append((told, request))
    there, _ = compare(server, cases)
    assert {request.method for request in there} == {"DELETE"}
    assert {request.target.partition("?")[2] for request in there} == {"", "parent_order_id=2604150000009"}


def test_what_is_listed_as_different_is_different(server):
    """Else the list would excuse what needs no excuse."""
    there, here = compare(server, [placing(requests_to(server), order(BUY, 1), "regular", {})])
    for name in DIFFERENT:
        assert there[0].headers.get(name) != here[0].headers.get(name)


NAMES = st.text("ABCMNXYZ0129&- ", min_size=1, max_size=24)
PRICES = st.integers(1, 10**8).map(lambda ticks: Money("0.05") * ticks)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_order_is_placed_and_changed_as_the_official_client_does(server, data):
    def drawn(*choices):
        return data.draw(st.sampled_from(choices))

    an_order = order(
        drawn(*TransactionType),
        data.draw(st.integers(1, 10**7)),
        instrument=replace(INFY, exchange=drawn("NSE", "BSE", "NFO", "CDS"), tradingsymbol=data.draw(NAMES)),
        order_type=drawn(*OrderType),
        product=drawn(*PRODUCTS),
        validity=drawn(*Validity),
        validity_ttl=data.draw(st.integers(1, 375)),
        price=data.draw(PRICES),
        trigger_price=data.draw(PRICES),
        tag=data.draw(st.text("abcXYZ019", min_size=1, max_size=20)),
        broker_order_id=data.draw(st.integers(10**14, 10**19)).__str__(),
    )
    more = drawn(*PARAMETERS)
    names = data.draw(st.sets(st.sampled_from(sorted(CHANGES.keys() - {"order_type"}))))
    changes = {name: CHANGES[name] for name in names}
    requests, variety = requests_to(server), drawn(*VARIETIES)
    compare(
        server,
        [placing(requests, an_order, variety, more), changing(requests, an_order, variety, changes)],
    )
