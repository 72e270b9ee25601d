"""All routes of the REST interface, and which of them a request means."""

from typing import NamedTuple

from alphapanda.exchange.rest import gtt, margins, orders, portfolio, quotes, session
from alphapanda.exchange.rest.route import Route

ROUTES: tuple[Route, ...] = (
    *session.ROUTES,
    *orders.ROUTES,
    *portfolio.ROUTES,
    *margins.ROUTES,
    *gtt.ROUTES,
    *quotes.ROUTES,
)


class Match(NamedTuple):
    """`route` None: no route has this path, or none of this method where `known` is true."""

    route: Route | None
    path: dict[str, str]
    known: bool = False


class Table:
    """Words of a template go before its placeholders: /portfolio/holdings/summary is no segment's name."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._routes = sorted(routes, key=lambda route: route.template.count("{"))

    def match(self, method: str, path: str) -> Match:
        """`path` is decoded. A level may mean two things: GET has an order's id where POST has a variety."""
        words, known = path.split("/"), False
        for route in self._routes:
            found = _fits(route.template.split("/"), words)
            if found is None:
                continue
            if route.method == method:
                return Match(route, found, known=True)
            known = True
        return Match(None, {}, known)


def _fits(template: list[str], words: list[str]) -> dict[str, str] | None:
    """The words that stand where the template has names, or None."""
    if len(template) != len(words):
        return None
    found = {}
    for name, word in zip(template, words, strict=True):
        if name.startswith("{"):
            if not word:
                return None
            found[name[1:-1]] = word
        elif name != word:
            return None
    return found
