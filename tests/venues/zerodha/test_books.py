"""The books: what Kite says is read, and whatever is odd about an answer is Transient."""

import json
import ssl
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from certificates import certificate
from exchange_server import exchange_server
from raw_peer import peer
from zerodha_desk import KEY, TOKEN

from alphapanda.errors import Transient
from alphapanda.venues.zerodha.book_rows import BookRead, OrderRow, TradeRow, stamp_ns
from alphapanda.venues.zerodha.books import Books
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session

MOCKS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "kite-mocks"
READS = {
    "orders": lambda books: books.orders(),
    "trades": lambda books: books.trades(),
    "positions": lambda books: books.positions(),
    "holdings": lambda books: books.holdings(),
    "quote": lambda books: books.quote(["NSE:INFY", "NSE:NOTHING"]),
    "instruments": lambda books: books.instruments(),
}


class Turns:
    """Every turn at once; what was asked for and limited is kept."""

    def __init__(self):
        self.asked: list[str] = []
        self.limits: list[str] = []

    async def turn(self, bucket):
        self.asked.append(bucket)

    def limited(self, bucket):
        self.limits.append(bucket)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    words = ("--access-token", TOKEN, "--no-rate-limits", "--paused")
    with exchange_server(tmp_path_factory.mktemp("exchange"), *words) as running:
        yield running


def ask(url, read, session=None, turns=None):
    """What one read answers; raises as it does."""

    async def run():
        books = Books(roots_at(url), session or Session(KEY, TOKEN), turns or Turns())
        try:
            return await read(books)
        finally:
            await books.close()

    return anyio.run(run)


@pytest.fixture
def strike(server):
    def arm(*faults):
        server.admin("faults", {"clear": True, "fault": list(faults)})

    yield arm
    arm()


def test_every_book_of_a_new_account_can_be_read(server):
    empty = ask(server.url, READS["orders"])
    assert (empty.rows, empty.unreadable) == ((), 0)
    assert empty.asked_s <= empty.answered_s
    assert ask(server.url, READS["positions"]).rows == ()
    quotes = ask(server.url, READS["quote"])
    assert list(quotes) == ["NSE:INFY"]
    assert quotes["NSE:INFY"].lower_circuit_limit < Decimal(str(quotes["NSE:INFY"].last_price))
    assert stamp_ns(quotes["NSE:INFY"].timestamp, 0) > 0
    assert len(quotes["NSE:INFY"].depth.buy) == 5
    assert ask(server.url, READS["instruments"]).startswith(b"instrument_token,exchange_token")


def test_quotes_are_asked_in_pieces_of_five_hundred_each_with_its_turn(server):
    turns = Turns()
    quotes = ask(server.url, lambda books: books.quote([f"NSE:X{n}" for n in range(1001)]), turns=turns)
    assert (quotes, turns.asked) == ({}, ["quote"] * 3)


ODD = [
    *({"do": "status", "code": code} for code in (400, 500, 502, 503, 504)),
    *({"do": do} for do in ("html", "empty", "truncated", "keyless", "not_json", "no_content_type")),
    *({"do": do} for do in ("cut_body", "drop_before", "reset_after", "ip_refused", "too_many")),
    {"do": "html", "code": 200},
]


def test_whatever_is_odd_about_an_answer_is_transient_and_leaves_the_session_alone(server, strike):
    session, turns = Session(KEY, TOKEN), Turns()

    async def run():
        books = Books(roots_at(server.url), session, turns)
        for fault in ODD:
            strike({"on": "orders"} | fault)
            with pytest.raises(Transient, match="/orders"):
                await books.orders()
        await books.close()

    anyio.run(run)
    assert session.alive
    assert turns.limits == ["other"]


def test_prices_that_are_no_numbers_are_transient(server, strike):
    strike({"on": "quote", "do": "nan"})
    with pytest.raises(Transient, match="makes no sense"):
        ask(server.url, READS["quote"])


@pytest.mark.parametrize("call", READS)
def test_M21_a_token_that_is_refused_at_any_read_ends_the_session_for_all(server, strike, call):  # noqa: N802 - the fault's name
    strike({"on": call, "do": "token_refused"})
    session = Session(KEY, TOKEN)
    before = server.history("fault")
    for words in ("HTTP 403", "is not asked"):
        with pytest.raises(Transient, match=words) as caught:
            ask(server.url, READS[call], session)
        assert TOKEN not in str(caught.value)
    assert not session.alive
    assert len(server.history("fault")) == len(before) + 1


def test_a_peer_that_is_not_there_is_transient():
    with pytest.raises(Transient, match="cannot be asked"):
        ask("http://127.0.0.1:1", READS["orders"])


