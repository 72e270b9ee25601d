"""StrategyRunner under its operator: pause, resume, and closes in a strategy's name."""

import pytest
from builders import BUY, CLOSE, INFY, OPEN, SELL, TCS, TEN_NS, batch, fill, order, signal, tick
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.hosted import MAX_UNANSWERED, PAUSED, QUARANTINED, RUNNING
from alphapanda.core.overruns import Overruns
from alphapanda.core.runner import StrategyRunner
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    SQUARE_OFF,
    CancelResting,
    ClosePosition,
    FeedRestarted,
    Halt,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    Refused,
    Resume,
    StrategyFailed,
    StrategyPaused,
    StrategyQuarantined,
    StrategyResumed,
    TradingSignal,
    Verdict,
)

TOKEN = INFY.instrument_token
PAUSE = StrategyPaused("dip_1", "uid 7", TEN_NS)
GO_ON = StrategyResumed("dip_1", "uid 7", TEN_NS)
OUT = StrategyQuarantined("dip_1", "max_repeats", "ten orders in a row", TEN_NS)
BAD = -1.0
"""The price at which `Dip` raises."""


class Dip(Strategy):
    """Opens on every price, closes too where the price is over 100, and remembers what it was told."""

    def __init__(self, *args):
        super().__init__(*args)
        self.seen, self.refused, self.started = [], [], []

    def on_start(self, positions, orders):
        self.started.append((dict(positions), len(orders)))

    def on_market_data(self, tick):
        if tick.last_price == BAD:
            raise ValueError("broken")
        self.seen.append(tick.last_price)
        entry = self.buy(tick, 2)
        return [entry, self.sell(tick, 2, CLOSE)] if tick.last_price > 100 else [entry]

    def on_refused(self, signal, rule, why):
        self.refused.append((signal.signal_id, rule, why))


class Still:
    """A stopwatch on which no time passes."""

    def now_ns(self):
        return 0

    def begin(self):
        return 0

    def own_ns(self, began_ns, ended_ns):
        return 0


class Forger(Strategy):
    def on_market_data(self, tick):
        return [signal(SELL, 1, position_effect=CLOSE, by="root")]


def runner_of(name="dip_1", kind=Dip, brokers=("paper",), **past):
    return StrategyRunner([kind(name, [TOKEN], brokers)], instruments=(INFY, TCS), **past)


def dip(runner):
    return runner.hosted["dip_1"].strategy


def prices(runner, *prices):
    return [made for price in prices for made in runner.on(batch(tick(price)))]


def close(strategy_id="dip_1", broker="paper", by="uid 7"):
    return ClosePosition(
        broker=broker,
        strategy_id=strategy_id,
        instrument_token=TOKEN,
        transaction_type=SELL,
        quantity=5,
        by=by,
        time_ns=TEN_NS,
        row=4,
    )


def kinds(outputs):
    return [type(made) for made in outputs]


def test_a_paused_strategy_has_its_entries_refused_at_every_broker_and_hears_of_it():
    runner = runner_of(brokers=("paper", "zerodha"))
    runner.on(PAUSE)
    refused = prices(runner, 100.0)
    assert [(one.broker, one.verdict, one.rule) for one in refused] == [
        ("paper", Verdict.REFUSED, "strategy_paused"),
        ("zerodha", Verdict.REFUSED, "strategy_paused"),
    ]
    assert refused[0].instrument is INFY
    assert "alphapanda strategies resume dip_1" in refused[0].why
    for one in refused:
        assert runner.on(one) == []
    assert dip(runner).refused == [("S000001", "strategy_paused", refused[0].why)]


def test_a_paused_strategy_sees_prices_and_its_closes_pass():
    runner = runner_of()
    runner.on(PAUSE)
    entry, exit_ = prices(runner, 101.0)
    assert (type(entry), entry.signal.position_effect) == (Refused, OPEN)
    assert (type(exit_), exit_.position_effect) == (TradingSignal, CLOSE)
    assert dip(runner).seen == [101.0]


def test_a_resumed_strategy_goes_on_with_what_it_remembers():
    runner = runner_of()
    runner.on(PAUSE)
    prices(runner, 99.0)
    before = dip(runner)
    assert runner.on(GO_ON) == []
    assert kinds(prices(runner, 98.0)) == [TradingSignal]
    assert dip(runner) is before
    assert before.seen == [99.0, 98.0]
    assert before.started == []


