"""Strategies that fail in every way they can, beside one that does not: its orders are those of a run without
them.

What strategies of one account share can make a difference: the account's orders a second, a minute and a day,
its cash, its open positions and its exposure. So the one that floods has limits of its own here, far below
those of the account, as the README tells to give a strategy that is not trusted yet.
"""

from collections import Counter

import msgspec
import pytest
import running

from alphapanda.core.hosted import QUARANTINED

BAD = '''
import asyncio
import sys
import time

from msgspec import Struct

from alphapanda.core.strategy import Strategy


class Bad(Strategy):
    """Well behaved for ten ticks."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        pass

    def __init__(self, *words):
        super().__init__(*words)
        self.seen = 0

    def on_market_data(self, tick):
        self.seen += 1
        return self.turns(tick) if self.seen > 10 else []


class Raises(Bad):
    def turns(self, tick):
        raise ValueError("no")


class Sleeps(Bad):
    def turns(self, tick):
        time.sleep(2)
        return [self.buy(tick, 1)]


class Leaves(Bad):
    def turns(self, tick):
        sys.exit(3)


class Cancels(Bad):
    def turns(self, tick):
        raise asyncio.CancelledError


class Garbage(Bad):
    def turns(self, tick):
        return {"buy": 1}


class Recursion(Bad):
    def turns(self, tick):
        return self.turns(tick)


class Huge(Bad):
    def turns(self, tick):
        return [self.buy(tick, 1)] * 1_000_000


class Mutates(Bad):
    def turns(self, tick):
        tick.last_price = 1.0
        return []


class Floods(Bad):
    def turns(self, tick):
        return [self.buy(tick, 1)] * 1_000
'''
WHY = {
    "raises": "ValueError: no",
    "sleeps": "overrun: a call took ",
    "leaves": "SystemExit: 3",
    "cancels": "CancelledError",
    "garbage": "TypeError: a strategy answers with a list of at most 1000 signals",
    "recursion": "RecursionError: ",
    "huge": "TypeError: a strategy answers with a list of at most 1000 signals",
    "mutates": "AttributeError: ",
}
"""The strategies that are taken out, and for what."""
FLOODS = {"scope": {"strategy": "floods"}, "max_orders_per_second": 2, "max_position_quantity": 20}
SECONDS = 40
BOTH = ["NSE:INFY", "NSE:TCS"]
INSTRUMENTS = {"floods": ["NSE:TCS"]}
"""A row a second."""
NUMBERED = {"order_id", "tag", "broker_order_id", "trade_id", "signal_id"}
"""Numbers are given out by the account, in turn: to the bad ones too."""


def replayed(folder, *bad):
    """What became of the neighbour's signals in a replay beside `bad`: its orders, trades, verdicts and book,
    as bytes; and how many orders.
    """
    folder.mkdir()
    (folder / "bad.py").write_text(BAD)
    running.write_ticks(folder, sorted([*running.zigzag(SECONDS), *running.zigzag(SECONDS, "TCS")]))
    others = [
        {"id": name, "class": f"bad:{name.capitalize()}", "instruments": INSTRUMENTS.get(name, BOTH)}
        for name in bad
    ]
    middle = len(others) // 2
    running.write_config(
        folder,
        strategies=[*others[:middle], running.strategy("neighbour"), *others[middle:]],
        risk={"overrides": [FLOODS]} if "floods" in bad else {},
    )
    done = running.run(folder, "run", "--until-end", "--speed", "max", "--no-calendar")
    assert done.code == 0, done.stderr
    tables = [
        running.answer(folder, table, "--strategy", "neighbour") for table in ("orders", "trades", "signals")
    ]
    tables.append([row for row in running.answer(folder, "positions") if row["strategy_id"] == "neighbour"])
    kept = [[{key: row[key] for key in row.keys() - NUMBERED} for row in table] for table in tables]
    return msgspec.json.encode(kept, order="deterministic"), len(kept[0])


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    found, orders = replayed(tmp_path_factory.mktemp("alone") / "run")
    assert orders > SECONDS / 3
    return found


def test_m40_strategies_that_raise_leave_sleep_or_answer_nonsense_change_nothing_for_their_neighbour(
    tmp_path, alone
):
    beside, _ = replayed(tmp_path / "run", *WHY)
    assert beside == alone
    found = {row["strategy_id"]: row for row in running.answer(tmp_path / "run", "strategies", "list")}
    assert found.pop("neighbour")["state"] == "stopped"
    assert {row["state"] for row in found.values()} == {QUARANTINED}
    assert {name: row["reason"][: len(WHY[name])] for name, row in found.items()} == WHY
    assert running.answer(tmp_path / "run", "signals", "--strategy", "sleeps") == []  # said too late


def test_m59_a_strategy_that_floods_changes_nothing_for_its_neighbour_within_its_own_limits(tmp_path, alone):
    folder = tmp_path / "run"
    beside, _ = replayed(folder, "floods")
    assert beside == alone
    verdicts = Counter(row["rule"] for row in running.answer(folder, "signals", "--strategy", "floods"))
    assert verdicts.total() == 1_000 * (SECONDS - 10)
    assert verdicts["unanswered_signals"] > verdicts.total() / 2  # dropped before risk looks at them
    assert {"duplicate_window_s", "max_position_quantity"} < verdicts.keys()
    assert verdicts[None] == FLOODS["max_position_quantity"]


HEEDLESS = '''
from msgspec import Struct

from alphapanda.core.strategy import Strategy


class Heedless(Strategy):
    """Asks for the same again and again, whatever it has already."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        pass

    def on_market_data(self, tick):
        return [self.buy(tick, quantity) for quantity in (1, 2, 2, 3)]
'''
UNCHECKED = {"duplicate_window_s": 0.0, "max_orders_per_second": 0, "max_orders_per_minute": 0}


def test_a_strategy_that_ignores_its_orders_asks_once_for_each_though_killed_within_a_row(tmp_path):
    """Two of them, so that a row has more than one commit; nothing else stands in the way of a double."""

    def replay(folder, *armed):
        folder.mkdir()
        (folder / "heedless.py").write_text(HEEDLESS)
        running.write_ticks(folder, running.zigzag(10))
        pair = [running.strategy(name, **{"class": "heedless:Heedless", "params": {}}) for name in ("a", "b")]
        running.write_config(folder, strategies=pair, risk=UNCHECKED)
        for point in [*armed, ""]:
            env = {"ALPHAPANDA_FAIL_AT": point} if point else {}
            words = ("run", "--until-end", "--speed", "max", "--no-calendar")
            done = running.run(folder, *words, env=env)
            assert done.code == (-9 if point else 0), done.stderr
        columns = "strategy_id, quantity, created_ns, status"
        return running.select(
            folder, f"SELECT {columns} FROM orders WHERE status <> 'NOT_FOUND' ORDER BY 3, 1, 2"
        )

    undisturbed = replay(tmp_path / "undisturbed")
    assert len(undisturbed) == 10 * 2 * 4
    assert (
        replay(tmp_path / "killed", "after_commit:4", "intent_committed:3", "report_booked:9") == undisturbed
    )
