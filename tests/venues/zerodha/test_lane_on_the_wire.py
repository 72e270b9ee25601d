"""The lane over the real wire to the real exchange, with Kite's limits on."""

import json
from collections import Counter

import anyio
import pytest
from builders import INFY, LIMIT, order
from exchange_server import exchange_server
from msgspec.structs import replace
from order_peers import wired
from sessions import until

from alphapanda.events import Instrument, Money
from alphapanda.live.gate import Gate
from alphapanda.venues.zerodha.answers import Proof, outcome_of
from alphapanda.venues.zerodha.governor import Governor, Kind
from alphapanda.venues.zerodha.lane import Lane
from alphapanda.venues.zerodha.requests import Requests
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session


@pytest.fixture
def server(tmp_path):
    with exchange_server(tmp_path, "--access-token", "today") as running:
        yield running


class Trading:
    """Limit orders that rest, and their cancels."""

    def __init__(self, server, wire):
        self.server, self.gate, self.session = server, Gate(), Session("rehearsal", "today")
        self.gate.ready = True
        self.requests = Requests(roots_at(server.url), self.session)
        self.lane = Lane(Governor(), wire, self.session, self.gate.lets)
        self.outcomes, self.withheld, self.cancelled = {}, {}, Counter()
        (row,) = self.asked("/quote?i=NSE:INFY").values()
        self.price = Money(round(row["last_price"] * 0.97))

    def asked(self, path):
        """With a client of its own; book calls have a limit that is not the orders'."""
        connection = self.server.connection()
        try:
            connection.request("GET", path, headers={"Authorization": self.session.authorization})
            return json.loads(connection.getresponse().read())["data"]
        finally:
            connection.close()

    def order(self, number):
        instrument = Instrument(INFY.instrument_token, "NSE", "INFY")
        fields = {"order_type": LIMIT, "price": self.price, "instrument": instrument, "broker": "zerodha"}
        return order(quantity=1, sequence=number, **fields)

    def place(self, number, kind=Kind.ENTRY):
        one = self.order(number)
        self.lane.put(
            one,
            kind,
            lambda: self.requests.place(one, market_protection=Money(-1)),
            lambda answer: self.outcomes.__setitem__(one.tag, outcome_of(answer)),
            lambda why: self.withheld.__setitem__(one.tag, why),
        )

    def cancel(self, number):
        """As the broker does: again after a 429, and not else."""
        one = self.order(number)
        one = replace(one, broker_order_id=self.outcomes[one.tag].broker_order_id)

        def answered(answer):
            outcome = outcome_of(answer)
            self.cancelled[outcome.reason or outcome.proof] += 1
            if outcome.limited:
                self.cancel(number)

        self.lane.put(one, Kind.CANCEL, lambda: self.requests.cancel(one), answered, pytest.fail)

    def are(self, status):
        """All that were placed."""
        rows = {line["tag"]: line["status"] for line in self.server.history("order")}
        return rows == dict.fromkeys(self.outcomes, status)

    def refused_by_limits(self):
        """Replies 429 that no fault made."""
        return [line for line in self.server.history("reply") if line.get("status") == 429]


def trading(server, act):
    """`act` on a lane that runs."""

    async def main():
        async with wired(server.url) as wire:
            desk = Trading(server, wire)
            async with anyio.create_task_group() as group:
                group.start_soon(desk.lane.run)
                await act(desk)
                group.cancel_scope.cancel()
            return desk

    return anyio.run(main)


def test_a_storm_through_the_real_wire_meets_no_429_and_each_order_is_there_once(server):
    async def act(desk):
        for number in range(24):
            desk.place(number, Kind.EXIT)
        await until(lambda: len(desk.outcomes) == 24)

    desk = trading(server, act)
    assert not desk.refused_by_limits()
    assert not desk.withheld
    assert {outcome.proof for outcome in desk.outcomes.values()} == {Proof.ACKED}
    placed = Counter(
        line["fields"]["tag"] for line in server.history("request") if line["call"] == "order.place"
    )
    assert placed == Counter(dict.fromkeys(desk.outcomes, 1))


def test_M20_cancels_of_a_kill_that_meet_429_leave_again_inside_the_limits(server):  # noqa: N802 - the fault's name
    async def act(desk):
        for number in range(16):
            desk.place(number)
        await until(lambda: len(desk.outcomes) >= 8)
        desk.gate.kill("too much", "risk", 0)
        server.admin("faults", {"fault": [{"on": "order.cancel", "do": "too_many", "nth": [1, 2, 5]}]})
        await until(lambda: len(desk.outcomes) + len(desk.withheld) == 16)
        await until(lambda: desk.are("OPEN"))
        desk.seen = server.history("request")[-1]["seq"]
        for number in range(16):
            if desk.order(number).tag in desk.outcomes:
                desk.cancel(number)
        await until(lambda: desk.cancelled[Proof.ACKED] == len(desk.outcomes))
        await until(lambda: desk.are("CANCELLED"))

    desk = trading(server, act)
    assert sum(line["do"] == "too_many" for line in server.history("fault")) == 3
    assert desk.cancelled == {"Too many requests": 3, Proof.ACKED: len(desk.outcomes)}
    reasons = ("the gate was closed before it left", "it waited over 3 s to be sent: its price is old")
    assert all(why in reasons for why in desk.withheld.values())
    assert desk.withheld, "three at a time were under way: the others had to wait"
    assert not desk.refused_by_limits(), "but for the three faults the limits were kept"
    assert {line["call"] for line in server.history("request", after=desk.seen)} == {"order.cancel"}
