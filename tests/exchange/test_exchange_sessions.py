"""Who may call: request tokens, the one access token, and how it dies."""

import json
from hashlib import sha256

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from alphapanda.exchange.calls import Refusal
from alphapanda.exchange.history import History
from alphapanda.exchange.options import API_KEY, API_SECRET, Options
from alphapanda.exchange.sessions import REQUEST_TOKEN_NS, Sessions, masked
from alphapanda.times import SECOND_NS

START = 1_776_000_000 * SECOND_NS


def made(access_token="", seed=1):
    history = History(lambda: 0)
    return Sessions(Options(access_token=access_token, seed=seed), history), history


def checksum(request_token, secret=API_SECRET, key=API_KEY):
    return sha256(f"{key}{request_token}{secret}".encode()).hexdigest()


def asked(request_token, **changes):
    fields = {"api_key": API_KEY, "request_token": request_token, "checksum": checksum(request_token)}
    return fields | changes


def logged_in(sessions, now_ns=START):
    return sessions.exchange_token(asked(sessions.login(API_KEY, now_ns)), now_ns)["access_token"]


def refusal(call, *words):
    with pytest.raises(Refusal) as caught:
        call(*words)
    return caught.value.code, caught.value.error_type, caught.value.message


def test_a_login_leads_to_a_token_that_opens_the_door():
    sessions, _ = made()
    assert refusal(sessions.check, "")[:2] == (403, "TokenException")
    token = logged_in(sessions)
    assert len(token) == 32
    sessions.check(f"token {API_KEY}:{token}")
    assert sessions.valid(API_KEY, token)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "token",
        "token {token}",
        "token {key}:\udcff",
        "Bearer {key}:{token}",
        "token {key}:",
        "token x:{token}",
        "{key}:{token}",
    ],
)
def test_another_authorization_is_refused_in_kites_words(header):
    sessions, _ = made()
    token = logged_in(sessions)
    said = refusal(sessions.check, header.format(key=API_KEY, token=token))
    assert said == (403, "TokenException", "Incorrect `api_key` or `access_token`.")


def test_no_token_is_no_key_to_the_door_before_the_login():
    sessions, _ = made()
    assert refusal(sessions.check, f"token {API_KEY}:")[0] == 403
    assert not sessions.valid(API_KEY, "")


def test_a_request_token_is_used_once():
    sessions, _ = made()
    fields = asked(sessions.login(API_KEY, START))
    sessions.exchange_token(fields, START)
    said = refusal(sessions.exchange_token, fields, START)
    assert said == (403, "TokenException", "Token is invalid or has expired.")


def test_a_request_token_lives_for_five_minutes():
    for late, dead in ((REQUEST_TOKEN_NS - 1, False), (REQUEST_TOKEN_NS, True)):
        sessions, _ = made()
        fields = asked(sessions.login(API_KEY, START))
        if dead:
            assert refusal(sessions.exchange_token, fields, START + late)[0] == 403
        else:
            assert sessions.exchange_token(fields, START + late)["access_token"]


def test_a_wrong_checksum_does_not_use_up_the_request_token():
    sessions, _ = made()
    token = sessions.login(API_KEY, START)
    wrong = asked(token, checksum=checksum(token, "another-secret"))
    assert refusal(sessions.exchange_token, wrong, START) == (403, "TokenException", "Invalid `checksum`.")
    assert sessions.exchange_token(asked(token), START)["access_token"]