def test_a_quarantined_strategy_that_is_resumed_starts_anew_with_its_positions_and_orders():
    runner = runner_of()
    (entry,) = prices(runner, 99.0)
    bought = order(BUY, 5, strategy_id="dip_1", signal_id=entry.signal_id, status=OrderStatus.PARTIAL)
    runner.on(OrderFilled(bought, fill(BUY, 2, strategy_id="dip_1")))
    assert kinds(prices(runner, BAD)) == [StrategyFailed, CancelResting]
    runner.on(OrderFilled(bought, fill(BUY, 1, strategy_id="dip_1")))  # its host goes on counting
    broken = dip(runner)
    assert prices(runner, 97.0) == []
    assert runner.on(GO_ON) == []
    assert dip(runner) is not broken
    assert dip(runner).started == [({TOKEN: 3}, 1)]
    assert kinds(prices(runner, 96.0)) == [TradingSignal]
    assert dip(runner).seen == [96.0]
    assert broken.seen == [99.0]


def test_a_strategy_that_raises_again_when_it_is_resumed_is_quarantined_again():
    runner = StrategyRunner([Dip("dip_1", [TOKEN], ["paper"])])
    prices(runner, BAD)
    hosted = runner.hosted["dip_1"]
    hosted.strategy.fresh = lambda: 1 / 0
    (failed,) = runner.on(GO_ON)
    assert (type(failed), hosted.state) == (StrategyFailed, QUARANTINED)
    assert prices(runner, 99.0) == []


def test_pausing_a_quarantined_strategy_changes_nothing():
    runner = runner_of()
    prices(runner, BAD)
    assert runner.on(PAUSE) == []
    assert runner.hosted["dip_1"].state == QUARANTINED
    assert prices(runner, 99.0) == []


def test_pausing_and_resuming_a_strategy_that_is_not_there_changes_nothing():
    runner = runner_of("other")
    assert (runner.on(PAUSE), runner.on(GO_ON)) == ([], [])
    assert runner.hosted["other"].state == RUNNING


def test_a_pause_outlives_the_kill_switch():
    runner = runner_of()
    runner.on(PAUSE)
    runner.on(Halt("news", "uid 7", TEN_NS))
    runner.on(Resume("over", "uid 7", TEN_NS))
    assert runner.hosted["dip_1"].state == PAUSED
    assert kinds(prices(runner, 99.0)) == [Refused]


def test_what_stood_down_before_a_restart_stands_down_after_it():
    assert kinds(prices(runner_of(stood_down={"dip_1": PAUSED}), 99.0)) == [Refused]
    runner = runner_of(stood_down={"dip_1": QUARANTINED, "gone": PAUSED})
    runner.warm_up(batch(tick(99.0), row=1))
    assert runner.start() == []
    assert prices(runner, 98.0) == []
    assert (dip(runner).seen, dip(runner).started) == ([], [])


def test_the_warm_up_hides_the_rows_before_a_strategy_was_made_anew():
    runner = runner_of()
    for row in range(1, 5):
        runner.warm_up(batch(tick(90.0 + row), row=row), {"dip_1": 2, "other": 9})
    assert dip(runner).seen == [93.0, 94.0]


def test_the_operators_close_is_a_signal_in_the_strategys_name():
    runner = runner_of(brokers=("paper", "zerodha"), signals_made=41)
    (made,) = runner.on(close(broker="zerodha"))
    assert (made.signal_id, made.strategy_id, made.brokers, made.by) == (
        "S000042",
        "dip_1",
        ("zerodha",),
        "uid 7",
    )
    assert (made.position_effect, made.transaction_type, made.quantity) == (CLOSE, SELL, 5)
    assert (made.time_ns, made.row, made.reason) == (TEN_NS, 4, "closed by uid 7")
    (own,) = prices(runner, 99.0)
    assert (own.signal_id, own.by) == ("S000043", "")


def test_what_a_strategy_held_is_closed_after_it_has_left_the_configuration():
    runner = runner_of("other")
    (made,) = runner.on(close("gone"))
    assert (made.strategy_id, made.brokers) == ("gone", ("paper",))


