"""The calls that need no speed, by Kite's own client in a worker thread: the login and what is asked of it.

That client raises whatever its libraries and its own code raise: KeyError, TypeError, its DataException with
the whole answer in it. Here each becomes one of two errors of one line. None of these calls is an order, and
none is repeated here.
"""

import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
import msgspec
from msgspec import Meta, Struct

from alphapanda.errors import Transient
from alphapanda.events import Money
from alphapanda.times import IST
from alphapanda.venues.zerodha.roots import TIMEOUT_S, Roots, tls
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.tokens import SENDABLE, Token, expiry_of

WHOLE = 3
"""So many time-outs may a call take in all. The client counts one for the connection and one for each pause
of an answer: a peer that sends a byte now and then never ends it.
"""
AT_ONCE = 2
OURS_TO_SAY = ("Couldn't parse the JSON", "Unknown Content-Type")
"""How the client begins what Kite did not say; the rest of it is the answer itself, tokens and all."""
PAISA = Money("0.01")


class Unreachable(Transient):
    """No answer, or none that can be read, or Kite says that it cannot answer now (5xx, 429)."""


class Refused(Transient):
    """Kite has said no. `token_dead`: HTTP 403 TokenException; of a call with a token it ends the session."""

    def __init__(self, message: str, *, status: int, token_dead: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.token_dead = token_dead


class Profile(Struct, frozen=True, kw_only=True):
    """Whose token it is; the rest of what Kite tells is not needed."""

    user_id: str
    user_name: str = ""


class Funds(Struct, frozen=True, kw_only=True):
    """Of one segment, to the paisa. `net` is what new trades may use."""

    net: Money
    cash: Money
    debits: Money


class Charged(Struct, frozen=True, kw_only=True):
    """What Kite says an order costs, as it says it: most of it is not rounded."""

    exchange: str
    tradingsymbol: str
    transaction_type: str
    quantity: int
    transaction_tax: Money
    exchange_turnover_charge: Money
    sebi_turnover_charge: Money
    brokerage: Money
    stamp_duty: Money
    gst: Money
    total: Money


Kind = TypeVar("Kind")
Turn = Callable[[str], Awaitable[None]]
"""Returns when a call of this bucket may be made (`Calls.turn` of the governor)."""


async def at_once(_bucket: str) -> None:
    """For commands, which make a call or two."""


class Official:
    """Every call raises Unreachable or Refused, nothing else. `close` when done."""

    def __init__(
        self, roots: Roots, session: Session, turn: Turn = at_once, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._roots = roots
        self._session = session
        self._turn = turn
        self._timeout_s = timeout_s
        self._connections: Any = None
        self._making = threading.Lock()
        self._threads = anyio.CapacityLimiter(AT_ONCE)

    def close(self) -> None:
        if self._connections is not None:
            self._connections.close()

    async def generate_session(self, request_token: str, api_secret: str) -> Token:
        """POST /session/token: the login of the day. The session stays as it is: its caller renews it."""
        await self._turn("other")
        async with self._threads:
            found = await self._call(
                "the login", lambda kite: kite.generate_session(request_token, api_secret), ""
            )
        told = _read("the login", found, _Login)
        if not SENDABLE.fullmatch(told.access_token):
            raise Unreachable("Kite: the login: the access token has characters that no header can carry")
        moment = told.login_time if told.login_time.tzinfo else told.login_time.replace(tzinfo=IST)
        return Token(
            root=self._roots.api,
            api_key=self._session.api_key,
            user_id=told.user_id,
            user_name=told.user_name,
            access_token=told.access_token,
            login_time=moment.astimezone(IST),
            expires=expiry_of(moment),
        )

    async def profile(self) -> Profile:
        """GET /user/profile: whether Kite takes the token, and whose it is."""
        return _read("the profile", await self._ask("the profile", lambda kite: kite.profile()), Profile)

    async def end_session(self) -> None:
        """DELETE /session/token."""
        await self._ask("the logout", lambda kite: kite.invalidate_access_token())

    async def margins(self) -> dict[str, Funds]:
        """GET /user/margins, by segment: "equity" and "commodity"."""
        found = _read("the margins", await self._ask("the margins", lambda kite: kite.margins()), _Margins)
        return {name: _funds(segment) for name, segment in found.items()}

    async def order_charges(self, rows: Sequence[dict[str, Any]]) -> list[Charged]:
        """POST /charges/orders: one for each of `rows`, in their order.

        A row has order_id, exchange, tradingsymbol, transaction_type, variety, product, order_type, quantity
        and average_price, which must not be 0.
        """
        what = "the charges"
        asked = [dict(row) for row in rows]
        answer = await self._ask(what, lambda kite: kite.get_virtual_contract_note(asked))
        found = _read(what, answer, list[_ChargedOrder])
        if len(found) != len(asked):
            raise Unreachable(f"Kite: {what}: {len(found)} answers to {len(asked)} orders")
        return [_charged(each) for each in found]

    async def _ask(self, what: str, ask: Callable[[Any], Any]) -> Any:
        """A call with the session's token. That Kite does not take it is told to the session."""
        session = self._session
        await self._turn("other")
        async with self._threads:
            if not session.alive:  # it may have died while we waited
                raise Refused(
                    f"Kite: {what}: not asked, the session is dead: {session.why}",
                    status=403,
                    token_dead=True,
                )
            epoch = session.epoch
            try:
                return await self._call(what, ask, session.access_token)
            except Refused as error:
                if error.token_dead:
                    session.died(epoch, str(error))
                raise

    async def _call(self, what: str, ask: Callable[[Any], Any], access_token: str) -> Any:
        with anyio.move_on_after(WHOLE * self._timeout_s):
            return await anyio.to_thread.run_sync(
                self._in_thread, what, ask, access_token, abandon_on_cancel=True
            )
        raise Unreachable(f"Kite: {what}: no whole answer within {WHOLE * self._timeout_s:g} s")

    def _in_thread(self, what: str, ask: Callable[[Any], Any], access_token: str) -> Any:
        # It costs 0.9 s and 64 MB: only who calls pays.
        from kiteconnect import KiteConnect  # noqa: PLC0415
        from kiteconnect.exceptions import KiteException  # noqa: PLC0415

        kite = KiteConnect(
            self._session.api_key, access_token or None, root=self._roots.api, timeout=self._timeout_s
        )
        with self._making:
            if self._connections is None:
                self._connections = _careful(kite.reqsession, self._roots)
            kite.reqsession = self._connections
        try:
            return ask(kite)
        except KiteException as error:
            raise _said(what, error) from None
        except Exception as error:  # noqa: BLE001 - whatever it was, there is no answer
            raise Unreachable(f"Kite: {what}: {_reason(error)}") from None


def _careful(connections: Any, roots: Roots) -> Any:
    """The client's connections, as careful as our own: the same authorities, no proxy, no redirect.

    Its library would take proxies and passwords from the environment and the home folder, and trust a list of
    authorities that it brings along. It also reads no SSL_CERT_FILE.
    """
    connections.trust_env = False
    connections.max_redirects = 0
    context = tls(roots.api)
    if context is not None:
        adapter = connections.get_adapter("https://")
        adapter.init_poolmanager(AT_ONCE, AT_ONCE, ssl_context=context)
        adapter.cert_verify = _verified
    return connections


def _verified(connection: Any, _url: str, _verify: object, _certificate: object) -> None:
    """In the place of the library's own, which adds its list. Certificate and name are checked, always."""
    connection.cert_reqs = "CERT_REQUIRED"


def _said(what: str, error: Any) -> Unreachable | Refused:
    """By Kite's HTTP code and error type."""
    words, status = " ".join(str(error).split())[:300], int(getattr(error, "code", 0) or 0)
    if words.startswith(OURS_TO_SAY):
        return Unreachable(f"Kite: {what}: the answer cannot be read")
    if status == 429 or not 400 <= status < 500:
        return Unreachable(f"Kite: {what}: {words} (HTTP {status})")
    dead = status == 403 and type(error).__name__ == "TokenException"
    return Refused(f"Kite: {what}: {words} (HTTP {status})", status=status, token_dead=dead)


def _reason(error: BaseException) -> str:
    """What went wrong below all the wrappers. Never their own text: it has the address and the token."""
    for inner in _chain(error):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"the certificate is not accepted: {inner.verify_message}"
        if isinstance(inner, ssl.SSLError):
            return f"no TLS connection: {inner.reason or 'it was broken off'}"
        if type(inner).__name__ == "TooManyRedirects":
            return "it sends us elsewhere, which is not followed"
        if "Timeout" in type(inner).__name__ or isinstance(inner, TimeoutError):
            return "no answer in time"
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
    if isinstance(error, OSError):  # all errors of its library about connections
        return "the connection was broken off"
    return f"the answer cannot be understood ({type(error).__name__})"


def _chain(error: BaseException) -> Iterable[BaseException]:
    """It and all that it was raised from, wraps, or has as its reason: the innermost first."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one not in found:
            found.append(one)
            inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
            waiting += [each for each in inner if isinstance(each, BaseException)]
    return reversed(found)


Number = Annotated[float, Meta(ge=-1e15, le=1e15)]
"""Rupees or a quantity as JSON has them: neither NaN nor endless."""


class _Login(Struct):
    user_id: str
    access_token: str
    login_time: datetime
    user_name: str = ""


class _Gst(Struct):
    total: Number


class _Charges(Struct):
    transaction_tax: Number
    exchange_turnover_charge: Number
    sebi_turnover_charge: Number
    brokerage: Number
    stamp_duty: Number
    gst: _Gst
    total: Number


class _ChargedOrder(Struct):
    exchange: str
    tradingsymbol: str
    transaction_type: str
    quantity: Number
    charges: _Charges


class _Available(Struct):
    cash: Number


class _Utilised(Struct):
    debits: Number


class _Segment(Struct):
    net: Number
    available: _Available
    utilised: _Utilised


_Margins = dict[str, _Segment]


def _read(what: str, answer: object, kind: type[Kind]) -> Kind:
    """`answer` as far as we know its shape; unknown keys are no mistake."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise Unreachable(f"Kite: {what}: the answer is not as documented: {error}") from None


def _exact(number: float) -> Money:
    return Money(str(number))


def _funds(told: _Segment) -> Funds:
    net, cash, debits = (
        _exact(each).quantize(PAISA) for each in (told.net, told.available.cash, told.utilised.debits)
    )
    return Funds(net=net, cash=cash, debits=debits)


def _charged(told: _ChargedOrder) -> Charged:
    charges = told.charges
    return Charged(
        exchange=told.exchange,
        tradingsymbol=told.tradingsymbol,
        transaction_type=told.transaction_type,
        quantity=int(told.quantity),
        transaction_tax=_exact(charges.transaction_tax),
        exchange_turnover_charge=_exact(charges.exchange_turnover_charge),
        sebi_turnover_charge=_exact(charges.sebi_turnover_charge),
        brokerage=_exact(charges.brokerage),
        stamp_duty=_exact(charges.stamp_duty),
        gst=_exact(charges.gst.total),
        total=_exact(charges.total),
    )
