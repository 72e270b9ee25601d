"""Kite's own client behind our door: at the exchange, with odd answers, bad certificates, and in silence."""

import asyncio
import socket
import ssl
import warnings
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import anyio
import pytest
from certificates import certificate
from exchange_server import exchange_server
from raw_peer import http, peer, refusal

from alphapanda.times import IST
from alphapanda.venues.zerodha.landing import followed
from alphapanda.venues.zerodha.official import Official, Refused, Unreachable
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session

MOCKS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "kite-mocks"
KEY, SECRET, TOKEN = "rehearsal", "rehearsal-secret", "ToKeN-0123456789abcdef"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    with exchange_server(tmp_path_factory.mktemp("exchange"), "--no-rate-limits") as server:
        yield server


def ask(url, call, access_token=TOKEN, *, session=None, timeout_s=PATIENCE_S, turn=None):
    """What `call(official)` gives; the connections are closed before it is looked at."""

    async def main():
        words = (turn,) if turn else ()
        known = session or Session(KEY, access_token)
        official = Official(roots_at(url), known, *words, timeout_s=timeout_s)
        with closing(official):
            return await call(official)

    return asyncio.run(main())


def logged_in(exchange):
    token = followed(roots_at(exchange.url), KEY)
    return ask(exchange.url, lambda official: official.generate_session(token, SECRET), "")


def test_a_login_is_who_it_is_of_its_token_and_its_times(exchange):
    token = logged_in(exchange)
    assert (token.user_id, token.user_name, token.api_key) == ("RH0001", "Rehearsal User", KEY)
    assert token.root == exchange.url
    assert token.login_time.date() == datetime(2026, 4, 15, tzinfo=IST).date()
    assert token.login_time.utcoffset() == timedelta(hours=5, minutes=30)
    assert token.expires == datetime(2026, 4, 16, 6, tzinfo=IST)
    profile = ask(exchange.url, lambda official: official.profile(), token.access_token)
    assert (profile.user_id, profile.user_name) == ("RH0001", "Rehearsal User")


@pytest.mark.parametrize("wrong", ["secret", "request token", "used request token"])
def test_a_login_that_is_refused_says_why_and_kills_no_session(exchange, wrong):
    token = followed(roots_at(exchange.url), KEY)
    session = Session(KEY, TOKEN)
    secret = "wrong-secret" if wrong == "secret" else SECRET
    if wrong == "request token":
        token = "no-such-token"
    elif wrong == "used request token":
        ask(exchange.url, lambda official: official.generate_session(token, SECRET), "")
    with pytest.raises(Refused) as error:
        ask(exchange.url, lambda official: official.generate_session(token, secret), session=session)
    said = {"secret": "Invalid `checksum`."}.get(wrong, "Token is invalid or has expired.")
    assert said in str(error.value)
    assert (error.value.status, session.alive) == (403, True)


def test_funds_are_exact(exchange):
    funds = ask(exchange.url, lambda official: official.margins(), logged_in(exchange).access_token)
    assert funds["equity"].net == funds["equity"].cash == Decimal("1000000.00")
    assert funds["equity"].debits == Decimal("0.00")
    assert "commodity" in funds


def test_charges_are_those_of_each_order_as_kite_says_them(exchange):
    row = {
        "order_id": "1",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "variety": "regular",
        "product": "MIS",
        "order_type": "MARKET",
        "quantity": 10,
        "average_price": 1500.0,
    }
    rows = [row, row | {"order_id": "2", "transaction_type": "SELL"}]
    access_token = logged_in(exchange).access_token
    bought, sold = ask(exchange.url, lambda official: official.order_charges(rows), access_token)
    assert (bought.tradingsymbol, bought.transaction_type, bought.quantity) == ("INFY", "BUY", 10)
    assert (bought.brokerage, bought.stamp_duty) == (Decimal("4.5"), Decimal("0.45"))
    assert (sold.transaction_tax, sold.stamp_duty) == (Decimal("3.75"), Decimal(0))
    for each in (bought, sold):
        parts = (each.transaction_tax, each.exchange_turnover_charge, each.sebi_turnover_charge)
        assert abs(each.total - sum(parts) - each.brokerage - each.stamp_duty - each.gst) < Decimal("0.0001")


