"""What ends must end in time: a task that hangs in its cleanup does not keep the process."""

import asyncio
import threading

import anyio
import pytest
from sessions import DEADLINE_S

from alphapanda.live.endings import Leaving


class Left:
    """In the place of the end of the process: what was said with it."""

    def __init__(self):
        self.why = []
        self.said = threading.Event()

    def __call__(self, why):
        self.why.append(why)
        self.said.set()


@pytest.fixture
def left():
    return Left()


def run(main):
    async def bounded():
        with anyio.fail_after(DEADLINE_S):
            await main()

    asyncio.run(bounded())


def heard(event):
    return anyio.to_thread.run_sync(event.wait, DEADLINE_S)


@pytest.mark.parametrize("fails", [True, False], ids=["a failure", "the wish to stop"])
def test_a_task_that_hangs_when_its_group_is_cancelled_ends_the_process(left, fails):
    leaving = Leaving(0.01, left)

    async def hangs():
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                assert await heard(left.said)

    async def ends():
        if fails:
            raise ValueError("no")
        group.cancel_scope.cancel()

    async def main():
        nonlocal group
        async with anyio.create_task_group() as group:
            group.start_soon(leaving.when_cancelled, "the line")
            group.start_soon(hangs)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(ends)

    group = None
    if fails:
        with pytest.raises(ExceptionGroup):
            run(main)
    else:
        run(main)
    assert left.why == ["a task of the line has not ended in 0.01 s"]


def test_a_loop_that_is_stuck_in_a_cleanup_is_left_as_well(left):
    leaving = Leaving(0.01, left)

    async def main():
        leaving.begin("the line")
        assert left.said.wait(DEADLINE_S), "the loop does not come round"

    run(main)
    assert left.why == ["a task of the line has not ended in 0.01 s"]


def test_while_no_group_is_cancelled_nothing_counts(left):
    leaving = Leaving(0.0, left)

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(leaving.when_cancelled, "the line")
            await anyio.wait_all_tasks_blocked()
            assert leaving._timer is None
            group.cancel_scope.cancel()
        assert await heard(left.said)

    run(main)


def test_a_line_that_has_ended_and_is_laid_anew_is_not_left(left):
    leaving = Leaving(DEADLINE_S, left)
    leaving.begin("the line")
    timer = leaving._timer
    leaving.done("the line")
    assert timer.finished.is_set()
    leaving.begin("the line")
    assert leaving._timer is not timer, "the next one has its whole time"
    leaving.done("the line")


def test_while_another_group_is_ending_the_time_goes_on(left):
    """A core and the writer fail together: what would begin anew is cancelled with the rest."""
    leaving = Leaving(DEADLINE_S, left)
    leaving.begin("the line")
    leaving.begin("the writer")
    timer = leaving._timer
    leaving.done("the line")
    assert leaving._timer is timer
    assert not timer.finished.is_set()
    leaving.done("the writer", "the doors")
    assert timer.finished.is_set()
