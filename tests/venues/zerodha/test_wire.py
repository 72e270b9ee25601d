"""The order wire against peers of every kind: told once, nothing twice, and soon well again."""

import gzip
from collections import Counter

import anyio
import h11
import pytest
from builders import INFY, LIMIT, order
from exchange_server import exchange_server
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from order_peers import (
    GOOD,
    JSON,
    WHOLE,
    Nasty,
    answer_to,
    asked,
    fact,
    placing,
    reply,
    says,
    serving,
    success,
    wired,
)

from alphapanda.events import Money
from alphapanda.venues.zerodha import wire as wiring
from alphapanda.venues.zerodha.answers import Lost, Proof, Response, outcome_of
from alphapanda.venues.zerodha.requests import Requests
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session


def met(nasty, **options):
    """The answers to two requests, each of which came once to the server, and was answered once; the wire."""

    async def main():
        async with serving(nasty):
            requests = [placing(nasty.url, number) for number in (1, 2)]
            async with wired(nasty.url, **({"connections": 2} | options)) as wire:
                answers = [await answer_to(wire, request) for request in requests]
                await fact(
                    lambda: wire.summary()["connections"]["ready"] == wire.summary()["connections"]["wanted"]
                )
            assert nasty.requests == requests
            assert [len(told) for told in answers] == [1, 1]
            return answers[0][0], answers[1][0], wire

    return anyio.run(main)


CHUNKED = b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"%x\r\n%s\r\n" % (10, success()[:10]) + b"%x\r\n%s\r\n" % (len(success()) - 10, success()[10:])
ZIPPED = JSON + b"Content-Encoding: gzip\r\n"


@pytest.mark.parametrize(
    "does",
    [
        says(WHOLE),
        says(*(WHOLE[place : place + 1] for place in range(len(WHOLE)))),
        says(WHOLE, then="close"),
        says(reply(success(), headers=JSON + b"Connection: close\r\n"), then="close"),
        says(reply(success(), headers=JSON + b"Connection: close\r\n")),
        says(b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n" + success(), then="close"),
        says(b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n" + success(), then="close"),
        says(b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE),
        says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + WHOLE),
        says(CHUNKED + CHUNKS + b"0\r\n\r\n"),
        says(
            CHUNKED, *(CHUNKS[place : place + 3] for place in range(0, len(CHUNKS), 3)), b"0\r\nX: y\r\n\r\n"
        ),
        says(reply(gzip.compress(success()), headers=ZIPPED)),
    ],
    ids=lambda _: "",
)
def test_a_whole_answer_is_handed_on_however_it_comes(does):
    first, second, wire = met(Nasty(does))
    assert (first, second) == (GOOD, GOOD)
    assert (wire.sent, wire.answers, wire.lost, wire.late, wire.strays) == (2, 2, 0, 0, 0)


ECHO = b"POST /orders HTTP/1.1\r\nAuthorization: token key:today\r\n\r\n"


@pytest.mark.parametrize(
    "does",
    [
        says(then="close"),
        says(then="reset"),
        says(WHOLE[:20], then="close"),
        says(WHOLE[:20], then="reset"),
        says(WHOLE[:-5], then="close"),
        says(WHOLE[:-5], then="reset"),
        says(b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n" + success(), then="reset"),
        says(b"HTTP/1.1 100 Continue\r\n\r\n", then="close"),
        says(CHUNKED + CHUNKS, then="close"),
        says(CHUNKED + b"nonsense\r\n"),
        says(reply(b"no gzip", headers=ZIPPED)),
        says(reply(gzip.compress(success())[:-12], headers=ZIPPED)),
        says(reply(gzip.compress(success())[:-8] + b"checksum", headers=ZIPPED)),
        says(reply(gzip.compress(b" " * (wiring.LARGEST_BODY + 1)), headers=ZIPPED)),
        says(b"\x16\x03\x01 garbage \xff\xfe\r\n\r\n"),
        says(b"<html>no HTTP at all</html>\r\n\r\n"),
        says(ECHO),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(20_000))),
        says(reply(b" " * (wiring.LARGEST_BODY + 1))),
    ],
    ids=lambda _: "",
)
def test_less_than_a_whole_answer_is_told_as_lost(does):
    first, second, wire = met(Nasty(does))
    assert isinstance(first, Lost)
    assert first.wrote
    assert first.why
    assert "today" not in first.why
    assert second == GOOD
    assert (wire.sent, wire.answers, wire.lost) == (2, 1, 1)


