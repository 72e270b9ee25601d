"""The waiting room before the wire: who leaves when, what never leaves, and that everybody hears once."""

import asyncio
from collections import Counter

import anyio
from builders import CLOSE, order
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sessions import until

from alphapanda.live.gate import Gate
from alphapanda.times import SECOND_NS, start_of
from alphapanda.venues.zerodha.answers import Lost, Response
from alphapanda.venues.zerodha.governor import Governor, Kind
from alphapanda.venues.zerodha.lane import Lane
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.wire import NoConnection

DAY = 20_600
NOON = start_of(DAY) + 12 * 3600 * SECOND_NS + 300_000_000
OK = Response(200, "application/json", b"{}")
CANCEL, EXIT, MODIFY, ENTRY = Kind


class Connections:
    """Some connections in memory: what is written is kept, and answered when the test says so."""

    def __init__(self, count=4):
        self.count = count
        self.sent = []
        self.open = []
        self.closing = False

    def idle(self):
        return len(self.open) < self.count

    def send(self, request, answered):
        if self.closing or not self.idle():
            raise NoConnection("it was closed in between")
        self.sent.append(request)
        self.open.append(answered)

    def answer(self, answer=OK, number=0):
        self.open.pop(number)(answer)


class Room:
    """A lane with a gate, a session and clocks that only the test moves. Said: {name: [what it heard]}."""

    def __init__(self, connections=100, **options):
        self.now = 0
        self.wire, self.session, self.gate = Connections(connections), Session("key", "token"), Gate()
        self.gate.ready = True
        self.governor = Governor()
        options = {"shared": connections} | options
        self.lane = Lane(
            self.governor,
            self.wire,
            self.session,
            self.gate.lets,
            wall_ns=lambda: NOON + self.now,
            clock_ns=lambda: self.now,
            **options,
        )
        self.said = {}

    def put(self, kind, name, **fields):
        """`name` is the request's bytes, and the order's id but for cancels, which are `cancel ID`."""
        heard = self.said[name] = []
        fields = {"order_id": name.removeprefix("cancel ")} | fields
        effect = {"position_effect": CLOSE} if kind is EXIT else {}
        self.lane.put(order(**effect | fields), kind, name.encode, heard.append, heard.append)

    def fill_the_second(self):
        """Nothing may leave before the next one."""
        while not self.governor.take(CANCEL, NOON + self.now):
            pass

    def fill_the_minute(self, kind):
        """This kind has to wait for many seconds."""
        while (at := self.governor.take(kind, NOON + self.now) - NOON) < self.now + 10 * SECOND_NS:
            self.now = max(self.now, at)

    def after(self, seconds):
        self.now += round(seconds * SECOND_NS)
        self.lane.release()

    @property
    def left(self):
        return [request.decode() for request in self.wire.sent]


def test_what_need_not_wait_is_written_within_put():
    room = Room()
    for kind in Kind:
        room.put(kind, kind.name)
    assert room.left == ["CANCEL", "EXIT", "MODIFY", "ENTRY"]
    assert not any(room.said.values())
    room.wire.answer(OK, 3)
    assert room.said["ENTRY"] == [OK]


def test_who_waits_leaves_by_rank_and_then_by_age():
    room = Room()
    room.fill_the_second()
    for name in ("e1", "m1", "x1", "c1", "e2", "m2", "x2", "c2"):
        room.put({"e": ENTRY, "m": MODIFY, "x": EXIT, "c": CANCEL}[name[0]], name)
    assert room.left == []
    assert room.lane.summary()["waiting"] == 8
    room.after(1)
    assert room.left == ["c1", "c2", "x1", "x2", "m1", "m2", "e1", "e2"]
    assert room.lane.waiting == 0


def test_nobody_overtakes_who_waits_with_the_same_rank_or_a_higher_one():
    room = Room(connections=1)
    room.put(ENTRY, "under way")
    room.put(EXIT, "exit")
    room.wire.answer()
    assert room.wire.idle()
    room.put(ENTRY, "entry")
    room.put(EXIT, "second exit")
    assert room.left == ["under way"], "the exit was there first"
    room.put(CANCEL, "cancel")
    assert room.left == ["under way", "cancel"], "a cancel waits for nobody"
    room.wire.answer()
    room.lane.release()
    room.wire.answer()
    room.lane.release()
    assert room.left[2:] == ["exit", "second exit"]


def test_the_last_connection_is_for_cancels_and_exits():
    room = Room(connections=4, shared=3)
    for number in range(5):
        room.put(ENTRY, f"entry {number}")
    assert len(room.left) == 3
    room.put(EXIT, "exit")
    room.put(CANCEL, "cancel")
    assert room.left[3:] == ["exit"]
    room.wire.answer(Lost("no answer in 7 s"))
    room.lane.release()
    assert room.left[4:] == ["cancel"]
    for _ in range(4):
        room.wire.answer()
    room.lane.release()
    assert room.left[5:] == ["entry 3", "entry 4"]


