"""The login page, sessions and the user's profile."""

from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from alphapanda.exchange.calls import HTML, Call, Reply
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.options import USER_ID
from alphapanda.exchange.rest.route import Route
from alphapanda.exchange.sessions import PROFILE


def login(exchange: Exchange, call: Call) -> Reply:
    """The page a browser is sent to. Its one user is logged in at once and sent on to the application."""
    fields = call.fields
    token = exchange.sessions.login(fields.get("api_key", ""), call.now_ns)
    added = [
        *parse_qsl(fields.get("redirect_params", ""), keep_blank_values=True),
        ("action", "login"),
        ("type", "login"),
        ("status", "success"),
        ("request_token", token),
    ]
    parts = urlsplit(exchange.options.redirect_url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *added])
    target = urlunsplit(parts._replace(query=query))
    page = f'<!doctype html><title>Login</title><p><a href="{escape(target)}">Back to the application</a>\n'
    return Reply(status=302, body=page.encode(), content_type=HTML, headers={"Location": target})


def make(exchange: Exchange, call: Call) -> Any:
    return exchange.sessions.exchange_token(call.fields, call.now_ns)


def end(exchange: Exchange, call: Call) -> bool:
    exchange.sessions.end(call.fields, call.now_ns)
    return True


def renew(exchange: Exchange, call: Call) -> Any:  # noqa: ARG001 - as every handler
    return exchange.sessions.renew()


def profile(exchange: Exchange, call: Call) -> Any:  # noqa: ARG001 - as every handler
    return PROFILE


def full_profile(exchange: Exchange, call: Call) -> Any:  # noqa: ARG001 - as every handler
    """All that Kite tells; the account has one bank and one depository."""
    return {
        **PROFILE,
        "twofa_type": "totp",
        "phone": "9000000000",
        "bank_accounts": [{"name": "REHEARSAL BANK", "branch": "MUMBAI", "account": "00000000"}],
        "dp_ids": ["1208160000000001"],
        "pan": "XXXXX0000X",
        "tags": [],
        "password_timestamp": "1970-01-01 05:30:00",
        "twofa_timestamp": "1970-01-01 05:30:00",
        "user_id": USER_ID,
        "meta": {**PROFILE["meta"], "poa": "ddpi", "silo": "", "account_blocks": []},
    }


ROUTES: tuple[Route, ...] = (
    Route("GET", "/connect/login", "login", login, bucket="", needs_token=False),
    Route("POST", "/session/token", "session.token", make, needs_token=False),
    Route("DELETE", "/session/token", "session.end", end, needs_token=False),
    Route("POST", "/session/refresh_token", "session.renew", renew, needs_token=False),
    Route("GET", "/user/profile", "profile", profile),
    Route("GET", "/user/profile/full", "profile.full", full_profile),
)