def test_a_redirect_is_an_answer_and_is_not_followed():
    page = reply(
        headers=b"Location: /elsewhere\r\nContent-Type: text/html\r\n", status=b"307 Temporary Redirect"
    )
    first, second, _ = met(Nasty(says(page)))
    assert first == Response(307, "text/html", b"")
    assert second == GOOD


def test_the_second_answer_to_one_request_is_nobodys():
    """And its connection is not used again: the next answer on it could be another's."""
    nasty = Nasty(says(WHOLE + reply(success("2"))))
    first, second, wire = met(nasty, connections=1)
    assert (first, second) == (GOOD, GOOD)
    assert wire.strays == 1
    assert len(nasty.peers) == 2


def test_an_answer_that_nobody_asked_for_ends_its_connection():
    async def main():
        async with serving(nasty := Nasty()), wired(nasty.url, connections=1) as wire:
            assert await answer_to(wire, placing(nasty.url)) == [GOOD]
            await nasty.peers[0].say(reply(success("2")))
            await fact(lambda: wire.strays == 1 and len(nasty.peers) == 2)
            assert await answer_to(wire, placing(nasty.url)) == [GOOD]
            assert len(nasty.requests) == 2

    anyio.run(main)


def test_an_answer_after_the_time_out_is_counted_and_not_handed_on():
    async def main():
        slow = anyio.Event()

        async def late(peer, _):
            await slow.wait()
            await peer.say(WHOLE)

        async with (
            serving(nasty := Nasty(late)),
            wired(nasty.url, connections=1, timeout_s=0.1) as wire,
        ):
            (told,) = answers = await answer_to(wire, placing(nasty.url))
            assert told == Lost("no answer in 0.1 s")
            await fact(wire.idle)
            assert len(nasty.peers) == 2, "it goes on, on a new connection"
            wire.timeout_s = 60
            assert await answer_to(wire, placing(nasty.url)) == [GOOD]
            slow.set()
            await fact(lambda: wire.late)
            assert (len(answers), wire.lost, wire.answers, wire.strays) == (1, 1, 1, 0)
            await fact(lambda: len(wire.open) == 1)

    anyio.run(main)


# any mix of peers

KINDS = {
    "well": lambda: None,
    "close": lambda: says(then="close"),
    "reset": lambda: says(then="reset"),
    "half": lambda: says(WHOLE[:-3], then="close"),
    "garbage": lambda: says(b"garbage\r\n\r\n"),
}


@settings(max_examples=25, deadline=None)
@given(plan=st.lists(st.sampled_from(sorted([*KINDS, "twice", "last"])), min_size=1, max_size=25))
def test_each_request_comes_once_and_each_answer_belongs_to_its_request(plan):
    def own(request, more=b""):
        return reply(success(asked(request).fields["tag"]), headers=JSON + more)

    async def twice(peer, request):
        await peer.say(own(request) * 2)

    async def last(peer, request):
        await peer.say(own(request, b"Connection: close\r\n"))
        peer.close()

    async def tagged(peer, request):
        await peer.say(own(request))

    does = {"well": tagged, "twice": twice, "last": last}

    async def main():
        nasty = Nasty(*(does.get(kind) or KINDS[kind]() for kind in plan))
        async with serving(nasty), wired(nasty.url, connections=3) as wire:
            told = {}
            for number in range(len(plan)):
                await fact(wire.idle)
                tag = f"mix{number}"
                wire.send(placing(nasty.url, number, tag=tag), told.setdefault(tag, []).append)
            await fact(lambda: all(told.values()))
        tags = [asked(request).fields["tag"] for request in nasty.requests]
        assert sorted(tags) == sorted(told)
        for tag, answers in told.items():
            (answer,) = answers
            if isinstance(answer, Response):
                assert outcome_of(answer).broker_order_id == tag
        whole = sum(isinstance(answer, Response) for (answer,) in told.values())
        assert whole == sum(kind in does for kind in plan)
        assert (wire.answers, wire.lost) == (whole, len(plan) - whole)

    anyio.run(main)


BYTES = st.binary(max_size=60) | st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 \r\n\r\n", b"HTTP/1.0 101 x\r\n", b"\r\n"),
        *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", ZIPPED, JSON, WHOLE),
        *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"hello"),
    ]
)