@pytest.mark.parametrize("bad", [{"address": "127.0.0.2"}, {"expired": True}, None])
def test_M43_a_certificate_that_does_not_hold_gets_no_token_from_the_books(tmp_path, monkeypatch, bad):  # noqa: N802 - the fault's name
    """The wrong host, one that has expired, and (None) one that nobody here knows."""
    paths = certificate(tmp_path, **(bad or {}))
    if bad is not None:
        monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    with peer(b"", context=context) as server, pytest.raises(Transient, match=r"(?i)certificate"):
        ask(server.url, READS["orders"])
    assert server.requests == []


def test_M43_a_swap_of_the_certificate_in_mid_day_is_refused_by_the_books(tmp_path, monkeypatch):  # noqa: N802 - as above
    """The machine trusts one; then somebody else answers at the same address."""
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    paths, others = certificate(tmp_path / "good"), certificate(tmp_path / "bad")
    monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)

    async def run(url):
        books = Books(roots_at(url), Session(KEY, TOKEN), Turns())
        try:
            assert (await books.orders()).rows == ()
            context.load_cert_chain(*others)
            with pytest.raises(Transient, match=r"(?i)certificate") as caught:
                await books.orders()
            assert TOKEN not in str(caught.value)
        finally:
            await books.close()

    body = b'{"status":"success","data":[]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with peer(head + b"Content-Length: %d\r\n\r\n" % len(body) + body, context=context) as server:
        anyio.run(run, server.url)
        assert len(server.requests) == 1


class Canned:
    """Books whose answers are given."""

    def __new__(cls, document):
        books = Books(roots_at("http://127.0.0.1:1"), Session(KEY, TOKEN), Turns())

        async def get(_path, _bucket, **_options):
            return json.dumps(document).encode()

        books._get = get
        return books


def canned(document, read) -> BookRead:
    return anyio.run(lambda: read(Canned(document)))


def test_one_row_that_makes_no_sense_does_not_hide_the_others_and_is_counted():
    good = {"order_id": "1", "status": "OPEN", "tag": None, "surprise": [1]}
    answer = {"status": "success", "data": [good, {"order_id": 5}, {"status": "OPEN"}, "nonsense"]}
    book = canned(answer, READS["orders"])
    assert (book.rows, book.unreadable) == ((OrderRow(order_id="1", status="OPEN"),), 3)


@pytest.mark.parametrize(
    "odd",
    [
        {"average_price": "NaN"},
        {"average_price": 1e300},
        {"average_price": -1},
        {"quantity": 2**63},
        {"quantity": -1},
    ],
)
def test_a_trade_of_impossible_numbers_is_one_that_makes_no_sense(odd):
    trade = {"trade_id": "1", "order_id": "2", "quantity": 3, "average_price": 1500.05}
    book = canned({"status": "success", "data": [trade, trade | odd]}, READS["trades"])
    assert [row.price for row in book.rows] == [Decimal("1500.05")]
    assert book.unreadable == 1


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("status", [b"200 OK", b"403 Forbidden", b"500 Error"])
@pytest.mark.parametrize(
    "body", [b'{"status":"success","message":"\xff","data":[]}', b'{"status":"success","data":%s}' % DEEP]
)
def test_what_is_no_text_or_nested_without_end_is_transient(status, body):
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n" % status
    with peer(head + b"Content-Length: %d\r\n\r\n" % len(body) + body) as server:
        with pytest.raises(Transient, match="/orders"):
            ask(server.url, READS["orders"])
        assert server.requests


def test_a_stamp_beyond_what_the_journal_holds_is_none():
    for text in ("9999-12-31 23:59:59", "0001-01-01 00:00:00", "0001-01-01T00:00:00+23:59"):
        assert stamp_ns(text, 7) == 7
    assert stamp_ns("1970-01-01 05:30:01", 7) == 10**9


@pytest.mark.skipif(not MOCKS.is_dir(), reason="Kite's published payloads are not beside the repository")
def test_the_payloads_that_kite_publishes_are_read():
    def of(name, read):
        return canned(json.loads((MOCKS / name).read_text()), read)

    orders = of("orders.json", READS["orders"])
    assert (len(orders.rows) > 5, orders.unreadable) == (True, 0)
    assert {"COMPLETE", "CANCELLED", "REJECTED"} <= {row.status for row in orders.rows}
    trades = of("trades.json", READS["trades"])
    assert trades.unreadable == 0
    assert isinstance(trades.rows[0], TradeRow)
    assert trades.rows[0].price == Decimal("420.65")
    history = of("order_info.json", READS["orders"])
    assert history.rows[0].status == "PUT ORDER REQ RECEIVED"
    assert of("positions.json", READS["positions"]).unreadable == 0
    assert of("holdings.json", READS["holdings"]).unreadable == 0
    assert "NSE:INFY" in of("quote.json", READS["quote"])
