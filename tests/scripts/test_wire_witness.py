"""The witness of the wire: it sees each order request before the exchange does, and changes nothing."""

import socket
import struct
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from oracle.witness import witness
from oracle_story import Story, killed, ours, write_store
from running import FINISH_S, eventually

RESET = struct.pack("ii", 1, 0)


class Ends:
    """The daemon's end and the exchange's of one connection through the witness, whose log is `wire`."""

    def __init__(self, near, far, wire):
        self.near, self.far, self.wire = near, far, wire

    def came(self, size):
        """So many bytes at the exchange."""
        held = b""
        while len(held) < size:
            data = self.far.recv(size - len(held))
            assert data, held
            held += data
        return held


@contextmanager
def passage(folder):
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(FINISH_S)
        upstream = f"http://127.0.0.1:{listener.getsockname()[1]}"
        wire = stack.enter_context(witness(upstream, folder / "run.db", folder))
        port = urlsplit(wire.url).port
        near = stack.enter_context(socket.create_connection(("127.0.0.1", port), FINISH_S))
        far, _ = listener.accept()
        stack.enter_context(far)
        far.settimeout(FINISH_S)
        yield Ends(near, far, wire)


def placement(tag):
    body = f"variety=regular&tradingsymbol=M%26M&tag={tag}".encode()
    return b"POST /orders/regular HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize(("tag", "committed"), [(ours().tag, True), ("APTEST0000NOBODY", False)])
def test_a_request_is_written_down_before_the_exchange_has_its_first_byte(tmp_path, tag, committed):
    hashes = write_store(tmp_path / "run.db", Story().events)
    request = placement(tag)
    with passage(tmp_path) as ends:
        before_ns = time.monotonic_ns()
        ends.near.sendall(request[:40])
        ends.near.sendall(request[40:])
        assert ends.came(len(request)) == request
        (line,) = ends.wire.lines()
        assert before_ns <= line["monotonic_ns"] <= time.monotonic_ns()
        assert (line["method"], line["path"], line["tag"]) == ("POST", "/orders/regular", tag)
        assert line["fields"]["tradingsymbol"] == "M&M"
        assert (line["committed"], line["killed"]) == (committed, False)
        assert hashes[line["seq"]] == line["hash"]
        ends.far.sendall(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
        assert ends.near.recv(12) == b"HTTP/1.1 429"
        _, reply = ends.wire.lines()
        assert (reply["kind"], reply["n"], reply["status"]) == ("reply", line["n"], 429)


def test_a_cancel_under_the_kill_switch_is_seen_as_such(tmp_path):
    story = Story()
    killed(story)
    write_store(tmp_path / "run.db", story.events)
    request = b"DELETE /orders/regular/17 HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    with passage(tmp_path) as ends:
        ends.near.sendall(request)
        ends.came(len(request))
        (line,) = ends.wire.lines()
        assert (line["method"], line["tag"], line["committed"]) == ("DELETE", None, None)
        assert line["killed"]


def test_a_store_that_is_not_there_is_said_and_proves_nothing(tmp_path):
    request = placement(ours().tag)
    with passage(tmp_path) as ends:
        ends.near.sendall(request)
        ends.came(len(request))
        (line,) = ends.wire.lines()
        assert line["committed"] is None
        assert line["unread"]


def test_half_a_request_goes_nowhere(tmp_path):
    with passage(tmp_path) as ends:
        ends.near.sendall(placement(ours().tag)[:-1])
        ends.near.shutdown(socket.SHUT_WR)
        assert ends.far.recv(100) == b""
        assert ends.wire.lines() == []


def test_a_reset_by_the_exchange_is_a_reset_for_the_daemon_and_the_answer_is_lost(tmp_path):
    request = placement(ours().tag)
    with passage(tmp_path) as ends:
        ends.near.sendall(request)
        ends.came(len(request))
        ends.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        ends.far.close()
        with pytest.raises(ConnectionResetError):
            ends.near.recv(1)
        assert eventually(lambda: [line["kind"] for line in ends.wire.lines()][1:]) == ["lost"]


def test_what_is_no_order_and_what_follows_an_upgrade_pass_unseen(tmp_path):
    read = b"GET /orders HTTP/1.1\r\nHost: a\r\n\r\n"
    upgrade = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    frames = b"POST /orders is no request here\r\n\r\n" + bytes(1000)
    with passage(tmp_path) as ends:
        for part in (read, upgrade, frames):
            ends.near.sendall(part)
            assert ends.came(len(part)) == part
        ends.far.sendall(frames)
        assert ends.near.recv(9) == frames[:9]
        assert ends.wire.lines() == []
