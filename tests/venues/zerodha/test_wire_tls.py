"""Certificates and the order wire: who cannot prove to be Kite gets not one byte of a request."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from builders import order
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from exchange_server import exchange_server
from order_peers import Nasty, answer_to, fact, placing, serving, wired

from alphapanda.venues.zerodha import wire as wiring
from alphapanda.venues.zerodha.answers import Proof, outcome_of
from alphapanda.venues.zerodha.wire import NoConnection

HERE, ELSEWHERE = x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("api.example.com")
NOW = datetime.now(UTC)  # what the certificates are checked by is the machine's clock
DAY = timedelta(days=1)


class Authority(NamedTuple):
    """Who signs certificates."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def signed(name, key, issuer, issuer_key, *, ca=False, until=NOW + DAY, hosts=(HERE,)):
    """With all that Python 3.13 asks of a chain (VERIFY_X509_STRICT)."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    may_sign = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 9 * DAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(may_sign, critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def authority(text: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(named(text), key, signed(named(text), key, named(text), key, ca=True))


def pem(folder: Path, name: str, certificate: x509.Certificate, key=None) -> Path:
    path = folder / f"{name}.pem"
    text = certificate.public_bytes(serialization.Encoding.PEM)
    if key:
        text += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    path.write_bytes(text)
    return path


def shown(folder: Path, by: Authority | None, **options) -> Path:
    """What a server shows: signed by an authority, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = named("kite")
    issuer, issuer_key = (by.name, by.key) if by else (name, key)
    return pem(
        folder, f"server-{len(list(folder.iterdir()))}", signed(name, key, issuer, issuer_key, **options), key
    )


def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


@pytest.fixture
def trusted(tmp_path, monkeypatch) -> Authority:
    """The one authority that this machine trusts."""
    made = authority("the only one")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem(tmp_path, "ca", made.certificate)))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setattr(wiring, "PAUSES_S", (0.0, 0.01))
    return made


async def proof_of(wire, url):
    (answer,) = await answer_to(wire, placing(url))
    return outcome_of(answer).proof


REFUSED = {
    "expired": (lambda folder, by: context(shown(folder, by, until=NOW - DAY)), "expired"),
    "self-signed": (lambda folder, _: context(shown(folder, None)), "self-signed"),
    "wrong host": (lambda folder, by: context(shown(folder, by, hosts=(ELSEWHERE,))), "IP address mismatch"),
    "unknown authority": (lambda folder, _: context(shown(folder, authority("another"))), "issuer"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_M43_no_byte_of_an_order_goes_to_who_cannot_prove_to_be_kite(kind, tmp_path, trusted):  # noqa: N802 - the fault's name
    make, why = REFUSED[kind]

    async def main():
        async with serving(nasty := Nasty(), ssl=make(tmp_path, trusted)), wired(nasty.url) as wire:
            tries = []
            wire._failed = lambda error, told=wire._failed: (tries.append(error), told(error))
            await fact(lambda: len(tries) > 4)
            assert why in wire.why
            assert not wire.idle()
            with pytest.raises(NoConnection):
                wire.send(placing(nasty.url), pytest.fail)
            assert not nasty.peers, "a connection came to be"
            assert not nasty.requests

    anyio.run(main)


def of_old(made: ssl.SSLContext) -> ssl.SSLContext:
    """Speaks TLS 1.1 and nothing newer."""
    made.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_1
    return made


@pytest.mark.skipif(not ssl.HAS_TLSv1_1, reason="this machine cannot speak TLS 1.1, not even to be refused")
def test_M43_who_speaks_an_old_protocol_only_gets_no_byte_of_an_order(tmp_path, trusted):  # noqa: N802 - the fault's name
    def old_client(port):
        trusting = of_old(ssl.create_default_context(cafile=tmp_path / "ca.pem"))
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            trusting.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            return secure.version()

    async def main():
        server = of_old(context(shown(tmp_path, trusted)))
        async with serving(nasty := Nasty(), ssl=server):
            port = int(nasty.url.rpartition(":")[2])
            assert await anyio.to_thread.run_sync(old_client, port) == "TLSv1.1"
            await fact(lambda: len(nasty.peers) == 1)
            async with wired(nasty.url) as wire:
                await fact(lambda: "hung up" in wire.why or "protocol" in wire.why)
                with pytest.raises(NoConnection):
                    wire.send(placing(nasty.url), pytest.fail)
            assert len(nasty.peers) == 1
            assert not nasty.requests

    anyio.run(main)


def test_an_authority_that_the_machine_is_told_to_trust_is_trusted(tmp_path, trusted):
    async def main():
        async with serving(nasty := Nasty(), ssl=context(shown(tmp_path, trusted))), wired(nasty.url) as wire:
            for number in range(6):
                assert await proof_of(wire, nasty.url) is Proof.ACKED
                assert len(nasty.requests) == number + 1
            assert wire.why == ""
            assert len(nasty.peers) == 4

    anyio.run(main)


def test_M43_another_certificate_in_mid_day_is_refused(tmp_path, trusted):  # noqa: N802 - the fault's name
    async def main():
        good = context(shown(tmp_path, trusted))
        async with serving(nasty := Nasty(), ssl=good), wired(nasty.url) as wire:
            assert await proof_of(wire, nasty.url) is Proof.ACKED
            good.load_cert_chain(shown(tmp_path, None))
            for peer in list(nasty.peers):
                peer.reset()
            await fact(lambda: "self-signed" in wire.why and not wire.idle())
            assert len(nasty.peers) == 4
            assert len(nasty.requests) == 1
            good.load_cert_chain(shown(tmp_path, trusted))
            assert await proof_of(wire, nasty.url) is Proof.ACKED

    anyio.run(main)


def test_a_peer_that_never_ends_the_handshake_is_given_up(trusted, monkeypatch):
    monkeypatch.setattr(wiring, "CONNECT_S", 0.1)

    async def main():
        async with serving(mute := Nasty()):

            async def silent(peer):
                await peer.reader.read()

            mute.greets = silent
            secure = mute.url.replace("http:", "https:")
            async with wired(secure, connections=1) as wire:
                await fact(lambda: len(mute.peers) > 2)
                assert wire.why == "no connection within 0.1 s"
                assert not wire.idle()

    anyio.run(main)


def test_the_exchange_is_spoken_to_over_tls(tmp_path, trusted):
    certificate = shown(tmp_path, trusted)
    words = ("--access-token", "today", "--tls-cert", certificate, "--tls-key", certificate)
    with exchange_server(tmp_path, *words) as server:

        async def main():
            async with wired(server.url) as wire:
                assert await proof_of(wire, server.url) is Proof.ACKED

        anyio.run(main)
        (request,) = (line for line in server.history("request") if line["call"] == "order.place")
        assert request["fields"]["tag"] == order().tag
