"""A page of a book: what came before is the same row, and a long page lets others have their turn."""

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from alphapanda.venues.zerodha.book_rows import OrderRow
from alphapanda.venues.zerodha.books import UNREADABLE
from alphapanda.venues.zerodha.pages import MOST_AT_ONCE, Page


def raws(*rows):
    return msgspec.json.decode(msgspec.json.encode(rows), type=list[msgspec.Raw])


def row(number, status="OPEN"):
    return {"order_id": str(number), "status": status}


def test_a_row_that_came_before_is_the_same_and_one_that_changed_is_read_anew():
    async def main():
        page = Page(OrderRow, UNREADABLE)
        before, _ = await page.read(raws(row(1), row(2)))
        after, unreadable = await page.read(raws(row(1), row(2, "COMPLETE"), {"order_id": 3}))
        assert after[0] is before[0]
        assert [each.status for each in after] == ["OPEN", "COMPLETE"]
        assert unreadable == 1
        again, _ = await page.read(raws(row(2), row(1)))
        assert [each.status for each in again] == ["OPEN", "OPEN"]
        assert again[1] is before[0]

    anyio.run(main)


def test_others_have_their_turn_while_a_long_page_is_read_the_first_time():
    turns = []

    async def other():
        while True:
            turns.append(None)
            await checkpoint()

    async def main():
        page, long = Page(OrderRow, UNREADABLE), raws(*map(row, range(8 * MOST_AT_ONCE)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            await page.read(long)
            first = len(turns)
            await page.read(long)
            assert first >= 7
            assert len(turns) == first
            tasks.cancel_scope.cancel()

    anyio.run(main)
