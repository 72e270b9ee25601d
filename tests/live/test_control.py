"""The control socket: one request, one reply, and nobody who may not ask."""

import asyncio
import grp
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
from contextlib import asynccontextmanager, suppress

import pytest
from sessions import until

from alphapanda.errors import CannotStart
from alphapanda.live import control
from alphapanda.store import StoreFailed

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may run a child as another user")
NOBODY = 65534
TIMEOUT_S = 30.0

STRANGER = f"""
import os, socket, struct, sys
os.chdir(sys.argv[1])
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[2])
    body = b'{{"command": "kill_switch_off"}}'
    connection.sendall(struct.pack(">I", len(body)) + body)
    with connection.makefile("rb") as reply:
        reply.read(4)
        sys.stdout.buffer.write(reply.read())
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock"


async def echo(request):
    if "error" in request:
        raise ValueError(request["error"])
    return request


@asynccontextmanager
async def served(path, handle=echo, group=""):
    started = asyncio.Event()
    task = asyncio.create_task(control.serve(path, handle, group, started=started.set))
    try:
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def run(main):
    return asyncio.run(main(), debug=True)


def ask(path, timeout_s=TIMEOUT_S, **request):
    return asyncio.to_thread(control.ask, path, request, timeout_s)


@asynccontextmanager
async def connected(path):
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader):
    async with asyncio.timeout(TIMEOUT_S):
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        return json.loads(await reader.readexactly(length))


def frame(body):
    return struct.pack(">I", len(body)) + body


def test_a_request_has_a_reply_and_says_who_asks(path):
    async def main():
        async with served(path):
            reply = await ask(path, command="status", uid="forged")
            assert reply == {"ok": True, "result": {"command": "status", "uid": os.geteuid()}}

    run(main)


def test_what_the_caller_did_wrong_is_an_answer(path):
    async def main():
        async with served(path):
            assert await ask(path, error="needs a reason") == {"ok": False, "error": "needs a reason"}

    run(main)


def test_only_its_user_can_reach_the_socket(path):
    async def main():
        async with served(path):
            found = path.stat().st_mode
            assert stat.S_ISSOCK(found)
            assert stat.S_IMODE(found) == 0o600

    run(main)


def test_the_socket_goes_with_its_daemon(path):
    async def main():
        async with served(path):
            assert path.exists()
        assert not path.exists()
        with pytest.raises(control.Unreachable):
            await ask(path, command="status")

    run(main)


def test_nobody_answers_where_no_daemon_is(path):
    with pytest.raises(control.Unreachable, match="no daemon answers at"):
        control.ask(path, {}, 1.0)
    path.write_text("")
    with pytest.raises(control.Unreachable):
        control.ask(path, {}, 1.0)


def test_a_daemon_that_does_not_answer_in_time_is_unreachable(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with pytest.raises(control.Unreachable, match="timed out"):
            control.ask(path, {}, 0.05)


async def stranger(path):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STRANGER, str(path.parent), path.name,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said, errors = await asyncio.wait_for(child.communicate(), TIMEOUT_S)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return said, errors.decode()


@ROOT
def test_another_user_cannot_even_connect(path):
    path.parent.chmod(0o711)

    async def main():
        async with served(path):
            said, errors = await stranger(path)
            assert said == b""
            assert "PermissionError" in errors

    run(main)


@ROOT
def test_another_user_who_got_through_is_refused_by_the_kernels_word(path):
    path.parent.chmod(0o711)
    asked = []

    async def main():
        async with served(path, asked.append):
            path.chmod(0o666)
            said, errors = await stranger(path)
            assert errors == ""
            assert json.loads(said) == {"ok": False, "error": f"uid {NOBODY} may not control this daemon"}

    run(main)
    assert asked == []


@ROOT
def test_a_group_may_be_let_in(path):
    path.parent.chmod(0o711)
    group = grp.getgrgid(NOBODY).gr_name

    async def main():
        async with served(path, group=group):
            found = path.stat()
            assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, NOBODY)
            said, _ = await stranger(path)
            assert json.loads(said)["result"] == {"command": "kill_switch_off", "uid": NOBODY}

    run(main)


def test_a_group_that_does_not_exist_stops_the_start(path):
    async def main():
        async with served(path, group="no such group"):
            pass

    with pytest.raises(CannotStart, match=r"control.group: there is no group 'no such group'"):
        run(main)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">I", control.LONGEST_REQUEST + 1),
        b"\xff" * 4,
        b"GET / HTTP/1.1\r\n\r\n",
        frame(b""),
        frame(b"[1, 2]"),
        frame(b'"status"'),
        frame(b"{"),
        frame(b"\xff\xfe\x00"),
        frame(b'{"a": ' + b"[" * 60_000),
        frame(b"{}") + b"{}",
    ],
    ids=["too long", "huge", "http", "empty", "list", "text", "half", "binary", "deep", "two"],
)
def test_what_is_no_request_is_refused_and_the_next_one_is_served(path, sent):
    async def main():
        async with served(path):
            async with connected(path) as (reader, writer):
                writer.write(sent)
                reply = await answer(reader)
                assert not reply["ok"]
                assert "not a request" in reply["error"]
            assert (await ask(path, command="status"))["ok"]

    run(main)


def test_the_longest_request_is_served(path):
    async def main():
        async with served(path):
            text = "x" * (control.LONGEST_REQUEST - len('{"text":""}'))
            assert (await ask(path, text=text))["result"]["text"] == text

    run(main)


def test_a_request_may_come_in_pieces(path):
    async def main():
        async with served(path), connected(path) as (reader, writer):
            for byte in frame(b'{"command": "status"}'):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            assert (await answer(reader))["result"]["command"] == "status"

    run(main)


@pytest.mark.parametrize("sent", [b"", b"\x00\x00", struct.pack(">I", 100) + b"half"])
@pytest.mark.parametrize("then", ["silent", "gone"])
def test_half_a_request_is_dropped_and_the_next_one_is_served(path, monkeypatch, sent, then):
    monkeypatch.setattr(control, "READ_S", 0.1)

    async def main():
        async with served(path):
            async with connected(path) as (reader, writer):
                writer.write(sent)
                if then == "silent":
                    async with asyncio.timeout(TIMEOUT_S):
                        assert await reader.read() == b""
            assert (await ask(path, command="status"))["ok"]

    run(main)


def test_a_caller_who_leaves_before_the_answer_disturbs_nobody(path):
    go = asyncio.Event()

    async def slow(request):
        if request.get("slow"):
            await go.wait()
        return "x" * 1_000_000

    async def main():
        async with served(path, slow):
            async with connected(path) as (_, writer):
                writer.write(frame(b'{"slow": true}'))
                await writer.drain()
            go.set()
            assert (await ask(path, command="status"))["ok"]

    run(main)


def test_two_hundred_callers_are_answered(path):
    async def main():
        async with served(path):

            async def one(number):
                async with connected(path) as (reader, writer):
                    writer.write(frame(json.dumps({"number": number}).encode()))
                    return (await answer(reader))["result"]["number"]

            assert await asyncio.gather(*map(one, range(200))) == list(range(200))

    run(main)


def test_silent_callers_do_not_lock_the_operator_out(path, monkeypatch):
    monkeypatch.setattr(control, "READ_S", 0.2)

    async def main():
        async with served(path):
            silent = [await asyncio.open_unix_connection(str(path)) for _ in range(3 * control.CONNECTIONS)]
            assert (await ask(path, command="status"))["ok"]
            for _, writer in silent:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    run(main)


def test_a_socket_left_by_a_dead_daemon_is_replaced(path):
    dead = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
    with subprocess.Popen(
        [sys.executable, "-c", dead + "print(flush=True); time.sleep(600)", str(path)], stdout=subprocess.PIPE
    ) as child:
        try:
            child.stdout.readline()
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    assert path.exists()

    async def main():
        async with served(path):
            assert (await ask(path, command="status"))["ok"]

    run(main)


def test_the_socket_of_a_living_daemon_is_left_alone(path):
    async def main():
        async with served(path):
            with pytest.raises(CannotStart, match=r"control.socket .* is in use by another daemon"):
                async with served(path):
                    pass
            assert (await ask(path, command="status"))["ok"]

    run(main)


def test_a_daemon_too_busy_to_accept_is_living_too(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        waiting = []
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                try:
                    waiting[-1].connect(str(path))
                except BlockingIOError:
                    break

            async def main():
                async with served(path):
                    pass

            with pytest.raises(CannotStart, match="in use by another daemon"):
                run(main)
            assert path.exists()
        finally:
            for one in waiting:
                one.close()


def test_a_file_in_the_way_is_left_alone(path):
    path.write_text("precious")

    async def main():
        async with served(path):
            pass

    with pytest.raises(CannotStart, match=r"control.socket .* cannot be opened: .* is no socket; remove it"):
        run(main)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("length", [200, 300])
def test_a_name_that_is_too_long_for_a_socket_is_told_what_to_do(tmp_path, length):
    async def main():
        async with served(tmp_path / ("s" * length)):
            pass

    with pytest.raises(CannotStart, match=r"cannot be opened: .* too long; set a shorter path"):
        run(main)


def test_a_path_longer_than_a_socket_address_works(tmp_path):
    path = tmp_path / ("d" * 60) / ("e" * 60) / "control.sock"
    assert len(os.fsencode(path)) > 108

    async def main():
        async with served(path):
            assert (await ask(path, command="status"))["ok"]
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with pytest.raises(CannotStart, match="in use by another daemon"):
                async with served(path):
                    pass
        assert not path.exists()

    run(main)


@pytest.mark.parametrize("error", [RuntimeError("no such thing"), KeyError("uid"), OSError(28, "disk full")])
def test_a_request_that_fails_is_answered_and_the_next_caller_is_served(path, error):
    async def handle(request):
        if request.get("fail"):
            raise error
        return request["command"]

    async def main():
        async with served(path, handle) as task:
            for _ in range(3):
                said = await ask(path, command="status", fail=True)
                assert said == {"ok": False, "error": f"{type(error).__name__}: {error}"}
                assert await ask(path, command="status") == {"ok": True, "result": "status"}
            assert not task.done()

    run(main)


def test_a_failure_in_the_daemon_is_not_swallowed(path):
    async def fail(request):
        raise StoreFailed("disk full")

    async def main():
        async with served(path, fail) as task:
            with pytest.raises(control.Unreachable):
                await ask(path, command="kill_switch_on")
            await until(task.done)
            assert task.exception().subgroup(StoreFailed)
            raise task.exception()

    with pytest.raises(ExceptionGroup):
        run(main)
    assert not path.exists()
