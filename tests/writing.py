"""An open store with its writer, and what to write."""

import asyncio
from contextlib import asynccontextmanager

from builders import TEN_NS

from alphapanda.events import Halt
from alphapanda.store import Store


@asynccontextmanager
async def writing(path):
    """An open store whose writer runs."""
    async with Store(path) as store:
        writer = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            writer.cancel()
            await asyncio.wait([writer])


@asynccontextmanager
async def doomed(path):
    """An open store with its writer, which the test expects to fail."""
    async with Store(path) as store:
        writer = asyncio.create_task(store.run())
        yield store, writer
        assert writer.done()


def halt(number=1):
    return Halt(f"reason {number}", "uid 0", TEN_NS + number)