def test_the_gate_that_closed_while_it_waited_withholds_it():
    room = Room()
    room.fill_the_second()
    room.put(ENTRY, "entry")
    room.put(EXIT, "exit")
    room.gate.kill("by hand", "operator", 0)
    room.after(1)
    assert room.left == []
    assert room.said["entry"] == room.said["exit"] == ["the gate was closed before it left"]
    room.put(ENTRY, "later")
    assert room.said["later"] == room.said["entry"]
    assert room.left == []
    assert room.governor.budgets(NOON + room.now)["orders_day"]["used"] == 0, "what never left is not counted"


def test_a_kill_in_the_middle_of_a_full_lane_leaves_only_cancels():
    room = Room()
    for number in range(12):
        room.put(ENTRY, f"entry {number}")
        room.put(EXIT, f"exit {number}")
    for number in range(20):
        room.put(CANCEL, f"cancel {number}")
    before = len(room.left)
    room.put(EXIT, "by hand", by="operator")
    room.gate.kill("too much", "risk", 0)
    room.lane.release()
    assert room.lane.waiting == 20 + 1 - (len(room.left) - before), "the operator's own close may still leave"
    for _ in range(8):
        room.after(0.5)
    gone = room.left[before:]
    assert sorted(gone) == sorted([*(name for name in room.said if name.startswith("cancel")), "by hand"])
    assert gone[-1] == "by hand"
    withheld = [name for name, heard in room.said.items() if heard]
    assert sorted(withheld + room.left) == sorted(room.said)


def test_a_kill_reaches_who_waits_for_a_connection():
    room = Room(connections=0)
    for kind in Kind:
        room.put(kind, kind.name)
    room.gate.kill("by hand", "operator", 0)
    room.after(0.1)
    why = ["the gate was closed before it left"]
    assert room.said == {"CANCEL": [], "EXIT": why, "MODIFY": why, "ENTRY": why}


def test_nothing_happens_between_the_gates_yes_and_the_write():
    """What the loop has ready would run at the first await: it has not run when the bytes are there."""

    async def main():
        room = Room()
        steps = []

        class Watched(Connections):
            def send(self, request, answered):
                steps.append("write")
                super().send(request, answered)

        def lets(one):
            steps.append("gate")
            asyncio.get_running_loop().call_soon(steps.append, "something else")
            return True

        room.lane._wire, room.lane._lets = Watched(), lets
        room.put(ENTRY, "at once")
        room.fill_the_second()
        room.put(ENTRY, "later")
        await asyncio.sleep(0)
        room.now += SECOND_NS
        async with anyio.create_task_group() as group:
            group.start_soon(room.lane.run)
            await until(lambda: len(room.lane._wire.sent) == 2)
            group.cancel_scope.cancel()
        return steps

    steps = asyncio.run(main())
    assert steps.count("write") == 2
    assert "something else" in steps[2:], "it does run once somebody awaits"
    assert all(steps[number - 1] == "gate" for number, step in enumerate(steps) if step == "write")


def test_an_entry_and_a_change_grow_old_but_exits_and_cancels_wait():
    room = Room(connections=1)
    room.put(ENTRY, "under way")
    for kind in Kind:
        room.put(kind, kind.name)
    room.after(3)
    assert not any(room.said.values())
    room.after(0.001)
    why = ["it waited over 3 s to be sent: its price is old"]
    assert room.said == {"under way": [], "CANCEL": [], "EXIT": [], "MODIFY": why, "ENTRY": why}
    room.after(3600)
    for _ in range(2):
        room.wire.answer()
        room.lane.release()
    assert room.left == ["under way", "CANCEL", "EXIT"]


def test_an_entry_that_would_have_to_wait_too_long_is_told_so_at_once():
    room = Room()
    room.fill_the_minute(ENTRY)
    room.put(ENTRY, "entry")
    (why,) = room.said["entry"]
    assert why.startswith("Zerodha's limits have room for it only in ")
    assert why.endswith(" s: its price would be old")
    room.put(EXIT, "exit")
    assert room.left == ["exit"], "the reserve"


def test_an_exit_waits_for_the_minute_and_is_told_of_the_day():
    room = Room()
    room.fill_the_minute(EXIT)
    room.put(EXIT, "exit")
    assert room.said["exit"] == []
    assert room.left == []
    room.after(60)
    assert room.left == ["exit"]
    room.governor.restore(5_000, DAY)
    room.put(EXIT, "too many")
    assert room.said["too many"] == ["Zerodha's orders of this day are used up"]
    room.put(MODIFY, "change")
    room.put(CANCEL, "cancel")
    assert room.left == ["exit", "change", "cancel"]


