import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import answer, environment, run, write_config

from alphapanda import fail_points
from alphapanda.errors import CannotStart
from alphapanda.fail_points import VARIABLE, FailPoint, Injected, Met, armed_by, reach
from alphapanda.live.life import ORDER_PATH
from alphapanda.live.policies import POLICIES
from alphapanda.live.task_faults import TASKS

PACKAGE = Path(fail_points.__file__).parent
PLACES = [point for point in FailPoint if point.met is not Met.TASK]
REFUSED = [
    ("befor_commit", "is no fail point"),
    ("before_commit:0", "a passage is a number"),
    ("before_commit:-1", "a passage is a number"),
    ("before_commit:x", "a passage is a number"),
    ("before_commit=explode", "takes =kill, =raise or =stall:SECONDS"),
    ("before_commit=stall", "takes =kill, =raise or =stall:SECONDS"),
    ("before_commit=stall:-2", "takes =kill, =raise or =stall:SECONDS"),
    ("before_commit=hang", "takes =kill, =raise or =stall:SECONDS"),
    ("task_feed=stall:1", "takes =kill, =raise, =return, =hang or =linger"),
]


BEFORE = {
    "BEFORE_COMMIT": "connection.execute('BEGIN IMMEDIATE')",
    "INSIDE_COMMIT": "connection.execute('COMMIT')",
    "INTENT_DECIDED": "self._commit()",
    "BEFORE_WRITE": "connection.write(request, answered)",
    "BOOK_READ": "self._take(orders, trades)",
    "BEFORE_PAPER": "self._tell(PlaceOrder(order))",
    "BEFORE_ORDER_TOLD": "line.tap(event)",
    "BOOKS_READ_AT_START": "self.compare()",
    "BEFORE_READY": "self._gate.ready = True",
    "REARM_ASKED": "self._file.remove()",
}
"""The point stands right before this."""
AFTER = {
    "STORE_FOLDED": "fold(self._folded(connection))",
    "DOUBTED_AT_START": "self._doubt()",
    "COMPARED_AT_START": "self.compare()",
    "INTENT_COMMITTED": "self._commit()",
    "AFTER_WRITE": "connection.write(request, answered)",
    "ANSWER_BOOKED": "asked.answered(answer)",
    "BOOK_APPLIED": "self._take(orders, trades)",
    "AFTER_PAPER": "self._tell(PlaceOrder(order))",
    "TURN_TAKEN": "self._taken(",
    "REARM_FILE_REMOVED": "self._file.remove()",
    "REARM_COMMITTED": "store.commit()",
    "LIFE_COMMITTED": "store.commit()",
    "LIFE_REFOLDED": "store.refold()",
}
"""The point stands right after this."""


@pytest.fixture
def arm(monkeypatch):
    """Arm this process as the variable would."""

    def armed(words):
        monkeypatch.setattr(fail_points, "_POINTS", armed_by({VARIABLE: words}))

    return armed


def reached():
    """Each `reach(FailPoint.X)` of the package: the member's name -> how often."""
    calls = (
        call
        for path in PACKAGE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "reach" and len(call.args) == 1
    )
    return Counter(ast.unparse(call.args[0]).removeprefix("FailPoint.") for call in calls)


def test_every_fail_point_is_in_the_code_once_and_nothing_else_is_reached():
    """A point of which there are two names no place; a commit of the journal is one place."""
    assert reached() == Counter(point.name for point in PLACES)


