"""Which call a request means."""

import kiteconnect
import pytest

from alphapanda.exchange.faults.points import CALLS
from alphapanda.exchange.limits import PER_SECOND
from alphapanda.exchange.rest.route import Route
from alphapanda.exchange.rest.routes import ROUTES, Table

TABLE = Table(ROUTES)
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")


def kind(method, path):
    route = TABLE.match(method, path).route
    return route.kind if route else None


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/orders", "orders"),
        ("GET", "/orders/151220000000000", "order.history"),
        ("POST", "/orders/regular", "order.place"),
        ("GET", "/orders/151220000000000/trades", "order.trades"),
        ("PUT", "/orders/regular/151220000000000", "order.modify"),
        ("DELETE", "/orders/amo/151220000000000", "order.cancel"),
        ("GET", "/instruments", "instruments"),
        ("GET", "/instruments/NSE", "instruments"),
        ("GET", "/instruments/historical/408065/minute", "historical"),
        ("GET", "/quote", "quote"),
        ("GET", "/quote/ltp", "ltp"),
        ("GET", "/user/margins/equity", "margins"),
        ("GET", "/user/profile/full", "profile.full"),
        ("GET", "/portfolio/holdings/summary", "holdings.summary"),
        ("GET", "/connect/login", "login"),
    ],
)
def test_a_call_is_found_by_its_method_and_path(method, path, expected):
    assert kind(method, path) == expected


def test_names_in_the_path_are_handed_on():
    match = TABLE.match("PUT", "/orders/regular/151")
    assert match.path == {"variety": "regular", "order_id": "151"}
    assert TABLE.match("GET", "/orders/151").path == {"order_id": "151"}


@pytest.mark.parametrize(
    "path", ["/", "", "/nothing", "/orders/", "/orders//trades", "/orders/1/2/3", "orders"]
)
def test_what_is_no_path_is_not_known(path):
    assert [TABLE.match(method, path) for method in METHODS] == [(None, {}, False)] * len(METHODS)


def test_a_word_goes_before_a_name_in_whatever_order_they_are_listed():
    routes = (Route("GET", "/a/{name}", "named", str), Route("GET", "/a/word", "word", str))
    for table in (Table(routes), Table(routes[::-1])):
        assert table.match("GET", "/a/word").route.kind == "word"
        assert table.match("GET", "/a/other").path == {"name": "other"}


def test_a_path_without_the_method_is_known():
    assert TABLE.match("PATCH", "/orders") == (None, {}, True)


def test_every_call_of_the_official_client_has_a_route():
    """Of mutual funds there are only the empty lists; /margins/{segment} is long gone."""
    words = {"order_id": "1", "variety": "regular", "segment": "equity", "exchange": "NSE", "sip_id": "1"}
    words |= {"instrument_token": "408065", "interval": "day", "transaction_type": "BUY", "trigger_id": "1"}
    missing = {
        name
        for name, template in kiteconnect.KiteConnect._routes.items()
        if not TABLE.match("GET", template.format(**words)).known
        and not name.startswith("mf.")
        and name != "market.margins"
    }
    assert not missing


def test_a_route_has_a_name_that_faults_know_and_a_limit_that_exists():
    unknown = {route.kind for route in ROUTES if not route.kind.startswith("mf")} - CALLS
    assert not unknown
    assert {route.kind for route in ROUTES} >= CALLS
    assert {route.bucket for route in ROUTES} == {"", *PER_SECOND}
    assert [route.kind for route in ROUTES if not route.bucket] == ["login"]


def test_only_the_login_and_its_tokens_need_no_token():
    free = {route.kind for route in ROUTES if not route.needs_token}
    assert {"login", "session.token", "session.end", "session.renew"} <= free
    assert not {"profile", "orders", "order.place", "quote", "historical", "instruments", "positions"} & free


def test_no_two_routes_have_one_method_and_path():
    places = [(route.method, route.template) for route in ROUTES]
    assert len(places) == len(set(places))