def test_a_dead_token_empties_the_lane_of_all_but_cancels_which_leave_with_the_next():
    room = Room()
    room.fill_the_second()
    for kind in Kind:
        room.put(kind, kind.name)
    room.session.died(room.session.epoch, "TokenException: Incorrect `api_key` or `access_token`.")
    why = ["session dead: TokenException: Incorrect `api_key` or `access_token`."]
    assert room.said == {"CANCEL": [], "EXIT": why, "MODIFY": why, "ENTRY": why}
    for kind in Kind:
        room.put(kind, f"{kind.name} 2")
    assert room.said["ENTRY 2"] == room.said["EXIT 2"] == room.said["MODIFY 2"] == why
    room.after(600)
    assert room.left == []
    assert room.lane.release() is None, "nothing to look for until there is a token"
    room.session.renew("another")
    room.lane.release()
    assert room.left == ["CANCEL", "CANCEL 2"]
    room.put(ENTRY, "ENTRY 3")
    assert room.left[2:] == ["ENTRY 3"]


def test_the_request_is_made_with_the_token_of_the_moment_it_leaves():
    room = Room()
    room.fill_the_second()

    def request():
        return room.session.authorization.encode()

    room.lane.put(order(), CANCEL, request, print, print)
    room.session.died(1, "flushed")
    room.session.renew("another")
    room.after(1)
    assert room.left == ["token key:another"]


def test_an_order_that_waits_is_taken_back_and_one_that_left_is_not():
    room = Room()
    room.put(ENTRY, "gone")
    room.fill_the_second()
    room.put(EXIT, "exit")
    room.put(ENTRY, "entry")
    room.put(MODIFY, "change", order_id="gone")
    room.put(CANCEL, "cancel gone")
    assert not room.lane.drop("gone"), "its change and its cancel wait, but the order left"
    assert room.lane.drop("entry")
    assert room.lane.drop("exit")
    assert room.said["entry"] == room.said["exit"] == ["it was taken back before it left"]
    assert not room.lane.drop("entry")
    assert room.lane.drop_cancel("gone")
    assert not room.lane.drop_cancel("gone")
    room.after(1)
    assert room.left == ["gone", "change"]


def test_a_second_cancel_of_an_order_waits_for_nothing_new():
    room = Room()
    room.fill_the_second()
    room.put(CANCEL, "cancel one")
    room.put(CANCEL, "again", order_id="one")
    room.put(CANCEL, "cancel two")
    assert room.said["again"] == ["a cancel of this order waits already"]
    room.after(1)
    assert room.left == ["cancel one", "cancel two"]


def test_a_429_makes_every_order_request_wait_a_second():
    room = Room()
    room.put(CANCEL, "cancel")
    room.wire.answer(Response(429, "application/json", b"{}"))
    room.put(CANCEL, "cancel")
    room.put(ENTRY, "entry")
    room.after(0.99)
    assert room.left == ["cancel"]
    room.after(0.01)
    assert room.left == ["cancel", "cancel", "entry"]


def test_who_hears_that_his_cancel_met_a_429_may_put_it_again_in_that_step():
    room = Room()
    room.lane.put(order(), CANCEL, lambda: b"first", lambda _: room.put(CANCEL, "again"), print)
    room.wire.answer(Response(429, "application/json", b"{}"))
    assert room.left == ["first"]
    room.after(1)
    assert room.left == ["first", "again"]


def test_a_connection_that_is_closed_in_the_last_moment_costs_nothing_but_time():
    room = Room()
    room.wire.closing = True
    room.put(ENTRY, "entry")
    assert room.left == []
    assert room.said["entry"] == []
    room.wire.closing = False
    room.after(0.1)
    assert room.left == ["entry"]


def test_the_task_lets_out_what_waits_without_being_told():
    """The real clocks: connections come without a word, and the rest leaves in the next second."""

    async def main():
        wire, said = Connections(0), []
        lane = Lane(Governor(), wire, Session("key", "token"), lambda _: True)
        for number in range(14):
            lane.put(order(order_id=str(number)), CANCEL, lambda: b"x", said.append, said.append)
        async with anyio.create_task_group() as group:
            group.start_soon(lane.run)
            await asyncio.sleep(0)
            assert lane.waiting == 14
            wire.count = 100
            await until(lambda: not lane.waiting)
            group.cancel_scope.cancel()
        return len(wire.sent), said

    assert asyncio.run(main()) == (14, [])


