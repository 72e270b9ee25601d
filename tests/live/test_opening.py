"""From settings and journal to a line that is ready: what a start puts right, and what it refuses."""

import asyncio
from contextlib import closing, contextmanager

import pytest
from builders import BUY, fill, order
from journals import read, store_path, write
from loguru import logger
from msgspec.structs import replace
from running import strategy, write_config, write_ticks, zigzag
from sessions import CASH

from alphapanda.config import load
from alphapanda.core.portfolio import PortfolioManager
from alphapanda.errors import CannotStart, DataError
from alphapanda.events import (
    AccountOpened,
    Booked,
    Halt,
    Instrument,
    Money,
    OrderClosed,
    OrderFilled,
    OrderOpened,
    OrderStatus,
    ReportKind,
    Resume,
    RowTaken,
)
from alphapanda.live.gate import Gate
from alphapanda.live.opening import open_line
from alphapanda.live.options import Options
from alphapanda.store import Store
from alphapanda.venues.instruments import InstrumentBook
from alphapanda.venues.replay import DataSet
from alphapanda.venues.simulated import BUILT_IN

INFY = InstrumentBook().by_key("NSE:INFY")
UNCALENDARED = Options(calendar=False)


@pytest.fixture
def logged():
    lines = []
    sink = logger.add(lines.append, format="{message}", level="WARNING")
    yield lines
    logger.remove(sink)


@pytest.fixture
def folder(tmp_path):
    write_ticks(tmp_path, zigzag(6))
    return tmp_path


def identity(folder):
    return DataSet([folder / "prices"], InstrumentBook()).identity


@contextmanager
def opened(folder, options=UNCALENDARED, **sections):
    """The line of this folder, and after it what the start wrote down."""

    async def main():
        loaded = load(write_config(folder, **sections), environ={}, cwd=folder)
        store_path(folder).parent.mkdir(exist_ok=True)
        async with Store(store_path(folder)) as store:
            writer = asyncio.create_task(store.run())
            try:
                return await open_line(loaded, options, store, Gate())
            finally:
                await store.commit()
                writer.cancel()
                await asyncio.wait([writer])

    line = asyncio.run(main(), debug=True)
    with closing(line.rows):
        yield line


def refusal(folder, options=UNCALENDARED, **sections):
    with pytest.raises(CannotStart) as caught, opened(folder, options, **sections):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def history(*statuses, filled=0):
    """Events that leave one order in each of `statuses`, after `filled` orders that were filled."""
    book, events = PortfolioManager({"paper": CASH}), [AccountOpened("paper", CASH)]
    for sequence in range(1, filled + 1):
        made = order(BUY, 1, sequence, instrument=INFY)
        done = fill(BUY, 1, trade=sequence, order_id=made.order_id, instrument=INFY)
        events.append(OrderOpened(made))
        events += [e for e in book.on(OrderFilled(made, done)) if isinstance(e, Booked)]
    for sequence, status in enumerate(statuses, filled + 1):
        events.append(OrderOpened(order(BUY, 5, sequence, instrument=INFY, status=status, row=2)))
    return events


def rows_left(line):
    return [batch.row for batch in line.rows]


def window(line):
    """The prices that the strategy has seen of INFY."""
    return list(line.cores.strategy.hosted["momentum_1"].strategy._prices[INFY.instrument_token])


def test_a_first_start_opens_the_account_and_begins_with_the_first_row(folder):
    with opened(folder) as line:
        assert (line.taken, line.clock_ns) == (0, 0)
        assert line.halt is None
        assert list(line.brokers) == ["paper"]
        assert window(line) == []
        assert "brokers paper; strategies momentum_1; from row 1" in line.ready_line()
        assert rows_left(line) == [1, 2, 3, 4, 5, 6]
    assert read(store_path(folder)) == [AccountOpened("paper", Money("1000000.0"))]


def test_a_second_start_opens_no_second_account(folder):
    for _ in range(2):
        with opened(folder):
            pass
    assert len(read(store_path(folder))) == 1


@pytest.mark.parametrize("status", [OrderStatus.PREPARED, OrderStatus.SENT, OrderStatus.UNKNOWN])
def test_an_order_that_paper_never_had_is_not_found_and_the_journal_says_so(folder, status):
    write(store_path(folder), *history(status))
    with opened(folder) as line:
        assert line.cores.execution.order("O000001").status is OrderStatus.NOT_FOUND
        assert line.cores.portfolio.books()["paper"].orders == {}
        assert line.cores.portfolio.books()["paper"].free_cash == CASH
        assert line.brokers["paper"].resting() == []
    *_, last = read(store_path(folder))
    assert isinstance(last, OrderClosed)
    assert last.order.status is OrderStatus.NOT_FOUND
    assert last.order.reason == "not in the paper broker's book after a restart"
    with opened(folder) as line:
        assert line.cores.execution.order("O000001").status is OrderStatus.NOT_FOUND
    assert read(store_path(folder))[-1] == last


@pytest.mark.parametrize(("past", "quantity"), [(history(filled=1), 1), (history(OrderStatus.OPEN), 5)])
def test_what_is_held_or_ordered_in_one_product_is_not_to_be_closed_in_another(folder, past, quantity):
    write(store_path(folder), *past)
    said = refusal(folder, zerodha={"product": "CNC"})
    assert said == (
        f"zerodha.product is CNC, but momentum_1 has {quantity} NSE:INFY at paper as MIS: "
        "set it back to MIS until that is closed"
    )
    assert len(read(store_path(folder))) == len(past)
    with opened(folder, zerodha={"product": "MIS"}):
        pass


def test_another_product_is_fine_once_everything_is_closed(folder):
    write(store_path(folder), *history(OrderStatus.CANCELLED))
    with opened(folder, zerodha={"product": "CNC"}) as line:
        assert line.cores.risk._products == {"paper": "CNC"}


def test_an_order_that_rested_rests_again_and_fills_at_the_next_row(folder):
    write(store_path(folder), *history(OrderStatus.OPEN, filled=1), RowTaken(identity(folder), 2, 0))
    reports = []
    with opened(folder) as line:
        broker = line.brokers["paper"]
        assert [resting.order_id for resting in broker.resting()] == ["O000002"]
        assert line.cores.portfolio.books()["paper"].positions == {("momentum_1", INFY.instrument_token): 1}
        broker.attach(reports.append, lambda _: True)
        third = next(line.rows)
        assert third.row == 3
        broker.on_ticks(third)
    (report,) = reports
    assert (report.kind, report.order_id, report.quantity) == (ReportKind.FILL, "O000002", 5)
    assert report.trade_id == "T000002"
    assert (report.price, report.time_ns) == (Money("100.05"), third.time_ns)


def test_orders_that_have_ended_stay_as_they_are(folder):
    ended = [status for status in OrderStatus if status.ended]
    write(store_path(folder), *history(*ended))
    before = read(store_path(folder))
    with opened(folder) as line:
        assert line.cores.execution.open_orders() == []
        assert line.brokers["paper"].resting() == []
    assert read(store_path(folder)) == before


def test_numbers_and_tags_go_on(folder):
    write(store_path(folder), *history(OrderStatus.OPEN, filled=2))
    with opened(folder) as line:
        assert line.cores.risk._sequence == 3


def test_from_start_needs_an_empty_store(folder):
    with opened(folder, Options(from_start=True, calendar=False)) as line:
        assert line.taken == 0
    before = read(store_path(folder))
    line = refusal(folder, Options(from_start=True, calendar=False))
    assert line == f"--from-start needs an empty store, {store_path(folder)} has a journal; move it away"
    assert read(store_path(folder)) == before


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"feed": {"source": "zerodha"}}, "logged in at https://api.kite.trade; run `alphapanda login`"),
        ({"feed": {"source": "replay"}}, "feed.replay.paths is empty"),
        ({"feed": {"source": "replay", "replay": {"paths": ["nowhere"]}}}, "nowhere"),
        (
            {"strategies": [strategy() | {"class": "no.such:Thing"}]},
            "strategies[momentum_1] in config.toml: class: no.such",
        ),
        (
            {
                "active_brokers": ["paper", "zerodha"],
                "zerodha": {"enabled": True, "api_root": "http://127.0.0.1:1", "ws_root": "ws://127.0.0.1:1"},
            },
            "at http://127.0.0.1:1; run `alphapanda login --rehearsal-url http://127.0.0.1:1`",
        ),
    ],
    ids=["feed", "no data", "missing data", "strategy", "broker"],
)
def test_a_start_that_is_refused_says_why_and_leaves_nothing_in_the_journal(folder, sections, line):
    async def main():
        environ = {"ALPHAPANDA__ZERODHA__API_KEY": "k", "ALPHAPANDA__ZERODHA__API_SECRET": "s"}
        loaded = load(write_config(folder, **sections), environ=environ, cwd=folder)
        store_path(folder).parent.mkdir()
        async with Store(store_path(folder)) as store:
            writer = asyncio.create_task(store.run())
            with pytest.raises(CannotStart) as caught:
                await open_line(loaded, UNCALENDARED, store, Gate())
            await store.commit()
            writer.cancel()
            await asyncio.wait([writer])
            return str(caught.value)

    assert line in asyncio.run(main(), debug=True)
    assert read(store_path(folder)) == []


SIMULATED = {"source": "simulated"}


def listed(line):
    """Every name that the session has, by its key."""
    return {instrument.key: instrument for row in line.rows for instrument in row.listed}


def test_a_simulated_session_has_the_well_known_names_and_what_enabled_strategies_name(folder):
    idle = strategy("idle", instruments=["NSE:ASLEEP"], enabled=False)
    with opened(folder, feed=SIMULATED, strategies=[strategy(instruments=["NSE:OWN"]), idle]) as line:
        found = listed(line)
        assert set(found) == {*BUILT_IN, "NSE:OWN"}
        assert found["NSE:INFY"] == Instrument(408065, "NSE", "INFY", Money("0.10"))
        assert line.cores.strategy.hosted["momentum_1"].strategy.instruments == (
            found["NSE:OWN"].instrument_token,
        )


def test_a_simulated_session_has_the_names_that_were_asked_for_and_what_strategies_name(folder):
    asked = SIMULATED | {"simulated": {"instruments": ["NSE:TCS", "BSE:TCS"]}}
    with opened(folder, feed=asked, strategies=[strategy(instruments=["NSE:ITC"])]) as line:
        assert set(listed(line)) == {"NSE:TCS", "BSE:TCS", "NSE:ITC"}


def test_a_simulated_session_goes_on_where_it_stopped_and_another_seed_does_not(folder):
    def settings(seed):
        return SIMULATED | {"simulated": {"seed": seed, "instruments": ["NSE:INFY"]}}

    with opened(folder, feed=settings(5)) as line:
        third = [next(line.rows) for _ in range(3)][2]
        walked = line.feed.identity
    write(store_path(folder), RowTaken(walked, third.row, third.time_ns))
    with opened(folder, feed=settings(5)) as line:
        assert (line.taken, line.clock_ns) == (3, third.time_ns)
        assert next(line.rows).row == 4
    with opened(folder, feed=settings(6)) as line:
        assert line.taken == 0
        assert next(line.rows).row == 1


def test_what_was_traded_keeps_its_token_in_a_simulated_session(folder):
    write(store_path(folder), *history(OrderStatus.OPEN))
    assert INFY.instrument_token != 408065
    with opened(folder, feed=SIMULATED) as line:
        assert listed(line)["NSE:INFY"] == replace(INFY, tick_size=Money("0.10"))


def test_two_names_with_one_token_stop_a_simulated_session(folder):
    traded = order(BUY, 1, instrument=Instrument(408065, "NSE", "OTHER"))
    write(store_path(folder), AccountOpened("paper", CASH), OrderOpened(traded))
    assert "NSE:OTHER and NSE:INFY have the same instrument token 408065" in refusal(folder, feed=SIMULATED)


def test_rows_taken_before_warm_the_strategies_up_and_make_no_signal(folder):
    write(store_path(folder), AccountOpened("paper", CASH), RowTaken(identity(folder), 4, 0))
    with opened(folder) as line:
        assert line.taken == 4
        assert window(line) == [100.0, 102.0]
        assert line.cores.strategy._made == 0
        assert line.cores.strategy.hosted["momentum_1"].signals == 0
        assert line.cores.risk._marks.mark(INFY.instrument_token).price == 102.0
        assert rows_left(line) == [5, 6]
    assert len(read(store_path(folder))) == 2


def test_rows_of_other_data_are_not_taken_and_that_is_said(folder, logged):
    write(store_path(folder), RowTaken("another feed", 4, 99))
    with opened(folder) as line:
        assert (line.taken, line.clock_ns) == (0, 0)
        assert rows_left(line) == [1, 2, 3, 4, 5, 6]
    assert [warning for warning in logged if "other data was walked before" in warning]


