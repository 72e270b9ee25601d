"""Who is started again, how often, and what is passed on."""

import asyncio
from time import monotonic

import pytest
from sessions import until

from alphapanda.errors import CannotStart, Fatal
from alphapanda.live.line import Gauge
from alphapanda.live.policies import Beyond, Budget, Supervision
from alphapanda.live.supervisor import Failed, GaveUp, GivenUp, Started, supervise
from alphapanda.store import StoreFailed

QUICK = Supervision(restarts=3, within_s=60, pause_s=0.001)


LOST = ConnectionError("lost")


class Failing:
    """A task that fails `times` times, then runs until it is cancelled."""

    def __init__(self, times, error=LOST):
        self.left, self.starts, self.error = times, 0, error

    async def run(self):
        self.starts += 1
        if self.left:
            self.left -= 1
            if self.error is None:
                return
            raise self.error
        await asyncio.Event().wait()


def supervised(task, policy, gauge):
    """Until it runs or has been given up."""

    async def main():
        watched = asyncio.create_task(supervise("feed", task.run, policy, gauge))
        await until(lambda: watched.done() or (not task.left and gauge.state == "running"))
        if watched.done():
            return watched.result()
        watched.cancel()
        await asyncio.wait([watched])
        assert watched.cancelled()
        return "running"

    return asyncio.run(main(), debug=True)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_task_that_fails_within_its_budget_runs_again(times):
    task, gauge = Failing(times), Gauge()
    assert supervised(task, QUICK, gauge) == "running"
    assert task.starts == times + 1
    assert gauge.restarts == times


def test_a_task_beyond_its_budget_is_given_up():
    task, gauge = Failing(9), Gauge()
    with pytest.raises(GaveUp, match="feed failed 4 times in 60 s, last: ConnectionError: lost"):
        supervised(task, QUICK, gauge)
    assert task.starts == 4
    assert gauge.restarts == 3
    assert gauge.state == "failed"
    assert issubclass(GaveUp, Fatal)


def test_without_a_budget_the_first_failure_is_the_last():
    task = Failing(1)
    with pytest.raises(GaveUp, match="feed failed 1 times"):
        supervised(task, Supervision(restarts=0, within_s=300), Gauge())
    assert task.starts == 1


@pytest.mark.parametrize(
    "error",
    [
        Fatal("blind"),
        CannotStart("no token"),
        StoreFailed("disk full"),
        ExceptionGroup("tasks", [ConnectionError("lost"), StoreFailed("disk full")]),
        ExceptionGroup("tasks", [ExceptionGroup("inner", [Fatal("blind")])]),
    ],
    ids=repr,
)
def test_what_is_fatal_is_passed_on_at_once_even_out_of_a_group(error):
    task, gauge = Failing(1, error), Gauge()
    with pytest.raises(type(error)) as caught:
        supervised(task, QUICK, gauge)
    assert caught.value is error
    assert task.starts == 1
    assert (gauge.state, gauge.restarts) == ("failed", 0)


def test_a_group_without_anything_fatal_is_a_failure_like_others():
    task = Failing(2, ExceptionGroup("tasks", [ConnectionError("lost"), ValueError("odd")]))
    assert supervised(task, QUICK, Gauge()) == "running"
    assert task.starts == 3


def test_a_task_that_returns_has_failed():
    task = Failing(9, None)
    with pytest.raises(GaveUp, match="last: it returned"):
        supervised(task, QUICK, Gauge())


def test_a_task_that_may_end_ends():
    task, gauge = Failing(1, None), Gauge()
    policy = Supervision(restarts=0, within_s=60, may_end=True)
    assert supervised(task, policy, gauge) is None
    assert (gauge.state, gauge.restarts) == ("ended", 0)


def test_a_task_that_may_end_is_not_excused_when_it_fails():
    with pytest.raises(GaveUp):
        supervised(Failing(1), Supervision(restarts=0, within_s=60, may_end=True), Gauge())


def test_a_failed_task_pauses_before_it_starts_again():
    started = monotonic()
    task = Failing(2)
    supervised(task, Supervision(restarts=5, within_s=60, pause_s=0.1), Gauge())
    assert monotonic() - started >= 0.05 + 0.1


def test_a_task_that_may_fail_for_ever_is_started_again_for_ever():
    task, gauge = Failing(200), Gauge()
    policy = Supervision(restarts=None, within_s=60, pause_s=1e-6, longest_pause_s=1e-5, beyond=Beyond.NEVER)
    assert supervised(task, policy, gauge) == "running"
    assert gauge.restarts == 200


def test_a_task_that_was_cancelled_by_nobody_has_failed():
    """asyncio ends such a task without a word: the supervisor must not go with it."""
    task = Failing(2, asyncio.CancelledError("nobody asked"))
    gauge = Gauge()
    assert supervised(task, QUICK, gauge) == "running"
    assert gauge.restarts == 2
    with pytest.raises(GaveUp, match="last: it was cancelled, and nobody had asked for it"):
        supervised(Failing(9, asyncio.CancelledError()), QUICK, Gauge())


