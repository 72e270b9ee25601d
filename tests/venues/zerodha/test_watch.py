"""A login while the daemon runs: what renews the session, what ends it, and what does neither."""

import asyncio
from datetime import datetime

import pytest
from loguru import logger

from alphapanda.times import IST, to_ns
from alphapanda.venues.zerodha.roots import Roots
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.tokens import Token, Tokens, expiry_of
from alphapanda.venues.zerodha.watch import Watch, watch

LOGIN = datetime(2026, 4, 15, 8, 45, tzinfo=IST)
NOW_NS = to_ns(datetime(2026, 4, 15, 12, tzinfo=IST))
YESTERDAY = datetime(2026, 4, 14, 8, 45, tzinfo=IST)


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path, Roots())


@pytest.fixture
def said():
    lines = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}", level="INFO")
    yield lines
    logger.remove(sink)


def log_in(tokens, access_token, login_time=LOGIN, api_key="key"):
    tokens.write(
        Token(
            root=tokens.root,
            api_key=api_key,
            user_id="AB1234",
            user_name="A. B.",
            access_token=access_token,
            login_time=login_time,
            expires=expiry_of(login_time),
        )
    )


def test_a_new_login_renews_the_session_and_the_redactor_hears_of_it_first(tokens, said):
    log_in(tokens, "token-1")
    session = Session("key", "token-1")
    known = []
    heard = []
    session.on_renewal.append(lambda: heard.append((session.access_token, tuple(known))))
    looking = Watch(session, tokens, known.extend)
    looking.look(NOW_NS)
    assert heard == []
    log_in(tokens, "token-2")
    looking.look(NOW_NS)
    looking.look(NOW_NS)
    assert heard == [("token-2", ("token-1", "token-2"))]
    assert session.user_id == "AB1234"
    assert not any("token-2" in line for line in said)


def test_who_starts_before_anybody_has_logged_in_gets_the_first_login(tokens):
    session = Session("key")
    looking = Watch(session, tokens)
    looking.look(NOW_NS)
    assert not session.alive
    log_in(tokens, "token-1")
    looking.look(NOW_NS)
    assert session.alive


def test_a_login_between_the_start_and_the_first_look_is_taken(tokens):
    session = Session("key")
    log_in(tokens, "token-1")
    Watch(session, tokens).look(NOW_NS)
    assert session.alive


def test_a_session_that_lives_on_another_token_keeps_it_until_it_dies(tokens):
    """The configuration gave it; what the file has may be older."""
    log_in(tokens, "token-of-the-file")
    session = Session("key", "token-of-the-configuration")
    looking = Watch(session, tokens)
    looking.look(NOW_NS)
    assert session.access_token == "token-of-the-configuration"
    session.died(1, "403")
    looking.look(NOW_NS)
    assert (session.access_token, session.alive) == ("token-of-the-file", True)


def test_the_token_that_kite_has_refused_is_not_taken_again(tokens):
    log_in(tokens, "token-1")
    session = Session("key", "token-1")
    looking = Watch(session, tokens)
    looking.look(NOW_NS)
    session.died(1, "403")
    log_in(tokens, "token-1")
    looking.look(NOW_NS)
    assert not session.alive


def test_a_login_of_yesterday_renews_nothing(tokens):
    session = Session("key")
    looking = Watch(session, tokens)
    log_in(tokens, "token-1", YESTERDAY)
    looking.look(NOW_NS)
    assert not session.alive


def test_a_logout_ends_the_session_though_kite_may_not_have_heard_of_it(tokens):
    log_in(tokens, "token-1")
    session = Session("key", "token-1")
    looking = Watch(session, tokens)
    looking.look(NOW_NS)
    tokens.remove()
    looking.look(NOW_NS)
    assert (session.alive, session.why) == (False, "zerodha.token was removed")
    log_in(tokens, "token-2")
    looking.look(NOW_NS)
    assert session.alive


def test_a_token_of_the_configuration_does_not_end_with_the_file(tokens):
    log_in(tokens, "token-of-the-file")
    session = Session("key", "token-of-the-configuration")
    looking = Watch(session, tokens)
    looking.look(NOW_NS)
    tokens.remove()
    looking.look(NOW_NS)
    assert session.alive


@pytest.mark.parametrize("damage", ["half", "open", "other app"])
def test_a_file_that_is_no_good_is_said_once_and_the_session_goes_on(tokens, said, damage):
    log_in(tokens, "token-1")
    session = Session("key", "token-1")
    looking = Watch(session, tokens)
    looking.look(NOW_NS)
    if damage == "half":
        tokens.path.write_bytes(b'{"root":')
    elif damage == "open":
        tokens.path.chmod(0o644)
    else:
        log_in(tokens, "token-2", api_key="other")
    for _ in range(3):
        looking.look(NOW_NS)
    assert session.alive
    assert session.access_token == "token-1"
    assert len(said) == 1
    assert str(tokens.path) in said[0]
    log_in(tokens, "token-2")
    looking.look(NOW_NS)
    assert session.access_token == "token-2"


def test_a_file_that_cannot_be_looked_at_for_a_moment_was_not_removed(tokens, said):
    """As on a disk of the network that does not answer: here a link that leads to itself."""
    log_in(tokens, "token-1")
    session = Session("key", "token-1")
    looking = Watch(session, tokens)
    looking.look(NOW_NS)
    away = tokens.path.with_suffix(".away")
    tokens.path.rename(away)
    tokens.path.symlink_to(tokens.path)
    for _ in range(3):
        looking.look(NOW_NS)
    assert session.alive
    assert len(said) == 1
    away.replace(tokens.path)
    looking.look(NOW_NS)
    assert session.alive
    tokens.remove()
    looking.look(NOW_NS)
    assert not session.alive


def test_a_bad_file_is_said_once_where_there_is_no_session_too(tokens, said):
    log_in(tokens, "token-1")
    tokens.path.chmod(0o644)
    looking = Watch(Session("key"), tokens)
    for _ in range(3):
        looking.look(NOW_NS)
    assert len(said) == 1


def test_the_task_sees_a_login_while_it_runs(tokens):
    async def main():
        session = Session("key")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(watch(session, tokens, 0.01, now_ns=lambda: NOW_NS))
            log_in(tokens, "token-1")
            async with asyncio.timeout(60):
                await session.living()
            task.cancel()
        assert session.access_token == "token-1"

    asyncio.run(main())
