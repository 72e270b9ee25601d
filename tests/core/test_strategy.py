"""StrategyRunner: strategies see what concerns them, and a broken one breaks nothing but itself."""

import asyncio

import msgspec
import pytest
from builders import (
    BUY,
    CLOSE,
    INFY,
    LIMIT,
    SECOND,
    SELL,
    TCS,
    TEN_NS,
    batch,
    fill,
    order,
    report,
    signal,
    tick,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, ValidationError
from msgspec.structs import replace

from alphapanda.core.hosted import MAX_UNANSWERED
from alphapanda.core.runner import StrategyRunner
from alphapanda.core.strategy import Strategy
from alphapanda.events import (
    Halt,
    Instrument,
    Money,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    OrderType,
    OrderUpdated,
    Refused,
    Resume,
    StrategyFailed,
    Timer,
    TradingSignal,
    Validity,
    Verdict,
)

S = OrderStatus
HALT, RESUME = Halt("test", "operator", TEN_NS), Resume("test", "operator", TEN_NS)
INFY_TOKEN, TCS_TOKEN = INFY.instrument_token, TCS.instrument_token


class Diary(Strategy):
    """Buys one unit on every tick, and writes down everything it is told."""

    class Params(Struct, frozen=True, forbid_unknown_fields=True):
        raises_in: str = ""
        signals: int = 1

    def __init__(self, *args):
        super().__init__(*args)
        self.told = []

    def note(self, hook, *what):
        if self.params.raises_in == hook:
            raise ValueError(f"broken in {hook}")
        self.told.append((hook, *what))

    def on_market_data(self, tick):
        self.note("on_market_data", tick.last_price)
        return [self.buy(tick, 1) for _ in range(self.params.signals)]

    def on_start(self, positions, orders):
        self.note("on_start", positions, [one.order_id for one in orders])

    def on_fill(self, fill):
        self.note("on_fill", fill.quantity)

    def on_order_update(self, order):
        self.note("on_order_update", order.status)

    def on_refused(self, signal, rule, why):
        self.note("on_refused", signal.signal_id, rule)

    def on_timer(self, time_ns):
        self.note("on_timer", time_ns)
        return []

    def on_stop(self):
        self.note("on_stop")


def diary(name="momentum_1", tokens=(INFY_TOKEN,), brokers=("paper",), **params):
    return Diary(name, tokens, brokers, params)


def hooks(strategy):
    return [hook for hook, *_ in strategy.told]


def refusal(of, broker="paper", verdict=Verdict.REFUSED):
    return Refused(signal=of, broker=broker, verdict=verdict, rule="a_rule", why="why", quantity=1)


def test_a_signal_gets_its_id_its_brokers_and_the_times_of_its_row():
    runner = StrategyRunner([diary(brokers=("paper", "zerodha"))], signals_made=41)
    (made,) = runner.on(batch(tick(101.0), at=1, row=5, received_ns=9))
    assert (made.signal_id, made.strategy_id, made.brokers) == (
        *("S000042", "momentum_1"),
        ("paper", "zerodha"),
    )
    assert (made.time_ns, made.row, made.received_ns, made.last_price) == (TEN_NS + SECOND, 5, 9, 101.0)


def test_a_strategy_cannot_speak_for_another():
    class Impostor(Strategy):
        def on_market_data(self, tick):
            return [signal(strategy_id="other", brokers=("elsewhere",), signal_id="S999999")]

    (made,) = StrategyRunner([Impostor("me", [INFY_TOKEN], ["paper"])]).on(batch(tick()))
    assert (made.strategy_id, made.brokers, made.signal_id) == ("me", ("paper",), "S000001")


def test_strategies_see_their_own_instruments_only():
    one, two = diary("one"), diary("two", (TCS_TOKEN,))
    made = StrategyRunner([one, two]).on(batch(tick(1.0), tick(2.0, TCS_TOKEN)))
    assert [signal.strategy_id for signal in made] == ["one", "two"]
    assert one.told == [("on_market_data", 1.0)]
    assert two.told == [("on_market_data", 2.0)]


def broken_inbox():
    """One event for each hook, on behalf of the strategy `broken`."""
    of = {"strategy_id": "broken"}
    return {
        "on_market_data": batch(tick()),
        "on_fill": OrderFilled(order(quantity=1, status=S.FILLED, filled_quantity=1, **of), fill(**of)),
        "on_order_update": OrderUpdated(order(status=S.OPEN, **of)),
        "on_refused": refusal(signal(**of)),
        "on_timer": Timer(TEN_NS),
    }


@pytest.mark.parametrize("hook", broken_inbox())
def test_a_strategy_that_raises_is_quarantined_at_once_and_its_neighbours_go_on(hook):
    broken, neighbour = diary("broken", raises_in=hook), diary("neighbour")
    alone = diary("neighbour")
    runner, undisturbed = StrategyRunner([broken, neighbour]), StrategyRunner([alone])
    event = broken_inbox()[hook]
    outputs = runner.on(event)
    (failure,) = [output for output in outputs if isinstance(output, StrategyFailed)]
    assert (failure.strategy_id, failure.error) == ("broken", f"ValueError: broken in {hook}")
    assert failure.trace[-1].startswith(f"{__file__}, line ")
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


class Undecided:
    """Arrays raise when they are asked whether they are true."""

    def __bool__(self):
        raise RuntimeError("neither yes nor no")


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


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (5, "TypeError"),
        (signal(), "TypeError: a strategy answers with a list: write [signal] instead of signal"),
        (["BUY"], "TypeError: a strategy answers with a list of TradingSignal, not str"),
        ([signal(), None], "TypeError: a strategy answers with a list of TradingSignal, not NoneType"),
        ([signal(quantity=1.5)], "ValidationError: Expected `int`, got `float` - at `$[0].quantity`"),
        ([signal(quantity="1")], "ValidationError: Expected `int`, got `str` - at `$[0].quantity`"),
        ([signal(side="LONG")], "ValidationError: Invalid enum value 'LONG' - at `$[0].transaction_type`"),
        ([signal(price=object())], "TypeError: Encoding objects of type object is unsupported"),
        ([signal(last_price=float("nan"))], "ValueError: the price decided upon is nan"),
        ([signal(quantity=2**63)], "ValueError: quantity 9223372036854775808 is over 1000000000"),
        ([signal(price=Money("1E+999999"))], "ValueError: price 1E+999999 is over 1000000000"),
        ([signal(price=Money("-Infinity"))], "ValueError: price -Infinity is over 1000000000"),
        ([signal(price=Money("NaN"))], "ValueError: a price or trigger price is not a number"),
        ([signal(trigger_price=float("nan"))], "ValueError: a price or trigger price is not a number"),
        ([signal(reason="\ud800")], "UnicodeEncodeError"),
        ([signal(reason="x" * 201)], "ValueError: a reason has at most 200 characters"),
        ([signal()] * 1001, "TypeError: a strategy answers with a list of at most 1000 signals"),
        (Undecided(), "RuntimeError: neither yes nor no"),
    ],
)
@pytest.mark.parametrize("hook", ["on_market_data", "on_timer"])
def test_an_answer_that_is_no_list_of_signals_is_the_strategys_own_failure(answer, error, hook):
    class Odd(Strategy):
        pass

    setattr(Odd, hook, lambda *_: answer)
    neighbour = diary("neighbour")
    runner = StrategyRunner([Odd("odd", [INFY_TOKEN], ["paper"]), neighbour])
    outputs = runner.on(batch(tick()) if hook == "on_market_data" else Timer(TEN_NS))
    (failure,) = [output for output in outputs if isinstance(output, StrategyFailed)]
    assert failure.strategy_id == "odd"
    assert error in failure.error
    assert runner.hosted["odd"].state == "quarantined"
    assert len(neighbour.told) == 1


