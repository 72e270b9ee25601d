"""StrategyRunner: strategies see what concerns them, when it does, and hear the end of what they asked."""

import msgspec
import pytest
from builders import BUY, INFY, SECOND, SELL, TEN_NS, batch, fill, order, report, signal, tick
from diary import HALT, INFY_TOKEN, RESUME, TCS_TOKEN, Diary, S, broken_inbox, diary, refusal
from msgspec import ValidationError

from alphapanda.core.hosted import MAX_UNANSWERED
from alphapanda.core.runner import StrategyRunner
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    Instrument,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderUpdated,
    Refused,
    Timer,
    TradingSignal,
    Verdict,
)


def test_a_signal_gets_its_id_its_brokers_and_the_times_of_its_row():
    runner = StrategyRunner([diary(brokers=("paper", "zerodha"))], signals_made=41)
    (made,) = runner.on(batch(tick(101.0), at=1, row=5, received_ns=9))
    assert (made.signal_id, made.strategy_id, made.brokers) == (
        *("S000042", "momentum_1"),
        ("paper", "zerodha"),
    )
    assert (made.time_ns, made.row, made.received_ns, made.last_price) == (TEN_NS + SECOND, 5, 9, 101.0)


def test_strategies_see_their_own_instruments_only():
    one, two = diary("one"), diary("two", (TCS_TOKEN,))
    made = StrategyRunner([one, two]).on(batch(tick(1.0), tick(2.0, TCS_TOKEN)))
    assert [signal.strategy_id for signal in made] == ["one", "two"]
    assert one.told == [("on_market_data", 1.0)]
    assert two.told == [("on_market_data", 2.0)]


def test_the_sixty_fifth_unanswered_signal_is_dropped_at_every_broker():
    runner = StrategyRunner([diary(signals=70, brokers=("paper", "zerodha"))], instruments=[INFY])
    outputs = runner.on(batch(tick()))
    assert [type(output) for output in outputs] == [TradingSignal] * MAX_UNANSWERED + [Refused] * 12
    dropped = outputs[MAX_UNANSWERED:]
    assert {output.verdict for output in dropped} == {Verdict.DROPPED}
    assert [output.broker for output in dropped[:2]] == ["paper", "zerodha"]
    assert dropped[0].signal.signal_id == "S000065"
    assert dropped[0].instrument == INFY
    assert "64 signals of momentum_1" in dropped[0].why


def finals(of):
    """Every final word on a signal at paper."""
    made = {"signal_id": of.signal_id, "quantity": 1}
    filled = order(status=S.FILLED, filled_quantity=1, **made)
    return {
        "refused": refusal(of),
        "nothing_to_close": refusal(of, verdict=Verdict.NOTHING_TO_CLOSE),
        "filled": OrderFilled(filled, fill(quantity=1)),
        "cancelled": OrderClosed(order(status=S.CANCELLED, **made)),
        "rejected": OrderClosed(order(status=S.REJECTED, **made)),
        "not_found": OrderClosed(order(status=S.NOT_FOUND, **made)),
        "withheld": OrderClosed(order(status=S.WITHHELD, **made)),
    }


@pytest.mark.parametrize("word", finals(signal()))
def test_a_final_word_makes_room_for_one_more_signal(word):
    runner = StrategyRunner([diary()])
    made = [runner.on(batch(tick()))[0] for _ in range(MAX_UNANSWERED)]
    assert isinstance(runner.on(batch(tick()))[0], Refused)
    runner.on(finals(made[7])[word])
    assert isinstance(runner.on(batch(tick()))[0], TradingSignal)
    assert isinstance(runner.on(batch(tick()))[0], Refused)


@pytest.mark.parametrize("status", [S.PREPARED, S.SENT, S.OPEN, S.UNKNOWN])
def test_an_order_that_lives_on_is_no_final_word(status):
    runner = StrategyRunner([diary()])
    made = [runner.on(batch(tick()))[0] for _ in range(MAX_UNANSWERED)]
    runner.on(OrderUpdated(order(signal_id=made[0].signal_id, status=status)))
    assert isinstance(runner.on(batch(tick()))[0], Refused)


