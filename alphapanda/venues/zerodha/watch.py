"""A login while the daemon runs: a new token in the file renews the session, no restart is needed."""

import time
from collections.abc import Callable, Iterable

import anyio
from loguru import logger

from alphapanda.errors import CannotStart
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.tokens import Token, Tokens

LOOK_S = 1.0

Learn = Callable[[Iterable[str]], None]
"""Takes secrets that no log may show; called before anything else sees them."""


def nobody(_secrets: Iterable[str]) -> None:
    """Where nothing is logged."""


class Watch:
    """One look at a time. A session that lives keeps its token until the file changes: it may have been
    given another one by the configuration. One that is dead takes what the file has.
    """

    def __init__(self, session: Session, tokens: Tokens, learn: Learn = nobody) -> None:
        self._session = session
        self._tokens = tokens
        self._learn = learn
        self._seen = tokens.signature()
        self._complained: object = None
        self._kept = False
        """The session's token is that of the file."""

    def look(self, now_ns: int) -> None:
        """`now_ns` is the wall clock: a login that has expired renews nothing."""
        signature = self._tokens.signature()
        changed, self._seen = signature != self._seen, signature
        if signature is None:
            self._gone()
        elif changed or not self._kept:
            token = self._read(signature)
            if token is not None:
                self._take(token, changed=changed, now_ns=now_ns)

    def _gone(self) -> None:
        """`alphapanda logout`: Kite may not have heard of it."""
        if self._kept:
            self._kept = False
            self._session.died(self._session.epoch, f"{self._tokens.path.name} was removed")

    def _take(self, token: Token, *, changed: bool, now_ns: int) -> None:
        self._learn((token.access_token,))
        if token.access_token == self._session.access_token:
            self._kept = True
        elif (changed or not self._session.alive) and not self._tokens.expired(token, now_ns):
            self._kept = True
            logger.bind(channel="api").info("a new Zerodha login of {}: {}", token.user_id, token.login_time)
            self._session.renew(token.access_token, token.user_id, token.login_time)

    def _read(self, signature: object) -> Token | None:
        try:
            return self._tokens.read(self._session.api_key)
        except CannotStart as error:
            if self._complained != signature:  # once a file
                logger.bind(channel="api").warning("{}", error)
            self._complained = signature
            return None


async def watch(
    session: Session,
    tokens: Tokens,
    every_s: float = LOOK_S,
    *,
    learn: Learn = nobody,
    now_ns: Callable[[], int] = time.time_ns,
) -> None:
    """Until cancelled. `learn` hears of every token before the session has it: give it to the redactor."""
    looking = Watch(session, tokens, learn)
    while True:
        looking.look(now_ns())
        await anyio.sleep(every_s)