CALLS = {
    "profile": ("profile", lambda official: official.profile()),
    "margins": ("margins", lambda official: official.margins()),
    "charges": ("charges", lambda official: official.order_charges([])),
    "logout": ("session.end", lambda official: official.end_session()),
}


@pytest.mark.parametrize("kind", CALLS)
def test_M21_a_token_that_dies_here_ends_the_session_and_is_not_tried_again(exchange, kind):  # noqa: N802 - the fault's name
    point, call = CALLS[kind]
    session = Session(KEY, logged_in(exchange).access_token)
    fault = {"on": point, "do": "token_death", "nth": 1}
    exchange.admin("faults", {"fault": [fault]})
    mark = exchange.history()[-1]["seq"]
    with pytest.raises(Refused) as error:
        ask(exchange.url, call, session=session)
    assert error.value.token_dead
    assert not session.alive
    with pytest.raises(Refused, match="not asked, the session is dead"):
        ask(exchange.url, call, session=session)
    assert [line["on"] for line in exchange.history("fault", after=mark)] == [point]
    assert len(exchange.history("request", after=mark)) == 1


def test_a_late_refusal_of_the_old_token_does_not_end_the_new_session(exchange):
    """The new login came while the call was away."""
    session = Session(KEY, "a-token-that-is-not-known")

    def renewed(kite):
        anyio.from_thread.run_sync(session.renew, "the-next-one")
        return kite.profile()

    with pytest.raises(Refused):
        ask(exchange.url, lambda official: official._ask("the profile", renewed), session=session)
    assert session.alive


def test_a_token_that_dies_while_a_call_waits_is_not_used_any_more(exchange):
    """For its turn, or behind others that hang."""
    session = Session(KEY, logged_in(exchange).access_token)
    mark = exchange.history()[-1]["seq"]

    async def died(_bucket):
        session.died(session.epoch, "elsewhere")

    with pytest.raises(Refused, match="not asked, the session is dead: elsewhere"):
        ask(exchange.url, lambda official: official.profile(), session=session, turn=died)
    assert exchange.history("request", after=mark) == []


def test_every_call_waits_for_its_turn(exchange):
    turns = []

    async def turn(bucket):
        turns.append(bucket)

    access_token = logged_in(exchange).access_token
    ask(exchange.url, lambda official: official.profile(), access_token, turn=turn)
    assert turns == ["other"]