def neighbours():
    """Of each point's place: its name -> the statements before it and after it, "" at an end of the block."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
                said = [ast.unparse(each) for each in block] if isinstance(block, list) else []
                for number, words in enumerate(said):
                    if words.startswith("reach(FailPoint."):
                        name = words.removeprefix("reach(FailPoint.").removesuffix(")")
                        found[name] = said[number - 1] if number else "", (*said[number + 1 :], "")[0]
    return found


def test_a_point_of_a_step_stands_on_the_side_of_it_that_its_name_says():
    """A crash after the write that is called one before it proves nothing of the one before."""
    places = neighbours()
    for name, step in BEFORE.items():
        assert step in places[name][1], name
    for name, step in AFTER.items():
        assert step in places[name][0], name


def test_every_task_that_is_supervised_has_a_fail_point():
    tasks = {str(name) for name in POLICIES} - {"core"} | {str(stage) for stage in ORDER_PATH}
    assert set(TASKS) == tasks, "a task came or went: see FailPoint"


def test_nothing_happens_where_nothing_is_armed(arm):
    for words in ("", " , "):
        arm(words)
        assert fail_points._POINTS == {}
        for point in PLACES:
            reach(point)


def test_a_point_raises_at_its_passage_and_at_no_other(arm):
    arm("after_write:3=raise, book_read=raise")
    reach(FailPoint.AFTER_WRITE)
    reach(FailPoint.BEFORE_WRITE)
    reach(FailPoint.AFTER_WRITE)
    with pytest.raises(Injected, match="fail point after_write"):
        reach(FailPoint.AFTER_WRITE)
    reach(FailPoint.AFTER_WRITE)
    with pytest.raises(Injected, match="fail point book_read"):
        reach(FailPoint.BOOK_READ)


def test_a_star_is_every_passage(arm):
    arm("after_write:*=raise")
    for _ in range(3):
        with pytest.raises(Injected):
            reach(FailPoint.AFTER_WRITE)


def test_a_point_stalls_for_as_long_as_it_is_told(arm, monkeypatch):
    slept = []
    monkeypatch.setattr(fail_points.time, "sleep", slept.append)
    arm("before_write=stall:0.25")
    reach(FailPoint.BEFORE_WRITE)
    assert slept == [0.25]


def test_a_point_kills_as_the_kernel_does():
    """No handler runs any more."""
    code = "import atexit; from alphapanda.fail_points import *; atexit.register(print, 'end')\n"
    code += "reach(FailPoint.AFTER_WRITE); reach(FailPoint.AFTER_WRITE)"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment({VARIABLE: "after_write:2"}),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-9, b"", b"")


@given(st.text())
def test_any_words_are_understood_or_refused_with_one_line(words):
    arms = fail_points._Arms({VARIABLE: words})
    assert set(arms.points) <= set(FailPoint)
    assert arms.problem == "" or (arms.problem.startswith(f"{VARIABLE}: ") and arms.points == {})


@pytest.mark.parametrize(("words", "why"), REFUSED)
def test_a_mistake_is_refused_with_its_reason(words, why):
    with pytest.raises(ValueError, match=why):
        armed_by({VARIABLE: words})


def test_a_mistake_is_told_when_somebody_asks(monkeypatch):
    monkeypatch.setattr(fail_points, "_ARMS", fail_points._Arms({VARIABLE: "nowhere"}))
    with pytest.raises(CannotStart, match="'nowhere' is no fail point"):
        fail_points.armed()


def test_a_daemon_refuses_words_that_make_no_sense_and_says_what_is_armed(tmp_path):
    write_config(tmp_path, feed={"source": "simulated"}, strategies=[])
    refused = run(tmp_path, "run", env={VARIABLE: "after_comit"})
    assert refused.code == 3
    assert refused.line == (
        f"alphapanda: {VARIABLE}: 'after_comit' is no fail point; `alphapanda fail-points` lists them"
    )
    killed = run(tmp_path, "run", env={VARIABLE: "before_ready:1"})
    assert killed.code == -9
    assert "a test has armed this daemon to fail: before_ready: kill at passage 1" in killed.stderr


def test_the_command_lists_each_with_its_place(tmp_path):
    rows = answer(tmp_path, "fail-points")
    assert [row["name"] for row in rows] == [str(point) for point in FailPoint]
    assert all(row["met"] and row["when"] for row in rows)
    shown = run(tmp_path, "fail-points")
    assert shown.code == 0
    assert all(point in shown.stdout for point in FailPoint)
