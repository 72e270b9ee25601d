"""A strategy that raises is quarantined at once, wherever it does, and its neighbours notice nothing."""

import asyncio

import pytest
from builders import TEN_NS, batch, fill, order, signal, tick
from diary import HALT, INFY_TOKEN, RESUME, Diary, S, broken_inbox, diary, hooks, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.runner import StrategyRunner
from alphapanda.core.strategy import Strategy
from alphapanda.events import OrderClosed, OrderFilled, OrderOpened, StrategyFailed, Timer, TradingSignal


@pytest.mark.parametrize("hook", broken_inbox())
def test_a_strategy_that_raises_is_quarantined_at_once_and_its_neighbours_go_on(hook):
    broken, neighbour = diary("broken", raises_in=hook), diary("neighbour")
    alone = diary("neighbour")
    runner, undisturbed = StrategyRunner([broken, neighbour]), StrategyRunner([alone])
    event = broken_inbox()[hook]
    outputs = runner.on(event)
    (failure,) = [output for output in outputs if isinstance(output, StrategyFailed)]
    assert (failure.strategy_id, failure.error) == ("broken", f"ValueError: broken in {hook}")
    assert failure.trace[-1].startswith(f"{Diary.note.__code__.co_filename}, line ")
    assert failure.trace[-1].endswith("in Diary.note")
    assert len(failure.trace) >= 2
    assert (runner.hosted["broken"].state, runner.hosted["broken"].errors) == ("quarantined", 1)
    before = list(broken.told)
    events = [event, *broken_inbox().values(), RESUME]
    for each in events:
        assert not [output for output in runner.on(each) if isinstance(output, StrategyFailed)]
    assert broken.told == before
    for each in [event, *events]:
        undisturbed.on(each)
    assert runner.hosted["neighbour"].strategy.told == undisturbed.hosted["neighbour"].strategy.told
    assert neighbour.told == alone.told
    assert runner.hosted["neighbour"].state == "running"


@pytest.mark.parametrize(("hook", "call"), [("on_start", "start"), ("on_stop", "stop")])
def test_a_strategy_that_raises_at_the_start_or_the_end_is_quarantined(hook, call):
    broken, neighbour = diary("broken", raises_in=hook), diary("neighbour")
    runner = StrategyRunner([broken, neighbour])
    (failure,) = getattr(runner, call)()
    assert failure.error == f"ValueError: broken in {hook}"
    assert hooks(neighbour) == [hook]
    assert [made.strategy_id for made in runner.on(batch(tick()))] == ["neighbour"]


def test_a_strategy_that_raises_in_the_warm_up_is_reported_at_the_start():
    runner = StrategyRunner([diary("broken", raises_in="on_market_data"), diary("neighbour")])
    runner.warm_up(batch(tick()))
    assert [failure.strategy_id for failure in runner.start()] == ["broken"]


def test_a_strategy_that_cannot_be_made_anew_is_quarantined():
    class Once(Strategy):
        def fresh(self):
            raise RuntimeError("only once")

    neighbour = diary("neighbour")
    runner = StrategyRunner([Once("once", [INFY_TOKEN], ["paper"]), neighbour])
    (failure,) = runner.on(RESUME)
    assert failure.error == "RuntimeError: only once"
    assert hooks(runner.hosted["neighbour"].strategy) == ["on_start"]


@pytest.mark.parametrize("leaves", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_a_strategy_that_wants_to_leave_is_quarantined_too(leaves):
    class Leaver(Strategy):
        def on_market_data(self, tick):
            raise leaves

    neighbour = diary("neighbour")
    runner = StrategyRunner([Leaver("leaver", [INFY_TOKEN], ["paper"]), neighbour])
    (failure, _) = sorted(runner.on(batch(tick())), key=lambda output: isinstance(output, TradingSignal))
    assert failure.strategy_id == "leaver"
    assert runner.hosted["leaver"].state == "quarantined"
    assert len(neighbour.told) == 1


inbox = st.lists(
    st.builds(batch, st.builds(tick, st.floats()), row=st.integers(0, 9))
    | st.sampled_from(
        [
            *(HALT, RESUME, Timer(TEN_NS)),
            *(OrderOpened(order()), OrderClosed(order(status=S.CANCELLED))),
            *(OrderFilled(order(status=S.PARTIAL), fill()), refusal(signal(signal_id="S000002"))),
        ]
    ),
    max_size=25,
)


@settings(deadline=None)
@given(inbox, st.sampled_from(["", "on_fill", "on_refused", "on_order_update", "on_market_data"]))
def test_the_same_inbox_gives_the_same_outbox(events, raises_in):
    def outbox():
        runner = StrategyRunner([diary(signals=40), diary("other", raises_in=raises_in)])
        return repr([runner.on(event) for event in events])

    assert outbox() == outbox()