def test_a_final_word_is_needed_from_every_broker():
    runner = StrategyRunner([diary(brokers=("paper", "zerodha"))])
    made = [runner.on(batch(tick()))[0] for _ in range(MAX_UNANSWERED)]
    runner.on(refusal(made[0], "paper"))
    assert isinstance(runner.on(batch(tick()))[0], Refused)
    runner.on(refusal(made[0], "zerodha"))
    assert isinstance(runner.on(batch(tick()))[0], TradingSignal)


def test_orders_that_a_restart_found_open_count_as_unanswered():
    alive = [order(sequence=n, status=S.OPEN) for n in range(1, MAX_UNANSWERED + 1)]
    runner = StrategyRunner([diary()], orders=alive)
    assert isinstance(runner.on(batch(tick()))[0], Refused)


def test_a_full_neighbour_does_not_matter():
    runner = StrategyRunner([diary("one", signals=70), diary("two")])
    outputs = runner.on(batch(tick()))
    assert isinstance(outputs[-1], TradingSignal)
    assert outputs[-1].strategy_id == "two"


def test_a_strategy_follows_the_first_of_its_brokers():
    strategy = diary(brokers=("paper", "zerodha"))
    runner = StrategyRunner([strategy])
    for broker in ("zerodha", "paper"):
        runner.on(OrderOpened(order(broker=broker)))
        runner.on(OrderFilled(order(broker=broker, status=S.PARTIAL), fill(quantity=3, broker=broker)))
        runner.on(OrderClosed(order(broker=broker, status=S.CANCELLED)))
        runner.on(refusal(signal(), broker))
    assert strategy.told == [
        ("on_order_update", S.PREPARED),
        ("on_fill", 3),
        ("on_order_update", S.CANCELLED),
        ("on_refused", "S000001", "a_rule"),
    ]


def test_the_host_keeps_the_position_and_hands_it_over_when_trading_begins_again():
    runner = StrategyRunner([diary()], positions={"momentum_1": {INFY_TOKEN: -2}})
    for side, quantity, position in ((BUY, 5, 3), (SELL, 4, -1), (BUY, 1, 0)):
        runner.on(OrderFilled(order(side, quantity, status=S.FILLED), fill(side, quantity)))
        runner.on(HALT)
        runner.on(RESUME)
        assert runner.strategies()[0].told == [("on_start", {INFY_TOKEN: position}, [])]


def test_the_fate_of_another_strategys_orders_is_not_shown():
    strategy = diary("one")
    runner = StrategyRunner([strategy])
    for owner in ("two", "gone"):
        runner.on(OrderOpened(order(strategy_id=owner)))
        runner.on(OrderFilled(order(strategy_id=owner), fill(strategy_id=owner)))
        runner.on(refusal(signal(strategy_id=owner)))
    assert strategy.told == []


def test_a_start_tells_positions_and_open_orders():
    strategy = diary()
    alive = [order(sequence=3, status=S.UNKNOWN), order(sequence=4, status=S.OPEN, broker="zerodha")]
    runner = StrategyRunner([strategy], positions={"momentum_1": {INFY_TOKEN: 4}}, orders=alive)
    assert runner.start() == []
    assert strategy.told == [("on_start", {INFY_TOKEN: 4}, ["O000003"])]


def test_a_strategy_that_changes_what_it_was_given_does_not_change_its_host():
    class Greedy(Strategy):
        def on_start(self, positions, orders):
            positions.clear()
            orders.clear()

    runner = StrategyRunner(
        [Greedy("momentum_1", [INFY_TOKEN], ["paper"])],
        positions={"momentum_1": {INFY_TOKEN: 4}},
        orders=[order(status=S.OPEN)],
    )
    runner.start()
    assert runner.hosted["momentum_1"].positions == {INFY_TOKEN: 4}
    assert list(runner.hosted["momentum_1"].orders) == ["O000001"]


