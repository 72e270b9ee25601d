"""Whatever is placed, changed, cancelled and quoted: the account's orders never say what cannot be."""

from collections import Counter
from contextlib import suppress
from itertools import pairwise

from desk_floor import FUTURE, SHARE, Floor, at
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alphapanda.exchange.calls import Effects, Refusal
from alphapanda.exchange.order import Status
from alphapanda.exchange.orders.life import LIFE

WHAT = st.sampled_from((SHARE, FUTURE))
SIDE = st.sampled_from(("BUY", "SELL"))
TICKS = st.integers(-40, 40)
EFFECTS = st.sampled_from(
    (
        *[None] * 6,
        Effects(fill_first=True),
        Effects(late_s=0.3),
        Effects(stuck="OPEN PENDING", stuck_s=1.0),
        Effects(stuck="CANCEL PENDING", stuck_s=1.0),
    )
)
LEVELS = st.lists(st.integers(1, 400), max_size=5)
FOLLOWS = {(before.value, after.value) for (before, _), after in LIFE.items()}
STAYS = {status.value for status in Status if not status.ended}


class Orders(RuleBasedStateMachine):
    @initialize(late=st.booleans())
    def open(self, late):
        self.floor = Floor(cash=10**9, now="15:19:55" if late else "10:00:00")
        self.floor.account.ledger.stock.take(SHARE).settled = 100
        self.ids = []
        self.ended = {}

    @rule(
        what=WHAT,
        side=SIDE,
        lots=st.integers(1, 9),
        ticks=TICKS,
        effects=EFFECTS,
        order_type=st.sampled_from(("LIMIT", "LIMIT", "MARKET", "SL", "SL-M")),
        validity=st.sampled_from(("DAY", "DAY", "IOC", "TTL")),
        product=st.sampled_from(("MIS", "OTHER")),
    )
    def place(self, what, side, lots, ticks, effects, order_type, validity, product):
        price = round(100 + ticks * 0.1, 2)
        fields = {"order_type": order_type, "validity": validity, "validity_ttl": 1, "effects": effects}
        fields["product"] = "MIS" if product == "MIS" else "CNC" if what is SHARE else "NRML"
        if order_type in ("LIMIT", "SL"):
            fields["price"] = price
        if order_type in ("SL", "SL-M"):
            fields["trigger_price"] = price
        self.asked(lambda: self.floor.send(what, side, lots * what.instrument.lot_size, **fields))

    @rule(lots=st.integers(4, 40), what=WHAT)
    def place_in_legs(self, lots, what):
        quantity = lots * what.instrument.lot_size
        leg = -(-lots // 4) * what.instrument.lot_size
        legs = -(-quantity // leg)
        more = {"iceberg_legs": legs, "iceberg_quantity": leg, "variety": "iceberg"}
        self.asked(lambda: self.floor.send(what, "BUY", quantity, price=100.5, **more))

    def asked(self, place):
        self.dared(lambda: self.ids.append(place()["order_id"]))

    @rule(data=st.data(), ticks=TICKS, lots=st.integers(1, 9), market=st.booleans(), effects=EFFECTS)
    def modify(self, data, ticks, lots, market, effects):
        order_id = self.one_of_them(data)
        if order_id is None:
            return
        fields = {"quantity": str(lots * self.floor.desk.order(order_id).listed.instrument.lot_size)}
        fields |= (
            {"order_type": "MARKET", "market_protection": "-1"}
            if market
            else {"price": str(round(100 + ticks * 0.1, 2))}
        )
        self.dared(
            lambda: self.floor.desk.modify(
                "regular", order_id, fields, self.floor.now_ns, effects or Effects()
            )
        )

    @rule(data=st.data(), effects=EFFECTS)
    def cancel(self, data, effects):
        order_id = self.one_of_them(data)
        if order_id is not None:
            self.dared(
                lambda: self.floor.desk.cancel("regular", order_id, self.floor.now_ns, effects or Effects())
            )

    def one_of_them(self, data):
        return data.draw(st.sampled_from(self.ids)) if self.ids else None

    def dared(self, call):
        """What is refused leaves nothing behind."""
        before = len(self.floor.history)
        with suppress(Refusal):
            call()
            return
        assert len(self.floor.history) == before

    @rule(what=WHAT, middle=TICKS, bids=LEVELS, asks=LEVELS)
    def quote(self, what, middle, bids, asks):
        last = round(100 + middle * 0.1, 2)
        self.floor.show(
            what,
            last=last,
            bids=[(q, round(last - 0.1 * (n + 1), 2)) for n, q in enumerate(bids)],
            asks=[(q, round(last + 0.1 * (n + 1), 2)) for n, q in enumerate(asks)],
        )

    @rule(seconds=st.sampled_from((0.005, 0.02, 0.1, 1.0, 70.0)))
    def wait(self, seconds):
        self.floor.pass_(seconds)

    @rule()
    def broker_closes(self):
        self.floor.desk.square_off(self.floor.now_ns)

    @invariant()
    def money_is_what_it_is_when_all_is_reckoned_anew(self):
        if not hasattr(self, "floor"):
            return
        ledger, now_ns, groups = self.floor.account.ledger, self.floor.now_ns, self.floor.desk.open_groups()
        kept = ledger.available("equity", now_ns)
        ledger.open_groups = lambda: {key: list(orders) for key, orders in groups.items()}
        assert kept == ledger.available("equity", now_ns)
        ledger.open_groups = self.floor.desk.open_groups

    @invariant()
    def what_stands_at_the_exchange_binds_money(self):
        if not hasattr(self, "floor"):
            return
        desk = self.floor.desk
        bound = {order.order_id for order in desk.open_orders()}
        rows = desk.book(self.floor.now_ns + 10**9)
        assert bound >= {row["order_id"] for row in rows if row["status"] in ("OPEN", "TRIGGER PENDING")}
        assert not bound & {row["order_id"] for row in rows if Status(row["status"]).ended}

    @invariant()
    def rows_add_up(self):
        if not hasattr(self, "floor"):
            return
        now_ns = self.floor.now_ns + 10**9  # none of them hidden any more
        filled = Counter()
        for trade in self.floor.desk.trades(now_ns):
            filled[trade["order_id"]] += trade["quantity"]
        for row in self.floor.desk.book(now_ns):
            assert row["filled_quantity"] == filled[row["order_id"]] <= row["quantity"]
            parts = row["filled_quantity"] + row["pending_quantity"] + row["cancelled_quantity"]
            assert parts == (0 if row["status"] == "REJECTED" else row["quantity"])
            assert (row["status"] == "COMPLETE") == (row["filled_quantity"] == row["quantity"])
            if row["order_id"] in self.ended:
                assert row == self.ended[row["order_id"]]
            elif row["status"] not in STAYS:
                self.ended[row["order_id"]] = row

    @invariant()
    def lives_follow_the_table(self):
        if not hasattr(self, "floor"):
            return
        for order_id in self.ids:
            order = self.floor.desk.order(order_id)
            statuses = [
                row["status"] for row in self.floor.desk.order_history(order_id, order.visible_ns + 10**9)
            ]
            assert statuses[0] == "PUT ORDER REQ RECEIVED"
            for before, after in pairwise(statuses):
                assert (before, after) in FOLLOWS or (before == after and before in STAYS)

    @invariant()
    def no_trade_is_beyond_its_limit(self):
        if not hasattr(self, "floor"):
            return
        for trade in self.floor.desk.trades(self.floor.now_ns + 10**9):
            assert (
                trade["quantity"]
                % self.floor.market.listing.by_token(trade["instrument_token"]).instrument.lot_size
                == 0
            )
        for row in self.floor.desk.book(self.floor.now_ns + 10**9):
            if row["filled_quantity"] and not row["modified"]:
                sign = 1 if row["transaction_type"] == "BUY" else -1
                assert (row["average_price"] - row["price"]) * sign <= 0.0001

    @invariant()
    def what_is_told_never_takes_a_fill_back(self):
        if not hasattr(self, "floor"):
            return
        most = {}
        for row in self.floor.updates:
            assert row["filled_quantity"] >= most.get(row["order_id"], 0)
            most[row["order_id"]] = row["filled_quantity"]

    def teardown(self):
        """After the close nothing is open, and positions are the sum of the trades."""
        if not hasattr(self, "floor"):
            return
        self.floor.until(at("23:59:00"))
        assert [order.order_id for order in self.floor.desk.open_orders()] == []
        signed = Counter()
        for trade in self.floor.trades():
            signed[trade["tradingsymbol"], trade["product"]] += (
                trade["quantity"] if trade["transaction_type"] == "BUY" else -trade["quantity"]
            )
        held = {
            (listed.instrument.tradingsymbol, product): quantity
            for listed, product, quantity in self.floor.account.open_positions()
        }
        assert {key: q for key, q in signed.items() if q} == {key: q for key, q in held.items() if q}


TestOrders = Orders.TestCase
TestOrders.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
