"""Bad certificates: the connection is refused, the daemon says so, and the token never leaves."""

import asyncio
import ssl
import warnings

import anyio
import pytest
from certificates import certificate
from exchange_server import exchange_server
from feeding import KEY, TOKEN, feeding, log_lines, until

from alphapanda.events import Instrument
from alphapanda.venues.zerodha.roots import Roots, roots_at
from alphapanda.venues.zerodha.session import Session

SHARE = Instrument(408065, "NSE", "INFY")


class Listener:
    """A TLS server that keeps every byte that it could read."""

    def __init__(self):

        self.read = b""

    async def serve(self, reader, writer):
        try:
            self.read += await reader.read(1 << 16)
        finally:
            writer.transport.abort()


async def refused(paths, old=False):
    """What is logged by a feed that is set against this certificate."""
    listener = Listener()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    if old:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        async with log_lines() as lines, feeding(roots_at(f"https://127.0.0.1:{port}"), [SHARE]) as watched:
            await until(lambda: any("cannot be opened" in line for line in lines))
            await anyio.sleep(0.2)  # it tries again in the meantime
            assert (watched.summary["connected"], watched.session.alive) == (0, True)
    finally:
        server.close()
    assert listener.read == b""
    assert not any(TOKEN in line for line in lines)
    return lines[0]


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("expired", "certificate has expired"),
        ("self-signed", "self-signed certificate"),
        ("wrong host", "IP address mismatch"),
        ("old protocol", "ConnectionResetError"),
    ],
)
def test_M43_a_bad_certificate_is_refused_and_the_token_never_sent(  # noqa: N802 - the fault's name
    tmp_path, monkeypatch, case, why
):
    paths = certificate(
        tmp_path, address="127.0.0.2" if case == "wrong host" else "127.0.0.1", expired=case == "expired"
    )
    if case != "self-signed":
        monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    said = anyio.run(refused, paths, case == "old protocol")
    assert said.startswith("WARNING ticker connection 1 cannot be opened: ")
    assert why in said


def test_M43_a_swap_of_the_certificate_in_mid_day_is_refused(  # noqa: N802 - the fault's name
    tmp_path, monkeypatch
):
    """The local authority of SSL_CERT_FILE is trusted; then somebody else answers at the same address."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    paths, others = certificate(good), certificate(bad)
    monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))

    async def main():
        session = Session(KEY, TOKEN)
        with exchange_server(
            tmp_path, "--access-token", TOKEN, "--tls-cert", paths[0], "--tls-key", paths[1]
        ) as server:
            root = f"https://127.0.0.1:{server.port}"
            async with log_lines() as lines, feeding(roots_at(root), [SHARE], session) as watched:
                await watched.whole_again(1)
                server.process.kill()
                server.process.wait()
                listener, context = Listener(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*others)
                swapped = await asyncio.start_server(listener.serve, "127.0.0.1", server.port, ssl=context)
                try:
                    await until(lambda: any("CERTIFICATE_VERIFY_FAILED" in line for line in lines))
                finally:
                    swapped.close()
                assert listener.read == b""
                assert watched.summary["connected"] == 0

    anyio.run(main)


def test_nothing_but_loopback_does_without_tls():
    with pytest.raises(Exception, match="not encrypted"):
        Roots(ticker="ws://ws.kite.trade")
