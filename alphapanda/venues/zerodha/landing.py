"""Where the login page sends the browser: a door on this machine that is open for one login.

Kite Connect documentation, "User": the page redirects to the address that the application has registered,
with `status` and `request_token`, and with what `redirect_params` said. There we put a word that is new each
time: a page elsewhere that sends the browser here cannot make us take a login of somebody else.
"""

import asyncio
import http.client
from collections.abc import Callable
from hmac import compare_digest
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio
from msgspec import Struct

from alphapanda.errors import CannotStart, Fatal
from alphapanda.venues.zerodha.official import Refused, Unreachable
from alphapanda.venues.zerodha.roots import TIMEOUT_S, Roots, tls

HOST, PATH = "127.0.0.1", "/"
LONGEST_HEAD = 16 * 1024
HEAD_S = 10.0
"""Browsers open connections in advance, and send nothing on them."""
STATE = "state"

PAGE = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n"
    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n"
)


class Landed(Struct, frozen=True):
    """What a request to our door says: an HTTP status and a sentence for the browser; one of the two words
    ends the wait. `said` is the status of a login that was not given.
    """

    status: str
    sentence: str
    request_token: str = ""
    said: str = ""


def login_url(roots: Roots, api_key: str, state: str = "") -> str:
    words = {"v": "3", "api_key": api_key}
    if state:
        words["redirect_params"] = urlencode({STATE: state})
    return f"{roots.login}/connect/login?{urlencode(words)}"


def landed(head: bytes, state: str) -> Landed:
    """By the first line of a request. Browsers ask for icons too: these are answered, no more."""
    method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    try:
        where = urlsplit(rest.partition(" ")[0])
    except ValueError:
        return Landed("400 Bad Request", "This is no address.")
    if where.path != PATH:
        return Landed("404 Not Found", "There is nothing here.")
    if method != "GET":
        return Landed("405 Method Not Allowed", "A login comes with GET.")
    words = dict(parse_qsl(where.query))
    if not compare_digest(words.get(STATE, "").encode(), state.encode()):
        return Landed(
            "400 Bad Request",
            "This login does not come from the address that alphapanda printed: open that one.",
        )
    if words.get("status") != "success" or not words.get("request_token"):
        said = words.get("status") or "nothing"
        return Landed("200 OK", "There was no login; the terminal says more.", said=said)
    return Landed(
        "200 OK",
        "The login has arrived. Close this page; the terminal says more.",
        request_token=words["request_token"],
    )


async def caught(state: str, port: int, timeout_s: float, ready: Callable[[], None]) -> str:
    """The request token, from the browser. `ready` is called once the door is open.

    Raises CannotStart where it cannot be opened or the login was not given, Fatal when nobody came in time.
    """
    found: asyncio.Queue[Landed] = asyncio.Queue(1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen = await _seen(reader, state)
            if seen is not None:
                body = f"<!doctype html><title>Alpha Panda</title><p>{seen.sentence}\n".encode()
                writer.write(PAGE.format(status=seen.status, length=len(body)).encode() + body)
                await writer.drain()
                if (seen.request_token or seen.said) and found.empty():
                    found.put_nowait(seen)
        except OSError:
            return  # the browser has left
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, HOST, port, limit=LONGEST_HEAD)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "there is no such port"
        raise CannotStart(
            f"no browser can reach {HOST}:{port}: {why}; free that port, or give --request-token what the"
            " address has at which the login ends"
        ) from None
    try:
        ready()
        with anyio.move_on_after(timeout_s):
            end = await found.get()
            if end.said:
                raise CannotStart(f"Zerodha gave no login, it said {end.said[:40]!r}; try again")
            return end.request_token
    finally:
        server.close()  # not waiting for connections on which nothing was sent
    raise Fatal(f"nobody has logged in within {timeout_s:g} s; run `alphapanda login` again")


async def _seen(reader: asyncio.StreamReader, state: str) -> Landed | None:
    """None for a connection without a request."""
    with anyio.move_on_after(HEAD_S):
        try:
            return landed(await reader.readuntil(b"\r\n\r\n"), state)
        except asyncio.LimitOverrunError:
            return Landed("431 Request Header Fields Too Large", "That is too long.")
        except asyncio.IncompleteReadError:
            return None
    return None


def followed(roots: Roots, api_key: str) -> str:
    """The request token of an exchange on this machine, whose page asks nothing: no browser is needed."""
    where = urlsplit(login_url(roots, api_key))
    context, address = tls(roots.login), where.hostname or ""
    connection = (
        http.client.HTTPConnection(address, where.port, timeout=TIMEOUT_S)
        if context is None
        else http.client.HTTPSConnection(address, where.port, timeout=TIMEOUT_S, context=context)
    )
    try:
        connection.request("GET", f"{where.path}?{where.query}")
        reply = connection.getresponse()
        target = reply.getheader("Location") or ""
        reply.read()
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or type(error).__name__
        raise Unreachable(f"there is no exchange at {roots.login}: {why}") from None
    finally:
        connection.close()
    token = token_in(target)
    if not token:
        raise Refused(f"{roots.login} gives no login (HTTP {reply.status})", status=reply.status)
    return token


def token_in(address: str) -> str:
    """The request token of the address that a login ends at; "" where it has none."""
    try:
        return dict(parse_qsl(urlsplit(address).query)).get("request_token", "")
    except ValueError:
        return ""
