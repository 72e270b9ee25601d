"""Reading the books: without them nothing new is sent, and it is said aloud once."""

import anyio
from feeding import log_lines

from alphapanda.errors import Transient
from alphapanda.venues.zerodha import reading
from alphapanda.venues.zerodha.book_rows import BookRead
from alphapanda.venues.zerodha.holds import EVERYTHING, Holds
from alphapanda.venues.zerodha.reading import Need, Reading
from alphapanda.venues.zerodha.session import Session


class Shut:
    """Books that are shut until they are opened."""

    def __init__(self):
        self.open = False

    async def orders(self):
        if not self.open:
            raise Transient("HTTP 502")
        return BookRead(rows=(), asked_s=0.0, answered_s=0.0)

    trades = orders


def test_without_books_nothing_new_is_sent_until_they_are_read_again_and_it_is_said_once(monkeypatch):
    monkeypatch.setattr(reading, "BLIND_S", 0.0)
    monkeypatch.setattr(reading, "RETRY_S", (0.001, 0.002))
    held, tries = {}, []

    async def main():
        books = Shut()
        holds = Holds(held.__setitem__, held.__delitem__)

        def need():
            tries.append(None)
            return Need.SOON

        one = Reading(books, Session("key", "token"), holds, lambda _orders, _trades: None, need)
        with anyio.fail_after(30):
            async with log_lines("ERROR") as said, anyio.create_task_group() as tasks:
                one.wake()
                tasks.start_soon(one.watch)
                while len(tries) < 5:  # noqa: ASYNC110 - it sets no event
                    await anyio.sleep(0.001)
                assert held == {EVERYTHING: "its order book cannot be read"}
                books.open = True
                while held:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.001)
                tasks.cancel_scope.cancel()
        (alarm,) = [line for line in said if "nothing new is sent" in line]
        assert alarm

    anyio.run(main)
