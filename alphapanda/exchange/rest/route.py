"""A route: the method and path of one call of Kite's, its name, and what answers it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from alphapanda.exchange.calls import Call
from alphapanda.exchange.exchange import Exchange

Handler = Callable[[Exchange, Call], Any]
"""Gives the `data` of the envelope, or a whole `Reply` where the answer is none (CSV, a redirect)."""


class Route(NamedTuple):
    """`template` is a path such as `/orders/{variety}/{order_id}`. `kind` names the call in fault scripts and
    in the history. `bucket` is the rate limit that counts it: "order", "quote", "historical" or
    "other"; "" is none, as for the login page, which at Kite is another host.
    """

    method: str
    template: str
    kind: str
    handler: Handler
    bucket: str = "other"
    needs_token: bool = True
