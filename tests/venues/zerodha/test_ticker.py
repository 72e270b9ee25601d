"""The live feed against the exchange: what it wants ticks, whatever becomes of its connections."""

import anyio
import pytest
from anyio import to_thread
from exchange_server import exchange_server
from feeding import HASTE, KEY, TOKEN, books_at, feeding, listed, log_lines, proxy_before, until
from kite_trader import SHARE, Trader
from msgspec.structs import replace

from alphapanda.errors import CannotStart, Transient
from alphapanda.events import Instrument
from alphapanda.venues.zerodha.book_rows import Quote
from alphapanda.venues.zerodha.clock import MarketClock
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.ticker import KiteFeed

COUNT, EACH = 40, 15
"""Instruments, and those of a connection: three connections, the last one smaller."""


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """Its clock stands: a price stays what it is until somebody steps."""
    words = ("--access-token", TOKEN, "--no-rate-limits", "--paused")
    with exchange_server(tmp_path_factory.mktemp("exchange"), *words) as server:
        yield server


@pytest.fixture(autouse=True)
def without_faults(exchange):
    exchange.admin("faults", {"clear": True})


def at(exchange):
    return roots_at(exchange.url)


def strike(exchange, do, on="", **more):
    """This fault, and no other."""
    where = {"on": on} if on else {}
    exchange.admin("faults", {"clear": True, "fault": [{"do": do} | where | more]})


def fired(exchange):
    return sum(fault["count"] for fault in exchange.admin("faults")["faults"])


async def compare(watched, books, instruments):
    """Every instrument's last tick is its own: what REST says of it now, to the last level of its depth."""
    quotes = await books.quote([instrument.key for instrument in instruments])
    for instrument in instruments:
        tick, quote = watched.ticks[instrument.instrument_token], quotes[instrument.key]
        day = (quote.ohlc.open, quote.ohlc.high, quote.ohlc.low, quote.ohlc.close)
        assert (tick.last_price, (tick.open, tick.high, tick.low, tick.close)) == (quote.last_price, day)
        if tick.depth is not None:
            assert tick.volume == quote.volume
            shown = [
                [(each.price, each.quantity, each.orders) for each in side]
                for side in (quote.depth.buy, quote.depth.sell)
            ]
            assert [
                [(each.price, each.quantity, each.orders) for each in side]
                for side in (tick.depth.buy, tick.depth.sell)
            ] == shown
    prices = {quote.last_price for quote in quotes.values()}
    assert len(prices) > len(instruments) / 2, "prices that are all the same show nothing"


def test_everything_wanted_ticks_on_three_connections_and_each_tick_is_its_own_instruments(exchange):
    async def main():
        async with books_at(exchange.url, Session(KEY, TOKEN)) as books:
            instruments = await listed(books, COUNT)
            async with feeding(at(exchange), instruments, quotes=books.quote, each=EACH) as watched:
                before = len(exchange.history("ws_message"))
                await watched.whole_again(1)
                await until(lambda: full(watched))
                await compare(watched, books, instruments)
                assert watched.feed.connected
                assert watched.summary | {"last_frame_age_s": 0} == {
                    "connections": 3,
                    "connected": 3,
                    "wanted": COUNT,
                    "ticking": COUNT,
                    "reconnects": 0,
                    "last_frame_age_s": 0,
                    "dropped": 0,
                    "malformed": 0,
                }
                said = exchange.history("ws_message")[before - len(exchange.history("ws_message")) :]
                assert {(line["a"], line.get("mode")) for line in said} == {
                    ("subscribe", None),
                    ("mode", "full"),
                }
                assert all(batch.time_ns <= watched.feed.now_ns() for batch in watched.batches)
                await until(lambda: watched.wake_ups >= 3)  # each connect is one

    anyio.run(main)


def test_M34_fifty_lost_connections_and_everything_ticks_again_each_time(exchange):  # noqa: N802 - the fault's name
    """Closed cleanly, reset, cut in mid-frame, and cut off on the way: one session for all of them."""
    sorts = ("ws_close", "ws_reset", "ws_cut", "proxy")

    async def main():
        async with (
            books_at(exchange.url, Session(KEY, TOKEN)) as books,
            proxy_before(exchange.port) as proxy,
        ):
            instruments = await listed(books, COUNT)
            async with feeding(proxy.roots, instruments, quotes=books.quote, each=EACH) as watched:
                await watched.whole_again(1)
                for number in range(50):
                    before = watched.whole
                    if (sort := sorts[number % len(sorts)]) == "proxy":
                        proxy.reset()
                    else:
                        # A cut that is struck by the clock sends half of a frame of everything subscribed.
                        strike(exchange, sort)
                        assert fired(exchange) == 1
                    await watched.whole_again(before + 1)
                    exchange.admin("clock", {"step": 1})
                assert watched.summary["reconnects"] >= 150
                assert len(watched.lost) == watched.summary["reconnects"]
                assert watched.summary["dropped"] == watched.summary["malformed"] == 0
                seen = len(watched.batches)
                exchange.admin("clock", {"step": 5})
                await until(lambda: len(watched.batches) > seen)
                proxy.reset()  # snapshots of all
                await watched.whole_again(watched.whole + 1)
                await until(lambda: full(watched))
                await compare(watched, books, instruments)

    anyio.run(main)