@given(st.lists(BYTES, max_size=12))
def test_no_bytes_make_reading_fail_in_another_way(pieces):
    reader, answer = wiring._Reader(), None
    try:
        for piece in [*filter(None, pieces), b""]:
            answer = answer or reader.read(piece)
            if answer:
                break
    except h11.RemoteProtocolError:
        return
    assert isinstance(answer, Response), "its end is either a whole answer or a mistake of the peer"
    assert isinstance(reader.may_go_on, bool)


# the exchange

REPLIES = [
    ("delay_after", {"seconds": 0.01}, Proof.ACKED),
    ("drop_before", {}, Proof.UNKNOWN),
    ("drop_after", {}, Proof.UNKNOWN),
    ("reset_before", {}, Proof.UNKNOWN),
    ("reset_after", {}, Proof.UNKNOWN),
    ("status", {"code": 400}, Proof.REJECTED),
    ("status", {"code": 428, "error_type": "HoldingException"}, Proof.REJECTED),
    *(("status", {"code": code, "accepted": True}, Proof.UNKNOWN) for code in (500, 502, 503, 504)),
    ("too_many", {}, Proof.REJECTED),
    ("token_refused", {}, Proof.REJECTED),
    ("ip_refused", {}, Proof.REJECTED),
    ("oms_down", {"accepted": True}, Proof.UNKNOWN),
    ("down", {}, Proof.UNKNOWN),
    ("timeout", {"accepted": True}, Proof.UNKNOWN),
    ("ambiguous", {}, Proof.UNKNOWN),
    ("ambiguous", {"accepted": False}, Proof.UNKNOWN),
    *(("html", {"code": code}, Proof.UNKNOWN) for code in (400, 403, 429, 502)),
    ("empty", {}, Proof.UNKNOWN),
    ("empty", {"code": 400}, Proof.UNKNOWN),
    ("truncated", {}, Proof.UNKNOWN),
    ("cut_body", {}, Proof.UNKNOWN),
    ("keyless", {}, Proof.UNKNOWN),
    ("no_content_type", {}, Proof.UNKNOWN),
    ("not_json", {}, Proof.UNKNOWN),
]


def test_M19_every_answer_of_the_exchange_proves_what_it_does_and_no_more(tmp_path):  # noqa: N802 - the fault's name
    async def main(server):
        ours = Requests(roots_at(server.url), Session("rehearsal", "today"))
        async with wired(server.url) as wire:

            async def outcome(request):
                (answer,) = await answer_to(wire, request)
                return outcome_of(answer)

            def limit(number):
                return order(
                    sequence=number,
                    order_type=LIMIT,
                    instrument=INFY,
                    quantity=1,
                    product="CNC",
                    price=Money(1300),
                )

            for number, (kind, keys, proof) in enumerate(REPLIES):
                fault = {"on": "order.place", "do": kind, "nth": 1} | keys
                await anyio.to_thread.run_sync(server.admin, "faults", {"clear": True, "fault": [fault]})
                became = await outcome(ours.place(limit(number), market_protection=Money(-1)))
                assert became.proof is proof, (kind, keys, became)
                assert became.token_dead == (kind == "token_refused")
                assert became.ip_refused == (kind == "ip_refused")
                assert became.limited == (kind == "too_many" or keys.get("code") == 429)
                struck = (await anyio.to_thread.run_sync(server.admin, "faults"))["faults"]
                assert [one["count"] for one in struck] == [1], kind
            await anyio.to_thread.run_sync(server.admin, "faults", {"clear": True, "fault": []})

            placed = limit(900)
            became = await outcome(ours.place(placed, market_protection=Money(-1)))
            assert became.proof is Proof.ACKED
            known = replace(placed, broker_order_id=became.broker_order_id)
            for _ in range(200):
                changed = await outcome(ours.modify(known, price=Money("1300.07")))
                if changed.proof is Proof.ACKED:
                    break
                assert "being processed" in changed.reason
            assert changed.broker_order_id == became.broker_order_id
        requests = server.history("request")
        return [line for line in requests if line["call"] == "order.place"]

    with exchange_server(tmp_path, "--access-token", "today", "--no-rate-limits") as server:
        requests = anyio.run(main, server)
    tags = Counter(line["fields"]["tag"] for line in requests)
    assert set(tags.values()) == {1}
    assert len(tags) == len(REPLIES) + 1
