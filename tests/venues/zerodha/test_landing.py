"""Where the browser comes back to: what is a login, what is not, and who else knocks meanwhile."""

import asyncio
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from alphapanda.errors import CannotStart, Fatal
from alphapanda.venues.zerodha.landing import caught, followed, landed, login_url, token_in
from alphapanda.venues.zerodha.official import Unreachable
from alphapanda.venues.zerodha.roots import Roots, roots_at

STATE = "a-word-that-is-new"
GOOD = f"/?state={STATE}&action=login&type=login&status=success&request_token=abc123"


def head(target, method="GET"):
    return f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        return door.getsockname()[1]


def test_the_login_page_is_asked_for_our_application_and_a_word_that_comes_back():
    where = urlsplit(login_url(Roots(), "my key", STATE))
    assert (where.scheme, where.netloc, where.path) == ("https", "kite.zerodha.com", "/connect/login")
    words = parse_qs(where.query, strict_parsing=True)
    assert words == {"v": ["3"], "api_key": ["my key"], "redirect_params": [f"state={STATE}"]}


def test_a_login_is_taken():
    seen = landed(head(GOOD), STATE)
    assert (seen.status, seen.request_token, seen.said) == ("200 OK", "abc123", "")


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/favicon.ico", "GET", "404"),
        (GOOD.replace("/?", "/other?"), "GET", "404"),
        (GOOD.replace("/?", "//?"), "GET", "404"),
        ("/", "GET", "400"),
        (GOOD.replace(STATE, "another"), "GET", "400"),
        (GOOD.replace(f"state={STATE}&", ""), "GET", "400"),
        (GOOD, "POST", "405"),
        (GOOD, "HEAD", "405"),
        ("http://[::1/", "GET", "400"),
        ("", "", "404"),
        ("/?state=\xe9\xff", "GET", "400"),
    ],
)
def test_what_is_not_our_login_is_answered_and_ends_nothing(target, method, status):
    seen = landed(head(target, method), STATE)
    assert seen.status.startswith(status)
    assert (seen.request_token, seen.said) == ("", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("success", "cancelled"), "cancelled"),
        (("&status=success", ""), "nothing"),
        (("=abc123", "="), "success"),
    ],
)
def test_a_login_that_was_not_given_ends_the_wait(change, said):
    seen = landed(head(GOOD.replace(*change)), STATE)
    assert (seen.request_token, seen.said) == ("", said)


def waiting(*visits, timeout_s=60.0):
    """What `caught` gives while these come, one after the other: bytes to send; their answers."""
    port, answers, writers = free_port(), [], []

    async def visit(words):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        writer.write(words)
        if words:
            answers.append(await reader.read())

    async def main():
        opened = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                waits = group.create_task(caught(STATE, port, timeout_s, opened.set))
                await opened.wait()
                for words in visits:
                    await visit(words)
                return await waits
        finally:
            for writer in writers:
                writer.close()
                await writer.wait_closed()

    return asyncio.run(main()), answers


def test_the_browser_is_waited_for_while_others_knock():
    """A connection opened in advance, an icon, a page that wants us to take its own login, half a request."""
    token, answers = waiting(
        b"",
        head("/favicon.ico"),
        head(GOOD.replace(STATE, "another")),
        b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000 + b"\r\n\r\n",
        head(GOOD),
    )
    assert token == "abc123"
    assert [answer.split(b" ")[1] for answer in answers] == [b"404", b"400", b"431", b"200"]
    assert b"The login has arrived" in answers[-1]
    assert b"no-referrer" in answers[-1]
    assert b"abc123" not in b"".join(answers)


def test_a_login_that_was_not_given_is_said():
    with pytest.raises(ExceptionGroup) as group:
        waiting(head(GOOD.replace("success", "cancelled")))
    (error,) = group.value.exceptions
    assert isinstance(error, CannotStart)
    assert str(error) == "Zerodha gave no login, it said 'cancelled'; try again"


def test_nobody_comes():
    with pytest.raises(Fatal, match=r"nobody has logged in within 0\.05 s") as error:
        asyncio.run(caught(STATE, free_port(), 0.05, lambda: None))
    assert not isinstance(error.value, CannotStart)


def test_a_port_that_is_taken_is_said_with_another_way():
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        port = door.getsockname()[1]
        with pytest.raises(CannotStart, match=r"address already in use.*--request-token"):
            asyncio.run(caught(STATE, port, 60, lambda: None))


def test_the_door_is_of_this_machine_only_and_closes_behind_the_login():
    port, found = free_port(), {}

    def ready():
        rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
        found["listens"] = [row[1] for row in rows[1:] if row[3] == "0A" and row[1].endswith(f":{port:04X}")]

    with pytest.raises(Fatal):
        asyncio.run(caught(STATE, port, 0.01, ready))
    assert found["listens"] == [f"0100007F:{port:04X}"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=60)


@pytest.mark.parametrize(
    ("address", "token"),
    [
        ("http://127.0.0.1:8687/?action=login&request_token=abc123&status=success", "abc123"),
        ("http://127.0.0.1:8687/", ""),
        ("http://[::1/", ""),
        ("", ""),
    ],
)
def test_the_token_is_found_in_the_address_at_which_a_login_ends(address, token):
    assert token_in(address) == token


def test_an_exchange_that_is_not_there_is_said():
    with pytest.raises(
        Unreachable, match=r"there is no exchange at http://127\.0\.0\.1:\d+: Connection refused"
    ):
        followed(roots_at(f"http://127.0.0.1:{free_port()}"), "rehearsal")