def test_a_halt_shows_no_data_and_no_timer_but_still_the_fate_of_orders():
    strategy = diary()
    runner = StrategyRunner([strategy])
    runner.on(HALT)
    assert runner.on(batch(tick())) == []
    assert runner.on(Timer(TEN_NS)) == []
    runner.on(OrderClosed(order(status=S.CANCELLED)))
    assert strategy.told == [("on_order_update", S.CANCELLED)]


def test_a_restart_under_the_kill_switch_shows_no_data():
    strategy = diary()
    assert StrategyRunner([strategy], halted=True).on(batch(tick())) == []
    assert strategy.told == []


def test_an_instrument_that_is_listed_during_a_halt_is_known_after_it():
    newcomer = Instrument(99, "NSE", "NEW")
    runner = StrategyRunner([diary(tokens=(99,), signals=65)])
    runner.on(HALT)
    runner.on(batch(tick(1.0, 99), listed=(newcomer,)))
    runner.on(RESUME)
    assert runner.on(batch(tick(1.0, 99)))[-1].instrument == newcomer


def test_a_resume_makes_strategies_anew_and_tells_them_where_they_stand():
    strategy = diary(signals=2)
    runner = StrategyRunner([strategy])
    runner.on(batch(tick()))
    runner.on(HALT)
    runner.on(OrderFilled(order(BUY, 5, status=S.PARTIAL, filled_quantity=3), fill(quantity=3)))
    runner.on(RESUME)
    fresh = runner.hosted["momentum_1"].strategy
    assert fresh is not strategy
    assert (type(fresh), fresh.params, fresh.instruments, fresh.brokers) == (
        *(Diary, strategy.params),
        *(strategy.instruments, strategy.brokers),
    )
    assert fresh.told == [("on_start", {INFY_TOKEN: 3}, ["O000001"])]
    assert len(runner.on(batch(tick()))) == 2


def test_the_warm_up_shows_rows_and_drops_what_is_said():
    strategy = diary()
    runner = StrategyRunner([strategy])
    runner.warm_up(batch(tick(1.0), tick(2.0, TCS_TOKEN)))
    assert strategy.told == [("on_market_data", 1.0)]
    assert runner.hosted["momentum_1"].signals == 0
    (made,) = runner.on(batch(tick(2.0)))
    assert made.signal_id == "S000001"


def test_a_timer_may_make_signals():
    class Clock(Strategy):
        def on_timer(self, time_ns):
            return [signal()]

    (made,) = StrategyRunner([Clock("clock", [INFY_TOKEN], ["paper"])]).on(Timer(TEN_NS + 5))
    assert (made.time_ns, made.strategy_id) == (TEN_NS + 5, "clock")


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"signals": "many"}, "signals"),
        ({"raises_in": 5}, "raises_in"),
        ({"look_back": 5}, "look_back"),
    ],
)
def test_a_bad_parameter_is_named_when_the_strategy_is_made(params, key):
    with pytest.raises(ValidationError, match=key):
        diary(**params)


def test_params_may_be_left_out_or_be_a_struct():
    assert Strategy("s", [1], ["paper"]).params == Strategy.Params()
    again = Diary("s", [1], ["paper"], Diary.Params(signals=3))
    assert again.params == Diary.Params(signals=3)
    assert msgspec.to_builtins(again.params) == {"raises_in": "", "signals": 3}


def test_a_strategy_that_overrides_nothing_answers_nothing():
    plain = Strategy("plain", [INFY_TOKEN], ["paper"])
    runner = StrategyRunner([plain])
    events = [batch(tick()), Timer(1), *broken_inbox().values(), HALT, RESUME]
    assert [runner.on(event) for event in events] == [[]] * len(events)
    assert runner.start() == runner.stop() == []
    assert plain.on_market_data(tick()) == []


def test_an_event_that_is_not_for_strategies_raises():
    with pytest.raises(TypeError, match="Report"):
        StrategyRunner([]).on(report())