PAGE = b"<html><body>Bad gateway " + TOKEN.encode() + b"</body></html>"
HALF = b'{"status":"success","data":{"x":"' + TOKEN.encode()
NO_DATA, NULL, NUMBER = (
    {"status": "success"} | more for more in ({}, {"data": None}, {"data": {"user_id": 7}})
)
BARE, UNTYPED = {"status": "error", "error_type": "InputException"}, {"status": "error", "message": "No."}
UNKNOWN_SHAPE, LINES = "not as documented", "Missing `x`.\nAnd more."
ODD = {
    "nothing": (b"", Unreachable, "broken off"),
    "half a head": (b"HTTP/1.1 200", Unreachable, ""),
    "no http": (b"SSH-2.0-OpenSSH_9.6\r\n", Unreachable, ""),
    "html": (http(502, PAGE, "text/html"), Unreachable, "cannot be read"),
    "html that says 403": (http(403, PAGE, "text/html"), Unreachable, "cannot be read"),
    "no content type": (http(200, {"status": "success", "data": {}}, ""), Unreachable, "(KeyError)"),
    "an empty body": (http(200, b""), Unreachable, "cannot be read"),
    "half a document": (http(200, HALF), Unreachable, "cannot be read"),
    "less than it says": (http(200, b"{}").replace(b": 2", b": 99"), Unreachable, ""),
    "a list": (http(200, []), Unreachable, "(AttributeError)"),
    "null": (http(200, None), Unreachable, "(AttributeError)"),
    "no data": (http(200, NO_DATA), Unreachable, "(KeyError)"),
    "data that is null": (http(200, NULL), Unreachable, UNKNOWN_SHAPE),
    "data of another shape": (http(200, NUMBER), Unreachable, UNKNOWN_SHAPE),
    "an error without a message": (http(400, BARE), Unreachable, "(KeyError)"),
    "an error without a type": (http(400, UNTYPED), Unreachable, "(TypeError)"),
    "csv": (http(200, b"a,b\n", "text/csv"), Unreachable, UNKNOWN_SHAPE),
    "sent elsewhere": (http(302, b"", Location="http://127.0.0.1:1/"), Unreachable, "sends us elsewhere"),
    "429": (refusal(429, "NetworkException", "Too many requests"), Unreachable, "requests (HTTP 429)"),
    "503": (refusal(503, "NetworkException"), Unreachable, "No. (HTTP 503)"),
    "500": (refusal(500, "GeneralException"), Unreachable, "No. (HTTP 500)"),
    "an error with status 200": (refusal(200, "DataException"), Unreachable, "No. (HTTP 200)"),
    "400": (refusal(400, "InputException", LINES), Refused, "Missing `x`. And more. (HTTP 400)"),
    "403 of another kind": (refusal(403, "PermissionException"), Refused, "No. (HTTP 403)"),
    "an unknown kind": (refusal(428, "HoldingException"), Refused, "No. (HTTP 428)"),
    "a page long": (refusal(400, "InputException", "x" * 9000), Refused, "xxx (HTTP 400)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_every_odd_answer_is_one_of_two_errors_in_one_line_without_the_token(kind):
    answer, error_kind, said = ODD[kind]
    session = Session(KEY, TOKEN)
    with peer(answer) as server, pytest.raises(error_kind) as error:
        ask(server.url, lambda official: official.profile(), session=session)
    line = str(error.value)
    assert line.startswith("Kite: the profile: ")
    assert said in line
    assert "\n" not in line
    assert len(line) < 400
    assert TOKEN not in line
    assert session.alive
    assert len(server.requests) == 1, "nothing is asked twice"


@pytest.mark.skipif(not MOCKS.is_dir(), reason="Kite's published examples are not beside the repository")
def test_the_examples_that_kite_publishes_are_read():
    def example(name, call):
        with peer(http(200, (MOCKS / name).read_bytes())) as server:
            return ask(server.url, call)

    token = example("generate_session.json", lambda official: official.generate_session("x", SECRET))
    assert (token.user_id, token.login_time) == ("XX0000", datetime(2021, 1, 1, 16, 15, 14, tzinfo=IST))
    assert token.expires == datetime(2021, 1, 2, 6, tzinfo=IST)
    assert example("profile.json", lambda official: official.profile()).user_name == "AxAx Bxx"
    equity = example("margins.json", lambda official: official.margins())["equity"]
    exact = (Decimal("99725.05"), Decimal("245431.60"), Decimal("145706.55"))
    assert (equity.net, equity.cash, equity.debits) == exact


@pytest.mark.parametrize("missing", ["access_token", "login_time", "user_id"])
def test_a_login_without_what_it_needs_is_none(missing):
    whole = {"access_token": TOKEN, "login_time": "2026-04-15 09:15:00", "user_id": "AB1234"}
    answer = http(200, {"status": "success", "data": {k: v for k, v in whole.items() if k != missing}})
    with peer(answer) as server, pytest.raises(Unreachable) as error:
        ask(server.url, lambda official: official.generate_session("request-token", SECRET), "")
    assert TOKEN not in str(error.value)


def test_the_checksum_is_that_of_the_documentation_and_the_secret_stays_here():
    answer = refusal(403, "TokenException")
    with peer(answer) as server, pytest.raises(Refused):
        ask(server.url, lambda official: official.generate_session("request-token", SECRET), "")
    (request,) = server.requests
    assert SECRET.encode() not in request
    assert b"authorization" not in request.lower()
    assert sha256(f"{KEY}request-token{SECRET}".encode()).hexdigest().encode() in request


def test_a_charge_that_is_not_a_number_is_no_answer():
    charges = {"transaction_tax": float("nan"), "exchange_turnover_charge": 0, "sebi_turnover_charge": 0}
    charges |= {"brokerage": 0, "stamp_duty": 0, "gst": {"total": 0}, "total": 0}
    row = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": 1,
        "charges": charges,
    }
    with (
        peer(http(200, {"status": "success", "data": [row]})) as server,
        pytest.raises(Unreachable, match="not as documented"),
    ):
        ask(server.url, lambda official: official.order_charges([{}]))


def test_fewer_charges_than_orders_are_no_answer():
    with (
        peer(http(200, {"status": "success", "data": []})) as server,
        pytest.raises(Unreachable, match="0 answers to 1 orders"),
    ):
        ask(server.url, lambda official: official.order_charges([{}]))


@pytest.mark.parametrize("drip", [b"", b"H"], ids=["mute", "a byte now and then"])
def test_a_peer_that_never_answers_is_given_up(drip):
    with peer(drip=drip) as server, pytest.raises(Unreachable) as error:
        ask(server.url, lambda official: official.profile(), timeout_s=0.3)
    assert "no answer in time" in str(error.value) or "no whole answer within 0.9 s" in str(error.value)
    assert TOKEN not in str(error.value)


def test_an_exchange_that_is_not_there_is_said_without_the_token_that_its_address_would_have():
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        port = door.getsockname()[1]
    with pytest.raises(Unreachable) as error:
        ask(f"http://127.0.0.1:{port}", lambda official: official.end_session())
    assert str(error.value) == "Kite: the logout: Connection refused"


@pytest.mark.parametrize("bad", ["nobody vouches for it", "expired", "another host"])
def test_M43_a_bad_certificate_is_refused_before_the_token_is_sent(  # noqa: N802 - the fault's name
    tmp_path, monkeypatch, bad
):
    paths = certificate(
        tmp_path, address="127.0.0.9" if bad == "another host" else "127.0.0.1", expired=bad == "expired"
    )
    if bad != "nobody vouches for it":
        monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    with peer(http(200, {}), context=context) as server, pytest.raises(Unreachable) as error:
        ask(server.url, lambda official: official.profile())
    assert "the certificate is not accepted: " in str(error.value)
    assert server.requests == []


def test_M43_a_swap_of_the_certificate_in_mid_day_is_refused(tmp_path, monkeypatch):  # noqa: N802 - as above
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    paths, others = certificate(tmp_path / "good"), certificate(tmp_path / "bad")
    monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)

    async def twice(official):
        assert (await official.profile()).user_id == "AB1234"
        context.load_cert_chain(*others)
        await official.profile()

    good = http(200, {"status": "success", "data": {"user_id": "AB1234"}})
    with (
        peer(good, context=context) as server,
        pytest.raises(Unreachable, match="the certificate is not accepted: "),
    ):
        ask(server.url, twice)
    assert len(server.requests) == 1


