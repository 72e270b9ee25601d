"""The order wire and the network below it: names that do not resolve, addresses that lead nowhere, and
requests that are still on their way when nobody expects them any more.
"""

import asyncio
import socket
import ssl
import threading
from contextlib import asynccontextmanager

import anyio
import pytest
from certificates import certificate
from order_peers import PATIENCE_S, Nasty, asked, fact, placing, serving, wired
from raw_peer import dead_end

from alphapanda.venues.zerodha import wire as wiring
from alphapanda.venues.zerodha.answers import Lost, Proof, outcome_of
from alphapanda.venues.zerodha.roots import Roots
from alphapanda.venues.zerodha.wire import NoConnection, Wire

LONG = b"POST /orders/regular HTTP/1.1\r\nHost: kite\r\nContent-Length: %d\r\n\r\n" % (1 << 20) + bytes(
    1 << 20
)
"""More than the peer of these tests has room for, so that the rest of it stays on our side."""


class Deaf(Nasty):
    """Reads nothing until it is told to."""

    def __init__(self):
        super().__init__()
        self.hears = anyio.Event()
        self.greets = self._waits

    async def _waits(self, peer):
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await self.hears.wait()

    async def rest(self):
        """Read what there is, to the end of the connection."""
        self.hears.set()
        await fact(lambda: self.peers[0].reader.at_eof() or self.peers[0].reader.exception())


def test_a_request_that_has_not_arrived_when_its_time_is_up_never_does():
    async def main():
        answers = []
        async with (
            serving(deaf := Deaf()),
            wired(deaf.url, connections=1, timeout_s=0.2) as wire,
        ):
            await fact(lambda: wire.idle() and deaf.peers)
            wire.send(LONG, answers.append)
            await fact(lambda: answers)
            await deaf.rest()
            assert not deaf.requests, "it came after all"
            assert answers == [Lost("no answer in 0.2 s, and the request had not arrived")]
            assert outcome_of(answers[0]).proof is Proof.UNKNOWN
            await fact(wire.idle)
            assert (wire.lost, wire.late) == (1, 0)

    anyio.run(main)


def test_a_request_that_has_not_arrived_when_we_stop_never_does():
    async def main():
        answers = []
        async with serving(deaf := Deaf()):
            async with wired(deaf.url, connections=1) as wire:
                await fact(lambda: wire.idle() and deaf.peers)
                wire.send(LONG, answers.append)
            await deaf.rest()
            assert not deaf.requests, "it came after all"
        assert answers == [Lost("the daemon stopped before the answer")]

    anyio.run(main)


class Names:
    """What names resolve to; None: nothing, until the test is at its end."""

    def __init__(self):
        self.known: dict[str, list[tuple[str, int]] | None] = {}
        self.asked: list[str] = []
        self.end = threading.Event()
        self._really = socket.getaddrinfo

    def resolve(self, host, port, *words, **more):
        if host not in self.known:
            return self._really(host, port, *words, **more)
        self.asked.append(host)
        addresses = self.known[host]
        if addresses is None:
            assert self.end.wait(PATIENCE_S), "the loop waits for the resolver"
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in addresses]


@pytest.fixture
def names(monkeypatch):
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.resolve)
    monkeypatch.setattr(wiring, "PAUSES_S", (0.0, 0.01))
    yield made
    made.end.set()


@asynccontextmanager
async def running(roots):
    wire = Wire(roots)
    async with anyio.create_task_group() as group:
        await group.start(wire.run)
        yield wire
        group.cancel_scope.cancel()
    assert not wire.open


def test_M42_a_name_that_does_not_resolve_holds_up_nothing_else(names, monkeypatch):  # noqa: N802 - the fault's name
    names.known["api.kite.invalid"] = None
    monkeypatch.setattr(wiring, "CONNECT_S", 0.05)

    async def main():
        async with running(Roots(api="https://api.kite.invalid")) as wire:
            await fact(lambda: len(names.asked) >= 4)
            assert not wire.idle()
            with pytest.raises(NoConnection, match=r"no connection within 0\.05 s"):
                wire.send(placing("http://127.0.0.1"), pytest.fail)
        assert not names.end.is_set(), "the resolver still keeps quiet"
        names.end.set()  # asyncio ends with its threads

    anyio.run(main)


def test_M42_at_a_wrong_address_nobody_gets_a_byte_of_an_order(names, tmp_path, monkeypatch):  # noqa: N802 - as above
    """Somebody who can prove to be somebody, but not Kite."""
    paths = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    proof = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    proof.load_cert_chain(*paths)

    async def main():
        async with serving(stranger := Nasty(), ssl=proof):
            port = int(stranger.url.rpartition(":")[2])
            names.known["api.kite.invalid"] = [("127.0.0.1", port)]
            async with running(Roots(api=f"https://api.kite.invalid:{port}")) as wire:
                assert "Hostname mismatch" in wire.why
                assert not wire.idle()
            assert not stranger.requests

    anyio.run(main)


def test_an_address_that_leads_nowhere_does_not_keep_us_from_the_next(names, monkeypatch):
    """As IPv6 does on many a line: the name has two addresses, and nothing answers at the first."""
    monkeypatch.setattr(wiring, "CONNECT_S", 1.0)

    async def main():
        async with serving(nasty := Nasty()):
            port = int(nasty.url.rpartition(":")[2])
            with dead_end(port) as first:
                names.known["localhost"] = [first, ("127.0.0.1", port)]
                async with wired(f"http://localhost:{port}", connections=2) as wire:
                    await fact(lambda: wire.idle() and len(nasty.peers) >= 2)
                    assert len(wire.open) == 2

    anyio.run(main)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_exchange_at_the_loopback_of_ipv6_is_spoken_to():
    async def main():
        nasty, answers = Nasty(), []
        try:
            server = await asyncio.start_server(nasty.serve, "::1", 0)
        except OSError:
            pytest.skip("this machine has no IPv6")
        url = f"http://[::1]:{server.sockets[0].getsockname()[1]}"
        try:
            async with wired(url, connections=1) as wire:
                wire.send(placing(url), answers.append)
                await fact(lambda: answers)
        finally:
            server.close()
            await fact(nasty.gone)
        assert outcome_of(answers[0]).proof is Proof.ACKED
        assert asked(nasty.requests[0]).headers["host"] == url.removeprefix("http://")

    anyio.run(main)
