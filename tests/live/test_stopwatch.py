"""Whose time a long call took: its own, the machine's, or that of a stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from alphapanda.live import stopwatch
from alphapanda.live.stopwatch import LoopStopwatch, Seen, own_ns

MS = 1_000_000
BEFORE = Seen(5 * MS, 7 * MS, 3, 1)


@pytest.mark.parametrize(
    ("what", "after", "own"),
    [
        ("it ran all the time", Seen(305 * MS, 7 * MS, 3, 1), 300),
        ("it slept", Seen(6 * MS, 7 * MS, 4, 1), 300),
        ("it was kept waiting", Seen(15 * MS, 297 * MS, 9, 1), 10),
        ("it ran, slept and was kept waiting", Seen(105 * MS, 107 * MS, 9, 1), 200),
        ("the machine itself was not there", Seen(10 * MS, 7 * MS, 3, 1), 5),
        ("the process was stopped", Seen(10 * MS, 7 * MS, 4, 2), 5),
        ("it began long before", Seen(905 * MS, 907 * MS, 9, 1), 300),
    ],
)
def test_a_call_is_charged_with_what_it_took_itself(what, after, own):
    assert own_ns(300 * MS, BEFORE, after) == own * MS, what


def test_sleep_and_work_are_the_calls_own():
    with LoopStopwatch() as watch:
        began_ns = watch.begin()
        time.sleep(0.03)
        assert watch.own_ns(began_ns, watch.now_ns()) >= 15 * MS  # less what the machine kept
        began_ns, ran_ns = watch.begin(), time.thread_time_ns()
        while time.thread_time_ns() - ran_ns < 30 * MS:
            pass
        assert watch.own_ns(began_ns, watch.now_ns()) >= 29 * MS


def test_a_look_serves_for_a_while_and_then_is_taken_again():
    with LoopStopwatch() as watch:
        looked_ns = watch._looked_ns = watch.now_ns() + 3600 * 1000 * MS
        assert watch.begin() < looked_ns
        assert watch._looked_ns == looked_ns
        looked_ns = watch._looked_ns = watch.now_ns() - stopwatch.LOOK_EVERY_NS - 1
        assert watch.begin() == watch._looked_ns > looked_ns


def test_the_time_in_which_the_process_was_stopped_is_not_the_calls():
    """The stop comes from another process: one that is stopped starts nothing."""
    pid = os.getpid()
    script = f"import os, time; os.kill({pid}, 19); time.sleep(0.4); os.kill({pid}, 18)"
    with LoopStopwatch() as watch:
        began_ns = watch.begin()
        stops = subprocess.Popen([sys.executable, "-c", script])
        try:
            while not watch._stops:
                pass
        finally:
            assert stops.wait(timeout=60) == 0
        ended_ns, ran_ns = watch.now_ns(), watch.own_ns(began_ns, watch.now_ns())
        assert ended_ns - began_ns - ran_ns > 300 * MS


def test_a_kernel_that_does_not_say_what_it_kept_still_tells_work_from_waiting(monkeypatch):
    monkeypatch.setattr(stopwatch, "SCHEDSTAT", "/nowhere")
    with LoopStopwatch() as watch:
        began_ns = watch.begin()
        time.sleep(0.03)
        assert watch.own_ns(began_ns, watch.now_ns()) >= 29 * MS


def test_it_leaves_the_process_as_it_was():
    handler, files = signal.getsignal(signal.SIGCONT), sum(1 for _ in Path("/proc/self/fd").iterdir())
    with LoopStopwatch():
        assert signal.getsignal(signal.SIGCONT) != handler
    assert signal.getsignal(signal.SIGCONT) == handler
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == files


def test_in_a_thread_it_times_that_thread_and_touches_no_signal():
    handler, took = signal.getsignal(signal.SIGCONT), []

    def timed():
        with LoopStopwatch() as watch:
            began_ns = watch.begin()
            time.sleep(0.02)
            took.append(watch.own_ns(began_ns, watch.now_ns()))

    thread = threading.Thread(target=timed)
    thread.start()
    thread.join()
    assert took[0] >= 10 * MS
    assert signal.getsignal(signal.SIGCONT) == handler