@pytest.mark.parametrize("how", ["mute", "stalled on the way"])
def test_M35_a_mute_peer_is_noticed_and_left(exchange, how):  # noqa: N802 - the fault's name
    async def main():
        async with (
            books_at(exchange.url, Session(KEY, TOKEN)) as books,
            proxy_before(exchange.port) as proxy,
            log_lines() as lines,
        ):
            instruments = await listed(books, 5)
            patience = replace(HASTE, silence_s=1.5)  # heartbeats come every second
            async with feeding(proxy.roots, instruments, patience=patience) as watched:
                await watched.whole_again(1)
                if how == "mute":
                    strike(exchange, "ws_mute")
                    assert fired(exchange) == 1
                else:
                    proxy.stalled = True
                await until(lambda: watched.lost)
                assert watched.lost == ["nothing came for 1.5 s"]
                proxy.stalled = False
                await watched.whole_again(2)
                assert proxy.connections >= 2
                assert any("nothing came" in line for line in lines)

    anyio.run(main)


def test_M36_a_connection_with_heartbeats_only_is_left_once_rest_knows_of_trades(  # noqa: N802 - the fault's name
    exchange,
):
    """Nothing is made up in between: what is published is what REST says, and it is no tick of the feed."""

    async def main():
        async with books_at(exchange.url, Session(KEY, TOKEN)) as books:
            instruments = await listed(books, 5)
            asked = []

            async def quotes(keys):
                asked.append(keys)
                return await books.quote(keys)

            async with feeding(at(exchange), instruments, quotes=quotes) as watched:
                await watched.whole_again(1)
                strike(exchange, "heartbeats_only")
                assert fired(exchange) == 1
                seen = len(watched.batches)
                await until(lambda: len(asked) >= 2)
                assert not watched.lost, "no trade was missed: the market may be quiet"
                assert len(watched.batches) == seen, "nothing ticked, so nothing was published"
                exchange.admin("clock", {"step": 60})
                await watched.whole_again(2)
                assert watched.lost == ["it brings no ticks, and REST knows of trades"]
                await until(lambda: full(watched))
                await compare(watched, books, instruments)

    anyio.run(main)


def full(watched):
    """The snapshots of full mode are there, too; an index has no depth."""
    return all(watched.ticks[token].depth for token in watched.tokens if token & 0xFF != 9)


def test_a_refused_token_is_tried_once_and_the_next_one_connects_everything(exchange):
    async def main():
        session = Session(KEY, "canary-that-died")
        deaths, before = [], len(exchange.history("ws_refused"))
        session.on_death.append(deaths.append)
        async with (
            books_at(exchange.url, Session(KEY, TOKEN)) as books,
            log_lines() as lines,
        ):
            instruments = await listed(books, COUNT)
            async with feeding(at(exchange), instruments, session, each=EACH) as watched:
                await until(lambda: deaths)
                await anyio.sleep(3 * HASTE.longest_s)
                assert len(exchange.history("ws_refused")) == before + 1, "one of three connections tried"
                assert (watched.summary["connected"], len(deaths)) == (0, 1)
                session.renew(TOKEN)
                await watched.whole_again(1)
                # One that lives stays where it is.
                strike(exchange, "ws_refuse", "ws.connect", times=1)
                strike_one = {"do": "ws_close", "connection": newest(exchange)}
                exchange.admin("faults", {"fault": [strike_one]})
                await until(lambda: len(deaths) == 2)
                assert watched.summary["connected"] == 2
                session.renew("canary-3")
                await until(lambda: len(deaths) == 3)
                session.renew(TOKEN)
                await watched.whole_again(2)
                assert watched.summary["reconnects"] == 1
            assert len(exchange.history("ws_refused")) == before + 3
        assert lines
        assert not any("canary" in line for line in lines)

    anyio.run(main)


def newest(exchange):
    return exchange.history("ws_connect")[-1]["connection"]


