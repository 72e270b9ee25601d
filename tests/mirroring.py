"""Metrics at work beside a line, with its journal and kill switch."""

from contextlib import asynccontextmanager

from sessions import laid, plan

from alphapanda.live.counters import Counters
from alphapanda.live.metrics import Metrics
from alphapanda.live.switch import KillSwitch
from alphapanda.store import Store


class Desk:
    """Metrics beside a line at work, with its journal and kill switch. `shown` is what `status` says."""

    def __init__(self, url, one, switch):
        self.shown = {"state": "running", "brokers": {"paper": {"cash": 1.5}}}
        self.gate, self.switch, self.line = one.gate, switch, one.line
        self.turns = one.turns([])
        self.counters = Counters()
        self.flushed = 0
        self.metrics = Metrics(
            url,
            status=lambda: self.shown,
            counters=self.counters,
            brokers=["paper", "zerodha"],
            switch=switch,
            flushed=self.count,
        )

    def count(self):
        self.flushed += 1

    async def off(self):
        await self.switch.off("checked", "uid 7", self.turns)


@asynccontextmanager
async def desk(url, path, *, obeys=True, halt=None):
    path.mkdir(exist_ok=True)
    store = path / "alphapanda.db"
    async with Store(store) as store, laid(plan(rules=()), store=store) as one:
        switch = KillSwitch(one.gate, one.line, path / "KILL")
        await switch.restore(store, halt)
        made = Desk(url, one, switch)
        if obeys:
            made.metrics.looked.set()
            await made.metrics.obey()
        try:
            yield made
        finally:
            await made.metrics._door.close()
