"""One client in a process of its own, against addresses that it was told: the official ones beside ours.

`python weak_spot_clients.py NAME CASE=URL...`; it does what a program would do first, says on stdout what it
was told, a JSON line each, and waits until it is ended.
"""

import json
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from weak_spot_peers import INSTRUMENT, TOKEN

KEY = "weak"
Urls = dict[str, str]


def say(case: str, what: object) -> None:
    print(json.dumps({"case": case, "said": " ".join(str(what).split())[:400]}), flush=True)


def kite_connect(urls: Urls) -> None:
    from kiteconnect import KiteConnect

    for case, url in urls.items():
        try:
            say(case, KiteConnect(KEY, TOKEN, root=url).profile()["user_id"])
        except Exception as error:  # noqa: BLE001 - whatever it raises is told
            say(case, error)
    threading.Event().wait()


def kite_ticker(urls: Urls) -> None:
    from kiteconnect import KiteTicker

    def started(case: str, url: str) -> None:
        ticker = KiteTicker(KEY, TOKEN, root=url.replace("http", "ws", 1))

        def opened(_ws: Any, _response: Any) -> None:
            say(case, "connected")
            ticker.subscribe([INSTRUMENT])

        ticker.on_connect = opened
        ticker.on_error = lambda _ws, _code, reason: say(case, reason)
        ticker.on_close = lambda _ws, _code, reason: say(case, reason)
        ticker.on_noreconnect = lambda _ws: say(case, "gave up")
        ticker.connect(threaded=True)

    for case, url in urls.items():
        started(case, url)
    threading.Event().wait()


async def _at_once(urls: Urls, one: Callable[[str, str], Awaitable[None]]) -> None:
    import anyio

    async with anyio.create_task_group() as group:
        for case, url in urls.items():
            group.start_soon(one, case, url)
        await anyio.sleep_forever()


async def wire(urls: Urls) -> None:
    """A request, once it has a connection."""
    import anyio

    from alphapanda.venues.zerodha.roots import roots_at
    from alphapanda.venues.zerodha.session import Session
    from alphapanda.venues.zerodha.wire import Wire

    async def one(case: str, url: str) -> None:
        session = Session(KEY, TOKEN)
        made = Wire(roots_at(url), connections=1)
        host = url.rpartition("/")[2]
        request = (
            f"GET /user/profile HTTP/1.1\r\nHost: {host}\r\nX-Kite-Version: 3\r\n"
            f"Authorization: {session.authorization}\r\n\r\n"
        )
        async with anyio.create_task_group() as group:
            await group.start(made.run)
            while not made.idle():
                say(case, made.why)
                await anyio.sleep(0.2)
            made.send(request.encode(), lambda answer: say(case, answer))

    await _at_once(urls, one)


async def books(urls: Urls) -> None:
    from alphapanda.venues.zerodha.books import Books
    from alphapanda.venues.zerodha.calls import Calls
    from alphapanda.venues.zerodha.governor import Governor
    from alphapanda.venues.zerodha.roots import roots_at
    from alphapanda.venues.zerodha.session import Session

    async def one(case: str, url: str) -> None:
        made = Books(roots_at(url), Session(KEY, TOKEN), Calls(Governor()))
        try:
            say(case, (await made.positions()).rows)
        except Exception as error:  # noqa: BLE001 - whatever it raises is told
            say(case, error)

    await _at_once(urls, one)


async def kite_feed(urls: Urls) -> None:
    from trial_feed import feed_of

    from alphapanda.events import Instrument
    from alphapanda.venues.zerodha.roots import roots_at
    from alphapanda.venues.zerodha.session import Session

    async def one(case: str, url: str) -> None:
        instruments = [Instrument(INSTRUMENT, "NSE", "INFY")]
        feed, _ = feed_of(roots_at(url), Session(KEY, TOKEN), instruments)
        await feed.run(lambda _batch: say(case, "a tick"))

    await _at_once(urls, one)


CLIENTS = {
    "KiteConnect": kite_connect,
    "KiteTicker": kite_ticker,
    "Wire": wire,
    "Books": books,
    "KiteFeed": kite_feed,
}

if __name__ == "__main__":
    client: Any = CLIENTS[sys.argv[1]]
    given = dict(word.split("=", 1) for word in sys.argv[2:])
    if sys.argv[1].startswith("Kite") and sys.argv[1] != "KiteFeed":
        client(given)
    else:
        import anyio

        anyio.run(client, given)
