"""The follower: whatever the books leave out, repeat or tell late, our orders end as the exchange's did."""

from decimal import Decimal

import pytest
from builders import BUY, INFY, SELL, SL_M, TEN_NS, fill, order, signal
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alphapanda.core import execution
from alphapanda.core.charges import flat
from alphapanda.core.execution import TradingEngine
from alphapanda.events import Approved, Money, OrderFilled, OrderStatus, Report, ReportKind
from alphapanda.times import DAY_NS, to_ist
from alphapanda.venues.zerodha.book_rows import BookRead, OrderRow, TradeRow
from alphapanda.venues.zerodha.follow import KEPT_DAYS, Follower

S, K = OrderStatus, ReportKind
QUIET_S = 10.0
CHARGES = flat(Money("0.1"))


def row(order_id="B1", status="OPEN", number=1, **fields):
    """A row of our order of this number, for ten of INFY."""
    ours = {"tag": f"test{number:08d}", "tradingsymbol": INFY.tradingsymbol, "transaction_type": "BUY"}
    return OrderRow(**{"order_id": order_id, "status": status, "quantity": 10} | ours | fields)


def trade(trade_id="1", order_id="B1", quantity=10, price="100.05", **fields):
    stamp = {"fill_timestamp": f"{to_ist(TEN_NS):%Y-%m-%d %H:%M:%S}"}
    return TradeRow(
        **{"trade_id": trade_id, "order_id": order_id, "quantity": quantity, "average_price": Decimal(price)}
        | stamp
        | fields
    )


def read(*rows, at=0.0, unreadable=0):
    return BookRead(rows=rows, asked_s=at, answered_s=at, unreadable=unreadable)


def placed(*numbers, **fields):
    """A follower with these orders on their way."""
    follower = Follower("paper", CHARGES, quiet_period_s=QUIET_S)
    for number in numbers or (1,):
        follower.placed(order(sequence=number, **fields))
    return follower


def told(followed):
    return [(report.kind, report.broker_order_id, report.quantity) for report in followed.reports]


def kinds(followed):
    return [report.kind for report in followed.reports]


def test_an_order_is_ours_by_its_tag_even_where_kite_moved_it_among_its_own():
    follower = placed()
    moved = row(tag=None, tags=("mktp", "test00000001", "mktp:2.00"))
    assert told(follower.apply(read(moved), read(), TEN_NS)) == [(K.ACCEPTED, "B1", 0)]


def test_an_order_whose_fill_came_before_its_reply_is_filled_and_the_reply_changes_nothing():
    follower = placed()
    complete = row(status="COMPLETE", filled_quantity=10)
    followed = follower.apply(read(complete), read(trade()), TEN_NS + 5)
    assert told(followed) == [(K.ACCEPTED, "B1", 0), (K.FILL, "B1", 10)]
    filled = followed.reports[1]
    assert (filled.price, filled.charges, filled.time_ns) == (Money("100.05"), Money("1.00"), TEN_NS)
    assert [each.status for each in followed.after] == [S.OPEN, S.FILLED]
    assert follower.acked("O000001", "B1", TEN_NS).reports == []
    assert follower.living() == []


def test_a_reply_that_comes_after_the_order_was_rejected_does_not_wake_it():
    follower = placed()
    assert kinds(follower.apply(read(row(status="REJECTED")), read(), TEN_NS)) == [K.REJECTED]
    assert follower.acked("O000001", "B1", TEN_NS).reports == []


def test_a_reply_with_another_id_than_the_books_is_an_alarm():
    follower = placed()
    follower.apply(read(row()), read(), TEN_NS)
    assert "B2" in follower.acked("O000001", "B2", TEN_NS).alarms[0]