def test_a_put_an_answer_and_a_login_wake_the_task(monkeypatch):
    """It would not look by itself for an hour."""
    monkeypatch.setattr("alphapanda.venues.zerodha.lane.LOOK_S", 3600)
    monkeypatch.setattr("alphapanda.venues.zerodha.lane.CONNECTION_S", 3600)

    async def main():
        wire, session = Connections(1), Session("key", "token")
        lane = Lane(Governor(), wire, session, lambda _: True)
        async with anyio.create_task_group() as group:
            group.start_soon(lane.run)
            for number in range(3):
                lane.put(order(order_id=str(number)), CANCEL, lambda: b"x", print, print)
                await asyncio.sleep(0)
            for left in (2, 3):
                wire.answer()
                await until(lambda left=left: len(wire.sent) == left)
            wire.answer()
            session.died(1, "flushed")
            lane.put(order(), CANCEL, lambda: b"x", print, print)
            await asyncio.sleep(0.01)
            assert len(wire.sent) == 3
            session.renew("another")
            await until(lambda: len(wire.sent) == 4)
            wire.answer()
            await asyncio.sleep(0.01)  # the task has seen that nobody waits
            wire.count = 0
            lane.put(order(), CANCEL, lambda: b"x", print, print)
            wire.count = 1
            await until(lambda: len(wire.sent) == 5)
            group.cancel_scope.cancel()

    asyncio.run(main())


class Lanes(RuleBasedStateMachine):
    """Anything in any order: everybody hears once; what left had the gate open and the token alive."""

    @initialize(connections=st.integers(1, 4), shared=st.integers(1, 4))
    def open(self, connections, shared):
        self.room = Room(connections, shared=shared)
        self.number = 0
        self.kinds = {}

    @rule(kind=st.sampled_from(Kind), number=st.integers(1, 12))
    def put(self, kind, number):
        for _ in range(number):
            self.number += 1
            name = f"{kind.name} {self.number}"
            self.kinds[name] = kind
            closed, dead, before = self.room.gate.killed, not self.room.session.alive, len(self.room.left)
            self.room.put(kind, name)
            assert not dead or len(self.room.left) == before
            assert not closed or kind is CANCEL or name not in self.room.left

    @precondition(lambda self: self.room.wire.open)
    @rule(data=st.data(), status=st.sampled_from([200, 200, 400, 429, 0]))
    def answer(self, data, status):
        number = data.draw(st.integers(0, len(self.room.wire.open) - 1))
        self.room.wire.answer(Response(status, "", b"") if status else Lost("reset"), number)

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.25, 1.0, 3.0, 61.0]))
    def later(self, seconds):
        before = len(self.room.left)
        self.room.after(seconds)
        gone = [self.kinds[name] for name in self.room.left[before:]]
        assert not self.room.gate.killed or set(gone) <= {CANCEL}
        assert self.room.session.alive or not gone
        assert gone == sorted(gone)

    @rule()
    def kill(self):
        self.room.gate.kill("by hand", "operator", 0)

    @rule()
    def rearm(self):
        self.room.gate.rearm("by hand", "operator", 0)

    @rule()
    def die(self):
        self.room.session.died(self.room.session.epoch, "dead")
        assert {self.kinds[name] for name in self.waiting()} <= {CANCEL}

    @rule()
    def renew(self):
        self.room.session.renew(f"token {self.number} {self.room.session.epoch}")

    @precondition(lambda self: self.kinds)
    @rule(data=st.data())
    def drop(self, data):
        name = data.draw(st.sampled_from(list(self.kinds)))
        waits = name in self.waiting()
        assert self.room.lane.drop(name) == (waits and self.kinds[name] in (ENTRY, EXIT))

    def waiting(self):
        return [name for name, heard in self.room.said.items() if not heard and name not in self.room.left]

    @invariant()
    def everybody_hears_once_and_of_one_thing(self):
        if not hasattr(self, "room"):
            return
        left = Counter(self.room.left)
        assert max(left.values(), default=0) <= 1
        for name, heard in self.room.said.items():
            assert len(heard) <= 1
            assert not heard or isinstance(heard[0], str) == (name not in left)
        assert len(self.waiting()) == self.room.lane.waiting
        assert len(self.room.wire.open) == self.room.lane.under_way

    def teardown(self):
        """Once the higher ones stop, answers come and the token is good, nobody waits for ever."""
        if not hasattr(self, "room"):
            return
        room = self.room
        room.session.renew("the last")
        for _ in range(400):
            while room.wire.open:
                room.wire.answer()
            room.after(0.5)
            if not room.lane.waiting and not room.wire.open:
                break
        assert not room.lane.waiting
        self.everybody_hears_once_and_of_one_thing()
        assert all(len(heard) == 1 for heard in room.said.values())


def test_everybody_hears_once_whatever_happens():
    run_state_machine_as_test(
        Lanes, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )
