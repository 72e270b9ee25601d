"""Who may call: the login, request tokens, the day's one access token, and how it dies.

Kite Connect documentation, "User": a request token is used once and lives for minutes; an access token lives
until 06:00, or until a new one is made for the same user and application, or until it is ended.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Any, NoReturn

from alphapanda.exchange.calls import Refusal, invalid, missing
from alphapanda.exchange.history import History
from alphapanda.exchange.notation import stamp
from alphapanda.exchange.options import API_KEY, API_SECRET, USER_ID, Options
from alphapanda.times import MINUTE_NS

SHOWN, SHORTEST_SHOWN = 4, 12
"""Characters of a token in the history, and how long one has to be for that."""
REQUEST_TOKEN_NS = 5 * MINUTE_NS
WRONG_TOKEN = "Incorrect `api_key` or `access_token`."  # noqa: S105 - Kite's words
WRONG_KEY = "Invalid `api_key`."
WRONG_CHECKSUM = "Invalid `checksum`."
DEAD_REQUEST = "Token is invalid or has expired."
NO_RENEWAL = "Invalid `refresh_token`."

PROFILE: Mapping[str, Any] = {
    "user_id": USER_ID,
    "user_type": "individual",
    "email": "rehearsal@example.com",
    "user_name": "Rehearsal User",
    "user_shortname": "Rehearsal",
    "broker": "ZERODHA",
    "exchanges": ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX"],
    "products": ["CNC", "NRML", "MIS", "MTF", "CO"],
    "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
    "avatar_url": None,
    "meta": {"demat_consent": "consent"},
}


def masked(secret: str) -> str:
    """What of a token may be written down: of a short one nothing."""
    return f"{secret[:SHOWN]}…" if len(secret) >= SHORTEST_SHOWN else "…"


def same(one: str, other: str) -> bool:
    """Whatever bytes a header had."""
    return compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))


class Sessions:
    """Tokens are counted, not drawn: the same logins of the same seed get the same ones."""

    def __init__(self, options: Options, history: History) -> None:
        self._seed = options.seed
        self._history = history
        self._made = 0
        self._requests: dict[str, int] = {}
        """Request token -> when it dies."""
        self._access_token = options.access_token
        self.on_death: list[Callable[[int], None]] = []
        """Called with the exchange time when the access token has died, however."""

    @property
    def access_token(self) -> str:
        """The one that is alive; "" when there is none."""
        return self._access_token

    def login(self, api_key: str, now_ns: int) -> str:
        """The user logs in: a request token for the application."""
        if api_key != API_KEY:
            raise invalid(WRONG_KEY)
        token = self._make("request")
        self._requests[token] = now_ns + REQUEST_TOKEN_NS
        self._history.add("session", now_ns, do="login", request_token=masked(token))
        return token

    def exchange_token(self, fields: Mapping[str, str], now_ns: int) -> dict[str, Any]:
        """POST /session/token: a request token and its checksum become the day's access token."""
        api_key, request_token, checksum = _wanted(fields, "api_key", "request_token", "checksum")
        if api_key != API_KEY:
            raise invalid(WRONG_KEY)
        expected = sha256(f"{API_KEY}{request_token}{API_SECRET}".encode(errors="surrogatepass")).hexdigest()
        if not same(checksum, expected):
            raise Refusal(403, "TokenException", WRONG_CHECKSUM)
        if self._requests.pop(request_token, 0) <= now_ns:
            raise Refusal(403, "TokenException", DEAD_REQUEST)
        self.kill(now_ns, "another login")
        token = self._access_token = self._make("access")
        self._history.add("session", now_ns, do="token", access_token=masked(token))
        return {
            **PROFILE,
            "api_key": API_KEY,
            "access_token": token,
            "public_token": self._make("public"),
            "enctoken": self._make("enc"),
            "refresh_token": "",
            "silo": "",
            "login_time": stamp(now_ns),
        }

    def end(self, fields: Mapping[str, str], now_ns: int) -> None:
        """DELETE /session/token: the access token named is dead from now on."""
        if "refresh_token" in fields:
            self.renew()
        api_key, token = _wanted(fields, "api_key", "access_token")
        if not self.valid(api_key, token):
            refuse_token()
        self.kill(now_ns, "ended by the application")

    def renew(self) -> NoReturn:
        """POST /session/refresh_token: Kite renews for approved platforms only; others have no such token."""
        raise Refusal(403, "TokenException", NO_RENEWAL)

    def check(self, authorization_header: str) -> None:
        """The Authorization header of a call is that of the session; else a Refusal."""
        scheme, _, credentials = authorization_header.strip().partition(" ")
        api_key, _, token = credentials.strip().partition(":")
        if scheme.lower() != "token" or not self.valid(api_key, token):
            refuse_token()

    def valid(self, api_key: str, access_token: str) -> bool:
        """Whether the two open the door now."""
        alive = self._access_token
        return bool(alive) and same(api_key, API_KEY) and same(access_token, alive)

    def kill(self, now_ns: int, why: str) -> None:
        """The access token is dead from now on; nothing happens where none is alive."""
        if not self._access_token:
            return
        dead = masked(self._access_token)
        self._history.add("session", now_ns, do="death", access_token=dead, reason=why)
        self._access_token = ""
        for listener in self.on_death:
            listener(now_ns)

    def expire(self, now_ns: int) -> None:
        """06:00."""
        self._requests.clear()
        self.kill(now_ns, "a new day")

    def _make(self, purpose: str) -> str:
        self._made += 1
        return sha256(f"{self._seed} {purpose} token {self._made}".encode()).hexdigest()[:32]


def refuse_token() -> NoReturn:
    raise Refusal(403, "TokenException", WRONG_TOKEN)


def _wanted(fields: Mapping[str, str], *names: str) -> list[str]:
    for name in names:
        if not fields.get(name):
            raise missing(name)
    return [fields[name] for name in names]