def test_an_end_is_told_only_when_its_trades_are_known():
    follower = placed()
    dead = row(status="CANCELLED", filled_quantity=7, status_message="by hand")
    assert kinds(follower.apply(read(dead), read(trade(quantity=4)), TEN_NS)) == [K.ACCEPTED, K.FILL]
    assert follower.unsettled
    late = follower.apply(read(dead, at=1), read(trade(quantity=4), trade("2", quantity=3), at=1), TEN_NS)
    assert told(late) == [(K.FILL, "B1", 3), (K.CANCELLED, "B1", 0)]
    assert late.reports[1].reason == "by hand"
    assert follower.order("O000001").pending_quantity == 3
    assert not follower.unsettled


def test_a_trade_is_booked_once_and_its_id_is_unique_among_all_orders():
    follower = placed(1, 2)
    rows = read(row(), row("B2", number=2))
    trades = read(trade(quantity=4), trade("1", "B2", 5))
    followed = follower.apply(rows, trades, TEN_NS)
    booked = [report for report in followed.reports if report.kind is K.FILL]
    assert [report.trade_id for report in booked] == ["1", "1-B2"]
    orders = [follower.order(order_id) for order_id in ("O000001", "O000002")]
    fills = [fill(trade_id=report.trade_id, order_id=report.order_id) for report in booked]
    again = Follower("paper", CHARGES, orders=orders, fills=fills)
    assert again.apply(rows, trades, TEN_NS).reports == []


def test_the_noise_of_a_float_is_no_part_of_a_price():
    assert trade(price="99725.05000000002").price == Money("99725.05")
    assert trade(price="72.7550").price == Money("72.755")
    assert str(trade(price="100").price) == "100"


def test_an_unknown_status_is_of_an_order_that_lives_and_an_older_row_changes_nothing():
    follower = placed()
    assert kinds(follower.apply(read(row(status="SOMETHING NEW")), read(), TEN_NS)) == [K.ACCEPTED]
    follower.apply(read(row(filled_quantity=4), at=1), read(trade(quantity=4), at=1), TEN_NS)
    assert follower.apply(read(row(status="OPEN PENDING"), at=2), read(at=2), TEN_NS).reports == []
    assert follower.order("O000001").status is S.PARTIAL


def test_a_stop_is_triggered_once_it_may_trade():
    follower = placed(order_type=SL_M, trigger_price=Money(99))
    assert kinds(follower.apply(read(row(status="TRIGGER PENDING")), read(), TEN_NS)) == [K.ACCEPTED]
    assert follower.apply(read(row(status="CANCEL PENDING"), at=1), read(), TEN_NS).reports == []
    assert kinds(follower.apply(read(row(), at=2), read(), TEN_NS)) == [K.TRIGGERED]
    assert follower.apply(read(row(status="MODIFY PENDING"), at=3), read(), TEN_NS).reports == []


def test_absence_is_proven_by_two_whole_books_after_the_quiet_period():
    follower = placed()
    assert kinds(follower.in_doubt("O000001", 100.0, TEN_NS)) == [K.NO_ANSWER]
    for at in (101, 109.9, 110):
        assert follower.apply(read(at=at), read(at=at), TEN_NS).reports == []
    followed = follower.apply(read(at=111), read(at=111), TEN_NS)
    assert (kinds(followed), followed.settled) == ([K.ABSENT], ["O000001"])


@pytest.mark.parametrize(
    ("orders", "trades"),
    [
        (read(at=112), read(at=112)),  # an order that was shown before is missing
        (read(row("B2", number=2, filled_quantity=3), at=112), read(at=112)),  # or shown as it was before
        (read(row("B2", number=2, filled_quantity=4), at=112, unreadable=1), read(at=112)),
        (read(row("B2", number=2, filled_quantity=4), at=112), read(trade("9", "B3"), at=112)),
        (read(row("B2", number=2, filled_quantity=4), at=111), read(at=111)),  # the same one again
    ],
)
def test_a_book_that_is_partial_stale_or_unreadable_proves_nothing(orders, trades):
    follower = placed(1, 2)
    whole = row("B2", number=2, filled_quantity=4)
    follower.in_doubt("O000001", 100.0, TEN_NS)
    follower.apply(read(whole, at=105), read(trade("1", "B2", 4), at=105), TEN_NS)
    follower.apply(read(whole, at=111), read(at=111), TEN_NS)
    assert follower.apply(orders, trades, TEN_NS).reports == []
    assert [each.order_id for each in follower.doubted()] == ["O000001"]


