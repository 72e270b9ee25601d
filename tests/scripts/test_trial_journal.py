"""The store that trials begin with: made by the cores, whole, and as a start would find it then."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from oracle.evidence import Evidence
from oracle.judge import judged

from alphapanda.core.comparison import held_by
from alphapanda.core.execution import TradingEngine
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.store import journal
from alphapanda.store.recovery import fold

MAKER = Path(__file__).resolve().parents[2] / "scripts" / "trial_journal.py"
INTENTS = 700


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "var" / "alphapanda.db"
    words = [sys.executable, MAKER, path, "--intents", str(INTENTS), "--seed", "3"]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    return path


@pytest.fixture
def recovered(made):
    with closing(sqlite3.connect(made)) as connection:
        return fold(event for _, event in journal.read(connection))


def test_it_has_so_many_intents_of_which_none_can_change_any_more(recovered):
    orders = recovered.saved.orders
    assert len(orders) == INTENTS
    assert all(order.status.ended for order in orders)
    states = Counter(order.status.value for order in orders)
    assert set(states) == {"FILLED", "CANCELLED", "REJECTED", "WITHHELD", "NOT_FOUND"}
    assert len({order.tag for order in orders}) == INTENTS


def test_every_day_ends_flat_and_nothing_of_today_is_at_the_broker(recovered):
    assert recovered.saved.fills
    assert held_by(recovered.saved.fills) == {}
    days = Counter(order.created_ns // 86_400_000_000_000 for order in recovered.saved.orders)
    today = max(days)
    assert len(days) > 1
    assert not any(
        o.broker_order_id for o in recovered.saved.orders if o.created_ns // 86_400_000_000_000 == today
    )


def test_cores_can_go_on_from_it(recovered):
    saved = recovered.saved
    portfolio = PortfolioManager(
        recovered.starting_cash, fills=saved.fills, orders=saved.orders, rolls=saved.rolls
    )
    engine = TradingEngine(saved.orders, ((fill.broker, fill.trade_id) for fill in saved.fills))
    assert (engine.open_orders(), engine.total("zerodha")) == ([], INTENTS)
    (balance,) = portfolio.balances()
    paid = sum(fill.signed_quantity * fill.price + fill.charges for fill in saved.fills)
    assert balance.cash == recovered.starting_cash["zerodha"] - paid


def test_the_oracle_finds_nothing_wrong_with_it(made):
    with closing(sqlite3.connect(made)) as connection:
        last = connection.execute("SELECT max(seq) FROM journal").fetchone()[0]
    found = judged(Evidence(stores=[made], since_seq=last))
    assert found.broken == []
    assert {"I4", "I12", "I14"} <= found.decided


def test_one_seed_makes_one_past(made, tmp_path):
    again = tmp_path / "again.db"
    words = [sys.executable, MAKER, again, "--intents", str(INTENTS), "--seed", "3"]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    assert events(made) == events(again)


def events(path):
    """Without what is of one store: its tags."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT kind, body FROM journal ORDER BY seq")
        return [(kind, json.loads(body, object_hook=untagged)) for kind, body in rows]


def untagged(document):
    return {name: value for name, value in document.items() if name != "tag"}
