"""The flow: every event has its row in `FLOW`, every row its handler, and nothing blocks upstream."""

import ast
import inspect
import textwrap
from types import ModuleType
from typing import get_args

import pytest
from msgspec import Struct

from alphapanda import events
from alphapanda.backtest import loop
from alphapanda.core import execution, market, portfolio, risk, runner
from alphapanda.live import line as live_line
from alphapanda.pipeline import FLOW, Keep, Stage, targets
from alphapanda.store import journal
from alphapanda.store.projections import PROJECTION

CORES: dict[Stage, type] = {
    Stage.STRATEGY: runner.StrategyRunner,
    Stage.RISK: risk.RiskManager,
    Stage.EXECUTION: execution.TradingEngine,
    Stage.PORTFOLIO: portfolio.PortfolioManager,
}
OUTPUTS: dict[Stage, ModuleType] = {
    Stage.STRATEGY: runner,
    Stage.RISK: risk,
    Stage.EXECUTION: execution,
    Stage.PORTFOLIO: portfolio,
}
PERFORMED = {events.PlaceOrder, events.CancelOrder}
"""The execution shell does these at once; they cross no queue."""
WRITTEN = {
    events.Booked,
    events.Valued,
    events.DayRolled,
    events.Marked,
    events.AccountOpened,
    events.RowTaken,
    events.StrategyFailed,
    events.Compared,
    events.ChargesCompared,
    events.ExternalSeen,
    events.ExternalOrder,
    events.OrderFound,
    events.OrderAccepted,
}
"""These end in the journal and the log."""
VALUES = {
    events.Instrument,
    events.DepthLevel,
    events.Depth,
    events.MarketTick,
    events.Order,
    events.Fill,
    events.Position,
    events.Balance,
    events.Figures,
    events.Performance,
    events.Book,
    events.Low,
    events.Scope,
    events.Difference,
    events.ExternalPosition,
    events.Dump,
    events.KnownDump,
    events.ListedRow,
}
"""What messages are made of."""
UP_TO_RISK = (events.Snapshot, Stage.RISK, Keep.CELL)


def messages() -> set[type]:
    return {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Struct) and kind.__module__.startswith(events.__name__)
    }


def taken_by(core: type) -> set[str]:
    """The names in the `case` patterns of its `on`: of what it takes, whole classes only."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(core.on)))
    return {
        node.cls.id
        for node in ast.walk(tree)
        if isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name)
    }


def test_every_message_has_its_place():
    crossing = {edge.event for edge in FLOW}
    assert messages() == (crossing | PERFORMED | WRITTEN | VALUES)
    assert not crossing & (PERFORMED | WRITTEN | VALUES)


def test_every_message_is_frozen_and_says_what_it_is():
    for kind in messages():
        assert kind.__struct_config__.frozen, kind
        assert kind in PERFORMED or kind.__doc__, f"{kind.__name__} needs a line of docstring"


@pytest.mark.parametrize("stage", CORES)
def test_a_stage_takes_exactly_what_the_table_sends_it(stage):
    sent = {edge.event.__name__ for edge in FLOW if edge.to is stage}
    assert taken_by(CORES[stage]) == sent


@pytest.mark.parametrize("stage", CORES)
def test_what_a_core_does_not_take_it_refuses_aloud(stage):
    last = inspect.getsource(CORES[stage].on)
    assert "raise TypeError" in last


@pytest.mark.parametrize("stage", OUTPUTS)
def test_whatever_a_core_says_goes_somewhere(stage):
    said = set(get_args(OUTPUTS[stage].Output))
    assert said
    assert said <= {edge.event for edge in FLOW} | PERFORMED | WRITTEN


def test_a_row_is_there_once():
    pairs = [(edge.event, edge.to) for edge in FLOW]
    assert len(pairs) == len(set(pairs))


def test_nothing_is_sent_to_the_feed():
    assert all(edge.to is not Stage.FEED for edge in FLOW)


def test_one_cell_runs_upstream_and_only_it():
    assert [tuple(edge) for edge in FLOW if edge.keep is Keep.CELL] == [UP_TO_RISK]


def test_only_edges_that_run_down_make_their_producer_wait():
    """A blocking edge upstream would be a ring of full queues: tried, it wedged after 3 of 400 fills."""
    made_by = {event: stage for stage, module in OUTPUTS.items() for event in get_args(module.Output)}
    order = list(Stage)
    waiting = [edge for edge in FLOW if edge.keep is Keep.ALL]
    assert waiting
    for edge in waiting:
        assert order.index(made_by[edge.event]) < order.index(edge.to), edge


def test_ticks_are_folded_and_nothing_else_is():
    assert {edge.event for edge in FLOW if edge.keep is Keep.LATEST} == {events.TickBatch}
    assert {edge.keep for edge in FLOW if edge.event is events.TickBatch} == {Keep.LATEST}


def test_risk_and_portfolio_take_a_price_before_a_strategy_decides_on_it():
    assert targets(events.TickBatch).index(Stage.STRATEGY) == len(targets(events.TickBatch)) - 1


def test_the_market_takes_rows_and_what_the_execution_shell_performs():
    expected = {kind.__name__ for kind in PERFORMED} | {events.TickBatch.__name__}
    assert taken_by(market.MarketSimulator) == expected


def test_what_moves_money_or_orders_is_journaled():
    """All facts of the line but what is too frequent (ticks, timers), derived (snapshots) or the
    market's own (reports, which live on in the order's next state).
    """
    kept = set(PROJECTION)
    left_out = {events.TickBatch, events.Timer, events.Snapshot, events.Report, events.TradingSignal}
    left_out |= {events.OrderFilled}  # a fill is journaled as what it did: Booked
    left_out |= {events.ClosePosition}  # its verdict and its order carry who asked
    left_out |= {events.Voided}  # so is an approval that met the closed gate: Refused
    left_out |= {events.CancelResting}  # the order's own end carries the reason
    left_out |= {events.FeedRestarted}  # windows begin empty after a restart anyway
    left_out |= {events.ExternalHeld}  # summed from what is journaled, and told anew with each book
    left_out |= {events.OrderAdopted}  # journaled as what the engine makes of it: OrderOpened
    assert kept == ({edge.event for edge in FLOW} | WRITTEN) - left_out


def test_what_is_journaled_has_a_name_of_its_own_to_be_read_back_by():
    assert {journal.TYPES[name] for name in journal.KINDS.values()} == set(PROJECTION)
    assert len(journal.TYPES) == len(PROJECTION)


def test_both_shells_read_the_table():
    for shell in (loop, live_line):
        loops = [node for node in ast.walk(ast.parse(inspect.getsource(shell))) if isinstance(node, ast.For)]
        assert any(getattr(node.iter, "id", "") == "FLOW" for node in loops), shell.__name__
