"""The order wire's connections: which takes a request, how long one rests, and where there is none."""

import asyncio
import socket
from collections import Counter

import anyio
import pytest
from order_peers import (
    GOOD,
    WHOLE,
    Nasty,
    answer_to,
    fact,
    placing,
    serving,
    well,
    wired,
)

from alphapanda.errors import Fatal
from alphapanda.venues.zerodha import wire as wiring
from alphapanda.venues.zerodha.answers import Lost
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.wire import NoConnection, Wire


def test_a_connection_that_waits_takes_no_other_request():
    async def main():
        asked_for = anyio.Event()

        async def waits(peer, _):
            await asked_for.wait()
            await peer.say(WHOLE)

        async with serving(nasty := Nasty(waits, waits)), wired(nasty.url, connections=2) as wire:
            answers = []
            for number in (1, 2):
                assert wire.idle()
                wire.send(placing(nasty.url, number), answers.append)
            assert not wire.idle()
            with pytest.raises(NoConnection):
                wire.send(placing(nasty.url, 3), answers.append)
            await fact(lambda: len(nasty.requests) == 2)
            asked_for.set()
            await fact(lambda: len(answers) == 2)
            assert wire.idle()
            assert len(nasty.requests) == 2
            assert len(nasty.peers) == 2

    anyio.run(main)


def test_the_connection_that_rested_longest_goes_first():
    async def main():
        async with serving(nasty := Nasty()), wired(nasty.url, connections=3) as wire:
            used = Counter()

            async def notes(peer, request):
                used[peer] += 1
                await well(peer, request)

            nasty.plan = [notes] * 6
            for number in range(6):
                await answer_to(wire, placing(nasty.url, number))
            assert list(used.values()) == [2, 2, 2]

    anyio.run(main)


def plain_server():
    return socket.create_server(("127.0.0.1", 0))


def told_to_go(peer):
    peer.close()


def given_bytes(peer):
    peer.sendall(WHOLE)


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    peer.close()


@pytest.mark.parametrize("happens", [told_to_go, given_bytes, reset])
def test_what_has_come_to_a_connection_is_seen_before_a_write(happens):
    """No turn of the loop lies between: only the socket itself can say it."""

    async def main():
        with plain_server() as server:
            async with wired(f"http://127.0.0.1:{server.getsockname()[1]}", connections=1) as wire:
                peer, _ = server.accept()
                with peer:
                    assert wire.idle()
                    happens(peer)
                    assert not wire.idle()
                    with pytest.raises(NoConnection):
                        wire.send(b"never", pytest.fail)
                    await fact(wire.idle)
                again, _ = server.accept()
                again.close()

    anyio.run(main)


def test_a_connection_is_replaced_before_it_has_rested_too_long(monkeypatch):
    monkeypatch.setattr(wiring, "REPLACE_S", 0.05)

    async def main():
        async with serving(nasty := Nasty()), wired(nasty.url, connections=2) as wire:
            always = []
            await fact(lambda: (always.append(wire.idle()), len(nasty.peers) >= 8)[1])
            assert all(always), "the new one comes first"
            assert await answer_to(wire, placing(nasty.url)) == [GOOD]
            await fact(lambda: len(wire.open) == 2)

    anyio.run(main)


def test_a_connection_that_is_replaced_while_it_waits_still_brings_its_answer(monkeypatch):
    monkeypatch.setattr(wiring, "REPLACE_S", 0.05)

    async def main():
        ready = anyio.Event()

        async def waits(peer, _):
            await ready.wait()
            await peer.say(WHOLE)

        async with serving(nasty := Nasty(waits)), wired(nasty.url, connections=1) as wire:
            answers = []
            wire.send(placing(nasty.url), answers.append)
            await fact(lambda: len(nasty.peers) > 2)
            ready.set()
            await fact(lambda: answers)
            assert answers == [GOOD]
            assert len(nasty.requests) == 1
            await fact(lambda: len(wire.open) == 1)

    anyio.run(main)


def test_a_connection_that_has_rested_too_long_is_not_used(monkeypatch):
    monkeypatch.setattr(wiring, "STALE_S", 0.05)

    async def main():
        async with serving(nasty := Nasty()), wired(nasty.url, connections=1) as wire:
            await fact(lambda: not wire.idle())
            with pytest.raises(NoConnection):
                wire.send(placing(nasty.url), pytest.fail)
            assert not nasty.requests

    anyio.run(main)


def test_before_it_runs_and_after_it_has_ended_nothing_is_written():
    async def main():
        async with serving(nasty := Nasty()):
            wire = Wire(roots_at(nasty.url))
            for _ in range(2):
                assert not wire.idle()
                with pytest.raises(NoConnection):
                    wire.send(placing(nasty.url), pytest.fail)
                async with anyio.create_task_group() as group:
                    await group.start(wire.run)
                    assert wire.idle()
                    group.cancel_scope.cancel()
            assert not nasty.requests

    anyio.run(main)


def test_who_waits_when_it_ends_is_told_once():
    async def main():
        async def silent(peer, _):
            await peer.reader.read()

        answers = []
        async with serving(nasty := Nasty(silent)):
            async with wired(nasty.url) as wire:
                wire.send(placing(nasty.url), answers.append)
                await fact(lambda: nasty.requests)
            assert answers == [Lost("the daemon stopped before the answer")]
        assert len(answers) == 1

    anyio.run(main)


def test_a_peer_that_refuses_is_found_again_when_it_is_back():
    async def main():
        with plain_server() as server:
            port = server.getsockname()[1]
        async with wired(f"http://127.0.0.1:{port}") as wire:
            assert not wire.idle()
            assert "refused" in wire.why.lower() or "connect call failed" in wire.why.lower()
            with pytest.raises(NoConnection, match="no connection to Kite is free: "):
                wire.send(b"never", pytest.fail)
            async with serving(nasty := Nasty(), port=port):
                assert await answer_to(wire, placing(nasty.url)) == [GOOD]
                await fact(lambda: wire.why == "")

    anyio.run(main)


def test_a_peer_that_takes_and_drops_connections_is_not_overrun(monkeypatch):
    monkeypatch.setattr(wiring, "PAUSES_S", (0.0, 0.0, 600.0))
    monkeypatch.setattr(wiring, "PROVEN_S", 600.0)

    async def main():
        nasty = Nasty()

        async def drops(peer):
            peer.close()

        nasty.greets = drops
        async with serving(nasty), wired(nasty.url, connections=2) as wire:
            await fact(lambda: len(nasty.peers) == 4)
            other = Nasty()
            async with serving(other), wired(other.url) as busy:
                for number in range(50):
                    await answer_to(busy, placing(other.url, number))
            assert len(nasty.peers) == 4
            assert not wire.idle()

    anyio.run(main)


@pytest.mark.parametrize(("error", "kind"), [(KeyError("order"), wiring.NotTaken), (Fatal("full"), Fatal)])
def test_an_answer_that_cannot_be_taken_ends_the_wire(error, kind):
    async def main():
        async with serving(nasty := Nasty()):
            wire = Wire(roots_at(nasty.url))

            def fails(_):
                raise error

            async def run():
                async with anyio.create_task_group() as group:
                    await group.start(wire.run)
                    wire.send(placing(nasty.url), fails)

            # asyncio's own note of it
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            with pytest.raises(ExceptionGroup) as told:
                await run()
            (fatal,) = told.value.exceptions
            assert isinstance(fatal, kind)
            assert fatal.__cause__ is error

    anyio.run(main)