def test_the_operator_closes_whatever_state_the_strategy_is_in():
    runner = runner_of()
    prices(runner, *[99.0] * MAX_UNANSWERED)
    assert kinds(prices(runner, 99.0)) == [Refused]
    for event in (PAUSE, Halt("news", "uid 7", TEN_NS)):
        runner.on(event)
        assert kinds(runner.on(close())) == [TradingSignal]
    broken = runner_of()
    prices(broken, BAD)
    assert kinds(broken.on(close())) == [TradingSignal]


def test_a_strategy_does_not_hear_that_the_operators_close_was_refused():
    runner = runner_of()
    (made,) = runner.on(close())
    runner.on(Refused(signal=made, broker="paper", verdict=Verdict.REFUSED, rule="r", why="w", quantity=5))
    assert dip(runner).refused == []
    assert runner.hosted["dip_1"].waiting["paper"] == set()


def test_a_strategy_cannot_sign_as_the_operator():
    (made,) = prices(runner_of("forger", Forger), 99.0)
    assert made.by == ""


def test_a_quarantine_by_rule_ends_what_it_sees_and_takes_its_entries_back_at_every_broker():
    runner = runner_of(brokers=("paper", "zerodha"))
    (entry,) = prices(runner, 99.0)
    at_two = [
        order(BUY, 2, number, strategy_id="dip_1", broker=broker, signal_id=entry.signal_id)
        for number, broker in enumerate(("paper", "zerodha"), 1)
    ]
    exit_ = order(SELL, 2, 3, strategy_id="dip_1", position_effect=CLOSE)
    for opened in (*at_two, exit_):
        assert runner.on(OrderOpened(opened)) == []
    taken_back = runner.on(OUT)
    assert [(made.order.order_id, made.reason) for made in taken_back] == [
        ("O000001", "dip_1 is quarantined"),
        ("O000002", "dip_1 is quarantined"),
    ]
    assert (runner.hosted["dip_1"].state, runner.hosted["dip_1"].errors) == (QUARANTINED, 0)
    assert prices(runner, 98.0) == []
    assert dip(runner).seen == [99.0]


def test_an_entry_that_opens_after_the_quarantine_is_taken_back_as_well():
    runner = runner_of()
    prices(runner, 99.0)
    assert runner.on(OUT) == []
    late = order(BUY, 2, strategy_id="dip_1", signal_id="S000001")
    (taken_back,) = runner.on(OrderOpened(late))
    assert (type(taken_back), taken_back.order) == (CancelResting, late)
    assert runner.on(OrderClosed(order(BUY, 2, strategy_id="dip_1", status=OrderStatus.CANCELLED))) == []
    assert runner.on(OUT) == []


def test_after_a_restart_the_entries_of_what_is_quarantined_are_taken_back():
    resting = order(BUY, 2, strategy_id="dip_1")
    runner = runner_of(stood_down={"dip_1": QUARANTINED}, orders=[resting])
    assert [made.order for made in runner.start()] == [resting]
    assert runner_of(stood_down={"dip_1": PAUSED}, orders=[resting]).start() == []


def test_a_quarantine_by_rule_ends_as_any_other_does():
    runner = runner_of()
    prices(runner, 99.0)
    runner.on(OUT)
    before = dip(runner)
    assert runner.on(GO_ON) == []
    assert dip(runner) is not before
    assert kinds(prices(runner, 98.0)) == [TradingSignal]


def test_a_quarantine_of_a_strategy_that_is_not_there_changes_nothing():
    runner = runner_of("other")
    assert runner.on(OUT) == []
    assert runner.hosted["other"].state == RUNNING


def test_a_square_off_is_a_close_that_the_strategy_has_not_asked_for():
    runner = runner_of()
    (made,) = runner.on(close(by=SQUARE_OFF))
    assert (made.by, made.position_effect, made.of_operator) == (SQUARE_OFF, CLOSE, False)
    runner.on(Refused(signal=made, broker="paper", verdict=Verdict.REFUSED, rule="r", why="w", quantity=5))
    assert dip(runner).refused == []
    sold = order(SELL, 5, strategy_id="dip_1", position_effect=CLOSE, by=SQUARE_OFF)
    runner.on(OrderFilled(sold, fill(SELL, 5, strategy_id="dip_1")))
    assert runner.hosted["dip_1"].positions == {TOKEN: -5}