def test_an_acknowledged_order_that_no_book_shows_is_not_absent_and_spoils_the_proof_for_others():
    follower = placed(1, 2)
    follower.acked("O000002", "B2", TEN_NS)
    follower.in_doubt("O000001", 0.0, TEN_NS)
    for at in range(20, 30):
        assert follower.apply(read(at=at), read(at=at), TEN_NS).reports == []


@pytest.mark.parametrize(
    ("shown", "reports"),
    [
        (row(), [K.FOUND]),
        (row(status="COMPLETE", filled_quantity=10), [K.FOUND, K.FILL]),
        (row(status="CANCELLED"), [K.CANCELLED]),
        (row(status="REJECTED"), [K.REJECTED]),
    ],
)
def test_what_was_not_found_and_is_there_after_all_is_adopted(shown, reports):
    follower = placed()
    follower.in_doubt("O000001", 0.0, TEN_NS)
    for at in (20, 21):
        follower.apply(read(at=at), read(at=at), TEN_NS)
    assert follower.order("O000001").status is S.NOT_FOUND
    trades = read(trade(), at=22) if shown.filled_quantity else read(at=22)
    followed = follower.apply(read(shown, at=22), trades, TEN_NS)
    assert kinds(followed) == reports
    assert [was for _, was in followed.found] == ["NOT_FOUND"] * (K.FOUND in reports)


def test_a_refused_order_whose_rejected_row_is_in_the_book_stays_rejected():
    follower = placed()
    assert kinds(follower.rejected("O000001", "no funds", TEN_NS)) == [K.REJECTED]
    assert follower.apply(read(row(status="REJECTED")), read(), TEN_NS).reports == []
    assert kinds(follower.apply(read(row("B1", "OPEN", tag="x"), at=1), read(), TEN_NS)) == []


def test_a_refusal_does_not_undo_what_the_book_has_shown():
    follower = placed()
    follower.apply(read(row()), read(), TEN_NS)
    assert follower.rejected("O000001", "no", TEN_NS).reports == []
    assert follower.in_doubt("O000001", 0.0, TEN_NS).reports == []


def test_a_second_order_with_our_tag_and_one_of_another_instrument_are_alarms_and_not_followed():
    follower = placed(1, 2)
    twice, other = row("B9"), row("B8", number=2, tradingsymbol="TCS")
    followed = follower.apply(read(row(), twice, other), read(), TEN_NS)
    assert [each.order_id for each in followed.others] == ["B9", "B8"]
    assert ["B9" in alarm or "B8" in alarm for alarm in followed.alarms] == [True, True]
    assert follower.apply(read(row(), twice, other, at=1), read(), TEN_NS).alarms == []


def test_a_trade_of_more_than_was_ordered_is_an_alarm_and_not_booked():
    followed = placed().apply(read(row()), read(trade(quantity=11)), TEN_NS)
    assert kinds(followed) == [K.ACCEPTED]
    assert "to 11 of 10" in followed.alarms[0]


def test_an_order_that_is_full_has_ended_whatever_more_its_row_claims():
    follower = placed()
    follower.apply(read(row()), read(trade(quantity=10)), TEN_NS)
    full = row(status="COMPLETE", filled_quantity=12)
    assert follower.apply(read(full, at=1), read(trade(quantity=10), at=1), TEN_NS).reports == []
    assert not follower.living()
    assert not follower.unsettled


def test_what_waits_for_trades_that_never_come_ends_with_its_day_and_once():
    follower = placed()
    follower.apply(read(row(status="COMPLETE", filled_quantity=10)), read(trade(quantity=4)), TEN_NS)
    assert follower.unsettled
    told = [follower.apply(read(at=n), read(at=n), TEN_NS + DAY_NS).reports for n in (1, 2, 3, 4)]
    assert [[report.kind for report in reports] for reports in told] == [[], [K.CANCELLED], [], []]
    assert not follower.living()


