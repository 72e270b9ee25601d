"""What the feed says it has lost, taken as risk takes it: by `Trust`."""

import anyio
import pytest
from exchange_server import exchange_server
from feeding import KEY, TOKEN, books_at, feeding, listed, until

from alphapanda.core.trust import Trust
from alphapanda.live.edges import Fold
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session

COUNT = 12


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    with exchange_server(tmp_path_factory.mktemp("exchange"), "--access-token", TOKEN) as server:
        yield server


class Taken:
    """The batches that were published so far, as risk has them: one by one, and all folded into one."""

    def __init__(self, batches):
        self.one_by_one, self.folded = Trust(), Trust()
        fold = Fold()
        for each in batches:
            self.one_by_one.take(each, {})
            fold.add(each)
        if batches:
            self.folded.take(fold.batch(), {})

    @property
    def lost(self):
        assert self.one_by_one.untrusted == self.folded.untrusted
        assert self.one_by_one.watched == self.folded.watched
        return self.one_by_one.untrusted


def lost(watched):
    return Taken(watched.batches).lost


def test_what_a_lost_connection_had_is_lost_until_it_ticks_again(exchange):
    async def main():
        async with books_at(exchange.url, Session(KEY, TOKEN)) as books:
            instruments = await listed(books, COUNT)
            async with feeding(roots_at(exchange.url), instruments) as watched:
                await watched.whole_again(1)
                assert lost(watched) == set()
                assert Taken(watched.batches).one_by_one.watched
                before = len(watched.batches)
                exchange.admin("faults", {"fault": [{"do": "ws_reset", "on": "frame", "nth": 1}]})
                await watched.whole_again(2)
                named = [set(batch.lost or ()) for batch in watched.batches[before:]]
                assert watched.tokens in named, "all of them, in one batch"
                assert lost(watched) == set()

    anyio.run(main)


def test_a_feed_that_is_run_again_has_lost_everything(exchange):
    async def main():
        async with books_at(exchange.url, Session(KEY, TOKEN)) as books:
            instruments = await listed(books, COUNT)
            async with feeding(roots_at(exchange.url), instruments) as watched:
                await watched.whole_again(1)
            before = len(watched.batches)
            async with anyio.create_task_group() as group:
                group.start_soon(watched.feed.run, watched.publish)
                await until(lambda: len(watched.batches) > before)
                first = watched.batches[before]
                ticked = {tick.instrument_token for tick in first.ticks}
                assert set(first.lost or ()) == watched.tokens - ticked
                await watched.whole_again(2)
                group.cancel_scope.cancel()
            assert lost(watched) == set()

    anyio.run(main)


def test_what_rest_says_for_a_silent_ticker_is_a_price_and_stays_lost(exchange):
    async def main():
        async with books_at(exchange.url, Session(KEY, TOKEN)) as books:
            instruments = await listed(books, COUNT)
            silent = {"do": "heartbeats_only", "on": "ws.connect", "times": 1}
            exchange.admin("faults", {"clear": True, "fault": [silent]})
            async with feeding(roots_at(exchange.url), instruments, quotes=books.quote) as watched:
                await until(lambda: watched.ticks.keys() == watched.tokens)
                assert watched.summary["ticking"] == 0
                assert lost(watched) == watched.tokens
            exchange.admin("faults", {"clear": True})

    anyio.run(main)