def test_a_fourth_connection_is_refused_and_tries_again_while_the_others_go_on(exchange):
    async def main():
        async with books_at(exchange.url, Session(KEY, TOKEN)) as books, log_lines() as lines:
            instruments = await listed(books, COUNT)
            async with feeding(
                at(exchange), instruments[:1], patience=replace(HASTE, longest_s=0.05)
            ) as fourth:
                await fourth.whole_again(1)
                async with feeding(at(exchange), instruments[1:], each=EACH) as others:
                    await until(lambda: any("HTTP 429" in line for line in lines))
                    assert (others.session.alive, others.summary["connected"]) == (True, 2)
                    await until(lambda: others.summary["ticking"] >= COUNT - 1 - EACH)
                    assert fourth.summary["reconnects"] == 0
            strike(exchange, "ws_refuse", "ws.connect", code=503, times=3)
            async with feeding(at(exchange), instruments, each=EACH) as watched:
                await watched.whole_again(1)
                assert any("cannot be opened: HTTP 503" in line for line in lines)
                assert watched.session.alive
            assert fired(exchange) == 3
            assert not any("canary" in line for line in lines)

    anyio.run(main)


def test_the_connections_of_a_token_that_died_come_back_with_the_next(tmp_path):
    """They stay open without ticks, and nobody says so; REST hears of it."""

    async def main(server):
        session = Session(KEY, TOKEN)
        async with books_at(server.url, session) as books:
            instruments = await listed(books, 4)
            patience = replace(HASTE, silence_s=1.5, tick_s=60.0)  # REST is not what brings them back
            async with feeding(at(server), instruments, session, each=2, patience=patience) as watched:
                await watched.whole_again(1)
                server.admin("faults", {"fault": [{"do": "token_death", "sockets": "silent"}]})
                with pytest.raises(Transient):
                    await books.orders()
                assert not session.alive
                session.renew(await to_thread.run_sync(log_in, server.url))
                await watched.whole_again(2)
                assert watched.summary["connected"] == 2
                assert set(watched.lost) == {"it has the token of an earlier login, and no ticks"}
        assert len(server.history("ws_orphaned")) == 2

    with exchange_server(tmp_path, "--access-token", TOKEN, "--no-rate-limits", "--paused") as server:
        anyio.run(main, server)


def log_in(url):
    trader = Trader(url)
    try:
        return trader.log_in()["access_token"]
    finally:
        trader.close()


def test_an_order_update_is_a_wake_up_and_other_texts_are_none(exchange):
    async def main():
        async with books_at(exchange.url, Session(KEY, TOKEN)) as books:
            instruments = await listed(books, 1)
            trader = Trader(exchange.url, TOKEN)
            async with feeding(at(exchange), instruments) as watched:
                await watched.whole_again(1)
                assert watched.wake_ups == 1, "the connect, and neither instruments_meta nor app_code"
                order_id = await to_thread.run_sync(trader.place, SHARE)
                await until(lambda: exchange.admin("clock", {"step": 1}) and watched.wake_ups > 1)
                await until(lambda: trader.row(order_id)["status"] == "COMPLETE")
                updates = exchange.history("ws_update")
                assert watched.wake_ups == 1 + sum(1 for line in updates if line["order_id"] == order_id)
                strike(exchange, "malformed", "frame", sort="text", nth=1)
                await until(lambda: exchange.admin("clock", {"step": 1}) and watched.summary["malformed"])
                assert not watched.lost
            trader.close()

    anyio.run(main)


def test_what_kite_does_not_tick_is_asked_for_less_and_less_often(exchange):
    """One that REST knows has its price from there; of one that nobody knows there is none."""
    known, unknown = Instrument(257, "NSE", "KNOWN"), Instrument(513, "NSE", "UNKNOWN")
    asked = []

    async def quotes(keys):
        asked.extend(keys)
        if len(asked) == 1:
            raise Transient("HTTP 503")
        return {
            known.key: Quote(instrument_token=257, last_price=12.5, timestamp="2026-04-15 09:20:00"),
            unknown.key: Quote(instrument_token=257, last_price=99.0),
        }

    async def main():
        async with books_at(exchange.url, Session(KEY, TOKEN)) as books:
            share = (await listed(books, 1))[0]
            patience = replace(HASTE, tick_s=0.1, asked_s=60.0)
            async with feeding(
                at(exchange), [share, known, unknown], quotes=quotes, patience=patience
            ) as watched:
                await until(lambda: 257 in watched.ticks)
                await until(lambda: asked.count(unknown.key) >= 4)
                assert (watched.ticks[257].last_price, 513 in watched.ticks) == (12.5, False)
                assert (watched.summary["wanted"], watched.summary["ticking"]) == (3, 1)
                assert watched.whole == 0
                assert watched.feed.connected

    anyio.run(main)


def test_more_instruments_than_kite_takes_are_refused_before_anything_starts():
    instruments = [Instrument(number << 8 | 1, "NSE", f"S{number}") for number in range(9_001)]
    with pytest.raises(CannotStart, match="9,001 instruments are wanted, and Zerodha's ticker takes 9,000"):
        KiteFeed(
            *(roots_at("http://127.0.0.1:1"), Session(KEY), instruments, MarketClock(lambda: 0)),
            quotes=None,
            on_order_update=lambda: None,
        )
