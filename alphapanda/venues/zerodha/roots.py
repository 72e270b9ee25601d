"""Where Kite is: its three addresses, or those of an exchange on this machine."""

import re
import ssl
from urllib.parse import urlsplit

from msgspec import Struct

from alphapanda.addresses import is_loopback
from alphapanda.errors import CannotStart

REHEARSAL_KEY, REHEARSAL_SECRET = "rehearsal", "rehearsal-secret"
"""The application of every exchange on this machine: no secret."""
TIMEOUT_S = 7.0
"""What Kite's own client waits for an answer; so do all of ours."""
API, TICKER, LOGIN = "https://api.kite.trade", "wss://ws.kite.trade", "https://kite.zerodha.com"


class Roots(Struct, frozen=True):
    """Without a slash at their end. Only addresses of this machine may do without TLS."""

    api: str = API
    ticker: str = TICKER
    login: str = LOGIN

    def __post_init__(self) -> None:
        for key, root in (("api_root", self.api), ("ws_root", self.ticker), ("login_root", self.login)):
            if not _is_address(root):
                raise CannotStart(f"zerodha.{key}: {root} is no address; correct its host or its port")
            if urlsplit(root).scheme not in ("https", "wss") and not is_loopback(root):
                raise CannotStart(
                    f"zerodha.{key}: {root} is not encrypted, and it is not this machine; use https or wss"
                )

    @property
    def rehearsal(self) -> bool:
        """No order of these can reach Zerodha."""
        return is_loopback(self.api) and is_loopback(self.ticker)


def _is_address(root: str) -> bool:
    try:
        where = urlsplit(root)
        return bool(where.hostname) and where.port != 0
    except ValueError:  # a port above 65535, half of an IPv6 address
        return False


def roots_of(api: str = "", ticker: str = "", login: str = "") -> Roots:
    """What is left empty is Kite's own."""
    return Roots((api or API).rstrip("/"), (ticker or TICKER).rstrip("/"), (login or LOGIN).rstrip("/"))


def roots_at(url: str) -> Roots:
    """Those of an exchange that serves all three at one address, as `alphapanda exchange` does."""
    url = url.rstrip("/")
    return Roots(url, re.sub(r"^http", "ws", url) + "/ws", url)


def tls(root: str) -> ssl.SSLContext | None:
    """Certificate and host name are always checked; None where the address has no TLS."""
    if urlsplit(root).scheme not in ("https", "wss"):
        return None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