def test_every_turn_of_a_task_is_told_before_anything_is_done_about_it():
    task, gauge, heard = Failing(9), Gauge(), []

    async def main():
        policy = Supervision(restarts=1, within_s=60, pause_s=0.001)
        await supervise("feed", task.run, policy, gauge, told=lambda news: heard.append((news, task.starts)))

    with pytest.raises(GaveUp):
        asyncio.run(main(), debug=True)
    lost, last = "ConnectionError: lost", "feed failed 2 times in 60 s, last: ConnectionError: lost"
    assert heard == [
        (Started("feed"), 0),
        (Failed("feed", lost), 1),
        (Started("feed"), 1),
        (GivenUp("feed", last, Beyond.EXIT), 2),
    ]


def test_what_is_fatal_is_told_as_given_up():
    heard = []

    async def main():
        await supervise("store", Failing(1, StoreFailed("disk full")).run, QUICK, Gauge(), told=heard.append)

    with pytest.raises(StoreFailed):
        asyncio.run(main(), debug=True)
    assert heard == [Started("store"), GivenUp("store", "disk full", Beyond.EXIT)]


def test_a_budget_that_outlives_the_task_is_not_renewed_with_it():
    policy = Supervision(restarts=2, within_s=60, pause_s=0.001)
    budget = Budget(policy)

    async def main():
        await supervise("feed", Failing(9).run, policy, Gauge(), budget=budget)

    with pytest.raises(GaveUp, match="failed 3 times"):
        asyncio.run(main(), debug=True)
    gauge = Gauge()
    with pytest.raises(GaveUp, match="failed 3 times"):
        asyncio.run(supervise("feed", Failing(1).run, policy, gauge, budget=budget), debug=True)
    assert gauge.restarts == 0


@pytest.mark.parametrize("beyond", [Beyond.HALT, Beyond.HOLD])
def test_a_task_that_gave_up_without_an_exit_stays_until_it_is_started_by_hand(beyond):
    task, gauge, heard = Failing(5), Gauge(), []

    async def main():
        policy = Supervision(restarts=1, within_s=60, pause_s=0.001, beyond=beyond)
        watched = asyncio.create_task(supervise("feed", task.run, policy, gauge, told=heard.append))
        for starts in (2, 4):  # each time with a new budget
            await until(lambda: gauge.restart is not None)
            assert (gauge.state, task.starts) == ("failed", starts)
            gauge.restart()
            gauge.restart = None
        await until(lambda: gauge.state == "running" and task.starts == 6)
        assert gauge.restart is None
        watched.cancel()
        await asyncio.wait([watched])
        assert watched.cancelled()

    asyncio.run(main(), debug=True)
    assert [news.beyond for news in heard if isinstance(news, GivenUp)] == [beyond, beyond]
    assert heard[-1] == Started("feed")
    assert gauge.restarts == 5


def test_cancelling_is_no_failure():
    async def main():
        gauge = Gauge()
        watched = asyncio.create_task(supervise("feed", Failing(0).run, QUICK, gauge))
        await until(lambda: gauge.state == "running")
        watched.cancel()
        await asyncio.wait([watched])
        assert watched.cancelled()
        assert gauge.restarts == 0

    asyncio.run(main(), debug=True)


def by_hand(task, gauge, *asks):
    """The task, supervised; each of `asks` is awaited in turn, once the one before is true."""

    async def main():
        policy = Supervision(restarts=3, within_s=60, pause_s=1000, longest_pause_s=1000, by_hand=True)
        watched = asyncio.create_task(supervise("pulse", task.run, policy, gauge))
        for fact in asks:
            await until(fact)
            gauge.restart()
        await until(lambda: task.starts == len(asks) + 1 and gauge.state == "running")
        watched.cancel()
        await asyncio.wait([watched])
        assert watched.cancelled()

    asyncio.run(main(), debug=True)


def test_a_task_is_started_anew_when_it_is_asked_for_and_no_budget_is_spent():
    task, gauge = Failing(0), Gauge()
    by_hand(task, gauge, *(lambda n=n: task.starts == n and gauge.state == "running" for n in range(1, 7)))
    assert gauge.restarts == 6


def test_a_restart_does_not_wait_for_the_pause_after_a_failure():
    task, gauge = Failing(1), Gauge()
    by_hand(task, gauge, lambda: gauge.state == "failed" and gauge.restarts == 1)
    assert gauge.restarts == 1


def test_a_task_that_others_depend_on_is_not_restarted_by_hand():
    gauge = Gauge()
    supervised(Failing(0), QUICK, gauge)
    assert gauge.restart is None