def test_an_id_is_of_one_order_only():
    follower = placed(1, 2)
    follower.acked("O000001", "B1", TEN_NS)
    assert follower.is_anothers("B1", "O000002")
    assert not follower.is_anothers("B1", "O000001")
    assert not follower.is_anothers("B2", "O000002")


def test_orders_of_an_earlier_day_have_ended_once_two_whole_books_lack_them():
    resting = order(sequence=1, status=S.PARTIAL, broker_order_id="B1", filled_quantity=4)
    lost = order(sequence=2, status=S.SENT)
    follower = Follower("paper", CHARGES, quiet_period_s=QUIET_S, orders=[resting, lost])
    follower.in_doubt("O000002", 0.0, TEN_NS + DAY_NS)
    assert follower.apply(read(at=20), read(at=20), TEN_NS + DAY_NS).reports == []
    followed = follower.apply(read(at=21), read(at=21), TEN_NS + DAY_NS)
    assert kinds(followed) == [K.CANCELLED, K.CANCELLED]
    assert "its day is over" in followed.reports[0].reason


def test_what_a_book_showed_yesterday_need_not_be_in_todays():
    follower = placed(1, 2)
    yesterday, today = TEN_NS, TEN_NS + DAY_NS
    old = row("B2", "COMPLETE", 2, order_timestamp=f"{to_ist(yesterday):%Y-%m-%d %H:%M:%S}")
    follower.apply(read(old, at=1), read(at=1), yesterday)
    follower.in_doubt("O000001", 2.0, yesterday)
    for at in (20, 21):
        follower.apply(read(old, at=at), read(at=at), today)  # not cleared yet
    assert follower.order("O000001").status is S.CANCELLED
    follower.placed(order(sequence=3, created_ns=today))
    follower.in_doubt("O000003", 22.0, today)
    for at in (40, 41):
        follower.apply(read(at=at), read(at=at), today)
    assert follower.order("O000003").status is S.NOT_FOUND


def test_orders_that_the_broker_made_itself_are_external_after_a_restart_too():
    theirs = order(sequence=0, by="rms", status=S.OPEN, broker_order_id="B1")
    follower = Follower("paper", CHARGES, orders=[theirs], fills=[fill(order_id=theirs.order_id)])
    followed = follower.apply(read(row(tag=None)), read(trade()), TEN_NS)
    assert (followed.reports, [each.order_id for each in followed.others]) == ([], ["B1"])


def test_a_book_without_an_order_that_the_journal_has_open_proves_nothing():
    resting = order(sequence=1, status=S.OPEN, broker_order_id="B1")
    lost = order(sequence=2, status=S.SENT)
    follower = Follower("paper", CHARGES, quiet_period_s=QUIET_S, orders=[resting, lost])
    follower.in_doubt("O000002", 0.0, TEN_NS)
    for at in range(20, 30):
        assert follower.apply(read(at=at), read(at=at), TEN_NS).reports == []
    for at in (30, 31):
        follower.apply(read(row(), at=at), read(at=at), TEN_NS)
    assert follower.order("O000002").status is S.NOT_FOUND


def test_an_order_of_today_that_is_missing_is_never_given_up():
    resting = order(status=S.OPEN, broker_order_id="B1")
    follower = Follower("paper", CHARGES, quiet_period_s=QUIET_S, orders=[resting])
    for at in range(50):
        assert follower.apply(read(at=at), read(at=at), TEN_NS).reports == []


# any interleaving


