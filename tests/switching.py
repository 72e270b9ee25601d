"""A kill switch at work on a line, with its journal and its kill file."""

import asyncio
from contextlib import asynccontextmanager

from journals import read
from sessions import laid, plan

from alphapanda.events import Halt, Resume
from alphapanda.live.switch import KillSwitch
from alphapanda.store import Store


@asynccontextmanager
async def switched(path):
    """A switch that is joined to its journal, as it is while a daemon runs."""
    async with starting(path) as (one, switch, store):
        await switch.restore(store, store.recovered.halt)
        yield one, switch


@asynccontextmanager
async def starting(path):
    """One that nobody has joined yet: the store is open, but the switch does not know."""
    async with Store(path) as store, laid(plan(rules=()), store=store) as one, asyncio.TaskGroup() as tasks:
        switch = KillSwitch(one.gate, one.line, kill_file(path))
        keeper = tasks.create_task(switch.run())
        yield one, switch, store
        keeper.cancel()


def kill_file(path):
    return path.with_name("KILL")


def words(path):
    """What the journal says of the kill switch."""
    return [
        (type(event), event.reason, event.by) for event in read(path) if isinstance(event, (Halt, Resume))
    ]
