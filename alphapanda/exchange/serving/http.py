"""REST on real sockets: a request becomes a call, and what the faults say happens to its answer."""

import asyncio
import socket
import struct
from http.client import responses as reasons
from typing import Any
from urllib.parse import parse_qsl

import anyio
import msgspec
from aiohttp import web
from msgspec.structs import replace

from alphapanda.exchange.calls import Call, Refusal, Reply, invalid
from alphapanda.exchange.faults import WirePlan
from alphapanda.exchange.rest.gateway import Gateway
from alphapanda.exchange.serving.pump import PUMP

LONGEST_BODY = 64 * 1024
"""Bytes of a request's body."""
LONGEST_LINE = 128 * 1024
"""Bytes of a request's first line: a thousand instruments are asked for in one."""
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a reset."""
FIRST_S = 0.05
"""What the ticker sends of an order that has filled before its answer gets so long a start."""
GATEWAY = web.AppKey("gateway", Gateway)


async def answer(request: web.Request) -> web.StreamResponse:
    """Any call of the REST interface, and the login page."""
    pump, gateway = request.app[PUMP], request.app[GATEWAY]
    body, refusal = b"", None
    try:
        body = await body_of(request)
    except Refusal as error:
        refusal = error
    is_json = "json" in request.headers.get("Content-Type", "")
    pump.catch_up()
    call = gateway.receive(
        request.method,
        request.path,
        query=list(request.rel_url.query.items()),
        form=() if is_json else form_of(body),
        body=_decoded(body) if is_json else None,
        headers={name.lower(): value for name, value in request.headers.items()},
    )
    if refusal is not None:
        pump.wake()
        return response(gateway.refuse(call, refusal))
    plan = gateway.meet(call)
    reply = await _played(request, gateway, call, plan)
    return await _sent(request, plan, plan.spoil(reply))


async def body_of(request: web.Request) -> bytes:
    """The whole body. Raises Refusal for one that is too long, broken, or broken off."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(413, "InputException", f"The body is longer than {LONGEST_BODY} bytes") from None
    except (ConnectionError, web.RequestPayloadError):
        raise invalid("The body cannot be read") from None


async def _played(request: web.Request, gateway: Gateway, call: Call, plan: WirePlan) -> Reply:
    """The call is handled, with the waits of its plan around it."""
    pump = request.app[PUMP]
    if plan.before_s:
        await anyio.sleep(plan.before_s)
        pump.catch_up()
    reply = gateway.answer(call, plan)
    pump.wake()
    if plan.effects.fill_first:
        await anyio.sleep(FIRST_S)
    if plan.after_s:
        await anyio.sleep(plan.after_s)
    return reply


def form_of(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(errors="replace"), keep_blank_values=True)


def _decoded(body: bytes) -> Any:
    """None for what is no JSON: each call says itself what it wants."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def response(reply: Reply) -> web.Response:
    headers = dict(reply.headers)
    if reply.content_type is not None:
        headers["Content-Type"] = reply.content_type
    return web.Response(status=reply.status, body=reply.body, headers=headers)


async def _sent(request: web.Request, plan: WirePlan, reply: Reply) -> web.StreamResponse:
    """The answer, or the end of the connection that the plan has for it."""
    if plan.cut in ("drop", "reset"):
        return _ended(request, plan.cut)
    if plan.cut == "truncate":
        half = replace(reply, body=reply.body[: len(reply.body) // 2])
        return _raw(request, half, length=len(reply.body))
    if reply.content_type is None:
        return _raw(request, reply, length=len(reply.body))
    return response(reply)


def _ended(request: web.Request, cut: str) -> web.Response:
    """The connection ends without a byte."""
    transport = request.transport
    if transport is not None:
        if cut == "reset":
            reset(transport)
        else:
            transport.close()
    return web.Response()  # it finds the transport closed


def reset(transport: asyncio.Transport) -> None:
    """The connection ends with an RST."""
    tcp = transport.get_extra_info("socket")
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()


def _raw(request: web.Request, reply: Reply, *, length: int) -> web.Response:
    """What the server's own response would not send: no content type, or less than was announced."""
    fields = {**reply.headers, "Content-Length": str(length), "Connection": "close"}
    if reply.content_type is not None:
        fields["Content-Type"] = reply.content_type
    lines = [f"HTTP/1.1 {reply.status} {reasons.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    transport = request.transport
    if transport is not None:
        transport.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
        transport.close()
    return web.Response()  # it finds the transport closed
