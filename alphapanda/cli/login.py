"""login and logout: the day's login to Zerodha. No password is asked for or kept: the browser has that."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.context import context_of
from alphapanda.cli.options import Json
from alphapanda.cli.output import clock, print_json, put, say, warn
from alphapanda.cli.rehearsal import RehearsalUrl, checked, overrides
from alphapanda.errors import CannotStart, Transient

if TYPE_CHECKING:
    from alphapanda.venues.zerodha.official import Official
    from alphapanda.venues.zerodha.tokens import Token

GAVE_UP, NOT_LOGGED_IN = 1, 3
TEXT_BROWSERS = {"www-browser", "links", "elinks", "lynx", "w3m"}
"""They would take the terminal."""
FLUSHED = 7, 30
"""Staff of Zerodha: tokens made before about 07:30 may die when it starts its day."""


def login(
    ctx: typer.Context,
    status: Annotated[
        bool, typer.Option("--status", help="Who is logged in, until when, and whether Zerodha takes it.")
    ] = False,
    request_token: Annotated[
        str | None,
        typer.Option("--request-token", help="From a browser elsewhere: the token, or the whole address."),
    ] = None,
    rehearsal_url: RehearsalUrl = None,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65_535, help="Port on 127.0.0.1 the browser is sent to.")
    ] = 8687,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="How long to wait for the browser, in seconds.")
    ] = 300.0,
    json: Json = False,
) -> None:
    """Log in to Zerodha for the day.

    Opens the login page and waits for the browser to come back to http://127.0.0.1:8687/: register that as
    the redirect URL of your Kite app. With --rehearsal-url no browser is needed. The token is kept beside the
    store, for its owner only, until 06:00; a daemon that runs takes it within a second. --status ends with 3
    when there is no login or it is dead.

    Example: alphapanda login --status
    """
    if json and not status:
        raise typer.BadParameter("goes with --status", param_hint="--json")
    desk = _Desk(ctx, rehearsal_url)
    if status:
        desk.show(json)
        return
    import anyio

    from alphapanda.venues.zerodha.official import Refused

    secret = desk.needed("zerodha.api_secret")
    try:
        token = anyio.run(_log_in, desk, secret, _pasted(request_token), port, timeout)
    except Refused as error:
        raise CannotStart(str(error)) from None
    desk.tokens.write(token)
    say(f"Logged in as {desk.described(_facts(token))}.")
    put(f"The token is in {desk.tokens.path}.")
    _warn_of(desk, token)


def logout(ctx: typer.Context, rehearsal_url: RehearsalUrl = None) -> None:
    """End the day's login to Zerodha and forget its token.

    The token is forgotten even when Zerodha cannot be reached. A daemon that runs can send nothing any more,
    no cancels either, until the next login.

    Example: alphapanda logout
    """
    desk = _Desk(ctx, rehearsal_url)
    try:
        token = desk.tokens.read(desk.api_key)
    except CannotStart as error:
        token = None
        warn(f"alphapanda: {error}; its login cannot be ended at Zerodha")
    ended = desk.end(token.access_token) if token is not None else True
    removed = desk.tokens.remove()
    if ended:
        say(f"Logged out: {desk.tokens.path} is gone." if removed else "Nobody was logged in.")


class _Desk:
    """What the commands have in common: the configuration's roots and application, and the token's file."""

    def __init__(self, ctx: typer.Context, rehearsal_url: str | None) -> None:
        from loguru import logger

        from alphapanda.venues.zerodha.roots import roots_of
        from alphapanda.venues.zerodha.tokens import Tokens

        logger.disable("alphapanda.venues")  # what it would say to the daemon's log, the command says itself
        there = None if rehearsal_url is None else overrides(checked(rehearsal_url))
        self.loaded = context_of(ctx).load(there)
        self.rehearsal_url = rehearsal_url
        zerodha = self.loaded.settings.zerodha
        self.configured = zerodha.access_token
        self.roots = roots_of(zerodha.api_root, zerodha.ws_root, zerodha.login_root)
        self.tokens = Tokens(Path(self.loaded.settings.storage.path).parent, self.roots)
        self.api_key = self.needed("zerodha.api_key")

    def needed(self, name: str) -> str:
        """A key that only a login needs, so that the loader lets it be empty."""
        from alphapanda.config import KEYS
        from alphapanda.config.keys import value_of

        key, value = KEYS[name], str(value_of(self.loaded.settings, name)).strip()
        if not value:
            raise CannotStart(f"{name} is missing; set {key.variable} or the credential {key.credential}")
        return value

    def official(self, access_token: str = "") -> "Official":
        from alphapanda.venues.zerodha.official import Official
        from alphapanda.venues.zerodha.session import Session

        _learn(access_token)
        return Official(self.roots, Session(self.api_key, access_token))

    def described(self, facts: dict[str, Any]) -> str:
        where = f" at the exchange {self.roots.api} (REHEARSAL)" if self.roots.rehearsal else ""
        until = f"until {clock(facts['expires'])} IST" if facts["expires"] else "by zerodha.access_token"
        return f"{facts['user_name'] or facts['user_id']} ({facts['user_id']}){where}, {until}"

    def show(self, json: bool) -> None:
        """The login as it stands, asked of Zerodha. Leaves with 3 without one, with 1 when nobody knows."""
        import anyio

        from alphapanda.venues.zerodha.official import Refused

        found: dict[str, Any] = {"logged_in": False, "reason": None}
        found |= dict.fromkeys(("user_id", "user_name", "login_time", "expires", "source"))
        found |= {"api_root": self.roots.api, "rehearsal": self.roots.rehearsal}
        code, trouble = 0, ""
        try:
            profile = anyio.run(self._profile, self._kept(found))
            found |= {"logged_in": True, "user_id": profile.user_id, "user_name": profile.user_name}
        except (CannotStart, Refused) as error:
            code, trouble = NOT_LOGGED_IN, f"not logged in: {error}"
        except Transient as error:
            found["logged_in"] = None
            code, trouble = GAVE_UP, f"nobody knows whether the login is good: {error}"
        if json:
            print_json(found | {"reason": trouble or None})
            raise typer.Exit(code)
        if trouble:
            raise (CannotStart if code == NOT_LOGGED_IN else Transient)(trouble)
        say(f"Logged in as {self.described(found)}.")

    def _kept(self, found: dict[str, Any]) -> str:
        """The access token in use; one that the configuration has comes first. Its facts go into `found`."""
        if self.configured:
            found["source"] = "configuration"
            return self.configured
        token = self.tokens.read(self.api_key)
        if token is None:
            raise CannotStart(f"there is no {self.tokens.path}; run `alphapanda login`")
        found |= _facts(token) | {"source": "login"}
        if self.tokens.expired(token, time.time_ns()):
            raise CannotStart(f"it has expired at {clock(found['expires'])} IST; run `alphapanda login`")
        return token.access_token

    async def _profile(self, access_token: str) -> Any:
        official = self.official(access_token)
        try:
            return await official.profile()
        finally:
            official.close()

    def end(self, access_token: str) -> bool:
        """Whether Zerodha knows it now; else it has been said."""
        import anyio

        from alphapanda.venues.zerodha.official import Refused

        async def end() -> None:
            official = self.official(access_token)
            try:
                await official.end_session()
            finally:
                official.close()

        try:
            anyio.run(end)
        except Refused as error:
            warn(f"alphapanda: the login was dead before: {error}")
        except Transient as error:
            warn(f"alphapanda: the token is forgotten here but may be good at Zerodha until 06:00: {error}")
            return False
        return True


async def _log_in(desk: _Desk, secret: str, request_token: str, port: int, timeout_s: float) -> "Token":
    import secrets

    import anyio.to_thread

    from alphapanda.venues.zerodha.landing import HOST, caught, followed, login_url

    if not request_token and desk.rehearsal_url is not None:
        request_token = await anyio.to_thread.run_sync(followed, desk.roots, desk.api_key)
    if not request_token:
        state = secrets.token_urlsafe(16)
        url = login_url(desk.roots, desk.api_key, state)

        def ready() -> None:
            say("Open this address in a browser and log in:")
            put(f"\n  {url}\n")
            say(f"Waiting {timeout_s:g} s for the browser to come back to http://{HOST}:{port}/ …")
            say("If it is on another machine, give --request-token the address at which the login ends.")
            sys.stdout.flush()
            _open_browser(url)

        request_token = await caught(state, port, timeout_s, ready)
    _learn(request_token)
    official = desk.official()
    try:
        token = await official.generate_session(request_token, secret)
    finally:
        official.close()
    _learn(token.access_token)
    return token


def _facts(token: "Token") -> dict[str, Any]:
    """What may be told of it."""
    return {
        "user_id": token.user_id,
        "user_name": token.user_name,
        "login_time": token.login_time.isoformat(),
        "expires": token.expires.isoformat(),
    }


def _learn(secret: str) -> None:
    """From now on it is struck out of whatever this process prints, logs or stores."""
    from alphapanda.config.redaction import REDACTOR

    REDACTOR.learn([secret] if secret else [])


def _pasted(text: str | None) -> str:
    """The request token itself, or out of the address at which a login ends; "" where none is given."""
    if text is None:
        return ""
    from alphapanda.venues.zerodha.landing import token_in

    _learn(text)
    found = token_in(text) if "://" in text else text.strip()
    if not found or not found.isprintable() or " " in found:
        raise typer.BadParameter(
            "is neither a token nor an address with request_token= in it", param_hint="--request-token"
        )
    return found


def _warn_of(desk: _Desk, token: "Token") -> None:
    if desk.configured:
        warn("alphapanda: zerodha.access_token is set and comes before this login; unset it")
    if not desk.roots.rehearsal and (token.login_time.hour, token.login_time.minute) < FLUSHED:
        warn("alphapanda: Zerodha may end logins made before 07:30; look with `alphapanda login --status`")


def _open_browser(url: str) -> None:
    """Where somebody sits at a terminal and has one that does not need it."""
    import threading
    import webbrowser

    if not sys.stdout.isatty():
        return
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if Path(str(getattr(browser, "name", ""))).name not in TEXT_BROWSERS:
        # Some wait until the browser is closed.
        threading.Thread(target=browser.open, args=(url,), daemon=True).start()
