"""The login, and how a session ends, by the official client."""

from datetime import datetime
from hashlib import sha256

import pytest
import requests
from kite_shapes import published, unlike
from kite_trader import KEY, PATIENCE_S, SECRET, USER, Trader, trading
from kiteconnect import KiteConnect
from kiteconnect.exceptions import KiteException, NetworkException, TokenException

DEAD = "Incorrect `api_key` or `access_token`."


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A trader on an exchange of these tests: they end each other's sessions."""
    with trading(tmp_path_factory.mktemp("sessions")) as one:
        yield one


@pytest.fixture
def program(earlier):
    """A trader's program that has not logged in."""
    program = Trader(earlier.url)
    yield program
    program.close()


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A trader on an exchange that counts requests as Kite does."""
    with trading(tmp_path_factory.mktemp("counted"), limits=True) as one:
        yield one


def patiently(call, *words):
    """The call's answer once the limit on requests lets it through."""
    while True:
        try:
            return call(*words)
        except NetworkException as refused:
            if refused.code != 429:
                raise


def until_refused(call, *words, **fields):
    """What the calls before the first refusal answered, and the refusal."""
    answers = []
    for _ in range(1_000):
        try:
            answers.append(call(*words, **fields))
        except NetworkException as refused:
            return answers, refused
    pytest.fail("a thousand requests, and none was refused")


def test_the_login_page_sends_the_user_back_with_a_request_token(program):
    token = program.request_token(redirect_params="colour=red&size=7")
    assert len(token) >= 16
    told = {"action": "login", "status": "success", "request_token": token}
    assert told.items() | {("colour", "red"), ("size", "7")} <= program.landed.items()


def test_a_session_is_what_kite_answers(program):
    session = program.log_in()
    assert unlike(program.data, [published("generate_session")], null=("avatar_url",)) == []
    assert (session["user_id"], session["api_key"], session["refresh_token"]) == (USER, KEY, "")
    assert isinstance(session["login_time"], datetime)
    assert program.kite.access_token == session["access_token"]
    assert program.kite.profile()["user_id"] == USER


def test_a_checksum_of_another_secret_is_refused(program):
    with pytest.raises(TokenException) as refused:
        program.kite.generate_session(program.request_token(), "not-the-secret")
    assert refused.value.code == 403
    assert program.kite.access_token is None


def test_a_request_token_serves_once(program):
    token = program.request_token()
    program.kite.generate_session(token, SECRET)
    with pytest.raises(TokenException) as refused:
        program.kite.generate_session(token, SECRET)
    assert refused.value.code == 403


def test_an_invented_request_token_is_refused(program):
    with pytest.raises(TokenException):
        program.kite.generate_session("invented", SECRET)


def test_another_application_is_refused(program):
    token = program.request_token()
    other = KiteConnect("another", root=program.url, timeout=PATIENCE_S)
    with pytest.raises(KiteException) as refused:
        other.generate_session(token, SECRET)
    other.reqsession.close()
    assert refused.value.code in (400, 403)


def test_no_token_is_refused_in_kites_words_and_the_clients_hook_is_called(program):
    ended = []
    program.kite.set_session_expiry_hook(lambda: ended.append(True))
    with pytest.raises(TokenException, match=f"^{DEAD}$") as refused:
        program.kite.margins()
    assert (refused.value.code, ended) == (403, [True])
    assert program.reply.json()["error_type"] == "TokenException"
    program.kite.set_access_token("invented")
    with pytest.raises(TokenException, match=f"^{DEAD}$"):
        program.kite.orders()
    assert ended == [True, True]


def test_a_new_login_ends_the_session_before_it(earlier, program):
    earlier.log_in()
    earlier.kite.profile()
    program.log_in()
    with pytest.raises(TokenException, match=f"^{DEAD}$"):
        earlier.kite.profile()
    program.kite.profile()


def test_a_session_ends_when_the_program_says_so(program):
    program.log_in()
    assert program.kite.invalidate_access_token() is True
    with pytest.raises(TokenException, match=f"^{DEAD}$"):
        program.kite.profile()


def test_nobody_here_has_a_refresh_token(program):
    """Kite gives them to approved platforms only."""
    program.log_in()
    with pytest.raises(KiteException) as renewal:
        program.kite.renew_access_token("invented", SECRET)
    with pytest.raises(KiteException) as ending:
        program.kite.invalidate_refresh_token("invented")
    assert {renewal.value.code, ending.value.code} <= {400, 403}
    assert str(renewal.value)
    assert program.kite.profile()["user_id"] == USER  # the session itself goes on


def test_the_checksum_is_over_key_token_and_secret(program):
    """By hand, as another language's client would: the official one is no oracle of itself."""
    token = program.request_token()
    checksum = sha256(f"{KEY}{token}{SECRET}".encode()).hexdigest()
    form = {"api_key": KEY, "request_token": token, "checksum": checksum}
    reply = program.owner.post(f"{program.url}/session/token", data=form, timeout=PATIENCE_S)
    assert (reply.status_code, reply.json()["status"]) == (requests.codes.ok, "success")
    reply = program.owner.get(
        f"{program.url}/user/profile/full",
        headers={
            "Authorization": f"token {KEY}:{reply.json()['data']['access_token']}",
            "X-Kite-Version": "3",
        },
        timeout=PATIENCE_S,
    )
    full = reply.json()["data"]
    assert {"user_id", "twofa_type", "phone", "bank_accounts", "dp_ids", "pan", "tags", "meta"} <= set(full)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("ltp", ("NSE:INFY",)),  # one a second
        ("historical_data", (408065, "2026-04-15 09:15:00", "2026-04-15 09:15:00", "minute")),  # three
        ("positions", ()),  # ten
    ],
)
def test_too_many_requests_of_a_second_are_refused_in_kites_words(counted, method, words):
    call = getattr(counted.kite, method)
    _, refused = until_refused(call, *words)
    assert (refused.code, str(refused)) == (429, "Too many requests")
    patiently(call, *words)


def test_too_many_orders_of_a_second_are_refused_and_not_placed(counted):
    price = patiently(lambda: counted.price("NSE:INFY", 0.95, tick=0.1))
    placed, refused = until_refused(counted.place, "NSE:INFY", order_type="LIMIT", price=price, tag="burst")
    assert (refused.code, str(refused)) == (429, "Too many requests")
    assert [row["order_id"] for row in patiently(counted.kite.orders) if row["tag"] == "burst"] == placed


def test_six_in_the_morning_ends_every_session(tmp_path):
    with trading(tmp_path) as trader:
        trader.kite.profile()
        trader.step(21 * 3600)  # from 09:15 to 06:15 of the day after
        with pytest.raises(TokenException, match=f"^{DEAD}$"):
            trader.kite.profile()
        trader.log_in()
        assert trader.kite.orders() == []


def test_a_token_given_at_the_start_needs_no_login(tmp_path):
    with trading(tmp_path, "--access-token", "given", login=False) as trader:
        trader.kite.set_access_token("given")
        assert trader.kite.profile()["user_id"] == USER
