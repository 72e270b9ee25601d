"""Alarms by name, the pressure on queues, and what `status` says of both."""

import pytest
from builders import INFY, batch, signal, tick
from hypothesis import given
from hypothesis import strategies as st

from alphapanda.core.risk import RiskManager
from alphapanda.live.gate import Gate
from alphapanda.live.health import FOLDS_S, LOOK_S, Alarms, Health, Pressure, Queue
from alphapanda.live.line import Line
from alphapanda.pipeline import Stage

ROOM = 1024


def test_the_log_hears_of_an_alarm_when_it_begins_and_when_it_is_over(logged):
    alarms = Alarms()
    for free in (200, 100):
        alarms.ring("disk", f"{free} MiB left")
    assert alarms.summary()["disk"]["why"] == "100 MiB left"
    alarms.quiet("disk")
    alarms.quiet("disk")
    assert alarms.summary() == {}
    assert [line.strip() for line in logged] == ["alarm disk: 200 MiB left", "alarm disk is over"]


@pytest.mark.parametrize(("depth", "named"), [(819, False), (820, True), (1024, True)])
def test_a_queue_is_named_where_more_than_four_fifths_are_taken(depth, named):
    assert ("risk" in Pressure().look(0.0, {"risk": Queue(depth, ROOM, 0)})) is named


def looks(folded):
    """At which looks a queue is named that had folded so many by each of them."""
    pressure = Pressure()
    return [
        number
        for number, count in enumerate(folded)
        if pressure.look(number * LOOK_S, {"risk": Queue(0, ROOM, count)})
    ]


def test_a_queue_is_named_once_it_has_folded_for_a_second_and_until_it_folds_no_more():
    folds = int(FOLDS_S / LOOK_S)
    busy = list(range(folds + 4))
    assert looks(busy) == list(range(folds + 2, folds + 4))
    after = looks([*busy, *[busy[-1]] * 6])
    assert after[-1] < len(busy) + 3, "it stays named for a moment and no longer"


def test_one_burst_is_no_pressure():
    assert looks([0, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000]) == []


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_what_has_folded_at_every_look_of_a_second_is_named_and_what_has_not_for_a_second_is_not(steps):
    folded = [sum(steps[: number + 1]) for number in range(len(steps))]
    named, within = looks(folded), int(FOLDS_S / LOOK_S)
    for number in range(within + 1, len(steps)):
        last = steps[number - within - 1 : number + 1]
        if all(last):
            assert number in named
        if not any(last):
            assert number not in named


class Desk:
    """The line, the gate and what looks at them."""

    def __init__(self, folder, *, live):
        self.line, self.gate, self.alarms = Line(lambda _: None, capacity=10), Gate(), Alarms()
        self.noted = 0
        self.health = Health(
            self.line,
            self.gate,
            self.alarms,
            store=folder / "a.db",
            every_s=None,
            holds=lambda: live,
            noted=lambda: None,
        )


def test_entries_wait_while_a_queue_of_a_live_line_is_under_pressure(tmp_path):
    desk = Desk(tmp_path, live=True)
    inbox = desk.line.inboxes[Stage.RISK]
    for _ in range(9):
        inbox.put_bounded(signal())
    desk.health.look_at_queues(0.0)
    assert list(desk.gate.entries) == ["queues"]
    said = desk.health.summary({}, None)
    assert said["queues"] == {"risk": "9 of 10 places are taken"}
    assert "queues" in said["alarms"]
    assert said["entries_held"] == desk.gate.entries
    while inbox.take() is not None:
        inbox.done()
    desk.health.look_at_queues(LOOK_S)
    assert (desk.gate.entries, desk.alarms.ringing) == ({}, {})


def test_those_of_a_finite_feed_are_named_and_hold_nothing(tmp_path):
    desk = Desk(tmp_path, live=False)
    for _ in range(9):
        desk.line.inboxes[Stage.RISK].put_bounded(signal())
    desk.health.look_at_queues(0.0)
    assert (desk.gate.entries, list(desk.alarms.ringing)) == ({}, ["queues"])


def test_a_process_that_cannot_be_counted_is_an_alarm_and_no_failure(tmp_path):
    desk = Desk(tmp_path / "gone", live=True)
    desk.health.count(0.0)
    assert list(desk.alarms.ringing) == ["census"]
    assert desk.health.summary({}, None)["process"] == {}


def test_prices_that_are_not_trusted_are_named_and_the_oldest_is_told(tmp_path):
    risk = RiskManager([], {"paper": "MIS"}, tag_seed="AP", instruments=[INFY])
    said = Desk(tmp_path, live=True).health.summary
    assert said({}, risk)["prices"] == {"oldest_s": None, "untrusted": 0, "untrusted_first": []}
    risk.on(batch(tick(100.0)))
    risk.on(batch(lost=(INFY.instrument_token,), at=3))
    assert said({}, risk)["prices"] == {"oldest_s": 3.0, "untrusted": 1, "untrusted_first": ["NSE:INFY"]}