class Exchange:
    """A model: what it has, and what its books said at every moment. Seconds count from 0."""

    def __init__(self):
        self.now = 0.0
        self.rows = {}
        """broker's id -> rows as (from, row), the first one when it can be seen"""
        self.trades = []

    def take(self, number, lag, status="PUT ORDER REQ RECEIVED"):
        side = "BUY" if number % 2 else "SELL"
        self.rows[f"B{number}"] = [(self.now + lag, row(f"B{number}", status, number, transaction_type=side))]

    def newest(self, broker_id):
        return self.rows[broker_id][-1][1]

    def living(self):
        return [broker_id for broker_id in self.rows if not self.newest(broker_id).ended]

    def change(self, broker_id, status, filled=None):
        rows = self.rows[broker_id]
        before = rows[-1][1]
        done = before.filled_quantity if filled is None else filled
        when = max(self.now, rows[-1][0])
        rows.append((when, replace(before, status=status, filled_quantity=done)))

    def fill(self, broker_id, units):
        done = self.newest(broker_id).filled_quantity
        units = min(units, 10 - done)
        when = max(self.now, self.rows[broker_id][-1][0])
        self.trades.append((when, trade(str(len(self.trades)), broker_id, units, f"{100 + units}.05")))
        self.change(broker_id, "COMPLETE" if done + units == 10 else "OPEN", done + units)

    def books(self, then):
        shown = [[each for since, each in rows if since <= then] for rows in self.rows.values()]
        return [rows[-1] for rows in shown if rows], [each for since, each in self.trades if since <= then]


class Rehearsal:
    """Our side: execution and follower, fed with answers and books as the script has them."""

    def __init__(self):
        self.exchange = Exchange()
        self.engine = TradingEngine()
        self.follower = Follower("paper", CHARGES, quiet_period_s=QUIET_S)
        self.fills = []
        self.fates = {}
        """our id -> what the model did with the request"""
        self.replies = []
        self.kept = []
        self.shown = {}
        self.blind = False
        """The last book lacked something, and nobody could know."""

    def report(self, followed):
        for news in followed.reports:
            for output in self.engine.on(news):
                if isinstance(output, OrderFilled):
                    self.fills.append(output.fill)
            fate = self.fates[news.order_id]
            assert news.kind is not K.ABSENT or fate not in ("taken", "rejected"), (news, fate)

    def place(self, fate, reply, lag):
        number = len(self.fates) + 1
        made = order(BUY if number % 2 else SELL, sequence=number)
        self.engine.on(Approved(made, signal()))
        self.engine.on(Report(order_id=made.order_id, kind=K.SENT, time_ns=TEN_NS))
        self.follower.placed(made)
        self.fates[made.order_id] = fate
        if fate in ("taken", "rejected"):
            self.exchange.take(number, lag, "REJECTED" if fate == "rejected" else "PUT ORDER REQ RECEIVED")
        lost = reply == "none" or fate == "lost"
        self.replies.append((made.order_id, "none" if lost else fate))

    def answer(self, which):
        order_id, what = self.replies.pop(which % len(self.replies))
        follower = self.follower
        if what in ("taken", "rejected"):
            self.report(follower.acked(order_id, f"B{int(order_id[1:])}", TEN_NS))
        elif what == "refused":
            self.report(follower.rejected(order_id, "no", TEN_NS))
        elif what == "withheld":
            self.report(follower.withheld(order_id, "the gate", TEN_NS))
        else:
            self.report(follower.in_doubt(order_id, self.exchange.now, TEN_NS))

    def look(self, how, age, cut):
        """One reading; a bad one that nobody could tell from a good one never comes twice in a row."""
        self.exchange.now += 0.25
        now = self.exchange.now
        true_rows, true_trades = self.exchange.books(now)
        rows, trades = true_rows, true_trades
        if how == "stale":
            rows, trades = self.exchange.books(now - age)
        elif how == "partial":
            rows = [each for number, each in enumerate(rows) if (cut >> number % 8) & 1]
        elif how == "no trades yet":
            trades = self.exchange.books(now - age)[1]
        lacking = {each.order_id for each in true_rows} - {each.order_id for each in rows}
        known = {each.order_id: each for each in rows}
        told = any(
            each.order_id not in known or known[each.order_id].says_less_than(each)
            for each in self.shown.values()
        )
        blind = bool(lacking) and not told
        if blind and self.blind:
            rows, trades, blind = true_rows, true_trades, False
        self.blind = blind
        pair = read(*rows, at=now), read(*trades, at=now)
        self.kept.append(pair)
        if how != "late":
            self.apply(pair)

    def apply(self, pair):
        for each in pair[0].rows:
            known = self.shown.get(each.order_id)
            if known is None or not each.says_less_than(known):
                self.shown[each.order_id] = each
        self.report(self.follower.apply(*pair, TEN_NS))

    def restart(self):
        """What is in the journal is all that is left."""
        orders = [self.engine.order(order_id) for order_id in self.fates]
        trade_ids = [(fill.broker, fill.trade_id) for fill in self.fills]
        self.engine = TradingEngine(orders, trade_ids)
        self.follower = Follower("paper", CHARGES, quiet_period_s=QUIET_S, orders=orders, fills=self.fills)
        self.replies.clear()
        self.shown.clear()
        self.blind = True
        for each in self.follower.living():
            self.report(self.follower.in_doubt(each.order_id, self.exchange.now, TEN_NS))

    def step(self, op, a, b):
        exchange = self.exchange
        if op == "place":
            fates = ("taken", "taken", "taken", "lost", "refused", "rejected", "withheld")
            self.place(fates[a % 7], ("reply", "none")[b % 2], (b % 20) / 2)
        elif op == "answer" and self.replies:
            self.answer(a)
        elif op == "wait":
            exchange.now += a / 10
        elif op == "look":
            self.look(("good", "stale", "partial", "no trades yet", "late")[a % 5], b / 4, b)
        elif op == "again" and self.kept:
            self.apply(self.kept[a % len(self.kept)])
        elif op == "restart":
            self.restart()
        elif op in ("fill", "cancel", "move") and (living := exchange.living()):
            broker_id = living[a % len(living)]
            if op == "fill":
                exchange.fill(broker_id, 1 + b % 10)
            else:
                exchange.change(
                    broker_id, "CANCELLED" if op == "cancel" else ("OPEN", "CANCEL PENDING")[b % 2]
                )

    def end(self):
        while self.replies:
            self.answer(0)
        for _ in range(4):
            self.exchange.now += 3 * QUIET_S
            self.look("good", 0, 0)

    def expected(self, order_id):
        """What it may be: (status, filled), as the exchange or the answer has it."""
        rows = self.exchange.rows.get(f"B{int(order_id[1:])}")
        if rows is None:  # an answer that never came, or came to a process that is gone, proves nothing
            answers = {"refused": S.REJECTED, "withheld": S.WITHHELD}
            return {(S.NOT_FOUND, 0), (answers.get(self.fates[order_id], S.NOT_FOUND), 0)}
        last = rows[-1][1]
        ended = {"COMPLETE": S.FILLED, "CANCELLED": S.CANCELLED, "REJECTED": S.REJECTED}
        lives = S.PARTIAL if last.filled_quantity else S.OPEN
        return {(ended.get(last.status, lives), last.filled_quantity)}


OPS = ("place", "answer", "wait", "look", "look", "look", "again", "fill", "cancel", "move", "restart")
script = st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 60), st.integers(0, 255)), max_size=60)


@settings(deadline=None, max_examples=300)
@given(script)
def test_after_any_interleaving_our_orders_and_fills_are_the_exchanges(ops):
    ours = Rehearsal()
    for op, a, b in ops:
        ours.step(op, a, b)
    ours.end()
    for order_id, fate in ours.fates.items():
        held = ours.engine.order(order_id)
        assert (held.status, held.filled_quantity) in ours.expected(order_id), fate
        mirrored = ours.follower.order(order_id)
        assert (mirrored.status, mirrored.filled_quantity, mirrored.filled_value) == (
            *(held.status, held.filled_quantity, held.filled_value),
        )
    booked = sorted((fill.order_id, fill.trade_id, fill.quantity, fill.price) for fill in ours.fills)
    traded = sorted(
        (f"O{int(each.order_id[1:]):06d}", each.trade_id, each.quantity, each.price)
        for _, each in ours.exchange.trades
    )
    assert booked == traded