@pytest.mark.parametrize("name", ["api_key", "request_token", "checksum"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_field_that_is_missing_is_named(name, value):
    sessions, _ = made()
    fields = asked(sessions.login(API_KEY, START))
    fields = fields | {name: ""} if value == "" else {key: fields[key] for key in fields if key != name}
    code, error_type, message = refusal(sessions.exchange_token, fields, START)
    assert (code, error_type) == (400, "InputException")
    assert f"`{name}`" in message


def test_another_application_is_not_known():
    sessions, _ = made()
    assert refusal(sessions.login, "another", START) == (400, "InputException", "Invalid `api_key`.")
    fields = asked(sessions.login(API_KEY, START), api_key="another")
    assert refusal(sessions.exchange_token, fields, START)[1] == "InputException"


def test_a_new_token_kills_the_old_one_and_who_listens_hears_of_it():
    sessions, _ = made()
    deaths = []
    sessions.on_death.append(deaths.append)
    old = logged_in(sessions)
    assert deaths == []
    new = logged_in(sessions, START + 1)
    assert deaths == [START + 1]
    assert not sessions.valid(API_KEY, old)
    assert sessions.valid(API_KEY, new)


def test_a_token_ends_when_its_application_says_so():
    sessions, _ = made()
    token = logged_in(sessions)
    wrong = {"api_key": API_KEY, "access_token": "another"}
    assert refusal(sessions.end, wrong, START)[:2] == (403, "TokenException")
    assert sessions.valid(API_KEY, token)
    sessions.end({"api_key": API_KEY, "access_token": token}, START)
    assert not sessions.valid(API_KEY, token)
    assert refusal(sessions.end, {"api_key": API_KEY, "access_token": token}, START)[0] == 403


def test_a_new_day_ends_tokens_and_logins():
    sessions, _ = made(access_token="given")
    request_token = sessions.login(API_KEY, START)
    sessions.expire(START)
    assert not sessions.valid(API_KEY, "given")
    assert refusal(sessions.exchange_token, asked(request_token), START)[0] == 403


def test_a_token_that_was_given_at_the_start_is_as_good_as_any():
    sessions, _ = made(access_token="given")
    assert sessions.valid(API_KEY, "given")
    logged_in(sessions)
    assert not sessions.valid(API_KEY, "given")


def test_nobody_renews():
    sessions, _ = made()
    assert refusal(sessions.renew)[:2] == (403, "TokenException")
    assert refusal(sessions.end, {"api_key": API_KEY, "refresh_token": "x"}, START)[0] == 403


def test_the_same_seed_gives_the_same_tokens_and_another_others():
    one, two, three = (logged_in(made(seed=seed)[0]) for seed in (1, 1, 2))
    assert one == two != three


def test_the_history_has_only_the_beginning_of_a_token():
    sessions, history = made()
    token = logged_in(sessions)
    sessions.kill(START, "a fault")
    text = b"".join(history.lines())
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["do"] for line in lines] == ["login", "token", "death"]
    assert lines[2]["access_token"] == f"{token[:4]}…"
    assert token.encode() not in text


@pytest.mark.parametrize(
    ("token", "shown"), [("", "…"), ("tok", "…"), ("a" * 11, "…"), ("abcd" * 3, "abcd…")]
)
def test_of_a_short_token_nothing_is_shown(token, shown):
    assert masked(token) == shown


class OneTokenAtATime(RuleBasedStateMachine):
    """Whatever is done in whatever order: the last token made opens the door until it dies; no other does."""

    def __init__(self):
        super().__init__()
        self.sessions, _ = made()
        self.now = START
        self.requests, self.tokens, self.alive = {}, [], None
        self.deaths = []
        self.sessions.on_death.append(self.deaths.append)

    @rule()
    def log_in(self):
        self.requests[self.sessions.login(API_KEY, self.now)] = self.now + REQUEST_TOKEN_NS

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def exchange(self, data):
        token = data.draw(st.sampled_from(sorted(self.requests)))
        if self.requests.pop(token) <= self.now:
            with pytest.raises(Refusal):
                self.sessions.exchange_token(asked(token), self.now)
            return
        before = len(self.deaths) + (self.alive is not None)
        self.alive = self.sessions.exchange_token(asked(token), self.now)["access_token"]
        self.tokens.append(self.alive)
        assert len(self.deaths) == before

    @rule(seconds=st.integers(0, 400))
    def wait(self, seconds):
        self.now += seconds * SECOND_NS

    @rule(how=st.sampled_from(["kill", "expire", "end"]))
    def die(self, how):
        before = len(self.deaths) + (self.alive is not None)
        if how == "kill":
            self.sessions.kill(self.now, "a fault")
        elif how == "expire":
            self.sessions.expire(self.now)
            self.requests = dict.fromkeys(self.requests, 0)
        elif self.alive is not None:
            self.sessions.end({"api_key": API_KEY, "access_token": self.alive}, self.now)
        self.alive = None
        assert len(self.deaths) == before

    @invariant()
    def only_the_last_one_opens(self):
        opening = [token for token in self.tokens if self.sessions.valid(API_KEY, token)]
        assert opening == ([self.alive] if self.alive else [])


def test_at_most_one_token_is_alive():
    run_state_machine_as_test(OneTokenAtATime, settings=settings(max_examples=40, stateful_step_count=20))