def test_M43_an_old_protocol_is_refused_before_the_token_is_sent(tmp_path, monkeypatch):  # noqa: N802 - as above
    paths = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with peer(http(200, {}), context=context) as server, pytest.raises(Unreachable, match=r"TLS|broken off"):
        ask(server.url, lambda official: official.profile())
    assert server.requests == []


PROFILE = http(200, {"status": "success", "data": {"user_id": "AB1234"}})


@pytest.mark.parametrize("way", ["SSL_CERT_FILE", "our context"])
def test_it_trusts_whom_our_own_connections_trust(tmp_path, monkeypatch, way):
    paths = certificate(tmp_path)
    if way == "SSL_CERT_FILE":
        monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    else:
        trusting = ssl.create_default_context(cafile=paths[0])
        monkeypatch.setattr("alphapanda.venues.zerodha.official.tls", lambda _root: trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    with peer(PROFILE, context=context) as server:
        assert ask(server.url, lambda official: official.profile()).user_id == "AB1234"


def test_the_authorities_that_its_library_brings_along_are_not_trusted_beside_ours(tmp_path, monkeypatch):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    paths = certificate(theirs)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(paths[0]))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(paths[0]))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(ours)[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    with peer(http(200, {}), context=context) as server, pytest.raises(Unreachable, match="certificate"):
        ask(server.url, lambda official: official.profile())
    assert server.requests == []


def test_neither_a_proxy_nor_a_password_of_the_home_folder_gets_between(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    with peer(PROFILE) as server, peer(b"") as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ask(server.url, lambda official: official.profile()).user_id == "AB1234"
        assert proxy.requests == []
    assert f"authorization: token {KEY}:{TOKEN}".encode() in server.requests[0].lower().replace(
        TOKEN.lower().encode(), TOKEN.encode()
    )