def day_by_day(follower, last):
    """A book a day from the second on, in which nothing is ours, and which proves nothing."""
    for day in range(1, last + 1):
        follower.apply(read(at=100 * day, unreadable=1), read(at=100 * day), TEN_NS + day * DAY_NS)


def test_an_order_that_ended_is_known_for_a_day_more_and_then_let_go():
    follower = placed(1, 2)
    follower.rejected("O000001", "no funds", TEN_NS)
    follower.acked("O000002", "B2", TEN_NS)
    follower.apply(read(row("B2", "COMPLETE", 2, filled_quantity=10)), read(trade(order_id="B2")), TEN_NS)
    day_by_day(follower, KEPT_DAYS)
    assert kinds(follower.acked("O000001", "B1", TEN_NS + DAY_NS)) == [K.FOUND], "its answer was late"
    follower = placed(1, 2)
    follower.rejected("O000001", "no funds", TEN_NS)
    follower.in_doubt("O000002", 0.0, TEN_NS)
    day_by_day(follower, KEPT_DAYS + 1)
    assert "O000001" not in follower
    assert follower.order("O000002").status is S.UNKNOWN, "nobody has told its end"


def test_what_was_let_go_leaves_its_trade_ids_and_nothing_else():
    """Of a start with a long journal: the trade numbers begin anew every day, ours are unique for ever."""
    old = order(status=S.FILLED, filled_quantity=10, broker_order_id="B1")
    follower = Follower("paper", CHARGES, orders=[old], fills=[fill(trade=1)])
    day_by_day(follower, KEPT_DAYS + 1)
    today = TEN_NS + (KEPT_DAYS + 1) * DAY_NS
    left = follower._lives, follower._by_tag, follower._by_id, follower._booked
    assert not any(left)
    follower.placed(order(sequence=2, created_ns=today))
    follower.acked("O000002", "B2", today)
    books = read(row("B2", "COMPLETE", 2, filled_quantity=10), at=900), read(trade("T000001", "B2"), at=900)
    (filled,) = follower.apply(*books, today).reports
    assert (filled.kind, filled.trade_id) == (K.FILL, "T000001-B2")


def test_execution_keeps_an_order_longer_than_those_who_report_on_it():
    assert KEPT_DAYS < execution.KEPT_DAYS


def test_what_was_let_go_is_not_taken_for_somebody_elses():
    """Over a week-end, or where prices are of other days than the books, a book has older orders of ours."""
    old = order(status=S.FILLED, filled_quantity=10, broker_order_id="B1")
    now_ns = TEN_NS + (KEPT_DAYS + 2) * DAY_NS
    books = read(row(status="COMPLETE", filled_quantity=10)), read(trade("T000001"))
    again = Follower("paper", CHARGES, orders=[old], fills=[fill(trade=1)])
    ran = placed()
    ran.apply(*books, TEN_NS)
    for follower in (again, ran):
        followed = follower.apply(*books, now_ns)
        assert "O000001" not in follower
        assert (followed.others, followed.reports) == ([], [])


def test_an_order_is_kept_by_its_last_news_not_by_the_prices_it_was_made_of():
    """A broker that is rehearsed on prices of another year: its orders of today may still trade."""
    now_ns = TEN_NS + 400 * DAY_NS
    ended = order(status=S.CANCELLED, broker_order_id="B1", updated_ns=now_ns)
    follower = Follower("paper", CHARGES, orders=[ended])
    books = read(row(status="CANCELLED", filled_quantity=4)), read(trade(quantity=4))
    assert kinds(follower.apply(*books, now_ns)) == [K.FILL]
