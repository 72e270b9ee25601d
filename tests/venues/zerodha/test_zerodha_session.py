"""One login for all doors: who says that it is dead, and what a new one wakes."""

import asyncio

import pytest
from loguru import logger

from alphapanda.venues.zerodha.session import Session


@pytest.fixture
def said():
    lines = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}", level="INFO")
    yield lines
    logger.remove(sink)


def listening(session):
    heard = []
    session.on_death.append(lambda why: heard.append(f"dead: {why}"))
    session.on_renewal.append(lambda: heard.append(f"alive: {session.epoch}"))
    return heard


def test_without_a_token_nobody_has_logged_in():
    session = Session("key")
    assert (session.alive, session.epoch, session.why) == (False, 0, "nobody has logged in")


def test_the_first_to_say_that_it_is_dead_ends_it_for_all_once(said):
    session = Session("key", "token-1")
    heard = listening(session)
    session.died(1, "403 at GET /orders")
    session.died(1, "403 at the ticker")
    assert not session.alive
    assert heard == ["dead: 403 at GET /orders"]
    assert len(said) == 1
    assert "`alphapanda login`" in said[0]
    assert "token-1" not in said[0]


def test_what_is_said_of_an_older_token_changes_nothing():
    session = Session("key", "token-1")
    heard = listening(session)
    session.renew("token-2")
    session.died(1, "a late answer")
    assert session.alive
    assert heard == ["alive: 2"]


def test_a_new_token_makes_it_alive_and_wakes_who_waits():
    async def main():
        session = Session("key", "token-1", "AB1234")
        session.died(1, "six o'clock")
        heard = listening(session)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(session.living())
            await asyncio.sleep(0)
            assert not waiting.done()
            session.renew("token-2")
        assert heard == ["alive: 2"]
        assert (session.alive, session.why, session.user_id) == (True, "", "AB1234")
        assert session.authorization == "token key:token-2"

    asyncio.run(main())


def test_the_token_that_died_does_not_come_back():
    session = Session("key", "token-1")
    session.died(1, "403")
    heard = listening(session)
    session.renew("token-1")
    assert (session.alive, session.epoch, heard) == (False, 1, [])


def test_a_session_that_is_printed_has_no_token():
    assert "token-1" not in repr(Session("key", "token-1"))