def test_a_float_limit_becomes_exact_rupees():
    class Limits(Strategy):
        def on_market_data(self, tick):
            return [replace(self.buy(tick, 1), order_type=LIMIT, price=99.95)]

    (made,) = StrategyRunner([Limits("limits", [INFY_TOKEN], ["paper"])]).on(batch(tick()))
    assert made.price == Money("99.95")
    assert type(made.price) is Money


@pytest.mark.parametrize(
    ("terms", "made"),
    [
        ({}, (OrderType.MARKET, None, None)),
        ({"price": 99.95}, (OrderType.LIMIT, Money("99.95"), None)),
        ({"price": Money("99.95")}, (OrderType.LIMIT, Money("99.95"), None)),
        ({"trigger_price": 101}, (OrderType.SL_M, None, Money(101))),
        ({"trigger_price": 100.1, "price": 100.3}, (OrderType.SL, Money("100.3"), Money("100.1"))),
    ],
)
def test_what_prices_are_given_makes_the_type_of_the_order(terms, made):
    strategy = Strategy("s", [INFY_TOKEN], ["paper"])
    bought, sold = strategy.buy(tick(), 1, **terms), strategy.sell(tick(), 1, CLOSE, "out", **terms)
    for asked in (bought, sold):
        assert (asked.order_type, asked.price, asked.trigger_price) == made
        assert (asked.validity, asked.validity_ttl) == (Validity.DAY, 0)
    assert (sold.transaction_type, sold.position_effect, sold.reason) == (SELL, CLOSE, "out")


def test_validity_is_a_word_or_the_value_and_anything_else_is_an_error():
    strategy = Strategy("s", [INFY_TOKEN], ["paper"])
    assert strategy.buy(tick(), 1, price=99.0, validity="IOC").validity is Validity.IOC
    resting = strategy.buy(tick(), 1, price=99.0, validity=Validity.TTL, validity_ttl=5)
    assert (resting.validity, resting.validity_ttl) == (Validity.TTL, 5)
    with pytest.raises(ValueError, match="GTC"):
        strategy.buy(tick(), 1, validity="GTC")


@pytest.mark.parametrize("term", ["prise", "limit", "product"])
def test_a_misspelt_term_is_no_market_order(term):
    with pytest.raises(TypeError, match=term):
        Strategy("momentum_1", [408065], ["paper"]).buy(tick(), 10, **{term: 95.0})


@pytest.mark.parametrize("terms", [{"trigger_price": 1e10}, {"validity_ttl": 10**30}])
def test_terms_that_no_journal_could_hold_are_the_strategys_own_failure(terms):
    class Wild(Strategy):
        def on_market_data(self, tick):
            return [self.buy(tick, 1, **terms)]

    (failure,) = StrategyRunner([Wild("wild", [INFY_TOKEN], ["paper"])]).on(batch(tick()))
    assert isinstance(failure, StrategyFailed)


def test_a_strategy_that_answers_nothing_is_no_failure():
    class Quiet(Strategy):
        def on_market_data(self, tick):
            return None

    assert StrategyRunner([Quiet("quiet", [INFY_TOKEN], ["paper"])]).on(batch(tick())) == []


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


def test_buy_and_sell_decide_on_the_tick_they_are_given():
    strategy = diary()
    made = strategy.sell(tick(101.5), 3, CLOSE, "it fell")
    assert (made.transaction_type, made.quantity, made.position_effect) == (SELL, 3, CLOSE)
    assert (made.last_price, made.reason, made.instrument_token) == (101.5, "it fell", INFY_TOKEN)
    assert strategy.buy(tick(), 1).transaction_type is BUY


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
