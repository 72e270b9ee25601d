"""The one login that all doors to Kite share: its token, and whether Kite still takes it."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from loguru import logger

from alphapanda.errors import Transient


class SessionDead(Transient):
    """Kite does not take the token: nothing is asked before there is another."""


class Session:
    """`epoch` counts the tokens. A door that is told 403 TokenException says `died` with the epoch it used:
    the first to say so ends the session for all, who says it of an older token changes nothing. Kite is never
    asked again with a token that died; `renew` takes the next one.
    """

    def __init__(
        self, api_key: str, access_token: str = "", user_id: str = "", login_time: datetime | None = None
    ) -> None:
        self.api_key = api_key
        self.access_token = access_token
        self.user_id = user_id
        self.login_time = login_time
        self.epoch = 1 if access_token else 0
        self.alive = bool(access_token)
        self.why = "" if access_token else "nobody has logged in"
        self.on_death: list[Callable[[str], None]] = []
        """Called at once, with the reason."""
        self.on_renewal: list[Callable[[], None]] = []
        self._renewed = asyncio.Event()
        if self.alive:
            self._renewed.set()

    def __repr__(self) -> str:
        return f"Session(epoch={self.epoch}, alive={self.alive})"  # never the token

    @property
    def authorization(self) -> str:
        """The header's value."""
        return f"token {self.api_key}:{self.access_token}"

    def died(self, epoch: int, why: str) -> None:
        if epoch != self.epoch or not self.alive:
            return
        self.alive, self.why = False, why
        self._renewed.clear()
        logger.bind(channel="api").error("the Zerodha session is dead: {}; run `alphapanda login`", why)
        for told in self.on_death:
            told(why)

    def renew(self, access_token: str, user_id: str = "", login_time: datetime | None = None) -> None:
        """The same token again changes nothing: Kite has said what it thinks of it."""
        if access_token == self.access_token:
            return
        self.access_token, self.user_id = access_token, user_id or self.user_id
        self.login_time = login_time
        self.epoch += 1
        self.alive, self.why = True, ""
        self._renewed.set()
        for told in self.on_renewal:
            told()

    async def living(self) -> None:
        """Until there is a token that Kite has not refused yet."""
        await self._renewed.wait()
