"""What stands before the routes: it numbers a request, lets faults at it, counts it, asks for its token.

One request goes `receive`, `meet`, `answer`; the shell waits in between where the plan says so. Every request
and every answer is a line of the history, without secrets.
"""

from collections.abc import Callable, Mapping, Sequence
from traceback import extract_tb
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from alphapanda.exchange.calls import Call, Refusal, Reply
from alphapanda.exchange.exchange import Exchange
from alphapanda.exchange.faults import WirePlan
from alphapanda.exchange.rest import envelope
from alphapanda.exchange.rest.route import Route
from alphapanda.exchange.rest.routes import ROUTES, Table
from alphapanda.exchange.sessions import masked

SECRET = {"access_token", "request_token", "refresh_token", "checksum", "api_secret"}
"""Fields of which the history has the beginning only."""
WHOLE = {"order.place", "order.modify", "order.cancel"}
"""Calls whose whole answer is written down; of the others the size is enough."""
NO_ROUTE = ("GeneralException", "Route not found")
NO_METHOD = ("GeneralException", "Method not allowed")
UNEXPECTED = ("GeneralException", "Something unexpected happened. Please try again later.")


def to_nobody(line: str) -> None:
    """Where nobody reads what goes wrong inside."""


class Gateway:
    """`say` gets a line for a person when a handler has failed, which is a mistake of ours."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        say: Callable[[str], None] = to_nobody,
        routes: tuple[Route, ...] = ROUTES,
    ) -> None:
        self._exchange = exchange
        self._say = say
        self._table = Table(routes)
        self._number = 0

    def receive(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Call:
        """A request has come in: which call it is. `path` is decoded, names of headers are in lower case."""
        self._number += 1
        match = self._table.match(method, path)
        call = Call(
            method=method,
            url=path,
            kind=match.route.kind if match.route else "",
            path=match.path,
            query=query,
            form=form,
            body=body,
            headers=headers or {},
            number=self._number,
            now_ns=self._exchange.clock.now_ns,
            wall_ns=self._exchange.wall(),
        )
        facts = {"body": body} if body is not None else {}
        self._exchange.history.add(
            "request",
            call.now_ns,
            number=call.number,
            method=method,
            path=path,
            call=call.kind,
            fields=_without_secrets(call),
            **facts,
        )
        return call

    def meet(self, call: Call) -> WirePlan:
        """The faults that strike this call; they are counted here."""
        return self._exchange.faults.plan(call)

    def answer(self, call: Call, plan: WirePlan) -> Reply:
        """The exchange's own answer, from the exchange's time now. What the faults make of it on the wire is
        the shell's to do; a call that they keep from the exchange is only written down.
        """
        exchange = self._exchange
        call = replace(call, now_ns=exchange.clock.now_ns, wall_ns=exchange.wall(), effects=plan.effects)
        if not plan.accepts:
            exchange.history.add("reply", call.now_ns, number=call.number, accepted=False)
            return plan.reply or envelope.error(503, "NetworkException", "Service unavailable")
        refusal: Refusal | None = None
        try:
            reply = self._handled(call)
        except Refusal as error:
            refusal, reply = error, envelope.refused(error)
        except Exception as error:  # noqa: BLE001 - one call that we cannot answer must not end the exchange for all
            reply = self._failed(call, error)
        exchange.faults.answered(call, plan, reply.status)
        self._note(call, reply, refusal)
        return reply

    def refuse(self, call: Call, refusal: Refusal) -> Reply:
        """The answer to a request that could not be read to its end: no limit and no fault saw it."""
        reply = envelope.refused(refusal)
        self._note(call, reply, refusal)
        return reply

    def _handled(self, call: Call) -> Reply:
        exchange = self._exchange
        match = self._table.match(call.method, call.url)
        route = match.route
        if route is None:
            raise Refusal(405, *NO_METHOD) if match.known else Refusal(404, *NO_ROUTE)
        if route.bucket:
            exchange.limits.take(route.bucket, call)
        if route.needs_token:
            exchange.sessions.check(call.headers.get("authorization", ""))
        data = route.handler(exchange, call)
        return data if isinstance(data, Reply) else envelope.success(data)

    def _failed(self, call: Call, error: Exception) -> Reply:
        place = extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
        what = f"{type(error).__name__}: {error} ({where})"
        self._say(" ".join(f"{call.method} {call.url} failed inside the exchange: {what}".split()))
        self._exchange.history.add(
            "failure", call.now_ns, number=call.number, error=type(error).__name__, where=where
        )
        return envelope.error(500, *UNEXPECTED)

    def _note(self, call: Call, reply: Reply, refusal: Refusal | None) -> None:
        facts: dict[str, Any] = {"number": call.number, "call": call.kind, "status": reply.status}
        if refusal is not None:
            facts |= {"error_type": refusal.error_type, "message": refusal.message}
        elif call.kind in WHOLE:
            facts["body"] = Raw(reply.body)
        else:
            facts["bytes"] = len(reply.body)
        self._exchange.history.add("reply", call.now_ns, **facts)


def _without_secrets(call: Call) -> dict[str, str | list[str]]:
    """The fields by name, those that repeat as lists."""
    fields: dict[str, list[str]] = {}
    for name, value in (*call.query, *call.form):
        fields.setdefault(name, []).append(masked(value) if name in SECRET else value)
    return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}
