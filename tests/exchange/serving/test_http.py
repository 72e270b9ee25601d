"""REST on real sockets."""

import http.client
import json
import socket
import struct
from contextlib import closing

import pytest

AUTHORIZATION = {"Authorization": "token rehearsal:today", "X-Kite-Version": "3"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LONGEST = 64 * 1024


@pytest.fixture
def connection(standing):
    with closing(standing.connection()) as one:
        yield one


def asked(connection, method, path, body=None, headers=AUTHORIZATION):
    """Status, decoded body and headers."""
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    text = reply.read()
    return reply.status, json.loads(text) if text else None, reply.headers


def test_one_connection_serves_many_calls(connection):
    first = asked(connection, "GET", "/user/profile")
    local = connection.sock.getsockname()
    second = asked(connection, "GET", "/user/margins")
    assert (first[0], second[0]) == (200, 200)
    assert connection.sock.getsockname() == local
    assert first[2]["Content-Type"] == "application/json"


def test_it_listens_on_this_machine_only(standing):
    with socket.socket() as probe:
        probe.settimeout(5)
        assert probe.connect_ex(("127.0.0.2", standing.port)) != 0


def test_a_body_may_have_64_kib_and_not_more_and_either_is_in_the_history(standing, connection):
    for size, status in ((LONGEST, 404), (LONGEST + 1, 413)):
        code, body, _ = asked(connection, "POST", "/nothing", b"a" * size, AUTHORIZATION | FORM)
        assert code == status
        assert body["status"] == "error"
        connection.close()
        request, reply = standing.history("request", "reply")[-2:]
        assert (request["path"], reply["status"]) == ("/nothing", status)
        assert request["number"] == reply["number"]


def test_a_thousand_instruments_fit_into_one_request(connection):
    words = "&".join(f"i=NFO%3ABANKNIFTY26APR{strike}CE" for strike in range(40_000, 40_999))
    status, body, _ = asked(connection, "GET", f"/quote/ltp?i=NSE%3AINFY&{words}")
    assert status == 200
    assert "NSE:INFY" in body["data"]


@pytest.mark.parametrize("path", ["/margins/orders", "/margins/basket", "/charges/orders"])
@pytest.mark.parametrize("body", [b"", b"{", b"[" * 5_000, b"\xff", b"7", b'[{"exchange": []}]'])
def test_json_that_is_none_or_means_nothing_is_a_refusal(connection, path, body):
    status, answer, _ = asked(
        connection, "POST", path, body, AUTHORIZATION | {"Content-Type": "application/json"}
    )
    assert (status, answer["error_type"]) == (400, "InputException")


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "OPTIONS"])
def test_other_methods_are_not_allowed(connection, method):
    assert asked(connection, method, "/orders")[0] == 405


def test_bytes_that_are_no_form_are_a_refusal_in_kites_words(connection):
    status, body, _ = asked(connection, "POST", "/orders/regular", b"\xff\xfe=%zz&&&=", AUTHORIZATION | FORM)
    assert (status, body["error_type"]) == (400, "InputException")


def test_what_is_no_http_does_not_harm_the_others(standing, connection):
    with socket.create_connection(("127.0.0.1", standing.port), timeout=30) as raw:
        raw.sendall(b"\x16\x03\x01 this is no request\r\n\r\n")
        assert b"400" in raw.recv(4096).split(b"\r\n")[0]
    assert asked(connection, "GET", "/user/profile")[0] == 200


def test_who_breaks_off_leaves_no_traceback(standing):
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n%b\r\n"
    for path in (b"/orders/regular", b"/admin/faults"):
        for more in (b"", b"Content-Encoding: gzip\r\n"):
            with socket.create_connection(("127.0.0.1", standing.port), timeout=30) as raw:
                raw.sendall(head % (path, more) + b"abc")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with socket.create_connection(("127.0.0.1", standing.port), timeout=30) as raw:
        raw.sendall(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n")
        assert b"400" in raw.recv(4096).split(b"\r\n")[0]
    with closing(standing.connection()) as connection:
        assert asked(connection, "GET", "/user/profile")[0] == 200
    assert all(line.startswith("exchange: ") for line in standing.stderr.splitlines())


@pytest.fixture
def struck(standing, connection):
    """Let a fault strike the next GET /user/profile; it is gone afterwards."""

    def strike(do):
        standing.admin("faults", {"fault": [{"on": "profile", "do": do, "nth": 1}]})
        return connection

    yield strike
    standing.admin("faults", {"clear": True})


@pytest.mark.parametrize("do", ["drop_before", "drop_after", "reset_before", "reset_after"])
def test_a_connection_can_end_without_a_byte(standing, struck, do):
    connection = struck(do)
    before = standing.history()[-1]["seq"]
    error = ConnectionResetError if "reset" in do else http.client.RemoteDisconnected
    with pytest.raises(error) as caught:
        asked(connection, "GET", "/user/profile")
    assert type(caught.value) is error
    connection.close()
    assert asked(connection, "GET", "/user/profile")[0] == 200
    first, second = standing.history("reply", after=before)
    assert first.get("accepted", True) == (do.endswith("after"))
    assert second["status"] == 200
    assert "Traceback" not in standing.stderr


def test_a_body_can_break_off(struck):
    connection = struck("cut_body")
    connection.request("GET", "/user/profile", headers=AUTHORIZATION)
    reply = connection.getresponse()
    whole = int(reply.headers["Content-Length"])
    with pytest.raises(http.client.IncompleteRead) as caught:
        reply.read()
    assert len(caught.value.partial) == whole // 2
    assert caught.value.expected == whole - whole // 2
    connection.close()
    assert len(json.dumps(asked(connection, "GET", "/user/profile")[1], separators=(",", ":"))) == whole


def test_an_answer_can_lack_its_content_type(struck):
    status, body, headers = asked(struck("no_content_type"), "GET", "/user/profile")
    assert (status, body["data"]["user_id"]) == (200, "RH0001")
    assert "Content-Type" not in headers