@pytest.mark.parametrize("known", [False, True], ids=["a first start", "a start that goes on"])
def test_nothing_is_said_of_other_data_when_this_data_is_known(folder, logged, known):
    if known:
        write(store_path(folder), RowTaken("another feed", 4, 99), RowTaken(identity(folder), 2, 5))
    with opened(folder) as line:
        assert (line.taken, line.clock_ns) == ((2, 5) if known else (0, 0))
    assert [warning for warning in logged if "other data" in warning] == []


def test_a_line_goes_on_at_the_time_its_data_had_come_to(folder):
    feed = identity(folder)
    write(store_path(folder), RowTaken(feed, 3, 70), RowTaken("another feed", 9, 999), RowTaken(feed, 3, 80))
    with opened(folder) as line:
        assert (line.taken, line.clock_ns) == (3, 80)


def named_otherwise(folder, *, token, symbol):
    (folder / "prices" / "day.csv").write_text(
        "timestamp,symbol,instrument_token,ltp\n"
        + "".join(f"2024-01-31 09:15:0{second},{symbol},{token},10{second}\n" for second in range(6))
    )


@pytest.mark.parametrize(
    ("token", "symbol", "both"),
    [
        (999, "INFY", ("NSE:INFY has two instrument tokens", str(INFY.instrument_token), "999")),
        (INFY.instrument_token, "WIPRO", ("NSE:INFY and NSE:WIPRO", str(INFY.instrument_token))),
    ],
    ids=["another token", "another name"],
)
def test_data_that_gives_what_was_traded_another_token_is_refused(folder, token, symbol, both):
    """Its positions would be split in two, each wrong."""
    write(store_path(folder), *history(OrderStatus.OPEN, filled=1))
    named_otherwise(folder, token=token, symbol=symbol)
    sections = {"strategies": [strategy(instruments=[f"NSE:{symbol}"])]}
    before = read(store_path(folder))

    with pytest.raises((CannotStart, DataError)) as caught, opened(folder, **sections) as line:
        rows_left(line)
    assert "\n" not in str(caught.value)
    for name in both:
        assert name in str(caught.value)
    assert read(store_path(folder)) == before


def test_data_without_tokens_is_known_by_those_of_the_orders(folder):
    own = Instrument(4242, "NSE", "INFY")
    write(store_path(folder), AccountOpened("paper", CASH), OrderOpened(order(BUY, 5, 1, instrument=own)))
    with opened(folder) as line:
        first = next(line.rows)
        assert [tick.instrument_token for tick in first.ticks] == [4242]
        assert list(line.cores.strategy.hosted["momentum_1"].strategy.instruments) == [4242]


def test_data_that_grew_goes_on_where_it_was(folder):
    write(store_path(folder), AccountOpened("paper", CASH), RowTaken(identity(folder), 6, 0))
    write_ticks(folder, zigzag(8))
    with opened(folder) as line:
        assert line.taken == 6
        assert rows_left(line) == [7, 8]


def test_rows_before_the_last_resume_are_not_shown_again(folder):
    """Strategies begin with empty windows after a kill switch, at a restart too."""
    feed = identity(folder)
    write(
        store_path(folder),
        Halt("news", "uid 7", 1),
        RowTaken(feed, 3, 2),
        Resume("over", "uid 7", 2),
        RowTaken(feed, 4, 3),
    )
    with opened(folder) as line:
        assert line.halt is None
        assert window(line) == [102.0]
        assert rows_left(line) == [5, 6]


def test_a_halted_start_shows_the_strategies_nothing_but_knows_the_prices(folder):
    halt = Halt("news", "uid 7", 1)
    write(store_path(folder), RowTaken(identity(folder), 4, 0), halt)
    with opened(folder) as line:
        assert line.halt == halt
        assert window(line) == []
        assert line.cores.risk.halted
        assert line.cores.risk._marks.mark(INFY.instrument_token).price == 102.0
        assert line.cores.portfolio._last == {INFY.instrument_token: 102.0}
        assert rows_left(line) == [5, 6]


def test_the_strategies_views_follow_positions_and_resting_orders(folder):
    write(store_path(folder), *history(OrderStatus.OPEN, filled=1))
    with opened(folder) as line:
        line.cores.strategy.start()
        hosted = line.cores.strategy.hosted["momentum_1"]
        assert hosted.positions == {INFY.instrument_token: 1}
        assert list(hosted.orders) == ["O000002"]
        assert hosted.strategy.view(INFY.instrument_token) == 1