def test_a_square_off_waits_for_the_operator_while_the_kill_switch_is_on():
    runner = runner_of()
    runner.on(Halt("news", "uid 7", TEN_NS))
    assert runner.on(close(by=SQUARE_OFF)) == []
    runner.on(Resume("over", "uid 7", TEN_NS))
    assert kinds(runner.on(close(by=SQUARE_OFF))) == [TradingSignal]


def test_after_a_feed_that_failed_strategies_begin_with_empty_windows_and_what_they_hold():
    runner = runner_of()
    prices(runner, 100.0)
    before = dip(runner)
    bought = order(BUY, 5, strategy_id="dip_1", status=OrderStatus.FILLED, filled_quantity=5)
    runner.on(OrderFilled(bought, fill(BUY, 5, strategy_id="dip_1")))
    assert runner.on(FeedRestarted(TEN_NS)) == []
    assert dip(runner) is not before
    assert dip(runner).seen == []
    assert dip(runner).started == [({TOKEN: 5}, 0)]


def test_a_feed_that_begins_anew_does_not_end_the_kill_switch():
    runner = runner_of()
    runner.on(Halt("news", "uid 7", TEN_NS))
    runner.on(FeedRestarted(TEN_NS))
    assert runner.on(close(by=SQUARE_OFF)) == []


def test_an_order_that_the_broker_made_waits_for_no_signal():
    runner = runner_of()
    own = order(SELL, 5, order_id="RP00001", strategy_id="dip_1", signal_id="", position_effect=CLOSE)
    runner.on(OrderOpened(own))
    assert runner.hosted["dip_1"].waiting["paper"] == set()
    assert list(runner.hosted["dip_1"].orders) == ["RP00001"]


def test_an_error_is_told_in_one_line_that_can_be_written_down():
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError

    for error, told in (
        (ValueError("two\nlines \ud800"), "ValueError: two lines ?"),
        (OddError(), "OddError: what cannot be put into words"),
    ):

        class Raises(Strategy):
            def on_market_data(self, tick, error=error):
                raise error

        (failed,) = prices(runner_of("odd", Raises), 99.0)
        assert failed.error == told


acts = st.lists(
    st.one_of(
        st.sampled_from([99.0, 101.0, BAD]),
        st.sampled_from(["pause", "resume", "fill", "refuse", "halt", "rearm", "close"]),
    ),
    max_size=60,
)


@given(acts)
def test_nothing_is_opened_while_paused_whatever_comes_in_between_and_ids_go_on(acts):
    runner, ids, waiting = runner_of(), [], []
    for act in acts:
        paused = runner.hosted["dip_1"].state == PAUSED
        match act:
            case float():
                said = prices(runner, act)
            case "pause":
                said = runner.on(PAUSE)
            case "resume":
                said = runner.on(GO_ON)
            case "halt":
                said = runner.on(Halt("news", "uid 7", TEN_NS))
            case "rearm":
                said = runner.on(Resume("over", "uid 7", TEN_NS))
            case "close":
                said = runner.on(close())
            case "refuse":
                said = runner.on(waiting.pop()) if waiting else []
            case _:
                filled = order(BUY, 2, strategy_id="dip_1", status=OrderStatus.FILLED)
                said = runner.on(OrderFilled(filled, fill(BUY, 2, strategy_id="dip_1")))
        if paused:
            assert not [one for one in said if type(one) is TradingSignal and one.position_effect is OPEN]
        made = [
            one.signal if type(one) is Refused else one for one in said if type(one) is not StrategyFailed
        ]
        ids += [one.signal_id for one in made]
        waiting += [one for one in said if type(one) is Refused]
    assert ids == [f"S{number:06d}" for number in range(1, len(ids) + 1)]


def test_an_interrupt_that_a_strategy_makes_up_is_its_own_mistake_in_a_daemon():
    """Where signals are heard elsewhere; a backtest is interrupted."""

    class Interrupting(Dip):
        def on_market_data(self, tick):
            raise KeyboardInterrupt

    def made():
        return StrategyRunner([Interrupting("dip_1", [TOKEN], ["paper"], {})], instruments=[INFY])

    with pytest.raises(KeyboardInterrupt):
        prices(made(), 99.0)
    runner = made()
    runner.company.overruns = Overruns(Still(), live=False)
    assert kinds(prices(runner, 99.0)) == [StrategyFailed]
    assert runner.hosted["dip_1"].state == QUARANTINED
