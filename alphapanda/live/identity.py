"""Who we are at Zerodha: the login of a start, and whose book the store has."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from loguru import logger

from alphapanda.config import Settings
from alphapanda.config.redaction import REDACTOR
from alphapanda.errors import CannotStart, Fatal, Transient
from alphapanda.events import REHEARSAL
from alphapanda.store import Store
from alphapanda.venues.zerodha.official import Refused
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.tokens import Tokens

api = logger.bind(channel="api")

TRIES, PAUSE_S = 5, 1.0
"""How often Kite is asked at a start before it is left to systemd to start again."""


def look_at_owner(store: Store, ours: Mapping[str, str]) -> None:
    """A book goes on with the account that made it, and a rehearsal's with its own exchange only.

    `ours` names whose account each active broker's is; "" is the house's own. Raises CannotStart.
    """
    recovered = store.recovered
    rehearsed = any(owner.startswith(REHEARSAL) for owner in ours.values())
    if rehearsed and not recovered.empty and recovered.owners != ours:
        raise CannotStart(
            f"{store.path} holds a book that was not made at this exchange: a rehearsal needs its own store;"
            " run it in a new folder, or set ALPHAPANDA__STORAGE__PATH to a new file"
        )
    for broker, owner in recovered.owners.items():
        if owner.startswith(REHEARSAL) and not rehearsed:
            raise CannotStart(f"{store.path} holds a rehearsal; set storage.path to another file")
        if owner and owner != ours.get(broker, owner):
            raise CannotStart(
                f"{store.path} holds the book of {owner} at {broker}, not of {ours[broker] or 'the house'};"
                f" log in as {owner}, or set storage.path to another file"
            )


def session_of(settings: Settings, tokens: Tokens) -> Session:
    """With the configuration's token, else that of the file. Raises CannotStart without a login of today."""
    zerodha = settings.zerodha
    if zerodha.access_token:
        return Session(zerodha.api_key, zerodha.access_token)
    token = tokens.read(zerodha.api_key)
    if token is None:
        there = f" --rehearsal-url {tokens.root}" if tokens.loopback else ""
        raise CannotStart(f"nobody has logged in at {tokens.root}; run `alphapanda login{there}`")
    if tokens.expired(token, time.time_ns()):
        expired = f"{token.expires:%H:%M on %d %B}"
        raise CannotStart(f"the Zerodha login expired at {expired}; run `alphapanda login`")
    REDACTOR.learn([token.access_token])
    return Session(zerodha.api_key, token.access_token, token.user_id, token.login_time)


async def asked(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What Kite answers at a start.

    Raises CannotStart where it does not take the token, and Fatal where it cannot be reached.
    """
    left = TRIES
    while True:
        left -= 1
        try:
            return await ask()
        except Refused as error:
            again = "; run `alphapanda login`" if error.token_dead else ""
            raise CannotStart(f"{error}{again}") from error
        except Transient as error:
            if not left:
                raise Fatal(f"Zerodha cannot be reached: {error}") from error
            api.warning("{}", error)
        await anyio.sleep(PAUSE_S)
