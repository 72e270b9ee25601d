"""The feed's task fails, and is run again: everything is subscribed anew, and ticks."""

from contextlib import suppress

import anyio
from exchange_server import exchange_server
from feeding import KEY, TOKEN, Watched, books_at, listed, until

from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session

COUNT, EACH = 30, 20
"""Instruments, and those of a connection."""


class SpoiltError(Exception):
    """Whoever took the ticks has raised."""


def test_after_its_task_has_failed_all_of_it_is_subscribed_anew_and_ticks(tmp_path):
    async def main(server):
        session = Session(KEY, TOKEN)
        async with books_at(server.url, session) as books:
            instruments = await listed(books, COUNT)
        watched = Watched(roots_at(server.url), instruments, session, each=EACH)
        failures, spoil = [], False

        def publish(batch):
            if spoil and batch.ticks:
                raise SpoiltError
            watched.publish(batch)

        async def again_and_again():
            nonlocal spoil
            while True:
                with suppress(BaseExceptionGroup):
                    try:
                        await watched.feed.run(publish)
                    except BaseExceptionGroup as group:
                        failures.append(group.subgroup(SpoiltError) is not None)
                        spoil = False
                        watched.ticks.clear()
                        raise

        async with anyio.create_task_group() as group:
            group.start_soon(again_and_again)
            for times in (1, 2):
                await until(lambda: set(watched.ticks) == watched.tokens)
                assert watched.whole == times
                spoil = times == 1
                await until(lambda: len(failures) == 1)
            group.cancel_scope.cancel()
        assert failures == [True]
        assert watched.summary["wanted"] == COUNT

    with exchange_server(tmp_path, "--access-token", TOKEN, "--no-rate-limits") as server:
        anyio.run(main, server)
        opened = server.history("ws_connect")
        asked = [line for line in server.history("ws_message") if "subscribe" in str(line)]
    assert len(opened) == 4, "two connections, twice"
    assert len(asked) == 4
