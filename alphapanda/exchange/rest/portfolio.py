"""Positions, holdings, and the depository's leave to sell them; mutual funds, of which there are none."""

from typing import Any

from alphapanda.events import MIS
from alphapanda.exchange.calls import CSV, HTML, Call, Reply, invalid
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.options import API_KEY
from alphapanda.exchange.rest.route import Route

_FUNDS_HEADER = (
    "tradingsymbol,amc,name,purchase_allowed,redemption_allowed,minimum_purchase_amount,"
    "purchase_amount_multiplier,minimum_additional_purchase_amount,minimum_redemption_quantity,"
    "redemption_quantity_multiplier,dividend_type,scheme_type,plan,settlement_type,last_price,last_price_date\n"
)


def positions(exchange: Exchange, call: Call) -> Any:
    return exchange.account.positions(call.now_ns, disagree=call.effects.disagree)


def convert(exchange: Exchange, call: Call) -> bool:
    converted = exchange.account.convert(call.fields, call.now_ns)
    for listed, product, _ in exchange.account.open_positions():
        if product == MIS:
            exchange.desk.expect_square_off(listed, call.now_ns)
    return converted


def holdings(exchange: Exchange, call: Call) -> Any:
    return exchange.account.holdings(call.now_ns)


def compact(exchange: Exchange, call: Call) -> Any:
    names = ("exchange", "tradingsymbol", "instrument_token", "t1_quantity", "quantity")
    return [{name: row[name] for name in names} for row in exchange.account.holdings(call.now_ns)]


def summary(exchange: Exchange, call: Call) -> Any:
    return exchange.account.holdings_summary(call.now_ns)


def auctions(exchange: Exchange, call: Call) -> list[Any]:  # noqa: ARG001 - as every handler
    """No sale of ours ever fails to be delivered."""
    return []


def authorise(exchange: Exchange, call: Call) -> Any:
    return {"request_id": exchange.account.authorisations.ask(call.every("isin"), call.every("quantity"))}


def authorise_page(exchange: Exchange, call: Call) -> Reply:
    """The page a browser is sent to. It grants the request at once and goes on to the page that says so."""
    known = call.path["api_key"] == API_KEY
    if not known or not exchange.account.authorisations.grant(call.path["request_id"], call.now_ns):
        return Reply(status=404, body=b"There is no such request.\n", content_type=HTML)
    where = f"/connect/portfolio/authorise/holdings/{call.path['api_key']}/{call.path['request_id']}/finish"
    return Reply(status=302, content_type=HTML, headers={"Location": f"{where}?status=success"})


def authorised_page(exchange: Exchange, call: Call) -> Reply:  # noqa: ARG001 - as every handler
    return Reply(
        body=b"<!doctype html><title>Authorised</title><p>The holdings are authorised.\n", content_type=HTML
    )


def none_held(exchange: Exchange, call: Call) -> list[Any]:  # noqa: ARG001 - as every handler
    return []


def fund_list(exchange: Exchange, call: Call) -> Reply:  # noqa: ARG001 - as every handler
    return Reply(body=_FUNDS_HEADER.encode(), content_type=CSV)


def no_funds(exchange: Exchange, call: Call) -> Any:  # noqa: ARG001 - as every handler
    raise invalid("Mutual funds are not traded at this exchange.")


_PAGE = "/connect/portfolio/authorise/holdings/{api_key}/{request_id}"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/portfolio/positions", "positions", positions),
    Route("PUT", "/portfolio/positions", "positions.convert", convert),
    Route("GET", "/portfolio/holdings", "holdings", holdings),
    Route("POST", "/portfolio/holdings/authorise", "holdings.authorise", authorise),
    Route("GET", _PAGE, "holdings.authorise", authorise_page, needs_token=False),
    Route("GET", f"{_PAGE}/finish", "holdings.authorise", authorised_page, needs_token=False),
    Route("GET", "/portfolio/holdings/auctions", "holdings.auctions", auctions),
    Route("GET", "/portfolio/holdings/summary", "holdings.summary", summary),
    Route("GET", "/portfolio/holdings/compact", "holdings.compact", compact),
    Route("GET", "/mf/orders", "mf", none_held),
    Route("GET", "/mf/orders/{order_id}", "mf", no_funds),
    Route("POST", "/mf/orders", "mf", no_funds),
    Route("DELETE", "/mf/orders/{order_id}", "mf", no_funds),
    Route("GET", "/mf/sips", "mf", none_held),
    Route("GET", "/mf/sips/{sip_id}", "mf", no_funds),
    Route("POST", "/mf/sips", "mf", no_funds),
    Route("PUT", "/mf/sips/{sip_id}", "mf", no_funds),
    Route("DELETE", "/mf/sips/{sip_id}", "mf", no_funds),
    Route("GET", "/mf/holdings", "mf", none_held),
    Route("GET", "/mf/instruments", "mf", fund_list),
)
